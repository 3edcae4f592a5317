"""Climate and water heater: a thermometer, and set-point, toggle and lists (spec H.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..channels.wishes import chosen, plain_number, state_of
from ..config import ExportConfig
from ..home import EntityState, Home, Json
from ..outcome import Call, Outcome, Remember, WriteBack
from ..service import MOST_LABELS, Channel, Service, caption, labels, output, switch_service
from ..units import ChannelUnit, half_up, nearest

_TARGET, _RANGE, _FAN, _PRESET, _TURN_OFF, _TURN_ON = 1, 2, 8, 16, 128, 256
_HEATER_ON_OFF = 8
_USUAL_STEP = 0.5
_ROOM, _WATER = 3, 5


class Thermostat:
    """One climate or water heater entity, and how its outputs are made."""

    def __init__(self, config: ExportConfig, home: Home, last_mode: int) -> None:
        self.config = config
        self.home = home
        self.state = home.state(config.entity)
        self.heater = config.template == "water_heater"
        self.unit = ChannelUnit("°F" if home.fahrenheit else "°C")
        self.all_modes = self.state.words("operation_list" if self.heater else "hvac_modes")
        others = [mode for mode in self.all_modes if mode != "off"]
        can_be_off = "off" in self.all_modes and bool(others)
        bit = self.heater and bool(self.state.features & _HEATER_ON_OFF)
        self.has_power = can_be_off or bit
        self.modes = (others if self.has_power else list(self.all_modes))[:MOST_LABELS]
        self.last_mode = last_mode if 0 <= last_mode < len(self.modes) else 0

    @property
    def is_off(self) -> bool:
        """Whether it is off now."""
        return self.state.state == "off"

    def call(self, service: str, expected: Json, **data: Any) -> Call:
        """Return a call of a service of the entity's domain."""
        whole = {"entity_id": self.state.entity_id, **data}
        return Call(f"{self.state.domain}.{service}", whole, expected)

    # ------------------------------------------------------------------------ services

    def services(self) -> list[Service]:
        """Return the services."""
        return [*self._thermometer(), switch_service("ctl", self.config.name, self._channels())]

    def _thermometer(self) -> list[Service]:
        state = self.state
        if "current_temperature" not in state.attributes:
            return []
        ident, kind = ("water", _WATER) if self.heater else ("room", _ROOM)
        temperature = self._temperature("current_temperature") if state.usable else None
        values: dict[str, Json] = {
            "Temperature": temperature,
            "Status": 0 if temperature is not None else 1,
        }
        if "current_humidity" in state.attributes:
            values["Humidity"] = state.attribute("current_humidity") if state.usable else None
        options = {"name": self.config.name, "defaults": {"TemperatureType": kind}}
        return [Service(ident, "temperature", options, values)]

    def _temperature(self, attribute: str) -> float | None:
        found = self.state.attribute(attribute)
        return None if found is None else self.unit.value(half_up(found, 6))

    def _channels(self) -> list[Channel]:
        features = self.state.features
        made: list[Channel | None] = []
        if features & _TARGET:
            made.append(self._setpoint("target", "temperature"))
        elif features & _RANGE and not self.heater:
            made.append(self._setpoint("low", "target_temp_low"))
            made.append(self._setpoint("high", "target_temp_high"))
        if self.has_power:
            made.append(self._power())
        if len(self.modes) >= 2:
            made.append(self._mode())
        if not self.heater and features & _PRESET:
            made.append(self._choice("preset", "preset_modes", "preset_mode"))
        if not self.heater and features & _FAN:
            made.append(self._choice("fan", "fan_modes", "fan_mode"))
        return [channel for channel in made if channel is not None]

    def _head(self, ident: str) -> dict[str, Any]:
        return caption(ident, self.home.words.name(ident), self.config.name)

    # ------------------------------------------------------------------------- outputs

    def _setpoint(self, ident: str, attribute: str) -> Channel | None:
        low, high = self.state.attribute("min_temp"), self.state.attribute("max_temp")
        if low is None or high is None or low >= high:
            return None
        step = self.state.attribute("target_temp_step") or _USUAL_STEP
        present = self._temperature(attribute)

        def heat(value: Json) -> Outcome:
            told = plain_number(value)
            if told is None:
                return WriteBack(present)
            wanted = self.unit.back(told)
            if not low - self.unit.slack <= wanted <= high + self.unit.slack:
                return WriteBack(present)
            wanted = min(high, max(low, nearest(wanted, step, decimals=4)))
            return self._set_temperature(attribute, wanted, present)

        shown_step = half_up(self.unit.step(step), 2) if self.home.fahrenheit else step
        option = {
            **self._head(ident),
            "type": "setpoint",
            "min": self.unit.value(low),
            "max": self.unit.value(high),
            "step": shown_step,
        }
        rows = {"Dimming": present, "Measurement": self._temperature("current_temperature")}
        return output(self.state.usable, option, rows, {"Dimming": heat})

    def _set_temperature(self, attribute: str, wanted: float, present: Json) -> Outcome:
        expected = self.unit.value(wanted)
        if attribute == "temperature":
            return self.call("set_temperature", expected, temperature=wanted)
        both = {
            name: self.state.attribute(name) for name in ("target_temp_low", "target_temp_high")
        }
        both[attribute] = wanted
        low, high = both["target_temp_low"], both["target_temp_high"]
        if low is None or high is None or low > high:
            return WriteBack(present)
        return self.call("set_temperature", expected, **both)

    def _power(self) -> Channel:
        present = int(not self.is_off)

        def switch(value: Json) -> Outcome:
            match state_of(value):
                case True:
                    return self._on(present)
                case False:
                    return self._off(present)
                case _:
                    return WriteBack(present)

        option = {**self._head("power"), "type": "toggle"}
        return output(self.state.usable, option, {"State": present}, {"State": switch})

    def _on(self, present: int) -> Outcome:
        features = self.state.features
        if features & (_HEATER_ON_OFF if self.heater else _TURN_ON):
            return self.call("turn_on", 1)
        if not self.modes:
            return WriteBack(present)
        return self._set_mode(self.modes[self.last_mode], 1)

    def _off(self, present: int) -> Outcome:
        features = self.state.features
        if features & (_HEATER_ON_OFF if self.heater else _TURN_OFF):
            return self.call("turn_off", 0)
        return self._set_mode("off", 0) if "off" in self.all_modes else WriteBack(present)

    def _set_mode(self, mode: str, expected: Json) -> Call:
        if self.heater:
            return self.call("set_operation_mode", expected, operation_mode=mode)
        return self.call("set_hvac_mode", expected, hvac_mode=mode)

    def _mode(self) -> Channel:
        mode = self.state.state
        present = self.modes.index(mode) if mode in self.modes else self.last_mode

        def choose(index: int) -> Outcome:
            if self.is_off and self.has_power:
                return Remember(index)
            return self._set_mode(self.modes[index], index)

        return self._list("mode", self.modes, present, choose)

    def _choice(self, ident: str, options: str, attribute: str) -> Channel | None:
        words = self.state.words(options)[:MOST_LABELS]
        if len(words) < 2:
            return None
        now = str(self.state.attributes.get(attribute))
        present = words.index(now) if now in words else 0

        def choose(index: int) -> Outcome:
            return self.call(f"set_{attribute}", index, **{attribute: words[index]})

        return self._list(ident, words, present, choose)

    def _list(self, ident: str, words: Sequence[str], present: int, choose: Any) -> Channel:
        entity_id = self.state.entity_id
        told = labels(self.home.words.mode(entity_id, ident, word) for word in words)
        option = {**self._head(ident), "type": "dropdown", "labels": told}
        control = chosen(len(words), present, choose)
        return output(self.state.usable, option, {"Dimming": present}, {"Dimming": control})


def thermostat(config: ExportConfig, home: Home, last_mode: int) -> list[Service]:
    """Return the services of a climate or water heater entity."""
    return Thermostat(config, home, last_mode).services()


def mode_index(state: EntityState) -> int | None:
    """Return the index of the mode that an entity is in, ``None`` while it is off or unknown."""
    modes = state.words("operation_list" if state.domain == "water_heater" else "hvac_modes")
    if not state.usable or state.state == "off" or state.state not in modes:
        return None
    others = [mode for mode in modes if mode != "off"]
    bit = state.domain == "water_heater" and state.features & _HEATER_ON_OFF
    has_power = ("off" in modes and bool(others)) or bool(bit)
    return (others if has_power else list(modes)).index(state.state)
