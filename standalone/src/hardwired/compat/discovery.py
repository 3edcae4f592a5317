"""Home Assistant's MQTT discovery for every field of every catalogue, from one table.

For devices that have no old program whose topics must live on. A device announces itself in one
retained message; each field has a state topic and, where it can be written, a command topic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any

from hardwired_engines.engine import Device, Message
from hardwired_engines.fields import Accumulation, Catalogue, Field, Offer, Quantity, Role, Value

from ..mqtt.message import MqttMessage, json_text, plain_number

ON, OFF = "ON", "OFF"
ONLINE, OFFLINE = "online", "offline"
PRESS = "PRESS"
UNKNOWN = "None"
"""What Home Assistant's MQTT entities take for "no value"."""

LONGEST_STATE = 255
WIDEST = 1_000_000.0
"""Bounds of a number whose field has none; without any, Home Assistant would take 1 to 100."""
SMALLEST_STEP = 0.001


class Component(StrEnum):
    """What a field becomes in Home Assistant."""

    BINARY_SENSOR = "binary_sensor"
    BUTTON = "button"
    DATETIME = "datetime"
    EVENT = "event"
    NUMBER = "number"
    SELECT = "select"
    SENSOR = "sensor"
    SWITCH = "switch"
    TEXT = "text"
    TIME = "time"


DEVICE_CLASSES: Mapping[Quantity, str] = {
    Quantity.APPARENT_POWER: "apparent_power",
    Quantity.CURRENT: "current",
    Quantity.DATA_RATE: "data_rate",
    Quantity.DURATION: "duration",
    Quantity.ENERGY: "energy",
    Quantity.FLOW: "volume_flow_rate",
    Quantity.FREQUENCY: "frequency",
    Quantity.HUMIDITY: "humidity",
    Quantity.POWER: "power",
    Quantity.POWER_FACTOR: "power_factor",
    Quantity.REACTIVE_POWER: "reactive_power",
    Quantity.SIGNAL_STRENGTH: "signal_strength",
    Quantity.STATE_OF_CHARGE: "battery",
    Quantity.TEMPERATURE: "temperature",
    Quantity.VOLTAGE: "voltage",
    Quantity.CONNECTIVITY: "connectivity",
    Quantity.HEAT: "heat",
    Quantity.PLUGGED: "plug",
    Quantity.POWERED: "power",
    Quantity.PROBLEM: "problem",
    Quantity.RUNNING: "running",
    Quantity.WINDOW: "window",
    Quantity.OPTION: "enum",
    Quantity.TIMESTAMP: "timestamp",
}
"""By quantity; quantities that are not here have none."""

STATE_CLASSES: Mapping[Accumulation, str] = {
    Accumulation.MEASUREMENT: "measurement",
    Accumulation.TOTAL: "total",
    Accumulation.TOTAL_INCREASING: "total_increasing",
}

_CATEGORIES = {Role.DIAGNOSTIC: "diagnostic", Role.SETTING: "config"}
_CONTROLS = frozenset(
    {
        Component.BUTTON,
        Component.DATETIME,
        Component.NUMBER,
        Component.SELECT,
        Component.SWITCH,
        Component.TEXT,
        Component.TIME,
    }
)
_WITH_CLASS = frozenset({Component.BINARY_SENSOR, Component.NUMBER, Component.SENSOR})
_CLOCK_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
_DATE_AND_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*$"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_TRUE = frozenset({"on", "true", "1", "yes"})
_FALSE = frozenset({"off", "false", "0", "no"})


def component_of(field: Field, *, times: bool = False) -> Component | None:
    """Return what a field becomes; ``None``: nothing.

    With *times*, times that can be set get controls of their own; a Home Assistant that does not
    know them by MQTT refuses the whole device, so without it they are texts.
    """
    if field.offer is Offer.NEVER:
        return None
    if field.writable:
        return _control(field, times=times)
    if not field.readable or field.quantity is Quantity.SIGNAL:
        return None
    if field.quantity is Quantity.EVENT:
        return Component.EVENT if field.options else None
    return Component.BINARY_SENSOR if field.binary else Component.SENSOR


def _control(field: Field, *, times: bool) -> Component | None:
    if field.numeric:
        return Component.NUMBER
    if field.binary:
        return Component.SWITCH
    match field.quantity:
        case Quantity.OPTION:
            return Component.SELECT if field.options else None
        case Quantity.SIGNAL:
            return Component.BUTTON
        case Quantity.CLOCK_TIME:
            return Component.TIME if times else Component.TEXT
        case Quantity.TIMESTAMP:
            return Component.DATETIME if times else Component.TEXT
        case Quantity.TEXT:
            return Component.TEXT
        case _:
            return None


def slug(text: str) -> str:
    """Return *text* as a level of a topic and a part of an id: letters, digits, ``_``, ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text) or "_"


@dataclass(frozen=True, slots=True)
class Topics:
    """Where everything lies. ``base`` is ours, ``prefix`` Home Assistant's."""

    base: str = "hardwired"
    prefix: str = "homeassistant"

    @property
    def bridge(self) -> str:
        """Where the helper says that it lives; its last will lies here, too."""
        return f"{self.base}/bridge/state"

    @property
    def birth(self) -> str:
        """Where Home Assistant says ``online`` when it starts: then everything is said again."""
        return f"{self.prefix}/status"

    @property
    def commands(self) -> str:
        """What to subscribe to."""
        return f"{self.base}/+/+/set"

    def availability(self, device: str) -> str:
        """Return where a device is said to be online."""
        return f"{self.base}/{slug(device)}/availability"

    def state(self, device: str, key: str) -> str:
        """Return where a value lies."""
        return f"{self.base}/{slug(device)}/{key}"

    def command(self, device: str, key: str) -> str:
        """Return where a value is asked for."""
        return f"{self.state(device, key)}/set"

    def discovery(self, device: str) -> str:
        """Return where a device is announced."""
        return f"{self.prefix}/device/{slug(f'{self.base}_{device}')}/config"

    def read_command(self, topic: str) -> tuple[str, str] | None:
        """Return the (slugged) device and the key that a topic asks for; ``None``: neither."""
        match topic.removeprefix(f"{self.base}/").split("/"):
            case [device, key, "set"] if topic.startswith(f"{self.base}/"):
                return device, key
            case _:
                return None


DEFAULT_TOPICS = Topics()


def describe(field: Field, component: Component) -> dict[str, Any]:
    """Return what depends on the field alone: classes, unit, options, bounds, category."""
    found: dict[str, Any] = {"name": field.name}
    if component in _WITH_CLASS and (device_class := _device_class(field, component)):
        found["device_class"] = device_class
    if category := _category(field, component):
        found["entity_category"] = category
    if field.offer is not Offer.DEFAULT:
        found["enabled_by_default"] = False
    match component:
        case Component.SENSOR:
            found |= _sensor(field)
        case Component.NUMBER:
            found |= _number(field)
        case Component.SELECT:
            found["options"] = list(field.options)
        case Component.EVENT:
            found["event_types"] = list(field.options)
        case Component.BUTTON:
            found["payload_press"] = PRESS
        case Component.TEXT if field.quantity is Quantity.CLOCK_TIME:
            found |= {"pattern": _CLOCK_TIME, "min": 5, "max": 8}
        case Component.TEXT if field.quantity is Quantity.TIMESTAMP:
            found |= {"pattern": _DATE_AND_TIME, "min": 16, "max": 40}
    return found


def _device_class(field: Field, component: Component) -> str | None:
    if field.quantity is Quantity.OPTION and not field.options:
        return None
    if field.numeric and field.unit is None and field.quantity is not Quantity.POWER_FACTOR:
        return None
    if component is Component.NUMBER and field.quantity is Quantity.SIGNAL_STRENGTH:
        return None
    return DEVICE_CLASSES.get(field.quantity)


def _category(field: Field, component: Component) -> str | None:
    category = _CATEGORIES.get(field.role)
    # Home Assistant takes "config" for controls only, and controls for anything but diagnostics.
    if component in _CONTROLS:
        return "config" if category else None
    return "diagnostic" if category else None


def _sensor(field: Field) -> dict[str, Any]:
    if field.quantity is Quantity.OPTION:
        return {"options": list(field.options)} if field.options else {}
    if not field.numeric:
        return {}
    found: dict[str, Any] = {}
    if field.unit is not None:
        found["unit_of_measurement"] = field.unit
    if field.precision is not None:
        found["suggested_display_precision"] = field.precision
    energy_now = (
        field.quantity is Quantity.ENERGY and field.accumulation is Accumulation.MEASUREMENT
    )
    if not energy_now and (state_class := STATE_CLASSES.get(field.accumulation)):
        found["state_class"] = state_class
    return found


def _number(field: Field) -> dict[str, Any]:
    low = -WIDEST if field.minimum is None else field.minimum
    high = WIDEST if field.maximum is None else field.maximum
    step = field.step
    if step is None:
        step = 10.0 ** -(2 if field.precision is None else field.precision)
    found: dict[str, Any] = {
        "min": low,
        "max": high if high > low else low + SMALLEST_STEP,
        "step": max(step, SMALLEST_STEP),
        "mode": "box",
    }
    if field.unit is not None:
        found["unit_of_measurement"] = field.unit
    return found


def entity(
    device: Device, field: Field, component: Component, topics: Topics = DEFAULT_TOPICS
) -> dict[str, Any]:
    """Return the configuration of one entity, as a component of its device."""
    found: dict[str, Any] = {
        "platform": component.value,
        "unique_id": f"{topics.base}_{slug(device.id)}_{field.key}",
        "default_entity_id": f"{component.value}.{_entity_name(device, field)}",
        **describe(field, component),
    }
    if component is not Component.BUTTON and field.readable:
        found["state_topic"] = topics.state(device.id, field.key)
    if component in _CONTROLS:
        found["command_topic"] = topics.command(device.id, field.key)
    if field.quantity is Quantity.CONNECTIVITY:
        # A lost connection is a value, not the absence of one: only our own end makes it unknown.
        found["availability"] = [{"topic": topics.bridge}]
    return found


def _entity_name(device: Device, field: Field) -> str:
    return re.sub(r"_+", "_", slug(f"{device.name}_{field.key}").replace("-", "_")).lower()


def announce(
    device: Device,
    catalogue: Catalogue,
    *,
    keys: Iterable[str] | None = None,
    wanted: Iterable[str] = (),
    gone: Mapping[str, Component] | None = None,
    version: str = "unknown",
    times: bool = False,
    topics: Topics = DEFAULT_TOPICS,
) -> MqttMessage:
    """Return the retained message that makes a device and its entities in Home Assistant.

    *keys* are the fields that this device has (all, when ``None``), *wanted* those of the offer
    "on request" that the user asked for, *gone* entities that an earlier message made and that
    are to vanish. The message goes out on connecting, on each change, and on
    :attr:`Topics.birth`.
    """
    has = set(catalogue if keys is None else keys)
    asked = set(wanted)
    components: dict[str, Any] = {
        key: {"platform": component.value} for key, component in (gone or {}).items()
    }
    for key, field in catalogue.items():
        component = component_of(field, times=times)
        offered = field.offer is not Offer.ON_REQUEST or key in asked
        if component is not None and key in has and offered:
            components[key] = entity(device, field, component, topics)
    return MqttMessage(
        topics.discovery(device.id),
        json_text(
            {
                "device": device_info(device, topics),
                "origin": {"name": "Hardwired", "sw_version": version},
                "availability": [
                    {"topic": topics.bridge},
                    {"topic": topics.availability(device.id)},
                ],
                "availability_mode": "all",
                "components": components,
            }
        ),
        retain=True,
        qos=1,
    )


def withdraw(device: str, topics: Topics = DEFAULT_TOPICS) -> MqttMessage:
    """Return the message that removes a device and its entities."""
    return MqttMessage(topics.discovery(device), "", retain=True, qos=1)


def device_info(device: Device, topics: Topics = DEFAULT_TOPICS) -> dict[str, Any]:
    """Return who the device is."""
    told = {
        "name": device.name,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "model_id": device.model_id,
        "serial_number": device.serial_number,
        "sw_version": device.sw_version,
        "hw_version": device.hw_version,
        "via_device": None if device.via is None else f"{topics.base}_{slug(device.via)}",
    }
    return {
        "identifiers": [f"{topics.base}_{slug(device.id)}"],
        **{key: value for key, value in told.items() if value is not None},
    }


def state(field: Field, value: Value | None) -> str:
    """Return a value as its entity takes it; :data:`UNKNOWN` when there is none."""
    match value:
        case bool():
            return ON if value else OFF
        case int() | float():
            found = plain_number(value) if value - value == 0 else UNKNOWN
            return found if len(found) <= LONGEST_STATE else UNKNOWN
        case datetime():
            return _aware(value).isoformat()
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds" if value.second else "minutes")
        case str():
            if field.quantity is Quantity.OPTION and field.options and value not in field.options:
                return UNKNOWN
            return value[:LONGEST_STATE]
        case _:
            return UNKNOWN


def state_message(
    device: str, field: Field, value: Value | None, topics: Topics = DEFAULT_TOPICS
) -> MqttMessage:
    """Return the retained message that carries a value."""
    return MqttMessage(topics.state(device, field.key), state(field, value), retain=True)


def event_message(message: Message, topics: Topics = DEFAULT_TOPICS) -> MqttMessage:
    """Return the message that tells of an event; never retained, or it would happen again."""
    told = {"event_type": message.type}
    if message.time is not None:
        told["time"] = _aware(message.time).isoformat()
    data = {key: _plain(value) for key, value in message.data.items() if key not in told}
    return MqttMessage(topics.state(message.device.id, message.key), json_text({**told, **data}))


def availability_message(
    device: str, *, online: bool, topics: Topics = DEFAULT_TOPICS
) -> MqttMessage:
    """Return the retained message that a device is there, or is not."""
    payload = ONLINE if online else OFFLINE
    return MqttMessage(topics.availability(device), payload, retain=True, qos=1)


def bridge_message(*, online: bool, topics: Topics = DEFAULT_TOPICS) -> MqttMessage:
    """Return the retained message that the helper lives; *offline* is its last will."""
    return MqttMessage(topics.bridge, ONLINE if online else OFFLINE, retain=True, qos=1)


def parse(field: Field, payload: str) -> Value:
    """Return what a command asks for. Raises :class:`ValueError` with a plain reason."""
    asked = payload.strip()
    value: Value = asked
    if field.numeric:
        if not _NUMBER.fullmatch(asked) or not math.isfinite(value := float(asked)):
            raise ValueError(f"{field.key} takes a number")
    elif field.binary or field.quantity is Quantity.SIGNAL:
        value = _yes_or_no(field, asked)
    elif field.quantity is Quantity.CLOCK_TIME:
        if not re.fullmatch(_CLOCK_TIME, asked):
            raise ValueError(f"{field.key} takes a time of day such as 07:30")
        value = time.fromisoformat(asked)
    elif field.quantity is Quantity.TIMESTAMP:
        value = _moment(field, asked)
    return field.check(value)


def _yes_or_no(field: Field, asked: str) -> bool:
    if field.quantity is Quantity.SIGNAL:
        if asked.lower() not in _TRUE | {PRESS.lower()}:
            raise ValueError(f"{field.key} is triggered by {PRESS}")
        return True
    if asked.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{field.key} takes {ON} or {OFF}")
    return asked.lower() in _TRUE


def _moment(field: Field, asked: str) -> datetime:
    try:
        # Without a zone it is the time of the helper's own clock.
        return datetime.fromisoformat(asked).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{field.key} takes a date and time such as 2026-01-31T07:30") from None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.astimezone()


def _plain(value: Value | None) -> object:
    match value:
        case datetime():
            return _aware(value).isoformat()
        case date() | time():
            return value.isoformat()
        case float() if value - value != 0:
            return None
        case _:
            return value
