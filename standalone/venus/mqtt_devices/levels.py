"""Between which ends the level of a channel may be set, as its other rows have them now."""

from __future__ import annotations

from typing import Callable

from .rows import Row
from .values import Value

LIGHT_LIMITS = (359, 100, 100, 100, 65000)


def level_range(row: Row, lookup: Callable[[str], Value]) -> tuple[float | None, float | None]:
    """Return the ends of ``Dimming`` or ``Value`` as the channel's rows have them now."""
    if row.kind == "number":
        return None, None
    channel = row.channel
    if row.kind == "double":
        return (
            _number(lookup(channel + "Settings/DimmingMin"), 0.0),
            _number(lookup(channel + "Settings/DimmingMax"), 100.0),
        )
    labels = lookup(channel + "Settings/Labels")
    if isinstance(labels, list):
        return 0, len(labels) - 1
    return 1, _number(lookup(channel + "Settings/DimmingMax"), 7)


def _number(value: Value, without: float) -> float:
    return value if isinstance(value, (int, float)) else without
