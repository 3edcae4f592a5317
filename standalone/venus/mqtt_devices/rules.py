"""Whether and how a value may be written to a row (spec D.5, V1..V9)."""

from __future__ import annotations

import math
import re
from typing import Any, Callable, NamedTuple

from .levels import LIGHT_LIMITS, level_range
from .rows import Row
from .values import INT64, Value, is_finite, is_text

ACCEPTED = 0
REFUSED = 1
OUT_OF_RANGE = 2

Lookup = Callable[[str], Value]


class Verdict(NamedTuple):
    """What becomes of a write: the code that SetValue answers, and the value to take over."""

    code: int
    value: Value = None


_REFUSED = Verdict(REFUSED)
_OUT_OF_RANGE = Verdict(OUT_OF_RANGE)

_WHOLE = re.compile(r"[+-]?[0-9]+")


def judge(row: Row, value: Any, lookup: Lookup) -> Verdict:
    """Judge a write of ``value`` to ``row``; ``lookup`` gives what other paths hold now."""
    if not row.writable:
        return _REFUSED
    if value is None or (isinstance(value, (list, dict, bytes)) and not value):
        return _invalid(row)
    if row.channel:
        return _judge_channel(row, value, lookup)
    return judge_plain(row, value)


def _invalid(row: Row) -> Verdict:
    """V2: only what is not stored can become invalid."""
    return _REFUSED if row.stored else Verdict(ACCEPTED, None)


def judge_plain(row: Row, value: Any) -> Verdict:
    """V3 to V8, for the rows of a type's own table."""
    if row.is_list:
        texts = isinstance(value, list) and all(map(is_text, value))
        return Verdict(ACCEPTED, list(value)) if texts else _REFUSED
    plain = _plain(row, value)
    if plain is None:
        return _REFUSED
    return _within(row, plain)


def _plain(row: Row, value: Any) -> Value:
    """Return the text or number that a write means; None for one that means nothing."""
    if isinstance(value, (list, dict, bytes, tuple)):
        return None
    if row.kind == "text":
        return as_text(value)
    number = as_number(value)
    if number is None:
        return None
    if row.kind == "integer":
        number = int(number)
    elif row.stored and isinstance(row.default, float):
        number = float(number)
    elif row.stored and isinstance(number, float) and number == int(number):
        number = int(number)
    return number if is_finite(number) else None


def _within(row: Row, value: Value) -> Verdict:
    if row.stored and row.limits is not None and not isinstance(value, str):
        low, high = row.limits
        if not low <= value <= high:  # type: ignore[operator]
            return _OUT_OF_RANGE
    return Verdict(ACCEPTED, value)


def as_text(value: Any) -> str | None:
    """V4: numbers become their text, booleans 1 and 0."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (int, float)):
        return repr(value) if is_finite(value) else None
    return value if is_text(value) else None


def as_number(value: Any) -> int | float | None:
    """V5 and V7: booleans become 1 and 0, texts are read; None for what is no finite number."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = _read(value)
    if isinstance(value, (int, float)) and is_finite(value):
        return value
    return None


def _read(text: str) -> int | float | None:
    text = text.strip()
    if not text.isascii() or "_" in text or len(text) > 400:
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return None


def _judge_channel(row: Row, value: Any, lookup: Lookup) -> Verdict:
    """V9: rows of outputs and inputs."""
    if row.kind == "list_int":
        return light(value)
    if isinstance(value, (list, dict, bytes, tuple)) or row.is_list:
        return _REFUSED
    if row.kind == "text":
        text = as_text(value)
        return _REFUSED if text is None else Verdict(ACCEPTED, text)
    number = as_number(value)
    if number is None:
        return _REFUSED
    if row.kind == "number":
        return Verdict(ACCEPTED, number)
    return level(row, number, lookup)


def level(row: Row, number: int | float, lookup: Lookup) -> Verdict:
    """Judge a number for an ``int`` or ``double`` row of a channel."""
    if row.kind == "double":
        number = float(number)
    elif isinstance(number, float):
        if number != int(number):
            return _REFUSED
        number = int(number)
        if not INT64[0] <= number <= INT64[1]:
            return _REFUSED
    low, high = channel_range(row, lookup)
    if (low is not None and number < low) or (high is not None and number > high):
        return _OUT_OF_RANGE
    if row.field in ("Settings/Type", "Settings/Function"):
        mask = lookup(row.channel + row.field.replace("/", "/Valid") + "s")
        if not isinstance(mask, int) or not mask >> int(number) & 1:
            return _OUT_OF_RANGE
    return Verdict(ACCEPTED, number)


def channel_range(row: Row, lookup: Lookup) -> tuple[float | None, float | None]:
    """Return the ends that hold for a row now; None for an open end."""
    if row.field in ("Dimming", "Value"):
        return level_range(row, lookup)
    return row.low, row.high


def light(value: Any) -> Verdict:
    """Judge the five numbers of ``LightControls``."""
    if not isinstance(value, list) or len(value) != len(LIGHT_LIMITS):
        return _REFUSED
    rounded: list[int] = []
    for number in value:
        if isinstance(number, bool) or not is_finite(number):
            return _REFUSED
        rounded.append(math.floor(number + 0.5))
    if not all(0 <= number <= high for number, high in zip(rounded, LIGHT_LIMITS)):
        return _OUT_OF_RANGE
    return Verdict(ACCEPTED, rounded)
