"""Which changes are signalled now and which wait for the second to be over (spec B.4).

The gateway has run out of memory under floods of signals. So what jitters is collected: at most
one signal a second for each service. What somebody set goes out at once.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable

from .rows import Row
from .values import Value, same

WINDOW = 1.0  # s

Later = Callable[[float, Callable[[], None]], Any]


def is_urgent(kind: str, row: Row, before: Value, after: Value) -> bool:
    """Whether a change can't wait, whoever made it."""
    if not row.is_number or row.from_gx or (before is None) != (after is None):
        return True
    return kind in ("grid", "genset") and row.path.endswith("/Power")


class Changes:
    """Collects the changes of one service.

    ``later`` calls a function after so many seconds and returns a handle to cancel, ``value``
    reads a path, ``emit`` signals paths.
    """

    def __init__(
        self, later: Later, value: Callable[[str], Value], emit: Callable[[list[str]], None]
    ) -> None:
        self._later = later
        self._value = value
        self._emit = emit
        self._signalled: dict[str, Value] = {}  # collected path -> what was signalled last
        self._timer: Any | None = None

    def add(self, before: dict[str, Value], urgent: Iterable[str]) -> None:
        """Take changes: path -> what it held before; ``urgent`` names those that can't wait."""
        hurry = set(urgent)
        now = [path for path in before if path in hurry]
        for path in now:
            self._signalled.pop(path, None)
        for path, value in before.items():
            if path not in hurry:
                self._signalled.setdefault(path, value)
        if self._timer is None and self._signalled:
            now.extend(self._signalled)
            self._signalled.clear()
            self._timer = self._later(WINDOW, self._window_over)
        if now:
            self._emit(now)

    def _window_over(self) -> None:
        self._timer = None
        due = [
            path for path, value in self._signalled.items() if not same(self._value(path), value)
        ]
        self._signalled.clear()
        if due:
            self._timer = self._later(WINDOW, self._window_over)
            self._emit(due)

    def stop(self) -> None:
        """Signal nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._signalled.clear()
