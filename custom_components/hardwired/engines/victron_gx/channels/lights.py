"""Lights: by what colours they know (spec H.3)."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

from ..home import EntityState, Json, number
from ..outcome import Call, Control, Outcome, WriteBack
from ..service import Channel, output
from ..units import whole
from .switches import toggle
from .wishes import plain_number, switched, within

_COLOURS = frozenset({"hs", "xy", "rgb"})
_WHITES = frozenset({"rgbw", "rgbww"})
_DIMMED = frozenset({"brightness", "white"})
_RANGES = ((0, 359), (0, 100), (0, 100), (0, 100), (0, 65000))


def light(state: EntityState, head: dict[str, Any]) -> Channel:
    """Return a light as the output that fits it."""
    modes = set(state.words("supported_color_modes"))
    tempered = "color_temp" in modes
    if modes & _COLOURS:
        now = "cct" if tempered and state.attributes.get("color_mode") == "color_temp" else "rgb"
        option = {**head, "type": now, **({"valid_types": ["rgb", "cct"]} if tempered else {})}
        return _coloured(state, option, _colours(state), lambda it: _set_colour(it, tempered))
    if modes & _WHITES:
        values = _colours(state)
        told = state.attributes.get("rgbw_color")
        fourth = number(told[3]) if isinstance(told, (list, tuple)) and len(told) == 4 else None
        values[3] = whole(_bounded(fourth or 0, 255) * 100 / 255)
        values[4] = 0
        return _coloured(state, {**head, "type": "rgbw"}, values, _set_white)
    if tempered:
        _, _, brightness, _, kelvin = _colours(state)
        values = [0, 0, brightness, 0, kelvin]
        return _coloured(state, {**head, "type": "cct"}, values, _set_temperature)
    if modes & _DIMMED:
        return _dimmable(state, head)
    return toggle(state, head)


def percent(state: EntityState) -> int:
    """Return how bright a light is; one that is on is never 0."""
    is_on = state.state == "on"
    found = state.attribute("brightness")
    if found is None:
        return 100 if is_on else 0
    share = whole(_bounded(found, 255) * 100 / 255)
    return max(1, share) if is_on else share


def _bounded(value: float, highest: float) -> float:
    return min(max(value, 0), highest)


def _colours(state: EntityState) -> list[int]:
    """Return hue, saturation, brightness, no white, and kelvin."""
    told = state.attributes.get("hs_color")
    hue, saturation = 0.0, 0.0
    if isinstance(told, (list, tuple)) and len(told) == 2:
        hue, saturation = number(told[0]) or 0.0, number(told[1]) or 0.0
    kelvin = state.attribute("color_temp_kelvin") or 0
    return [
        whole(hue) % 360,
        whole(_bounded(saturation, 100)),
        percent(state),
        0,
        whole(_bounded(kelvin, 65000)),
    ]


def _switch(state: EntityState, is_on: int) -> Control:
    return switched(state.entity_id, "light.turn_on", "light.turn_off", is_on)


def _dimmable(state: EntityState, head: dict[str, Any]) -> Channel:
    is_on, present = int(state.state == "on"), float(percent(state))

    def dim(value: float) -> Outcome:
        share = whole(value)
        if share == 0:
            return Call("light.turn_off", {"entity_id": state.entity_id}, 0.0)
        data = {"entity_id": state.entity_id, "brightness_pct": share}
        return Call("light.turn_on", data, float(share))

    return output(
        state.usable,
        {**head, "type": "dimmable"},
        {"State": is_on, "Dimming": present},
        {"State": _switch(state, is_on), "Dimming": within(0, 100, present, dim)},
    )


def _coloured(
    state: EntityState,
    option: dict[str, Any],
    values: list[int],
    data_of: Callable[[list[int]], dict[str, Any]],
) -> Channel:
    is_on = int(state.state == "on")

    def paint(value: Json) -> Outcome:
        wanted = _wanted(value)
        if wanted is None or not _possible(state, wanted[4]):
            return WriteBack(values)
        if wanted[2] == 0:
            return Call("light.turn_off", {"entity_id": state.entity_id}, wanted)
        data = {"entity_id": state.entity_id, **data_of(wanted), "brightness_pct": wanted[2]}
        return Call("light.turn_on", data, wanted)

    return output(
        state.usable,
        option,
        {"State": is_on, "LightControls": values},
        {"State": _switch(state, is_on), "LightControls": paint},
    )


def _wanted(value: Json) -> list[int] | None:
    if not isinstance(value, (list, tuple)) or len(value) != len(_RANGES):
        return None
    found = []
    for one, (low, high) in zip(value, _RANGES, strict=True):
        told = plain_number(one)
        if told is None or not low <= told <= high:
            return None
        found.append(whole(told))
    return found


def _possible(state: EntityState, kelvin: int) -> bool:
    """Whether a light has this colour temperature; 0 is none."""
    low, high = state.attribute("min_color_temp_kelvin"), state.attribute("max_color_temp_kelvin")
    return not kelvin or not ((low and kelvin < low) or (high and kelvin > high))


def _set_colour(wanted: list[int], tempered: bool) -> dict[str, Any]:
    hue, saturation, _, _, kelvin = wanted
    if tempered and hue == saturation == 0 and kelvin > 0:
        return {"color_temp_kelvin": kelvin}
    return {"hs_color": [hue, saturation]}


def _set_white(wanted: list[int]) -> dict[str, Any]:
    hue, saturation, _, white, _ = wanted
    colour = colorsys.hsv_to_rgb(hue / 360, saturation / 100, 1.0)
    return {"rgbw_color": [*(whole(part * 255) for part in colour), whole(white * 255 / 100)]}


def _set_temperature(wanted: list[int]) -> dict[str, Any]:
    return {"color_temp_kelvin": wanted[4]} if wanted[4] > 0 else {}
