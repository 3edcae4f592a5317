"""Checks of what the GX has set, before anything is called."""

from __future__ import annotations

from collections.abc import Callable

from ..home import Json, number
from ..outcome import Call, Control, Outcome, WriteBack


def state_of(value: Json) -> bool | None:
    """Return on or off; ``None`` for anything else."""
    found = int(value) if isinstance(value, bool) else plain_number(value)
    return bool(found) if found in (0, 1) else None


def plain_number(value: Json) -> float | None:
    """Return a number; a text of digits is none."""
    return None if isinstance(value, str) else number(value)


def switched(entity_id: str, on: str, off: str, present: Json) -> Control:
    """Return a control that calls one service for on and another for off."""

    def control(value: Json) -> Outcome:
        wanted = state_of(value)
        if wanted is None:
            return WriteBack(present)
        return Call(on if wanted else off, {"entity_id": entity_id}, int(wanted))

    return control


def within(low: float, high: float, present: Json, then: Callable[[float], Outcome]) -> Control:
    """Return a control for numbers of a range; others are answered with the present value."""

    def control(value: Json) -> Outcome:
        found = plain_number(value)
        if found is None or not low <= found <= high:
            return WriteBack(present)
        return then(found)

    return control


def chosen(count: int, present: Json, then: Callable[[int], Outcome], *, first: int = 0) -> Control:
    """Return a control for a whole number from *first* on, one of *count*."""

    def control(value: Json) -> Outcome:
        found = plain_number(value)
        if found is None or found != int(found) or not first <= found < first + count:
            return WriteBack(present)
        return then(int(found))

    return control
