"""Compares accepted reports with earlier ones: duplicates, live state, staleness, the zone.

Everything is kept per inverter (spec b.12, b.13, c.3). Arrivals are seconds on any clock that
runs on, readings are times in UTC.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median

REMEMBERED_BODIES = 512
BURST = 60.0
"""Reports that follow each other faster than this, in seconds, were buffered by the dongle."""

LEAST_EXPIRY, MOST_EXPIRY = 600.0, 3600.0
INTERVALS = 8

ZONE_SAMPLES = 5
ZONE_AGREEMENT = 120.0
ZONE_STEP = 900


class Duplicates:
    """Remembers the bodies of the last reports of all inverters."""

    def __init__(self, size: int = REMEMBERED_BODIES) -> None:
        self._size = size
        self._bodies: dict[bytes, bool] = {}

    def seen(self, body: bytes) -> bool:
        """Whether *body* was seen before; it is remembered."""
        bodies = self._bodies
        known = bodies.pop(body, False)
        bodies[body] = True
        if len(bodies) > self._size:
            del bodies[next(iter(bodies))]
        return known


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an accepted report that is no duplicate is used.

    ``live``: it becomes the current state. ``burst``: it was buffered by the dongle.
    """

    live: bool
    burst: bool


_VERDICTS = {
    (live, burst): Verdict(live, burst) for live in (True, False) for burst in (True, False)
}


class Progress:
    """The order in which the reports of one inverter arrive (spec b.13)."""

    def __init__(self) -> None:
        self.newest: datetime | None = None
        """The newest reading accepted so far, live or not."""
        self.behind: float | None = None
        """By how many seconds readings are usually older than their capture: the clocks differ."""
        self._doubted: float | None = None
        self._last_live: datetime | None = None
        self._last_arrival: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS)

    def take(
        self, reading: datetime, arrival: float | None, captured: datetime | None = None
    ) -> Verdict:
        """Note a report. An unknown *arrival* (``None``) is never taken for a pause.

        A reading that is much older than usual when it is *captured* was buffered, even as the
        first after a silence: it is not the present. A clock that was set back looks like it,
        until the next report is as much behind.
        """
        pause = None
        if arrival is not None:
            if self._last_arrival is not None:
                pause = arrival - self._last_arrival
                self._intervals.append(pause)
            self._last_arrival = arrival
        live = (
            self._last_live is None
            or reading >= self._last_live
            or (pause is not None and pause >= BURST)
        )
        burst = pause is not None and pause < BURST
        if captured is not None and live:
            live = self._is_present((captured - reading).total_seconds(), burst=burst)
        if live:
            self._last_live = reading
        if self.newest is None or reading > self.newest:
            self.newest = reading
        return _VERDICTS[live, burst]

    def _is_present(self, behind: float, *, burst: bool) -> bool:
        """Whether a reading so many seconds *behind* its capture tells the present."""
        if self.behind is not None and behind - self.behind > self.expiry:
            before = self._doubted
            if burst or before is None or abs(behind - before) > ZONE_AGREEMENT:
                if not burst:
                    self._doubted = behind
                return False
        if not burst:
            self.behind, self._doubted = behind, None
        return True

    @property
    def interval(self) -> float | None:
        """The median interval between the last arrivals, in seconds."""
        return median(self._intervals) if self._intervals else None

    @property
    def expiry(self) -> float:
        """How long the state is valid without a new report, in seconds (spec c.3)."""
        adaptive = 2.5 * (self.interval or 0.0)
        return min(max(LEAST_EXPIRY, adaptive), MOST_EXPIRY)

    def stale_at(self, expire_after: float | None = None) -> float | None:
        """Return the arrival clock's time at which the state becomes unavailable.

        *expire_after* replaces the adaptive rule. ``None``: nothing has arrived.
        """
        if self._last_arrival is None:
            return None
        return self._last_arrival + (self.expiry if expire_after is None else expire_after)


class ZoneCheck:
    """Notices that the inverter's clock or the time zone is set wrongly (spec b.11)."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=ZONE_SAMPLES)
        self.mismatch: int | None = None
        """Seconds by which the inverter's clock is behind, rounded to 15 minutes; 0: it is right.
        ``None``: too early to tell."""

    def take(self, offset: float) -> None:
        """Note time of capture minus time of reading, in seconds, of a live report."""
        self._offsets.append(offset)
        agree = max(self._offsets) - min(self._offsets) <= ZONE_AGREEMENT
        if len(self._offsets) == ZONE_SAMPLES and agree:
            self.mismatch = round(fmean(self._offsets) / ZONE_STEP) * ZONE_STEP
