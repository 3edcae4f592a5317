"""What is sent to a registered service (spec g.1)."""

from __future__ import annotations

import math

from hardwired_engines.fields import Value

from ..mqtt.values import number_text
from .mapping import Source, View
from .registration import PlannedControl, PlannedService

ON, OFF, DISABLED = 9, 0, 0x20
"""Status of an output: on, off (or ready), unknown."""


def values(service: PlannedService, view: View) -> dict[str, float | int | None]:
    """Return what a service shows now, by path."""
    told: dict[str, float | int | None] = {}
    for row in service.paths:
        told[row.path] = _rounded(view.value(row.field), row.scale, row.decimals)
    if service.row.type == "temperature":
        told["Status"] = 1 if told.get("Temperature") is None else 0
    for one in service.outputs:
        told |= {
            f"SwitchableOutput/{one.id}/{name}": value for name, value in _output(one, view).items()
        }
    for one in service.inputs:
        told |= {
            f"GenericInput/{one.id}/{name}": value for name, value in _input(one, view).items()
        }
    return told


def _rounded(value: Value | None, scale: float = 1, decimals: int = 6) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    found = float(number_text(value * scale, decimals))
    return int(found) if found.is_integer() else found


def _output(one: PlannedControl, view: View) -> dict[str, float | int | None]:
    match one.type:
        case "toggle":
            state = switched(one.control.source, view)
            if state is None:
                return {"Status": DISABLED}
            return {"State": int(state), "Status": ON if state else OFF}
        case "momentary":
            chosen = chosen_option(one, view)
            if chosen is None:
                return {"State": 0, "Status": DISABLED}
            return {"State": 0, "Status": ON if chosen == one.option else OFF}
        case "dropdown":
            shown: float | int | None = chosen_option(one, view)
        case _:
            shown = _rounded(view.value(one.control.source.field), decimals=2)
    told: dict[str, float | int | None] = {} if shown is None else {"Dimming": shown}
    if one.measured and one.control.measurement is not None:
        told["Measurement"] = _rounded(view.value(one.control.measurement), decimals=1)
    told["Status"] = DISABLED if shown is None else ON
    return told


def switched(source: Source, view: View) -> bool | None:
    """Return whether a toggle is on; ``None``: nobody knows."""
    if not source.composite:
        value = view.value(source.field)
        return value if isinstance(value, bool) else None
    word = view.role(source.composite, source.role)
    if word is None:
        return None
    return word == source.on if source.on is not None else word != source.off


def chosen_option(one: PlannedControl, view: View) -> int | None:
    """Return which option is set, from 0."""
    control = one.control
    if control.pairs:
        shown = tuple(view.value(key) for key in control.fields)
        return control.pairs.index(shown) if shown in control.pairs else None
    source = control.source
    word = (
        view.role(source.composite, source.role) if source.composite else view.value(source.field)
    )
    return one.labels.index(word) if isinstance(word, str) and word in one.labels else None


def _input(one: PlannedControl, view: View) -> dict[str, float | int | None]:
    value = view.value(one.control.source.field)
    if one.type == "discrete":
        # An unknown one keeps what it showed last.
        return {"Status": 1} if value is None else {"Value": int(bool(value)), "Status": 0}
    shown = _rounded(value, decimals=2)
    return {"Value": shown, "Status": 1 if shown is None else 0}
