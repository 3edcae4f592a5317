"""The screen over time: which page it is, since when, and whether it may be acted on (spec c.2)."""

from __future__ import annotations

from collections.abc import Callable

from ..terminal.cells import CellModel
from ..terminal.screens import LIST_ROWS, Labels, Selection, View, labels_of, selected, view_of
from . import timing

Due = Callable[[float], bool]
"""Whether a moment has come; a moment that has not is when to look again."""


class Sight:
    """The cell model and the times that belong to it. ``due`` asks and notes moments."""

    def __init__(self, due: Due) -> None:
        self.cells = CellModel()
        self._due = due
        self._revision = -1
        self._row: int | None = None
        self._list = b""
        self.view = View.UNKNOWN
        self.selection: Selection | None = None
        self._labels: Labels = ()
        """Those of the menu as far as it has been drawn: a redraw in pieces takes none away."""
        self._view_since = 0.0
        self._row_since = 0.0
        self._labels_since = 0.0
        self.last_byte: float | None = None
        """When the last byte came; ``None``: none since the link was opened."""

    def reopened(self, now: float) -> None:
        """The link is new: nothing was seen of it."""
        self.cells = CellModel()
        self._revision = -1
        self.last_byte = None
        self.look(now)

    def receive_data(self, data: bytes, now: float) -> None:
        """Take in bytes that came at *now*."""
        self.last_byte = now
        self.cells.receive_data(data)

    def clear(self, now: float) -> None:
        """Clear the cell model: what stands there must not be taken for what comes."""
        self.cells.clear()
        self.look(now)

    def look(self, now: float) -> None:
        """Read the screen, if it may have changed."""
        if self.cells.revision == self._revision:
            return
        self._revision = self.cells.revision
        view = view_of(self.cells)
        if view is not self.view:
            self.view, self._view_since = view, now
        self.selection = selected(self.cells)
        self._look_at_labels(now)
        row = None if self.selection is None else self.selection.row
        content = self.cells.content(LIST_ROWS) if self.view is View.IO_STATUS else b""
        if row != self._row or content != self._list:
            # Of a list that scrolls, only the rows' texts say that it has moved.
            self._row, self._list, self._row_since = row, content, now

    def _look_at_labels(self, now: float) -> None:
        labels = labels_of(self.cells) if self.view is View.EXTRA_MENU else ()
        known = dict(self._labels)
        drawn_anew = labels and all(known.get(one, "").startswith(text) for one, text in labels)
        if not drawn_anew and (labels or self._labels_since < self._view_since):
            self._labels, self._labels_since = labels, now

    def menu_labels(self, until: float) -> Labels | None:
        """Return the menu's labels; ``None`` while it is being drawn and may lack some.

        After *until* those that there are: a page that never stands still is not waited for.
        """
        if self.quiet_for(timing.QUIET):
            return labels_of(self.cells)
        drawn = self._due(self._labels_since + timing.STABLE) or self._due(until)
        return self._labels if drawn else None

    @property
    def calm(self) -> bool:
        """Whether the page is whole and may be acted on."""
        if self.last_byte is None:
            return False
        return self.quiet_for(timing.QUIET) or (
            self.view is not View.UNKNOWN and self.same_for(timing.STABLE)
        )

    @property
    def settled(self) -> bool:
        """Whether page, list and selection stand still."""
        since = max(self._view_since, self._row_since)
        return self.quiet_for(timing.QUIET) or self._due(since + timing.SETTLED)

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing has come for so long."""
        return self.last_byte is not None and self._due(self.last_byte + seconds)

    def same_for(self, seconds: float) -> bool:
        """Whether the page has been the same for so long."""
        return self._due(self._view_since + seconds)
