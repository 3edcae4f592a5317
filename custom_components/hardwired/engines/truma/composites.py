"""Room heating, hot water, air conditioner: what they show, what a wish becomes (bridge c.9)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..composite import Abilities, Component, Composite, Part, Wish
from ..engine import DeviceState, InvalidCommand
from ..fields import Value
from .inet.rules import AIRCON_HIGHEST, AIRCON_LOWEST, ROOM_HIGHEST, ROOM_LOWEST

ON, OFF = "ON", "OFF"
LAST = "last"
"""The detail that keeps how a part was when it was last on."""

AIRCON_MODES: Mapping[str, str] = {
    "off": "off",
    "ventilation": "fan_only",
    "cooling": "cool",
    "heating": "heat",
    "automatic": "auto",
}
"""The panel's modes and the field's usual names of them."""
_AIRCON_BY_MODE = {usual: ours for ours, usual in AIRCON_MODES.items()}


class _Room(Composite):
    component = Component.CLIMATE
    key = "room"
    name = "Room heating"
    main = True
    covers = frozenset({"target_temp_room"})
    fields: ClassVar[Mapping[Part, str]] = {
        Part.CURRENT: "current_temp_room",
        Part.TARGET: "target_temp_room",
    }

    def exists(self, state: DeviceState) -> bool:
        return "heating_mode" in state.values

    def about(self, state: DeviceState) -> Abilities:
        modes = state.fields["heating_mode"].options
        return Abilities(
            modes=("off", "heat"),
            fan_modes=tuple(mode for mode in modes if mode != "off"),
            minimum=ROOM_LOWEST,
            maximum=ROOM_HIGHEST,
            step=1,
            precision=0.1,
        )

    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        mode = state.values.get("heating_mode")
        shown = None if mode is None else "off" if mode == "off" else "heat"
        return {
            Part.MODE: shown,
            Part.ACTION: _room_action(shown, state.values),
            Part.CURRENT: state.values.get("current_temp_room"),
            Part.TARGET: state.values.get("target_temp_room"),
            Part.FAN_MODE: None if mode == "off" else mode,
        }

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        mode, others = _mode_wish(wishes, on="heat")
        if mode not in (None, "off", "heat"):
            raise InvalidCommand(f"the room heating has no mode {mode}")
        target = _degrees(others, ROOM_LOWEST, ROOM_HIGHEST)
        fan = others.get(Part.FAN_MODE)
        if fan is not None and fan not in self.about(state).fan_modes:
            raise InvalidCommand(f"this heater has no heating mode {fan}")
        if mode == "off":
            return {"heating_mode": "off"}
        heats = state.values.get("heating_mode") not in (None, "off")
        values: dict[str, Value] = {}
        if fan is not None:
            values["heating_mode"] = fan
        if target is not None:
            values["target_temp_room"] = target
        elif not heats and (fan is not None or mode == "heat"):
            values["target_temp_room"] = _last_target(state)
        return values


def _room_action(mode: str | None, values: Mapping[str, Value | None]) -> str | None:
    if mode in (None, "off"):
        return mode
    if values.get("heater_state") == "powering_up":
        return "preheating"
    demand, working = values.get("heating_demand"), values.get("working")
    if demand is None and working is None:
        return None
    busy = bool(demand) if working is None else bool(working) and demand is not False
    return "heating" if busy else "idle"


def _last_target(state: DeviceState) -> float:
    last = state.details.get("target_temp_room", {}).get(LAST)
    sound = isinstance(last, (int, float)) and ROOM_LOWEST <= last <= ROOM_HIGHEST
    return float(last) if sound and isinstance(last, (int, float)) else float(ROOM_LOWEST)


class _Water(Composite):
    component = Component.WATER_HEATER
    key = "water"
    name = "Hot water"
    fields: ClassVar[Mapping[Part, str]] = {
        Part.MODE: "water_mode",
        Part.CURRENT: "current_temp_water",
    }

    def exists(self, state: DeviceState) -> bool:
        return "water_mode" in state.values

    def about(self, state: DeviceState) -> Abilities:
        return Abilities(modes=state.fields["water_mode"].options)

    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        return {part: state.values.get(key) for part, key in self.fields.items()}

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        mode, others = _mode_wish(wishes, on=ON)
        if others:
            raise InvalidCommand(f"hot water has no {next(iter(others)).value}")
        if mode == ON:
            return {"water_mode": "eco"} if state.values.get("water_mode") in (None, "off") else {}
        if mode is not None and mode not in self.about(state).modes:
            raise InvalidCommand(f"hot water has no level {mode} here")
        return {} if mode is None else {"water_mode": mode}


class _AirConditioner(Composite):
    component = Component.CLIMATE
    key = "aircon"
    name = "Air conditioner"
    main = True
    covers = frozenset({"mode", "vent", "target_temp"})
    fields: ClassVar[Mapping[Part, str]] = {
        Part.CURRENT: "current_temp",
        Part.TARGET: "target_temp",
        Part.FAN_MODE: "vent",
    }

    def exists(self, state: DeviceState) -> bool:
        return state.device.kind == "aircon"

    def about(self, state: DeviceState) -> Abilities:
        return Abilities(
            modes=tuple(AIRCON_MODES.values()),
            fan_modes=state.fields["vent"].options,
            minimum=AIRCON_LOWEST,
            maximum=AIRCON_HIGHEST,
            step=1,
            precision=0.1,
        )

    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        mode = state.values.get("mode")
        return {
            Part.MODE: AIRCON_MODES.get(mode) if isinstance(mode, str) else None,
            Part.CURRENT: state.values.get("current_temp"),
            Part.TARGET: state.values.get("target_temp"),
            Part.FAN_MODE: state.values.get("vent"),
        }

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        mode, others = _mode_wish(wishes, on=ON)
        values: dict[str, Value] = {}
        if mode == ON:
            values["mode"] = _last_mode(state)
        elif mode is not None:
            if mode not in _AIRCON_BY_MODE:
                raise InvalidCommand(f"the air conditioner has no mode {mode}")
            values["mode"] = _AIRCON_BY_MODE[mode]
        if (target := _degrees(others, AIRCON_LOWEST, AIRCON_HIGHEST)) is not None:
            values["target_temp"] = target
        if (vent := others.get(Part.FAN_MODE)) is not None:
            if vent not in self.about(state).fan_modes:
                raise InvalidCommand(f"the air conditioner has no fan mode {vent}")
            values["vent"] = vent
        return values


def _last_mode(state: DeviceState) -> str:
    last = state.details.get("mode", {}).get(LAST)
    return last if isinstance(last, str) and last in AIRCON_MODES and last != "off" else "automatic"


def _mode_wish(wishes: Sequence[Wish], *, on: str) -> tuple[str | None, dict[Part, str]]:
    """Return the mode that counts, the last one, and the other wishes; ON reads as *on*."""
    mode: str | None = None
    others: dict[Part, str] = {}
    for part, text in wishes:
        match part:
            case Part.MODE:
                mode = text
            case Part.POWER if text in (ON, OFF):
                mode = on if text == ON else "off"
            case Part.TARGET | Part.FAN_MODE:
                others[part] = text
            case _:
                raise InvalidCommand(f"there is no {part.value} {text}")
    return mode, others


def _degrees(wishes: Mapping[Part, str], lowest: int, highest: int) -> float | None:
    text = wishes.get(Part.TARGET)
    if text is None:
        return None
    try:
        degrees = float(text)
    except ValueError as error:
        raise InvalidCommand(f"{text[:40]!r} is no temperature") from error
    if not math.isfinite(degrees) or not lowest <= degrees <= highest:
        raise InvalidCommand(f"the temperature goes from {lowest} to {highest} °C, not {text[:40]}")
    return degrees


ROOM, WATER, AIR_CONDITIONER = _Room(), _Water(), _AirConditioner()
COMPOSITES: Mapping[str, tuple[Composite, ...]] = {
    "heater": (ROOM, WATER),
    "aircon": (AIR_CONDITIONER,),
}
"""By the kind of device."""
