"""The menu's keys over time: no damaged page may turn one into another (spec c.6)."""

from __future__ import annotations

from ..terminal.screens import MenuKeys


class MenuMemory:
    """What the labels of this unit's menu said; kept as long as the engine lives.

    One page that says something else is damaged: two bytes may make labels that look whole. The
    same twice is another firmware.
    """

    def __init__(self) -> None:
        self.keys = MenuKeys()
        """What may be pressed now."""
        self._known = False
        self._doubted: MenuKeys | None = None

    def read(self, labelled: MenuKeys | None) -> MenuKeys:
        """Take what the labels say (``None``: nothing that can be trusted); return the keys."""
        if labelled is None:
            return self.keys
        if not self._known or labelled in (self.keys, self._doubted):
            self.keys, self._known, self._doubted = labelled, True, None
        else:
            self._doubted = labelled
        return self.keys
