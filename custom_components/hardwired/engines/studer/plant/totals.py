"""Adds up daily counters, which fall to zero at midnight, to a total that never falls."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

NOISE = 0.05
"""A fall by less than this is rounding, not a new day; in the counter's unit."""


class RunningTotal:
    """The sum of what several daily counters have counted since they were first seen."""

    def __init__(self) -> None:
        self.total = 0.0
        self._last: dict[str, float] = {}

    @classmethod
    def restore(cls, state: Any) -> RunningTotal:
        """Return what :meth:`as_dict` described; a new one when that is damaged."""
        restored = cls()
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            last = {str(key): float(value) for key, value in state["last"].items()}
            restored.total = float(state["total"])
            restored._last = last
        return restored

    def update(self, source: str, value: float) -> None:
        """Take a good reading of one counter."""
        last = self._last.get(source)
        if last is None:
            self._last[source] = value
        elif value >= last:
            self.total += value - last
            self._last[source] = value
        elif last - value > max(NOISE, 0.01 * last):
            self.total += max(0.0, value)
            self._last[source] = value

    def as_dict(self) -> dict[str, Any]:
        """Return what :meth:`restore` takes, plain types only."""
        return {"total": round(self.total, 4), "last": dict(self._last)}
