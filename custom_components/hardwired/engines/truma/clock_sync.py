"""When the panel's clock is looked at, and whether ours may be written into it (spec d.6, e).

Durations are monotonic: a wall clock that jumps, at boot or by hand, is noticed as a jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

TOLERANCE = 60
"""Seconds that the panel's clock may be wrong, and local time may jump, without a correction."""
EVERY = 86400.0
FIRST = 30.0
"""Seconds after the start before which nothing is set."""
EARLIEST_YEAR, LATEST_YEAR = 2025, 2037
"""A system clock outside these years was never set; such a time is written into no panel."""


def is_set(now: datetime) -> bool:
    """Whether the system's clock can be believed."""
    return EARLIEST_YEAR <= now.year <= LATEST_YEAR


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """When the panel's clock was checked (monotonic), and how far local time was ahead of that."""

    at: float
    ahead: datetime

    @classmethod
    def now(cls, local: datetime, monotonic: float) -> ClockCheck:
        """Return the check of this moment; *local* is the local time."""
        return cls(monotonic, local - timedelta(seconds=monotonic))

    def due_after(self, before: ClockCheck | None) -> bool:
        """Whether it is time for this check: a day has passed, or local time has jumped."""
        if before is None or self.at - before.at >= EVERY:
            return True
        return abs(self.ahead - before.ahead) > timedelta(seconds=TOLERANCE)
