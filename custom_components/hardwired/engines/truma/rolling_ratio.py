"""The share of one counter in the sum of two, over a window of time (spec c.9, h).

Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections import deque

STEPS = 60
"""Number of steps in a window, which may be one step too long."""


class RollingRatio:
    """The share of one counter in the sum of two, over the last so many seconds.

    ``enough``: below this sum there is no share. *much* stays true until the share has fallen to
    half of the limit, so that it does not flap.
    """

    __slots__ = ("_before", "_enough", "_limit", "_marks", "_seconds", "_total", "much", "times")

    def __init__(self, seconds: float, limit: float, enough: int) -> None:
        self._seconds = seconds
        self._limit = limit
        self._enough = enough
        self._before = (0, 0)
        self._total = (0, 0)
        self._marks: deque[tuple[float, tuple[int, int]]] = deque()
        self.much = False
        self.times = 0
        """How often the limit was exceeded."""

    def restart(self) -> None:
        """Note that the counters start at zero again; what was counted is kept."""
        self._before = (0, 0)

    def update(self, part: int, rest: int, now: float) -> bool:
        """Take the counters at *now*; return whether :attr:`much` has changed."""
        new = (part - self._before[0], rest - self._before[1])
        self._before = (part, rest)
        if not self._marks:
            self._marks.append((now, self._total))
        self._total = (self._total[0] + new[0], self._total[1] + new[1])
        if now - self._marks[-1][0] >= self._seconds / STEPS:
            self._marks.append((now, self._total))
        while len(self._marks) > 1 and now - self._marks[1][0] >= self._seconds:
            self._marks.popleft()
        part, rest = self.counted
        was = self.much
        limit = self._limit / 2 if was else self._limit
        self.much = part + rest >= self._enough and part > limit * (part + rest)
        self.times += self.much and not was
        return self.much is not was

    @property
    def counted(self) -> tuple[int, int]:
        """Both counters' growth within the window."""
        if not self._marks:
            return 0, 0
        first = self._marks[0][1]
        return self._total[0] - first[0], self._total[1] - first[1]
