"""JSON as the gateway reads it: which value a JSON value means on D-Bus (spec B.5)."""

from __future__ import annotations

from typing import Any

from .values import INT64, Value, is_finite, is_text

_UINT64 = 2**64


def from_json(value: Any) -> tuple[bool, Value]:
    """Return whether a parsed JSON value means anything, and what.

    Whole numbers from 2^63 up to 2^64 wrap as the gateway's do; larger ones become floats.
    """
    if value is None or value == []:
        return True, None
    if isinstance(value, bool):
        return True, value
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        return is_finite(value), value
    if isinstance(value, str):
        return is_text(value), value
    if isinstance(value, list):
        return _uniform(value)
    return False, None


def _whole(value: int) -> tuple[bool, Value]:
    if INT64[0] <= value <= INT64[1]:
        return True, value
    if 0 < value < _UINT64:
        return True, value - _UINT64
    try:
        return True, float(value)
    except OverflowError:
        return False, None


def _uniform(value: Any) -> tuple[bool, Value]:
    members = []
    for member in value:
        usable, converted = from_json(member)
        if not usable or converted is None:
            return False, None
        members.append(converted)
    kinds = {type(member) for member in members}
    return (True, members) if len(kinds) == 1 else (False, None)
