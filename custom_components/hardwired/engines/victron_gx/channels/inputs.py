"""What is only shown: binary sensors and sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..home import EntityState
from ..service import Channel, labels, value_input
from ..units import ChannelUnit, Kind, factor

_LABELS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("door", "garage_door", "opening", "window"), ("/closed", "/open")),
    **dict.fromkeys(
        (
            "problem",
            "safety",
            "smoke",
            "gas",
            "carbon_monoxide",
            "moisture",
            "tamper",
            "heat",
            "battery",
        ),
        ("/ok", "/alarm"),
    ),
    **dict.fromkeys(("running", "moving", "motion"), ("/stopped", "/running")),
    **dict.fromkeys(("connectivity", "plug", "presence", "occupancy"), ("/no", "/yes")),
}
"""Reserved words, which the GX translates, by device class (spec H.3)."""


def binary_input(state: EntityState, head: dict[str, Any]) -> Channel:
    """Return a binary sensor."""
    told = list(_LABELS.get(state.device_class or "", ("/off", "/on")))
    value = int(state.state == "on") if state.usable else None
    return value_input(state, {**head, "type": "discrete", "labels": told}, value)


def sensor_input(state: EntityState, head: dict[str, Any]) -> Channel | None:
    """Return a sensor, ``None`` for one that only says texts."""
    if state.device_class == "enum":
        return _listed(state, head)
    option: dict[str, Any]
    if state.device_class == "temperature" and factor(Kind.TEMPERATURE, state.unit) is not None:
        option = {"type": "temperature", "min": -20, "max": 60, "unit": "/Temperature"}
    elif state.unit == "%":
        option = {"type": "range", "min": 0, "max": 100, "unit": "%"}
    elif state.unit or state.attributes.get("state_class") or state.number is not None:
        option = {"type": "value", "unit": ChannelUnit(state.unit).text}
    else:
        return None
    if state.precision is not None and 0 <= state.precision <= 6:
        option["decimals"] = state.precision
    found = state.number
    value = None if found is None else float(ChannelUnit(state.unit).value(found))
    return value_input(state, {**head, **option}, value)


def _listed(state: EntityState, head: dict[str, Any]) -> Channel | None:
    options = state.words("options")
    told = labels(options)
    if not told:
        return None
    value = options.index(state.state) if state.usable and state.state in options else None
    if value is not None and value >= len(told):
        value = None
    return value_input(state, {**head, "type": "discrete", "labels": told}, value)
