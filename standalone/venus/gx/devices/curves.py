"""Plausible numbers over time. ``now`` is in seconds, a day is as long as DAY says."""

from __future__ import annotations

import math
import random

DAY = 1440.0  # s; a day passes in 24 minutes, so that somebody who looks sees something happen
MORNING = 0.42  # of the day, when a device is made


def wave(now: float, low: float, high: float, period: float, shift: float = 0.0) -> float:
    """Return a number that swings between two ends."""
    swing = math.sin(2 * math.pi * (now / period + shift))
    return low + (high - low) * (swing + 1) / 2


def daylight(now: float) -> float:
    """Return 0 by night to 1 at noon."""
    of_day = (now / DAY + MORNING) % 1.0
    return max(0.0, math.sin(math.pi * (of_day - 0.25) * 2))


class Clouds:
    """What clouds leave of the light, 0.25 to 1; they come and go."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._clear = True
        self._now = 1.0

    def step(self) -> float:
        """Return the next share of light."""
        if self._chance.random() < 0.03:
            self._clear = not self._clear
        self._now += ((1.0 if self._clear else 0.3) - self._now) * 0.15
        return self._now


class Walk:
    """A number that wanders between two ends."""

    def __init__(self, chance: random.Random, low: float, high: float, step: float) -> None:
        self._chance = chance
        self._low, self._high, self._step = low, high, step
        self.value = (low + high) / 2

    def next(self) -> float:
        """Return the next value."""
        moved = self.value + self._chance.uniform(-self._step, self._step)
        self.value = min(self._high, max(self._low, moved))
        return self.value
