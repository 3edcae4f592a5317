"""What GetText shows of a value (spec D.6, D.3.2)."""

from __future__ import annotations

from typing import Callable

from .channels import DIMMABLE, DISCRETE, DROPDOWN, INPUT_TEMPERATURE, SET_POINT, STEPPED
from .rows import Row
from .values import Value

INVALID_TEXT = "---"
_UNITS = {"/Speed": "m/s", "/Temperature": "°C", "/Volume": "m3"}

Lookup = Callable[[str], Value]


def text(row: Row, value: Value, lookup: Lookup) -> str:
    """Return the text of a value; ``lookup`` gives what other paths hold now."""
    if value is None:
        return INVALID_TEXT
    if row.channel and row.field in ("Dimming", "Value"):
        return _level(row, value, lookup)
    if row.path == "/ProductId" and row.text_format is None and isinstance(value, int):
        return f"0x{value:X}"
    if row.text_format is None:
        return str(value)
    return _formatted(row.text_format, value)


def _formatted(text_format: str, value: Value) -> str:
    try:
        return text_format.format(value)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError):
        return str(value)


def _level(row: Row, value: Value, lookup: Lookup) -> str:
    """Return the text of a level: with its unit, or the label of that index."""
    kind = lookup(row.channel + "Settings/Type")
    output = row.field == "Dimming"
    if kind == (DROPDOWN if output else DISCRETE):
        return _label(value, lookup(row.channel + "Settings/Labels"))
    if output and kind == DIMMABLE:
        return f"{value} %"
    if kind == (SET_POINT if output else INPUT_TEMPERATURE):
        return f"{value} °C"
    if output and kind == STEPPED:
        return str(value)
    unit = _unit(lookup(row.channel + "Settings/Unit"))
    return f"{value} {unit}" if unit else str(value)


def _label(value: Value, labels: Value) -> str:
    if isinstance(labels, list) and isinstance(value, int) and 0 <= value < len(labels):
        return str(labels[value])
    return str(value)


def _unit(unit: Value) -> str | None:
    return _UNITS.get(unit, unit) if isinstance(unit, str) else None
