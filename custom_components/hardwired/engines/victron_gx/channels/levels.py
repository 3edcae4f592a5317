"""Fans with a speed, covers and valves with a position."""

from __future__ import annotations

from typing import Any

from ..home import EntityState, Json
from ..outcome import Call, Outcome
from ..service import Channel, output
from ..units import whole
from .switches import toggle
from .wishes import chosen, switched, within

_SET_SPEED = 1
_SET_POSITION = 4
_MOST_STEPS = 7
_SLIDER = {"type": "slider", "min": 0, "max": 100}
_POSITION_SERVICES = {
    "cover": "cover.set_cover_position",
    "valve": "valve.set_valve_position",
}


def fan(state: EntityState, head: dict[str, Any]) -> Channel:
    """Return a fan: steps, a slider or a toggle."""
    if not state.features & _SET_SPEED:
        return toggle(state, head)
    step = state.attribute("percentage_step") or 1
    if step <= 0:
        step = 1
    count = whole(100 / step)
    share = state.attribute("percentage")
    if 2 <= count <= _MOST_STEPS:
        return _stepped(state, head, count, step, share)
    present = None if share is None else float(share)

    def slide(value: float) -> Outcome:
        data = {"entity_id": state.entity_id, "percentage": whole(value)}
        return Call("fan.set_percentage", data, float(whole(value)))

    option = {**head, **_SLIDER, "step": _plain(step), "unit": "%"}
    control = within(0, 100, present, slide)
    return output(state.usable, option, {"Dimming": present}, {"Dimming": control})


def _stepped(
    state: EntityState, head: dict[str, Any], count: int, step: float, share: float | None
) -> Channel:
    is_on = int(state.state == "on")
    present: Json = None if share is None else min(count, max(1, whole(share / step)))

    def go(number: int) -> Outcome:
        data = {"entity_id": state.entity_id, "percentage": min(100, whole(number * step))}
        return Call("fan.set_percentage", data, number)

    return output(
        state.usable,
        {**head, "type": "stepped", "max": count},
        {"State": is_on, "Dimming": present},
        {
            "State": switched(state.entity_id, "fan.turn_on", "fan.turn_off", is_on),
            "Dimming": chosen(count, present, go, first=1),
        },
    )


def opening(state: EntityState, head: dict[str, Any]) -> Channel:
    """Return a cover or valve: a position, or open and closed."""
    if not state.features & _SET_POSITION:
        domain = state.domain
        return toggle(
            state, head, f"open_{domain}", f"close_{domain}", is_on=state.state != "closed"
        )
    position = state.attribute("current_position")
    present = None if position is None else float(position)

    def move(value: float) -> Outcome:
        data = {"entity_id": state.entity_id, "position": whole(value)}
        return Call(_POSITION_SERVICES[state.domain], data, float(whole(value)))

    option = {**head, **_SLIDER, "step": 1, "unit": "%"}
    control = within(0, 100, present, move)
    usable = state.usable and present is not None
    return output(usable, option, {"Dimming": present}, {"Dimming": control})


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
