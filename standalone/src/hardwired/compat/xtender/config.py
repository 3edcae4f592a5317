"""The configuration file of TeepCo/xtender_mqtt: YAML (spec studer g)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.scom.families import Family

from ...config.kinds import PORTS, kind_of
from ..settings import (
    ConfigError,
    Section,
    filled,
    flag,
    load_yaml,
    number,
    one_of,
    section,
    text,
    topic_level,
    whole,
)
from .names import PARAMETERS, SENSORS, Entry

CONFIG_FILE = "config/user_config.yaml"
"""Where the old program looked, relative to itself."""

CLIENT_ID = "xtender-mqtt-001"
PREFIX = "xtender"
URGENT = frozenset({3022})
XTENDERS = 6
"""How many Xtenders are looked for when the file does not say."""
SECONDS = number(0, 86400)
FLASH_WARNING = (
    "write_property is flash: each command wears the device's memory, which is guaranteed for"
    " 1000 writes of a parameter"
)

_REQUIRED = (
    "mqtt_username",
    "mqtt_client_id",
    "mqtt_broker",
    "mqtt_password",
    "mqtt_port",
    "mqtt_root_prefix",
)
T = TypeVar("T")
D = TypeVar("D")


class WriteProperty(StrEnum):
    """Where a command is stored in the device."""

    RAM = "ram"
    FLASH = "flash"
    """As the old program did; guaranteed for 1000 writes of a parameter."""


@dataclass(frozen=True, slots=True)
class XtmqConfig:
    """What the file asks for.

    ``sensors`` and ``parameters`` are the names that are published. ``baudrate`` ``None``: try
    what there is. ``logging`` is for ``logging.config.dictConfig``. ``allow_guarded`` lets the
    commands pass that reset, restore or switch off the whole plant.
    """

    broker: str
    interface: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str = CLIENT_ID
    prefix: str = "xtender"
    discovery_prefix: str = "homeassistant"
    baudrate: int | None = None
    xtenders: int = XTENDERS
    urgent: frozenset[int] = URGENT
    loop_sleep: float = 5.0
    sensors: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    write_property: WriteProperty = WriteProperty.RAM
    allow_guarded: bool = False
    logging: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def addresses(self) -> range:
        """The addresses that are searched for Xtenders."""
        return range(101, 101 + self.xtenders)


def parse(content: str) -> XtmqConfig:
    """Return what a configuration file asks for. Raises :class:`ConfigError`.

    Each optional key stands for itself; unknown ones are warnings.
    """
    top = load_yaml(content)
    mqtt = Section(top.take("mqtt_setup", section), "mqtt_setup")
    devices = Section(top.take("device_manager_config", section), "device_manager_config")
    scom, amounts = devices.child("scom"), devices.child("number_of_scom_devices")
    for key in _REQUIRED:
        if not mqtt.holds(key):
            raise ConfigError(f"mqtt_setup.{key} is missing; it may be empty, but must be there")
    if not (broker := mqtt.take("mqtt_broker", text, None)):
        raise ConfigError("mqtt_setup.mqtt_broker is empty: the address of the broker is needed")
    warnings: list[str] = []
    allow_guarded = top.take("allow_guarded", flag, False)
    # Older files have it among the broker's settings.
    sleep = mqtt.take("loop_sleep", SECONDS, 5.0)
    config = XtmqConfig(
        broker=broker,
        port=mqtt.take("mqtt_port", _or(1883, _numeral(*PORTS)), 1883),
        username=mqtt.take("mqtt_username", text, None) or None,
        password=mqtt.take("mqtt_password", text, None) or None,
        client_id=mqtt.take("mqtt_client_id", text, None) or CLIENT_ID,
        prefix=mqtt.take("mqtt_root_prefix", _or(PREFIX, topic_level), PREFIX),
        discovery_prefix=top.take("discovery_base_topic", topic_level, "homeassistant"),
        interface=scom.take("interface", filled),
        baudrate=scom.take("baudrate", _or(None, _numeral(300, 4_000_000)), None),
        xtenders=amounts.take("xtender", _or(XTENDERS, _numeral(1, 9)), XTENDERS),
        urgent=top.take("urgent_list", _ids, URGENT),
        loop_sleep=top.take("loop_sleep", SECONDS, sleep),
        sensors=_enabled(top.child("sensors"), SENSORS, warnings),
        parameters=_enabled(top.child("parameters"), PARAMETERS, warnings),
        write_property=WriteProperty(top.take("write_property", one_of(*WriteProperty), "ram")),
        allow_guarded=allow_guarded,
        logging=top.take("logging", section, None),
    )
    for values in (top, mqtt, devices, scom, amounts):
        warnings += values.unknown()
    if config.write_property is WriteProperty.FLASH:
        warnings.append(FLASH_WARNING)
    kept = config.parameters
    if not allow_guarded:
        kept = frozenset(name for name in kept if not _guarded(PARAMETERS[name]))
        warnings += (
            f"parameters.{name} stays off: it acts on the whole plant; allow_guarded: true lets it"
            for name in sorted(config.parameters - kept)
        )
    return replace(config, parameters=kept, warnings=tuple(warnings))


def _or(empty: D, read: Callable[[object], T]) -> Callable[[object], T | D]:
    return lambda value: empty if value == "" else read(value)


def _numeral(low: int, high: int) -> Callable[[object], int]:
    """Return the reader of a whole number that may be written as a text."""
    read = whole(low, high)

    def read_text(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
            return read(int(value))
        return read(value)

    return read_text


def _ids(value: object) -> frozenset[int]:
    if not isinstance(value, list):
        raise ValueError(f"takes a list of numbers, not {kind_of(value)}")
    return frozenset(map(_numeral(1, 65535), value))


def _switch(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return flag(value)


def _enabled(values: Section, known: Mapping[str, Entry], warnings: list[str]) -> frozenset[str]:
    names = frozenset(
        name for name, entry in known.items() if values.take(name, _switch, entry.enabled)
    )
    warnings += values.unknown()
    return names


def _guarded(entry: Entry) -> bool:
    point = by_id(Family.XT, entry.read)
    return point is None or point.guarded
