"""All that the native dialect says of one device (spec c.1, c.3, c.8). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field as member, replace
from typing import Any

from hardwired_engines.composite import Composite, Part
from hardwired_engines.engine import DeviceState, Message
from hardwired_engines.fields import Field, Quantity, Value
from hardwired_engines.plain import plain

from ..bridge.sink import LinkView, Publication, Traffic
from .announcement import Announced, announce, compact, head_of
from .components import COMMANDS, Choice, Naming, Place, component_of, components
from .topics import Topics
from .values import OFF, OFFLINE, ON, ONLINE, UNKNOWN, aware, number_text, text_of

ANNOUNCE_EVERY = 10.0
"""Seconds between two announcements of one device, but for new fields."""


_WITHOUT_STATE = frozenset({Quantity.EVENT, Quantity.SIGNAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the sink speaks of all devices."""

    topics: Topics
    version: str
    qos: int = 0
    json: bool = False
    discovery: bool = True
    extras: bool = True
    times: bool = True
    read_only: bool = False
    max_payload: int = 128 * 1024
    language: str = "en"


@dataclass(slots=True)
class DeviceVoice:
    """One device of one link: what it is now, and what was announced of it."""

    manner: Manner
    link: LinkView
    place: Place
    state: DeviceState
    naming: Naming = member(default_factory=Naming)
    identifiers: tuple[str, ...] = ()
    """Further identifiers, of an old program."""
    via: str = ""
    muted: bool = False
    """Whether another link announces this device already."""
    present: bool = True
    announced_at: float | None = None
    announce_at: float | None = None
    """When it is to be announced again; ``None``: nothing has changed."""
    said: DeviceState | None = None
    """The state that was said last on this connection."""
    seen: set[str] = member(default_factory=set)
    """The components that were there since the start."""
    _shape: tuple[Any, ...] = ()

    # ------------------------------------------------------------------------ who it is

    @property
    def composites(self) -> tuple[Composite, ...]:
        """Its composites."""
        found = self.link.factory.composites(self.state.device.kind)
        return tuple(one for one in found if one.exists(self.state))

    def composite(self, key: str) -> Composite | None:
        """Return a composite by its key."""
        return next((one for one in self.composites if one.key == key), None)

    @staticmethod
    def commands(composite: Composite, state: DeviceState) -> tuple[Part, ...]:
        """Return the roles that can be set."""
        parts = composite.read(state)
        return tuple(
            part for part in COMMANDS[composite.component] if part in parts or part is Part.POWER
        )

    def _choice(self) -> Choice:
        settings = self.link.settings
        kind = self.state.device.kind

        def keys(name: str) -> frozenset[str]:
            found = set()
            for told in settings.get(name) or ():
                head, _, tail = told.rpartition(".")
                if not head or head == kind:
                    found.add(tail)
            return frozenset(found)

        return Choice(
            included=keys("include"),
            excluded=keys("exclude"),
            extras=self.manner.extras,
            times=self.manner.times,
            read_only=self.manner.read_only or self.link.read_only,
        )

    # ------------------------------------------------------------------------ announcing

    def take(self, state: DeviceState) -> bool:
        """Take a new state; return whether the device is to be announced anew."""
        self.state = state
        shape = (
            id(state.fields),
            state.device,
            frozenset(state.values),
            frozenset(state.details),
            tuple((one.key, one.about(state)) for one in self.composites),
        )
        changed, self._shape = shape != self._shape, shape
        return changed

    def about(self) -> Publication:
        """Return the message that says what the device and its fields are."""
        choice = self._choice()
        told = {
            "device": plain(device_facts(self.state)),
            "fields": [self._fact(field, choice) for field in self.state.fields.values()],
        }
        return self._retained("about", compact(told), traffic=Traffic.OTHER, qos=1)

    def _fact(self, field: Field, choice: Choice) -> dict[str, Any]:
        control = component_of(field, times=choice.times) if choice.offers(field) else None
        told = {
            "key": field.key,
            "name": self.naming.texts.get(field.key, field.name),
            "quantity": field.quantity.value,
            "unit": field.unit,
            "options": list(field.options) or None,
            "minimum": field.minimum,
            "maximum": field.maximum,
            "step": field.step,
            "writable": field.writable and not choice.read_only,
            "component": None if control is None else control.value,
        }
        return {key: plain(value) for key, value in told.items() if value is not None}

    def announcement(self, announced: Announced) -> tuple[tuple[Publication, ...], Announced]:
        """Return the discovery messages, and what Home Assistant knows after them.

        After a start a device tells its values one by one. What was announced before and is not
        heard yet is not taken away: its entities would lose what their owner gave them.
        """
        if not self.manner.discovery or self.muted:
            return (), announced
        found = self.components()
        self.seen |= found.keys()
        waits = {
            topic: {key: platform for key, platform in keys.items() if self._waits(key, found)}
            for topic, keys in announced.items()
        }
        known = {
            topic: left
            for topic, keys in announced.items()
            if (left := {key: keys[key] for key in keys if key not in waits[topic]})
        }
        told = announce(
            self.place,
            head_of(
                self.state.device,
                self.place,
                via=self.via,
                version=self.manner.version,
                area=self.link.settings.get("area"),
                identifiers=self.identifiers,
            ),
            found,
            known,
            self.manner.max_payload,
        )
        after = {topic: dict(keys) for topic, keys in told.announced.items()}
        for topic, keys in waits.items():
            if keys:
                after[topic] = {**keys, **after.get(topic, {})}
        return told.messages, after

    def _waits(self, key: str, found: Container[str]) -> bool:
        """Whether what was announced before may still come: it exists and was not heard yet."""
        if key in found or key in self.seen:
            return False
        choice = self._choice()
        field = self.state.fields.get(key)
        if field is not None:
            shown = replace(field, writable=False) if choice.read_only else field
            return choice.offers(field) and component_of(shown, times=choice.times) is not None
        composites = self.link.factory.composites(self.state.device.kind)
        return not choice.read_only and any(one.key == key for one in composites)

    def components(self) -> dict[str, dict[str, Any]]:
        """Return its components as they are now."""
        return components(self.place, self.naming, self._choice(), self.state, self.composites)

    # ------------------------------------------------------------------------ values

    def availability(self) -> Publication:
        """Return whether it is there."""
        online = self.present and self.state.available
        payload = ONLINE if online else OFFLINE
        return self._retained("availability", payload, traffic=Traffic.OTHER, qos=1)

    def leaves(self) -> Iterator[str]:
        """Return the ends of the topics of all states and details."""
        for key, field in self.state.fields.items():
            if key in self.state.values and field.quantity not in _WITHOUT_STATE:
                yield key
        for composite in self.composites:
            for part in composite.read(self.state):
                if part not in composite.fields:
                    yield f"{composite.key}/{part.value}"
        for key in self.state.details:
            yield f"{key}/details"
        if self.manner.json:
            yield "json"

    def news(self) -> Iterator[Publication]:
        """Return the states that may have changed since they were said last."""
        before, self.said = self.said, self.state
        if before is None or before.fields is not self.state.fields:
            yield from self._values(self.state.fields)
            return
        known, values = before.values, self.state.values
        changed = [key for key, value in values.items() if key not in known or known[key] != value]
        if changed or before.details != self.state.details:
            yield from self._values(changed)

    def values(self) -> Iterator[Publication]:
        """Return the states of all fields and composites, and their details."""
        self.said = self.state
        yield from self._values(self.state.fields)

    def _values(self, keys: Iterable[str]) -> Iterator[Publication]:
        fields, values = self.state.fields, self.state.values
        for key in keys:
            field = fields.get(key)
            if field is not None and key in values and field.quantity not in _WITHOUT_STATE:
                text = text_of(field, values[key], self.link.zone)
                yield self._retained(key, text)
        for composite in self.composites:
            for part, value in composite.read(self.state).items():
                if part not in composite.fields:
                    yield self._retained(composite.key, part.value, payload=_part_text(value))
        for key, details in self.state.details.items():
            payload = compact(plain(details))
            yield self._retained(key, "details", payload=payload, qos=0)
        if self.manner.json:
            told = {key: plain(value) for key, value in values.items() if key in fields}
            yield self._retained("json", payload=compact(told))

    def text(self, key: str, role: str | None = None) -> str:
        """Return what a field or a role shows now."""
        if role is not None:
            composite = self.composite(key)
            shown = {} if composite is None else composite.read(self.state)
            part = Part(role)
            if composite is None or part not in shown:
                return UNKNOWN
            if part not in composite.fields:
                return _part_text(shown[part])
            key = composite.fields[part]
        field = self.state.fields.get(key)
        if field is None:
            return UNKNOWN
        return text_of(field, self.state.values.get(key), self.link.zone)

    def event(self, message: Message, ident: str) -> Publication | None:
        """Return the message that tells of an event; never retained, or it would happen again."""
        field = self.state.fields.get(message.key)
        if field is None or field.quantity is not Quantity.EVENT:
            return None
        told: dict[str, Any] = {"event_type": message.type}
        if message.time is not None:
            told["time"] = aware(message.time, self.link.zone).isoformat()
        told["id"] = ident
        told |= {key: plain(value) for key, value in message.data.items() if key not in told}
        topic = self.place.topic(message.key)
        return Publication(topic, compact(told), qos=1, traffic=Traffic.EVENT)

    def row(self) -> dict[str, Any]:
        """Return its line in the list of devices."""
        device = self.state.device
        return {
            "link": self.link.name,
            "family": self.link.family,
            "device": device.id,
            "kind": device.kind,
            "name": device.name,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "sw_version": device.sw_version,
            "via": device.via,
            "topic": self.place.topic(),
            "available": self.present and self.state.available,
        }

    def _retained(
        self,
        *levels: str,
        payload: str | None = None,
        traffic: Traffic = Traffic.STATE,
        qos: int | None = None,
    ) -> Publication:
        if payload is None:
            *levels_, payload = levels
            levels = tuple(levels_)
        return Publication(
            self.place.topic(*levels),
            payload,
            retain=True,
            qos=self.manner.qos if qos is None else qos,
            traffic=traffic,
        )


def device_facts(state: DeviceState) -> Mapping[str, Any]:
    """Return who a device is."""
    device = state.device
    return {
        name: value
        for name in type(device).__slots__
        if (value := getattr(device, name)) is not None
    }


def _part_text(value: Value | None) -> str:
    match value:
        case None:
            return UNKNOWN
        case bool():
            return ON if value else OFF
        case int() | float():
            return number_text(value) if value - value == 0 else UNKNOWN
        case _:
            return str(value)
