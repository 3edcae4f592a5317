"""Time in a simulated plant: an agenda of events and a wall clock. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Agenda:
    """Events and their times. Pure: the owner calls :meth:`run`."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def at(self, moment: float, action: Callable[[float], None]) -> None:
        """Call *action* at *moment*, with that moment."""
        heapq.heappush(self._entries, (moment, next(self._order), action))

    @property
    def due(self) -> float | None:
        """The time of the next event."""
        return self._entries[0][0] if self._entries else None

    def run(self, now: float) -> None:
        """Carry out everything that is due, in order."""
        while self._entries and self._entries[0][0] <= now:
            moment, _, action = heapq.heappop(self._entries)
            action(moment)


class PlantClock:
    """The wall clock of the plant: seconds since 1970 of the local time, without a zone."""

    def __init__(self, start: float, scale: float = 1.0) -> None:
        self._start = start
        self._scale = scale
        self._origin: float | None = None

    def moment(self, now: float) -> float:
        """Return the plant's time at a moment of the line's clock."""
        if self._origin is None:
            self._origin = now
        return self._start + (now - self._origin) * self._scale

    def set(self, moment: float, now: float) -> None:
        """Set it."""
        self._start, self._origin = moment, now
