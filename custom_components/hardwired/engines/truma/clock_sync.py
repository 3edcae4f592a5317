"""When the panel's clock is looked at, and set to ours (spec d.6, e).

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
PATIENCE = 300.0
"""Seconds for which the system may take its time, before its owner is told."""


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
