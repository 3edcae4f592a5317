"""What inetbox.py and inetbox2mqtt say and hear by MQTT (spec truma g.2, g.6).

From decoded buffers and signals to topics and payloads; from messages to what they ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hardwired_engines.truma.inet.buffers import MessageId
from hardwired_engines.truma.inet.rules import HIGHEST_CODE, LOWEST_CODE, heats
from hardwired_engines.truma.inet.signals import Signal, read_signal

from ...mqtt.message import MqttMessage
from .texts import (
    NO_TEMPERATURE,
    Dialect,
    Kind,
    Texts,
    UpdateStatus,
    clock_text,
    display_text,
    error_text,
)

Raw = Mapping[str, int]

REPEAT_VALUES = 120.0
"""Seconds after which inetbox.py repeats a value that has not changed."""
REPEAT_STATUS = 60.0
REPEAT_ONLINE = 180.0
INETBOX2MQTT_EVERY = 10.0
"""Seconds between two rounds of inetbox2mqtt; only what changed is sent."""
REPEAT_ALIVE = 60.0

_AIRCON_BEFORE = {"mode": 0, "vent": 0x72, "target_temp": 2990}
"""What inetbox2mqtt says of an air conditioner that it has not heard of."""


@dataclass(frozen=True, slots=True)
class SetMessage:
    """A value is to be set."""

    key: str
    payload: str


@dataclass(frozen=True, slots=True)
class SetClock:
    """The panel's clock is to be set from the system."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """Accepted and logged; without effect, as ever."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """The service is to be restarted."""


@dataclass(frozen=True, slots=True)
class Born:
    """Home Assistant has started: the announcements are to be sent again."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something that a program on a computer can't do; ``reason`` goes to ``error``."""

    reason: str


Wish = SetMessage | SetClock | Enabled | Restart | Born | Unsupported

_MICROCONTROLLER = {
    "os_run": "there is no access point to switch to",
    "ota_update": "updates come by the package manager",
    "duo_ctrl_i": "there is no gas changeover valve",
    "duo_ctrl_ii": "there is no gas changeover valve",
}


def decode_payload(payload: bytes) -> str:
    """Return a payload as text, without blanks at its ends; what is no UTF-8 is marked."""
    return payload.decode("utf-8", errors="replace").strip()


@dataclass(frozen=True, slots=True)
class InetboxFace:
    """One of the two old programs' faces."""

    texts: Texts = field(default_factory=Texts)
    data_topic: str = "service/truma/"
    discovery_prefix: str = "homeassistant"

    @property
    def _mqtt(self) -> bool:
        return self.texts.dialect is Dialect.INETBOX2MQTT

    def _message(self, topic: str, payload: str, *, retain: bool = False) -> MqttMessage:
        return MqttMessage(self.data_topic + topic, payload, retain, 1 if self._mqtt else 0)

    def _control(self, values: Mapping[str, str]) -> list[MqttMessage]:
        return [self._message(f"control_status/{key}", text) for key, text in values.items()]

    # ------------------------------------------------------------------------ life signs

    def online(self, *, online: bool) -> MqttMessage:
        """Return the retained life sign; *offline* is the last will."""
        if self._mqtt:
            alive = "ON" if online else "OFF"
            return self._message("control_status/alive", alive, retain=True)
        return self._message("online", "1" if online else "0", retain=True)

    def release(self, version: str) -> list[MqttMessage]:
        """Return who we are; inetbox.py does not say."""
        return self._control({"release": version}) if self._mqtt else []

    def update_status(self, status: UpdateStatus) -> list[MqttMessage]:
        """Return where a change is; repeated every :data:`REPEAT_STATUS`."""
        if self._mqtt:
            return []
        return [self._message("update_status", self.texts.update_status(status))]

    def cp_plus_status(self, *, online: bool) -> list[MqttMessage]:
        """Return whether the panel talks to us; repeated every :data:`REPEAT_STATUS`."""
        if self._mqtt:
            return []
        return [self._message("cp_plus_status", self.texts.cp_plus_status(online=online))]

    def error(self, reason: str) -> MqttMessage:
        """Return why something was refused."""
        return self._message("error", reason)

    # ------------------------------------------------------------------------ values

    def buffer(self, message_id: int, fields: Raw) -> list[MqttMessage]:
        """Return what a status buffer tells; *fields* are its raw fields (spec d)."""
        match message_id:
            case MessageId.HEATER:
                return self._control(dict(self._heater(fields)))
            case MessageId.CLOCK:
                return self._control(dict(self._clock(fields)))
            case MessageId.TIMER:
                return self._control(dict(self._timer(fields)))
            case MessageId.AC_MANUAL if self._mqtt:
                return self.aircon(fields)
            case _:
                return []

    def counter(self, value: int) -> list[MqttMessage]:
        """Return the command counter."""
        if self._mqtt:
            return self._control({"command_counter": str(value)})
        return self._control({"_command_counter": _unknown(value)})

    def aircon(self, fields: Raw | None = None) -> list[MqttMessage]:
        """Return the air conditioner's values; without *fields* what inetbox2mqtt starts with."""
        if not self._mqtt:
            return []
        shown = _AIRCON_BEFORE if fields is None else fields
        found = {
            "aircon_operating_mode": self.texts.text(Kind.AIRCON_MODE, shown["mode"]),
            "aircon_vent_mode": self.texts.text(Kind.AIRCON_VENT, shown["vent"]),
        }
        if _plausible(shown["target_temp"]):
            found["target_temp_aircon"] = self._degrees(shown["target_temp"])
        return self._control(found)

    def _degrees(self, code: int) -> str:
        return self.texts.text(Kind.TEMPERATURE, code)

    def _heater(self, fields: Raw) -> Iterator[tuple[str, str]]:
        mode = fields["heating_mode"]
        if _plausible(fields["target_temp_room"]):
            yield "target_temp_room", self._degrees(fields["target_temp_room"])
            if not self._mqtt:
                yield "mode", "heat" if heats(fields["target_temp_room"]) else "off"
        yield "heating_mode", self.texts.text(Kind.HEATING_MODE, mode & 0xFF)
        yield "el_power_level", self.texts.text(Kind.POWER_LEVEL, fields["el_power_level_b"])
        yield "target_temp_water", self.texts.text(Kind.WATER, fields["target_temp_water"])
        yield "energy_mix", self.texts.text(Kind.ENERGY_MIX, fields["energy_mix_a"])
        for key in ("current_temp_water", "current_temp_room"):
            if _plausible(fields[key]):
                yield key, self._degrees(fields[key])
        status = fields["operating_status"]
        yield "operating_status", self.texts.text(Kind.OPERATING_STATUS, status)
        yield "error_code", error_text(fields["error_code"], fields["error_class"])
        if not self._mqtt:
            yield "_recv_status_u3", _unknown(mode >> 8)
            yield "_recv_status_u10", _unknown(fields["unknown_19"])

    def _clock(self, fields: Raw) -> Iterator[tuple[str, str]]:
        hours, minutes, seconds = fields["hours"], fields["minutes"], fields["seconds"]
        if self._mqtt:
            yield "clock", clock_text(hours, minutes)
            return
        yield "wall_time_hours", str(hours)
        yield "wall_time_minutes", str(minutes)
        yield "wall_time_seconds", str(seconds)
        yield "wall_time", f"{hours:02}:{minutes:02}:{seconds:02}"
        yield "clock_mode", self.texts.text(Kind.CLOCK_MODE, fields["clock_mode"])
        yield "clock_source", self.texts.text(Kind.CLOCK_SOURCE, fields["clock_source"])
        for number in range(1, 6):
            yield f"_time_display{number}", _unknown(fields[f"display_{number}"])

    def _timer(self, fields: Raw) -> Iterator[tuple[str, str]]:
        if _plausible(fields["target_temp_room"]):
            yield "timer_target_temp_room", self._degrees(fields["target_temp_room"])
        water = self.texts.text(Kind.WATER, fields["target_temp_water"])
        yield "timer_target_temp_water", water
        for key in ("active", "start_minutes", "start_hours", "stop_minutes", "stop_hours"):
            yield f"timer_{key}", str(fields[key])

    def signal(self, identifier: int, data: bytes) -> list[MqttMessage]:
        """Return what a frame of the display tells, where the dialect publishes it."""
        signals = read_signal(identifier, data)
        if signals is None or self._mqtt:
            return []
        fields = {name: int(value) for name, value in signals.items() if value is not None}
        match identifier:
            case Signal.SET_POINTS:
                found = dict(self._set_points(fields, data))
            case Signal.MEASURED:
                found = dict(self._measured(fields, data))
            case Signal.VOLTAGE:
                found = dict(_voltage(fields, data))
            case _:
                found = {}
        return [self._message(f"display_status/{key}", text) for key, text in found.items()]

    def _set_points(self, fields: Raw, data: bytes) -> Iterator[tuple[str, str]]:
        if _plausible(fields["target_temp_room"]):
            yield "target_temp_room", self._degrees(fields["target_temp_room"])
        yield "target_temp_water", self.texts.text(Kind.WATER, fields["target_temp_water"])
        yield "energy_mix", display_text("energy_mix", fields["fuel"])
        yield "energy_mode", display_text("energy_mode", fields["electric_100w"])
        yield "energy_mode_2", display_text("energy_mode_2", fields["energy"])
        yield "vent_mode", display_text("vent_mode", fields["vent"])
        yield from _bytes("pid_20", data, 6, 7)

    def _measured(self, fields: Raw, data: bytes) -> Iterator[tuple[str, str]]:
        for key in ("current_temp_room", "current_temp_water"):
            if _plausible(fields[key]):
                yield key, self._degrees(fields[key])
        status = display_text("vent_or_something_status", fields["status"])
        yield "vent_or_something_status", status
        yield from _bytes("pid_21", data, 3, 4, 6, 7)

    def reflected(self, updates: Raw) -> list[MqttMessage]:
        """Return set values as inetbox2mqtt shows them at once; inetbox.py waits for the panel."""
        if not self._mqtt:
            return []
        kinds = {
            "target_temp_room": Kind.TEMPERATURE,
            "target_temp_water": Kind.WATER,
            "target_temp_aircon": Kind.TEMPERATURE,
            "heating_mode": Kind.HEATING_MODE,
            "energy_mix": Kind.ENERGY_MIX,
            "el_power_level": Kind.POWER_LEVEL,
            "aircon_operating_mode": Kind.AIRCON_MODE,
            "aircon_vent_mode": Kind.AIRCON_VENT,
        }
        return self._control(
            {
                key: self.texts.text(kinds[key], code) if key in kinds else str(code)
                for key, code in updates.items()
            }
        )

    # ------------------------------------------------------------------------ wishes

    def subscriptions(self) -> tuple[str, ...]:
        """Return what to subscribe to."""
        if self._mqtt:
            return f"{self.data_topic}set/#", f"{self.discovery_prefix}/status"
        return tuple(f"{self.data_topic}{leaf}" for leaf in ("set/#", "update_time", "enabled"))

    def receive(self, topic: str, payload: str) -> Wish | None:
        """Return what a message asks for; ``None``: nothing that concerns us."""
        if self._mqtt and topic == f"{self.discovery_prefix}/status":
            return Born() if payload == "online" else None
        if not topic.startswith(self.data_topic):
            return None
        leaf = topic.removeprefix(self.data_topic)
        if leaf.startswith("set/"):
            return self._set(leaf.removeprefix("set/"), payload)
        match leaf:
            case "update_time" if not self._mqtt:
                return SetClock()
            case "enabled" if not self._mqtt:
                return Enabled(payload == "1")
            case _:
                return None

    def _set(self, key: str, payload: str) -> Wish | None:
        if self._mqtt and key == "reboot":
            return Restart() if payload == "1" else None
        if self._mqtt and key in _MICROCONTROLLER:
            return Unsupported(f"{key}: {_MICROCONTROLLER[key]}") if payload != "0" else None
        return SetMessage(key, payload)


def _plausible(code: int) -> bool:
    return code in NO_TEMPERATURE or LOWEST_CODE <= code <= HIGHEST_CODE


def _unknown(value: int) -> str:
    return f"unknown - {value} = {value:#x}"


def _bytes(name: str, data: bytes, *places: int) -> Iterator[tuple[str, str]]:
    for place in places:
        yield f"{name}_unknown_byte_{place}", f"{data[place]:#x}"


def _voltage(fields: Raw, data: bytes) -> Iterator[tuple[str, str]]:
    yield "voltage", f"{fields['voltage_dv'] // 10}.{fields['voltage_dv'] % 10}"
    yield "cp_plus_display_status", display_text("cp_plus_display_status", fields["flags"])
    yield "heating_status", display_text("heating_status", fields["boiler"])
    yield "heating_status_2", display_text("heating_status_2", fields["status"])
    yield from _bytes("pid_22", data, 4, 5, 6, 7)
