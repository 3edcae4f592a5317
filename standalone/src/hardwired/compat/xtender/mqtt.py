"""What TeepCo/xtender_mqtt says and understands by MQTT, with its faults removed (spec studer g).

An Xtender's values go by the old names; every other datapoint of every family of device goes by
its number, on the same scheme of topics.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from hardwired_engines.engine import Command
from hardwired_engines.fields import Value
from hardwired_engines.presentation import Control
from hardwired_engines.studer.catalogue import field_of, to_wire
from hardwired_engines.studer.datapoints.datapoint import Datapoint, EnumKind, Limits, by_id
from hardwired_engines.studer.datapoints.limits import LimitError, encode_checked
from hardwired_engines.studer.scom.families import Family, families_at
from hardwired_engines.studer.scom.values import Format, WireValue, exact_integer, shortest

from ...mqtt.components import component_of, describe
from ...mqtt.message import MqttMessage, json_text
from .config import PREFIX, WriteProperty
from .names import PARAMETERS, SENSORS, Entry

_NO_LIMITS = Limits()
_TRUE = frozenset({"1", "true", "on"})
_FALSE = frozenset({"0", "false", "off"})
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


class CommandRefused(ValueError):
    """A command can't be carried out; nothing is sent.

    ``address`` is where the result belongs, ``None`` when not even that can be told.
    """

    def __init__(self, reason: str, address: int | None = None) -> None:
        super().__init__(reason)
        self.address = address


@dataclass(frozen=True, slots=True)
class XtmqCommand:
    """A parameter to write: ``value`` as the wire has it, ``name`` as the topic calls it."""

    address: int
    point: Datapoint
    value: bool | int | float
    name: str
    persistent: bool

    def for_engine(self, device: str) -> Command:
        """Return the command that the engine carries out; *device* is its id there.

        The way through the configuration (``allow_guarded``) is the confirmation of a guarded one.
        """
        options: dict[str, Value] = {"id": self.point.id, "value": self.value}
        if self.persistent:
            options["persistent"] = True
        if self.point.guarded:
            options["confirm"] = str(self.point.id)
        return Command(device, name="write", options=options)


@dataclass(frozen=True, slots=True)
class XtmqFace:
    """The old program's face. ``sensors`` and ``parameters`` are the names that are published."""

    sensors: frozenset[str]
    parameters: frozenset[str]
    prefix: str = PREFIX
    discovery_prefix: str = "homeassistant"
    write_property: WriteProperty = WriteProperty.RAM
    allow_guarded: bool = False

    # ------------------------------------------------------------------------ values

    def entries(self) -> Iterator[Entry]:
        """Return what is published of an Xtender, in the order of the table."""
        yield from (entry for name, entry in SENSORS.items() if name in self.sensors)
        yield from (entry for name, entry in PARAMETERS.items() if name in self.parameters)

    def reads(self) -> frozenset[int]:
        """Return the ids that must be read of an Xtender."""
        return frozenset(entry.read for entry in self.entries() if entry.kind != "signal")

    def entries_of(self, point: Datapoint) -> list[Entry]:
        """Return the names under which a datapoint of an Xtender is published."""
        if point.family is not Family.XT:
            return []
        return [
            entry
            for entry in self.entries()
            if entry.read == point.id and entry.parameter == point.is_parameter
        ]

    def values(
        self,
        address: int,
        point: Datapoint,
        value: Value | None,
        zone: tzinfo | None = None,
        *,
        minutes: int | None = None,
    ) -> list[MqttMessage]:
        """Return the messages of a value as the engine reports it; none when it has none.

        For an Xtender by its enabled names, for other families by number. *zone* is the plant's.
        *minutes* are those that a time of day was read as: 23:59 is shown for 1439 and for 1440.
        """
        if value is None:
            return []
        if point.time_of_day and minutes is not None:
            return self.wire_values(address, point, minutes)
        if isinstance(value, bool):
            return self.wire_values(address, point, int(value))
        try:
            return self.wire_values(address, point, to_wire(point, value, zone))
        except ValueError:
            return []

    def wire_values(self, address: int, point: Datapoint, wire: WireValue) -> list[MqttMessage]:
        """Return the messages of a value as the wire has it."""
        if point.family is not Family.XT:
            payload = text_of(point, wire)
            topic = self._topic(address, str(point.id), parameter=point.is_parameter)
            return [] if payload is None else [MqttMessage(topic, payload)]
        messages = []
        for entry in self.entries_of(point):
            payload = payload_of(entry, wire)
            if payload is not None:
                topic = self._topic(address, entry.name, parameter=entry.parameter)
                messages.append(MqttMessage(topic, payload))
        return messages

    def meta(self, address: int, entry: Entry) -> MqttMessage:
        """Return the description that goes with each value.

        The topic ends in a slash and lies below the parameters even for a value; the payload is
        JSON within a JSON text. All that is the reference's way.
        """
        topic = f"{self._topic(address, entry.name, parameter=True)}/"
        return MqttMessage(topic, json.dumps(json.dumps(entry.meta)))

    def _topic(self, address: int, name: str, *, parameter: bool) -> str:
        return f"{self.prefix}/{address}/{'parameters' if parameter else 'values'}/{name}"

    # ------------------------------------------------------------------------ presence

    def availability_topic(self, address: int) -> str:
        """Return where a device is said to be online."""
        return f"{self.prefix}/{address}/availability"

    @property
    def bridge_topic(self) -> str:
        """Where the helper says that it lives; its last will lies here, too."""
        return f"{self.prefix}/bridge/state"

    def availability(self, address: int, *, online: bool) -> MqttMessage:
        """Return the retained message that a device is there, or is not."""
        payload = "online" if online else "offline"
        return MqttMessage(self.availability_topic(address), payload, retain=True)

    def bridge(self, *, online: bool) -> MqttMessage:
        """Return the retained message that the helper lives; *offline* is its last will."""
        return MqttMessage(self.bridge_topic, "online" if online else "offline", retain=True)

    # ------------------------------------------------------------------------ discovery

    def discovery(self, address: int) -> Iterator[MqttMessage]:
        """Return an Xtender's announcements, retained; what is off is removed by an empty one."""
        for entry in (*SENSORS.values(), *PARAMETERS.values()):
            if entry.component is None:
                continue
            enabled = entry.name in (self.parameters if entry.parameter else self.sensors)
            payload = json_text(self._announcement(address, entry)) if enabled else ""
            ident = f"{address}_{entry.unique}"
            yield self._config(entry.component, ident, payload)

    def discovery_of_points(
        self, address: int, device: str, points: Iterable[Datapoint]
    ) -> Iterator[MqttMessage]:
        """Return the announcements of datapoints of another family, by their numbers.

        *device* is what the device is called.
        """
        for point in points:
            if point.family is Family.XT or (found := _shown(point)) is None:
                continue
            component, described = found
            ident = f"{address}_{point.id}"
            topic = self._topic(address, str(point.id), parameter=point.is_parameter)
            config = {**self._who(address, ident, f"{device} ({address})", topic), **described}
            if not point.readable:
                del config["state_topic"]
            if point.writable:
                config["command_topic"] = f"{topic}/set"
            yield self._config(component.value, ident, json_text(config))

    def _config(self, component: str, ident: str, payload: str) -> MqttMessage:
        topic = f"{self.discovery_prefix}/{component}/{ident}/config"
        return MqttMessage(topic, payload, retain=True)

    def _who(self, address: int, ident: str, device: str, topic: str) -> dict[str, Any]:
        return {
            "unique_id": ident,
            "object_id": ident,
            "state_topic": topic,
            "device": {"name": device, "identifiers": device},
            "availability": [
                {"topic": self.bridge_topic},
                {"topic": self.availability_topic(address)},
            ],
            "availability_mode": "all",
        }

    def _announcement(self, address: int, entry: Entry) -> dict[str, Any]:
        topic = self._topic(address, entry.name, parameter=entry.parameter)
        found: dict[str, Any] = {
            "name": entry.label,
            **self._who(address, f"{address}_{entry.unique}", f"Xtender ({address})", topic),
        }
        classes = {
            "device_class": entry.device_class,
            "unit_of_measurement": entry.unit,
            "state_class": entry.state_class,
        }
        found |= {key: value for key, value in classes.items() if value is not None}
        if entry.parameter:
            found |= {"command_topic": f"{topic}/set", "entity_category": "config"}
        match entry.component:
            case "switch":
                found |= {"payload_on": 1, "payload_off": 0}
            case "button":
                found["payload_press"] = 1
                del found["state_topic"]
            case "number":
                found |= {"min": entry.minimum, "max": entry.maximum, "step": entry.step}
                found["mode"] = "box"
        return found

    # ------------------------------------------------------------------------ commands

    def subscriptions(self) -> tuple[str, ...]:
        """Return what to subscribe to: the reference's own prefix is fixed, ours is heeded, too."""
        prefixes = dict.fromkeys((PREFIX, self.prefix))
        return tuple(f"{prefix}/+/parameters/+/set" for prefix in prefixes)

    def command(self, topic: str, payload: str, family: Family | None = None) -> XtmqCommand:
        """Return what a message on a subscribed topic asks for. Raises :class:`CommandRefused`.

        *family* tells what the device is where an address leaves it open (601).
        """
        address, name = self._addressed(topic)
        point = self._point(address, name, family)
        if point.guarded and not self.allow_guarded:
            raise CommandRefused(f"{name} acts on the whole plant and is not allowed", address)
        try:
            value = _wire_value(point, payload.strip())
            # The device's own limits may be narrower, or wider than the table's: they are the
            # engine's affair. Here the kind of the value is checked.
            encode_checked(point, value, _NO_LIMITS, allow_guarded=self.allow_guarded)
        except (LimitError, ValueError) as error:
            raise CommandRefused(str(error), address) from None
        persistent = self.write_property is WriteProperty.FLASH and not point.signal
        return XtmqCommand(address, point, value, name, persistent)

    def result(self, address: int, *, done: bool) -> MqttMessage:
        """Return what became of a command; on the reference's fixed prefix."""
        return MqttMessage(f"{PREFIX}/{address}/dbg/last_cmd_result", "Ok" if done else "Error")

    def _addressed(self, topic: str) -> tuple[int, str]:
        for prefix in (self.prefix, PREFIX):
            match topic.removeprefix(f"{prefix}/").split("/"):
                case [address, "parameters", name, "set"] if topic.startswith(f"{prefix}/"):
                    if not re.fullmatch(r"[1-9][0-9]{0,3}", address):
                        raise CommandRefused("the topic holds no address of a device")
                    return int(address), name
        raise CommandRefused("the topic is none of ours")

    def _point(self, address: int, name: str, family: Family | None) -> Datapoint:
        families = (family,) if family is not None else families_at(address)
        if not families:
            raise CommandRefused(f"no device has the address {address}", address)
        number: int | None = None
        if name in PARAMETERS and Family.XT in families:
            # Also what is not published: the old program took commands for all that it knew.
            number = PARAMETERS[name].read
        elif re.fullmatch(r"[1-9][0-9]{3,4}", name):
            number = int(name)
        found = None if number is None else by_id(families[0], number)
        if found is None or not found.writable:
            raise CommandRefused(f"{name[:40]!r} is no parameter of this device", address)
        return found


def payload_of(entry: Entry, wire: WireValue) -> str | None:
    """Return a wire value as the old program writes it; ``None``: say nothing.

    Numbers are the shortest text of the same float32.
    """
    if isinstance(wire, (str, bytes)) or entry.kind == "signal":
        return None
    if entry.texts is not None:
        number = exact_integer(wire)
        return None if number is None else entry.texts.get(number)
    if entry.component == "switch":
        return str(int(wire)) if wire in (0, 1) else None
    if entry.kind == "float":
        value = shortest(float(wire))
        return str(value) if value - value == 0 else None
    number = exact_integer(wire)
    return None if number is None else str(number)


def text_of(point: Datapoint, wire: WireValue) -> str | None:
    """Return a wire value of any datapoint in the same manner: labels, ``0``/``1``, numbers."""
    if point.signal or isinstance(wire, bytes):
        return None
    if isinstance(wire, str):
        return wire
    if point.wire_format is Format.BOOL:
        return str(int(wire)) if wire in (0, 1) else None
    if point.choices:
        number = exact_integer(wire)
        if number is None or number in point.enum_absent:
            return None
        return next((choice.label for choice in point.choices if choice.wire == number), None)
    if isinstance(wire, float):
        value = shortest(wire)
        return str(value) if value - value == 0 else None
    return str(int(wire))


def _wire_value(point: Datapoint, payload: str) -> bool | int | float:
    word = payload.lower()
    if point.signal:
        if word not in ("1", "press", "on", "true"):
            raise ValueError(f"{point.id} is triggered by 1")
        return 1
    if point.wire_format is Format.BOOL or _two_states(point):
        if word not in _TRUE | _FALSE:
            raise ValueError(f"{point.id} takes 0 or 1")
        return word in _TRUE if point.wire_format is Format.BOOL else int(word in _TRUE)
    for choice in point.choices:
        if payload in (choice.label, choice.option):
            return choice.wire
    if not _NUMBER.fullmatch(payload):
        raise ValueError(f"{point.id} takes a number")
    value = float(payload)
    if point.wire_format is Format.FLOAT:
        return value
    if (number := exact_integer(value)) is None:
        raise ValueError(f"{point.id} takes a whole number")
    return number


def _two_states(point: Datapoint) -> bool:
    """Whether an enum is a switch, as {1545} is: open or closed."""
    return point.enum_kind is EnumKind.ONE_BIT and {item.wire for item in point.choices} == {0, 1}


def _shown(point: Datapoint) -> tuple[Control, dict[str, Any]] | None:
    """Return what a datapoint becomes in Home Assistant; its payloads are :func:`text_of`'s."""
    field = field_of(point)
    component = component_of(field, times=False)
    if component is None or point.wall_clock:
        return None
    if point.time_of_day and component is Control.TEXT:
        # Minutes since midnight, as the reference has them.
        return Control.NUMBER, {
            **describe(field, Control.NUMBER),
            "min": 0,
            "max": 1440,
            "step": 1,
        }
    found = describe(field, component)
    labels = {choice.wire: choice.label for choice in point.choices}
    match component:
        case Control.SWITCH:
            found |= {"payload_on": "1", "payload_off": "0"}
        case Control.BINARY_SENSOR:
            found |= {"payload_on": labels.get(1, "1"), "payload_off": labels.get(0, "0")}
        case Control.BUTTON:
            found["payload_press"] = "1"
        case Control.SELECT | Control.SENSOR if "options" in found:
            known = (label for wire, label in labels.items() if wire not in point.enum_absent)
            found["options"] = list(dict.fromkeys(known))
    return component, found
