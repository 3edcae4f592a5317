"""A clock without an event loop: for machines that take bytes and a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hardwired_engines.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class TurnedClock(ManualClock):
    """Turned by hand, at once."""

    def turn_to(self, moment: float) -> None:
        self._elapsed = moment

    def turn(self, seconds: float) -> None:
        self._elapsed += seconds

    def set_back(self, seconds: float) -> None:
        self.set_wall(self.now() - timedelta(seconds=seconds))
