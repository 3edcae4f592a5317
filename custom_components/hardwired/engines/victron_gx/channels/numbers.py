"""Numbers: a slider or a box."""

from __future__ import annotations

from typing import Any

from ..home import EntityState, Json
from ..outcome import Call, Outcome, WriteBack
from ..service import Channel, output
from ..units import ChannelUnit, nearest
from .wishes import plain_number


def number_box(state: EntityState, head: dict[str, Any]) -> Channel | None:
    """Return a number, ``None`` when it does not say its limits."""
    low, high = state.attribute("min"), state.attribute("max")
    if low is None or high is None or low >= high:
        return None
    step = state.attribute("step") or 1
    unit = ChannelUnit(state.unit)
    found = state.number
    present = None if found is None else float(unit.value(found))

    def set_value(value: Json) -> Outcome:
        told = plain_number(value)
        if told is None or not low - unit.slack <= unit.back(told) <= high + unit.slack:
            return WriteBack(present)
        wanted = min(high, max(low, nearest(unit.back(told), step, low)))
        data = {"entity_id": state.entity_id, "value": wanted}
        return Call(f"{state.domain}.set_value", data, float(unit.value(wanted)))

    option = {
        **head,
        "type": "slider" if state.attributes.get("mode") == "slider" else "number",
        "min": unit.value(low),
        "max": unit.value(high),
        "step": unit.step(step),
        "unit": unit.text,
    }
    return output(present is not None, option, {"Dimming": present}, {"Dimming": set_value})
