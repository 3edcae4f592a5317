"""What inetbox.py and inetbox2mqtt announce to Home Assistant (spec truma g.3, g.6).

Unique ids are made of the words of the language, as the framework made them: they are frozen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...mqtt.message import MqttMessage, json_text
from .texts import Dialect, Kind, Language, Texts

_WORDS = {
    "Truma Device": "Truma-Gerät",
    "Room Temperature": "Raumtemperatur",
    "Time": "Uhrzeit",
    "Update Status": "Update-Status",
    "Operating Status": "Betriebsstatus",
    "CP Plus Status": "CP-Plus-Status",
    "Set time from system time": "Uhrzeit vom System übernehmen",
    "Water Heater": "Wasser",
    "Energy Mix": "Energiemix",
    "Electricity Power Level": "Leistung Strom",
    "Water Temperature": "Wassertemperatur",
    "Error Code": "Fehlercode",
    "Supply Voltage": "Versorgungsspannung",
}
"""The names and their German."""


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", name)


def discovery(
    texts: Texts,
    *,
    data_topic: str = "service/truma/",
    prefix: str = "homeassistant",
    optimistic: bool = False,
) -> Iterator[MqttMessage]:
    """Return the announcements of a dialect.

    inetbox.py: one retained message for the device. inetbox2mqtt: for each entity ``{}`` and then
    its payload, QoS 1; again when ``<prefix>/status`` says ``online``.
    """
    if texts.dialect is Dialect.INETBOX_PY:
        yield _Device(texts, data_topic, prefix, optimistic=optimistic).message()
        return
    for topic, payload in _entities(data_topic, prefix):
        yield MqttMessage(topic, "{}", qos=1)
        yield MqttMessage(topic, json_text(payload), qos=1)


class _Device:
    def __init__(self, texts: Texts, data_topic: str, prefix: str, *, optimistic: bool) -> None:
        self._texts = texts
        self._data_topic = data_topic
        self._prefix = prefix
        self._optimistic = optimistic
        self._name = self._word("Truma Device")
        self._ident = f"truma_{_slug(self._name)}"

    def message(self) -> MqttMessage:
        payload = {
            "device": {
                "name": self._name,
                "manufacturer": "Truma",
                "identifiers": [self._ident],
            },
            "origin": {"name": "MIQRO service truma"},
            "availability": [
                {
                    "topic": f"{self._data_topic}online",
                    "payload_available": "1",
                    "payload_not_available": "0",
                }
            ],
            "components": dict(self._components()),
        }
        topic = f"{self._prefix}/device/{self._ident}/config"
        return MqttMessage(topic, json_text(payload), retain=True)

    def _word(self, name: str) -> str:
        return _WORDS[name] if self._texts.language is Language.DE else name

    def _options(self, kind: Kind) -> list[str]:
        return list(self._texts.words(kind).values())

    def _component(
        self,
        platform: str,
        name: str,
        *,
        icon: str | None = None,
        state: str | None = None,
        command: str | None = None,
        enabled: bool = True,
        **details: Any,
    ) -> tuple[str, dict[str, Any]]:
        word = self._word(name)
        ident = f"{self._ident}__{platform}_{_slug(word)}"
        found: dict[str, Any] = {
            "name": word,
            "default_entity_id": f"{platform}.{_slug(word)}",
            "unique_id": ident,
            "platform": platform,
            **details,
        }
        if icon is not None:
            found["icon"] = f"mdi:{icon}"
        if not enabled:
            found["enabled_by_default"] = False
        if state is not None:
            found["state_topic"] = self._data_topic + state
        if command is not None:
            found["command_topic"] = self._data_topic + command
        if platform in ("climate", "select", "text"):
            found["optimistic"] = self._optimistic
        return ident, found

    def _components(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield self._climate()
        yield self._component(
            "text",
            "Time",
            icon="clock-outline",
            state="control_status/wall_time",
            command="set/wall_time",
            enabled=False,
            min=8,
            max=8,
            mode="text",
            pattern="^[012][0-9]:[0-5][0-9]:[0-5][0-9]$",
        )
        yield self._component(
            "sensor", "Update Status", icon="progress-clock", state="update_status"
        )
        yield self._component(
            "sensor",
            "Operating Status",
            icon="information-outline",
            state="control_status/operating_status",
        )
        yield self._component(
            "sensor", "CP Plus Status", icon="server-network", state="cp_plus_status", enabled=False
        )
        yield self._component(
            "button",
            "Set time from system time",
            icon="clock-check-outline",
            command="update_time",
            enabled=False,
            payload_press="PRESS",
        )
        yield self._select("Water Heater", "target_temp_water", Kind.WATER, icon="water-boiler")
        yield self._select("Energy Mix", "energy_mix", Kind.ENERGY_MIX)
        yield self._select("Electricity Power Level", "el_power_level", Kind.POWER_LEVEL)
        yield self._component(
            "sensor",
            "Water Temperature",
            icon="thermometer-water",
            state="control_status/current_temp_water",
            device_class="temperature",
            unit_of_measurement="°C",
        )
        yield self._component(
            "sensor", "Error Code", icon="alert-circle-outline", state="control_status/error_code"
        )
        yield self._component(
            "sensor",
            "Supply Voltage",
            icon="flash",
            state="display_status/voltage",
            device_class="voltage",
            unit_of_measurement="V",
            state_class="measurement",
            suggested_display_precision=1,
        )

    def _select(
        self, name: str, key: str, kind: Kind, *, icon: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        return self._component(
            "select",
            name,
            icon=icon,
            state=f"control_status/{key}",
            command=f"set/{key}",
            options=self._options(kind),
        )

    def _climate(self) -> tuple[str, dict[str, Any]]:
        status, command = f"{self._data_topic}control_status/", f"{self._data_topic}set/"
        return self._component(
            "climate",
            "Room Temperature",
            icon="radiator",
            fan_modes=self._options(Kind.HEATING_MODE),
            initial=0,
            max_temp=30,
            min_temp=0,
            modes=["off", "heat"],
            precision="1.0",
            temperature_unit="C",
            current_temperature_topic=f"{status}current_temp_room",
            fan_mode_command_topic=f"{command}heating_mode",
            fan_mode_state_topic=f"{status}heating_mode",
            mode_command_topic=f"{command}mode",
            mode_state_topic=f"{status}mode",
            temperature_command_topic=f"{command}target_temp_room",
            temperature_state_topic=f"{status}target_temp_room",
        )


_TEMPERATURE = {"device_class": "temperature", "unit_of_measurement": "°C"}

# Object id of the topic, name (after "truma_"), key below control_status/, more.
_READ: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("binary_sensor/{root}/alive", "alive", "alive", {"device_class": "running"}),
    ("sensor/release", "release", "release", {}),
    ("sensor/current_temp_room", "current_temp_room", "current_temp_room", _TEMPERATURE),
    ("sensor/current_temp_water", "current_temp_water", "current_temp_water", _TEMPERATURE),
    ("sensor/target_temp_room", "target_temp_room", "target_temp_room", _TEMPERATURE),
    ("sensor/target_temp_aircon", "target_temp_aircon", "target_temp_aircon", _TEMPERATURE),
    ("sensor/target_temp_water", "target_temp_water", "target_temp_water", _TEMPERATURE),
    ("sensor/energy_mix", "energy_mix", "energy_mix", {}),
    ("sensor/el_level", "el_power_level", "el_power_level", {}),
    ("sensor/heating_mode", "heating_mode", "heating_mode", {}),
    ("sensor/operating_status", "operating_status", "operating_status", {}),
    ("sensor/aircon_operating_mode", "aircon_operating_mode", "aircon_operating_mode", {}),
    ("sensor/aircon_vent_mode", "aircon_vent_mode", "aircon_vent_mode", {}),
    ("sensor/error_code", "error_code", "error_code", {}),
    ("sensor/clock", "clock", "clock", {}),
)
_NO_YES = ("0", "1")
# Object id of the topic, name (after "truma_"), key below set/, options.
_SET: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "target_temp_room",
        "set_roomtemp",
        "target_temp_room",
        ("0", "10", "15", "18", "20", "21", "22"),
    ),
    (
        "target_temp_aircon",
        "set_aircontemp",
        "target_temp_aircon",
        ("16", "18", "20", "22", "24", "26", "28"),
    ),
    ("target_temp_water", "set_warmwater", "target_temp_water", ("0", "40", "60", "200")),
    ("heating_mode", "set_heating_mode", "heating_mode", ("off", "eco", "high")),
    (
        "aircon_mode",
        "set_aircon_mode",
        "aircon_operating_mode",
        ("off", "vent", "cool", "hot", "auto"),
    ),
    (
        "vent_mode",
        "set_vent_mode",
        "aircon_vent_mode",
        ("low", "mid", "high", "night", "auto"),
    ),
    ("energy_mix", "set_energy_mix", "energy_mix", ("none", "gas", "electricity", "mix")),
    ("el_power_level", "set_el_power_level", "el_power_level", ("0", "900", "1800")),
    ("set_reboot", "set_reboot", "reboot", _NO_YES),
    ("set_os_run", "set_os_run", "os_run", _NO_YES),
    ("ota_update", "ota_update", "ota_update", _NO_YES),
)


def _entities(data_topic: str, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    who = {"model": "inetbox", "sw_version": "V03"}
    root = data_topic.strip("/").rsplit("/", 1)[-1]
    for place, name, key, more in _READ:
        yield (
            f"{prefix}/{place.format(root=root)}/config",
            {
                "name": f"{root}_{name}",
                **who,
                **more,
                "state_topic": f"{data_topic}control_status/{key}",
            },
        )
    for place, name, key, options in _SET:
        yield (
            f"{prefix}/select/{place}/config",
            {
                "name": f"{root}_{name}",
                **who,
                "command_topic": f"{data_topic}set/{key}",
                "options": list(options),
            },
        )
