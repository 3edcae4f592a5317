"""A spool in memory: a ring."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from ..delivery import Point
from .contract import Counters, Lost, Settled, SpoolState, within


class MemorySpool:
    """A ring of at most *most* points; the oldest go first."""

    where = "memory"

    def __init__(self, most: int) -> None:
        self._most = most
        self._points: deque[Point] = deque()
        self._next = 1
        self._counters = Counters()

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines*."""
        for line in lines:
            self._points.append((self._next, line))
            self._next += 1
        gone = [self._points.popleft() for _ in range(len(self._points) - self._most)]
        self._counters = self._counters.plus(
            Counters(accepted=len(lines), dropped=len(gone) + dropped)
        )
        return None  # a ring is meant to lose the oldest: counted, not told

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points."""
        return within(self._points, count, size)

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after *after*."""
        found = []
        for point in self._points:
            if point[0] > after:
                found.append(point)
                if len(found) == count:
                    break
        return found

    def settle(self, settled: Settled) -> None:
        """Remove points; what would be set aside is dropped."""
        gone = {*settled.stored, *settled.dropped, *settled.set_aside}
        before = len(self._points)
        there = {ident for ident, _ in self._points} & gone
        self._points = deque(point for point in self._points if point[0] not in gone)
        lost = len(gone) - len(there)  # the ring dropped them meanwhile, and counted them so
        stored = sum(ident in there for ident in settled.stored)
        self._counters = self._counters.plus(
            Counters(
                delivered=stored,
                dropped=before - len(self._points) - stored,
                refused=max(0, settled.refused - lost),
            )
        )

    def spill(self) -> None:
        """There is nowhere else."""

    @property
    def state(self) -> SpoolState:
        """How it is."""
        oldest = self._points[0][1] if self._points else None
        return SpoolState(len(self._points), 0, oldest, self._counters)

    def close(self) -> None:
        """Nothing to do."""

    def hand_over(self) -> tuple[list[str], Counters]:
        """Return what waits and what was counted, and forget both."""
        lines = [line for _, line in self._points]
        counters = replace(self._counters, accepted=self._counters.accepted - len(lines))
        self._points.clear()
        self._counters = Counters()
        return lines, counters
