"""Adds up daily counters, which fall to zero at midnight, to a total that never falls."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

NOISE = 0.05
"""A fall by less than this is rounding, not a new day; in the counter's unit."""
LONG_GAP = timedelta(hours=1)
"""Longer than any doubt about when midnight is."""
CONSEQUENCE = 0.05
"""How much a total may grow before it is stored, and shown; in the counter's unit."""


class RunningTotal:
    """The sum of what several daily counters have counted since they were first seen.

    A counter that is lower than before has been reset: what it shows was counted since then. After
    a night without a reading even the smallest fall is a reset, not rounding. One that falls on the
    same day by less than half counts backwards: that is neither taken off nor counted twice.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._last: dict[str, float] = {}
        self._moments: dict[str, datetime] = {}
        self._stored = 0.0
        self._was_reset = False

    @classmethod
    def restore(cls, state: Any) -> RunningTotal:
        """Return what :meth:`as_dict` described; a new one when that is damaged."""
        restored = cls()
        with suppress(AttributeError, KeyError, TypeError, ValueError, OverflowError):
            last = {str(key): float(value) for key, value in state["last"].items()}
            moments = {
                str(key): datetime.fromisoformat(moment).replace(tzinfo=None)
                for key, moment in state.get("moments", {}).items()
            }
            total = float(state["total"])
            if all(math.isfinite(value) for value in (total, *last.values())):
                restored.total = restored._stored = total
                restored._last, restored._moments = last, moments
        return restored

    @property
    def kept(self) -> float:
        """The total as it was stored last. It is what is shown: no power cut takes it back."""
        return self._stored

    @property
    def consequential(self) -> bool:
        """Whether a power cut now would lose something: a reset, or much that was counted."""
        return self._was_reset or self.total - self._stored >= CONSEQUENCE

    def add(self, amount: float) -> None:
        """Add what flowed lately."""
        self.total += amount

    def update(
        self, source: str, value: float, moment: datetime | None = None, weight: float = 1.0
    ) -> None:
        """Take a good reading of one counter; *moment* is on the plant's clock.

        *weight* is what one of the counter's units is worth now.
        """
        last = self._last.get(source)
        noise = max(NOISE, 0.01 * (last or 0.0))
        another_day = moment is None
        if moment is not None:
            # The plant's midnight is that of its wall clock.
            now = moment.replace(tzinfo=None)
            before = self._moments.get(source, now)
            another_day = now.date() != before.date()
            if another_day and abs(now - before) > LONG_GAP:
                noise = 0.0
            self._moments[source] = now
        if last is None:
            self._last[source] = value
        elif value >= last:
            self.total += (value - last) * weight
            self._last[source] = value
        elif last - value > noise:
            if another_day or value <= last / 2:
                self.total += max(0.0, value) * weight
                self._was_reset = True
            self._last[source] = value

    def as_dict(self) -> dict[str, Any]:
        """Return what :meth:`restore` takes, plain types only."""
        return {
            "total": self.total,
            "last": dict(self._last),
            "moments": {
                key: moment.isoformat(timespec="seconds") for key, moment in self._moments.items()
            },
        }

    def stored(self) -> None:
        """Note that it is stored as it is now."""
        self._stored, self._was_reset = self.total, False
