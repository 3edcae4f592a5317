"""The scales of settings: devices take steps, and Home Assistant converts between units."""

from __future__ import annotations

import math


def nearest(value: float, step: float, low: float | None, high: float | None) -> float:
    """Return the value of a device's scale that is nearest to one that was chosen in another unit.

    The scale begins at *low*, or goes through zero. 70 °F are 21.11 °C, which a device of whole
    degrees refuses as it does any 21.11 °C. What is no number is left to the engine to refuse.
    """
    if not math.isfinite(value):
        return value
    origin = 0.0 if low is None else low
    found = round(origin + round((value - origin) / step) * step, 9)
    if high is not None:
        found = min(found, high)
    return found if low is None else max(found, low)
