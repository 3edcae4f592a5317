"""The client side of the registration protocol, for all devices or for one (spec g.1). Pure.

With a driver that has a status, one connection serves all devices, and one will. The reference
watches one client for each connection: then :class:`GxDialect` registers nothing itself and says
so (``apart``), and the sink gives each device a :class:`ClientDialect` of its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hardwired_engines.composite import Part
from hardwired_engines.engine import Command, DeviceState, InvalidCommand, Occurrence, Snapshot
from hardwired_engines.fields import Offer, Quantity, Value
from hardwired_engines.plain import read_json

from ..bridge.sink import (
    Action,
    Hub,
    LinkView,
    Moment,
    Outcome,
    Publication,
    Request,
    Traffic,
    Wish,
)
from ..mqtt.announcement import compact
from ..mqtt.values import read_wish
from ..mqtt.voices import sinks_of
from .driver import LARGEST, REFERENCE, STATUS_TOPIC, Driver, Feature, read_status
from .mapping import Bounds, ServiceRow, table
from .registration import Plan, PlannedService, client_id_of, names, plan, status
from .values import values
from .wishes import ECHO, OUTPUT, RefusedSet, Wished, read_set

_LOGGER = logging.getLogger(__name__)

STATUS_WITHIN = 3.0
REPLY_WITHIN, REPLY_AGAIN = 30.0, 60.0
EVERYTHING_EVERY = 30.0
KEEP_ALIVE_EVERY = 30.0
GONE_AFTER = 600.0
"""Seconds for which a device that is not there stays registered."""
SET_FROM_THE_GX = ("/State", "/Dimming")
LATE_ECHO = 5.0
"""Seconds that the echo of a value may take that another has followed meanwhile."""
DISCOVERY = "device_discovery"
ASKED_WAIT = 1.0
"""Seconds in which a driver that asks for registrations may say that it is not the reference."""

DEFAULT_NAMES: Mapping[str, str] = {
    "temperature": "My Temperature Sensor",
    "tank": "My Tank Sensor",
    "pvinverter": "My PV Inverter",
    "grid": "My Grid Meter",
    "battery": "MQTT BMS",
    "acload": "My AC Load",
    "solarcharger": "My Solar Charger",
    "switch": "My Switch",
}
"""What a type is called until somebody names it: only then our name is written (spec venus D.2)."""
DEFAULT_TEMPERATURE_TYPE = 2


class StateView:
    """A device's state as the mapping sees it; one that is not there has no values."""

    def __init__(self, state: DeviceState, link: LinkView, *, there: bool) -> None:
        self._state = state
        self._there = there and state.available
        self._composites = {
            one.key: one for one in link.factory.composites(state.device.kind) if one.exists(state)
        }
        self._roles: dict[str, Mapping[Part, Value | None]] = {}

    @property
    def name(self) -> str:
        """What it is called."""
        return self._state.device.name or self._state.device.id

    def has(self, key: str) -> bool:
        """Whether it has a field."""
        return key in self._state.values

    def value(self, key: str) -> Value | None:
        """Return a field's value."""
        return self._state.values.get(key) if self._there else None

    def has_composite(self, key: str) -> bool:
        """Whether it has a composite."""
        return key in self._composites

    def role(self, composite: str, role: str) -> Value | None:
        """Return what a role of a composite shows."""
        if not self._there or composite not in self._composites:
            return None
        if composite not in self._roles:
            self._roles[composite] = self._composites[composite].read(self._state)
        return self._roles[composite].get(Part(role))

    def words(self, composite: str, what: str) -> Sequence[str]:
        """Return a composite's modes, fan modes or presets."""
        if composite not in self._composites:
            return ()
        found: Sequence[str] = getattr(self._composites[composite].about(self._state), what)
        return found

    def bounds(self, key: str) -> Bounds | None:
        """Return the bounds of a field."""
        told = self._state.fields.get(key)
        if told is None or told.minimum is None or told.maximum is None:
            return None
        return Bounds(told.minimum, told.maximum, 1 if told.step is None else told.step)

    def temperatures(self) -> Sequence[tuple[str, str]]:
        """Return keys and names of the temperatures that are shown by default."""
        return [
            (key, told.name)
            for key, told in self._state.fields.items()
            if key in self._state.values
            and told.quantity is Quantity.TEMPERATURE
            and told.offer is Offer.DEFAULT
            and not told.writable
        ]


@dataclass(slots=True)
class _Client:
    """One device on the GX."""

    link: LinkView
    state: DeviceState
    rows: tuple[ServiceRow, ...]
    plan: Plan | None = None
    registered: dict[str, Any] | None = None
    """The Status that was sent last."""
    topics: dict[str, str] = field(default_factory=dict)
    """By service where values go: ``W/PORTAL/TYPE/INSTANCE``."""
    proxied: bool = True
    asked_at: float | None = None
    complain_at: float = 0.0
    sent: dict[tuple[str, str], tuple[Any, float]] = field(default_factory=dict)
    unheard: dict[tuple[str, str], list[tuple[Any, float]]] = field(default_factory=dict)
    """What may still come back, by service and path: values and when they were sent."""
    changed: bool = False
    next_values: float = 0.0
    next_all: float = 0.0
    gone_at: float | None = None
    named: set[tuple[str, str]] = field(default_factory=set)

    @property
    def there(self) -> bool:
        return self.gone_at is None

    def lose(self) -> None:
        """Be registered no more: nothing is sent, and no reply is waited for."""
        self.registered = None
        self.topics.clear()
        self.asked_at = None


@dataclass(frozen=True, slots=True)
class _Ticket:
    client: _Client
    wished: Wished


class GxDialect:
    """All devices of a GX sink on one connection."""

    name = "gx"

    def __init__(self, sink: str, settings: Mapping[str, Any], hub: Hub) -> None:
        self._sink = sink
        self._settings = settings
        self._hub = hub
        self._clients: dict[tuple[str, str], _Client] = {}
        self._driver: Driver | None = None
        self._online = False
        self._decide_at: float | None = None
        self._keep_alive_at: float | None = None
        self._warned: set[str] = set()
        self.silent = False
        """Whether no driver has answered."""

    # ------------------------------------------------------------------------ the connection

    @property
    def links(self) -> frozenset[str]:
        """The links of which it speaks."""
        return frozenset(
            name
            for name, view in self._hub.links.items()
            if self._sink in sinks_of(view, self._sink)
        )

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """What the driver and the GX say."""
        found = [STATUS_TOPIC, DISCOVERY, "device/+/DBus", "device/+/Error", "device/+/Set"]
        found += [f"N/+/+/+/{OUTPUT}/#", "N/+/+/+/CustomName", "N/+/+/+/TemperatureType"]
        return [(topic, 1) for topic in found]

    @property
    def ready(self) -> bool:
        """It always knows its will."""
        return True

    @property
    def _lwt_topic(self) -> str:
        return f"hardwired/{self._hub.settings.get('id', 'hardwired')}/gx"

    @property
    def will(self) -> Publication | None:
        """One will for all clients."""
        return Publication(self._lwt_topic, "offline", qos=1, traffic=Traffic.OTHER)

    @property
    def apart(self) -> frozenset[tuple[str, str]]:
        """The devices that need a connection of their own: link and device."""
        if self._driver is None or not self._driver.reference:
            return frozenset()
        return frozenset(self._clients)

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Wait for the driver's status, then register."""
        self._online = True
        self._driver = None
        self._decide_at = now.monotonic + STATUS_WITHIN
        for client in self._clients.values():
            client.lose()
        for link, snapshot in links.items():
            self._take(link, snapshot, now)
        return []

    def disconnected(self, now: Moment) -> None:
        """The connection is lost."""
        self._online = False
        self._driver = None
        self._decide_at = self._keep_alive_at = None

    def stopping(self, now: Moment) -> list[Action]:
        """Take all devices back."""
        return [self._goodbye(client) for client in self._clients.values() if client.registered]

    # ------------------------------------------------------------------------ devices

    def _wants(self, link: str, device: str) -> bool:
        return True

    def _take(self, link: str, snapshot: Snapshot, now: Moment) -> None:
        view = self._hub.links[link]
        for ident, state in snapshot.devices.items():
            rows = table().get(f"{view.family}.{state.device.kind}")
            if rows is None or not self._wants(link, ident):
                continue
            client = self._clients.get((link, ident))
            if client is None:
                client = self._clients[link, ident] = _Client(view, state, rows)
                self._want(client)
            client.changed = client.changed or client.state is not state
            client.state, client.link = state, view
            self._note_presence(client, there=state.available, now=now)
        for (name, ident), client in self._clients.items():
            if name == link and ident not in snapshot.devices:
                self._note_presence(client, there=False, now=now)

    def _want(self, client: _Client) -> None:
        """Ask that what the map shows be read (spec c.10)."""
        for row in client.rows:
            keys = {one.field for one in row.paths}
            for control in (*row.outputs, *row.inputs):
                keys |= {control.source.field, control.measurement or "", *control.fields}
            for key in sorted(keys - {""}):
                if key in client.state.fields:
                    client.link.want(client.state.device.id, key)

    @staticmethod
    def _note_presence(client: _Client, *, there: bool, now: Moment) -> None:
        if there:
            client.changed = client.changed or client.gone_at is not None
            client.gone_at = None
        elif client.gone_at is None:
            client.gone_at = now.monotonic
            client.changed = True

    def _view(self, client: _Client) -> StateView:
        return StateView(client.state, client.link, there=client.there)

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Register who has appeared; values follow on the second."""
        if link not in self.links:
            return []
        self._take(link, after, now)
        if not self.speaks:
            return []
        return self._register(now)

    @property
    def speaks(self) -> bool:
        """Whether it registers devices itself."""
        return self._online and self._driver is not None and not self._driver.reference

    def again(self, now: Moment) -> list[Action]:
        """Register all devices once more, when it registers any."""
        return self._register(now, again=True) if self.speaks else []

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """A GX has no place for what happens once."""
        return []

    # ------------------------------------------------------------------------ registering

    def _register(self, now: Moment, *, again: bool = False) -> list[Action]:
        """Send a Status for each device whose registration has changed, or for all."""
        driver = self._driver
        assert driver is not None
        found: list[Action] = []
        for (link, ident), client in self._clients.items():
            gone = client.gone_at is not None and now.monotonic - client.gone_at >= GONE_AFTER
            client.plan = None
            if not gone:
                client.plan = plan(
                    client_id_of(self._hub, link, ident),
                    (link, ident),
                    client.rows,
                    self._view(client),
                    driver,
                    energy=self._settings.get("profile") == "energy",
                    skip=self._settings.get("skip") or (),
                )
            if client.plan is None:
                if client.registered:
                    found.append(self._goodbye(client))
                client.lose()
                continue
            told = status(client.plan, driver, version=self._hub.version, lwt_topic=self._lwt_topic)
            if told == client.registered and not again:
                continue
            before = client.registered
            if driver.reference and before and before["services"] != told["services"]:
                found.append(self._goodbye(client))
            self._warn_of_energy(client.plan)
            client.registered = told
            client.topics.clear()
            client.sent.clear()
            client.asked_at = now.monotonic
            client.complain_at = now.monotonic + REPLY_WITHIN
            found.append(self._say(f"device/{client.plan.client}/Status", told))
        return found

    def _warn_of_energy(self, found: Plan) -> None:
        """Name, once, what the GX does not only show (spec g.2, venus E.6)."""
        types = {one.row.type for one in found.services if one.row.energy} - self._warned
        if types:
            self._warned |= types
            _LOGGER.warning(
                "%s: registers %s: the GX's power balance, DVCC or ESS may act on it",
                self._sink,
                ", ".join(sorted(types)),
            )

    def _goodbye(self, client: _Client) -> Publication:
        assert client.registered is not None
        ident = client.registered["clientId"]
        client.lose()
        return self._say(f"device/{ident}/Status", {"clientId": ident, "connected": 0})

    def forget(self, link: str, device: str) -> list[Action]:
        """Take a device off the GX that has gone for good."""
        client = self._clients.pop((link, device), None)
        return [self._goodbye(client)] if client is not None and client.registered else []

    @staticmethod
    def _say(topic: str, told: Mapping[str, Any] | str) -> Publication:
        payload = told if isinstance(told, str) else compact(told)
        return Publication(topic, payload, qos=1, traffic=Traffic.OTHER)

    # ------------------------------------------------------------------------ hearing

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Take the driver's status, a reply, an error, what was set."""
        if len(payload) > LARGEST or not self._online:
            return []
        match topic.split("/"):
            case ["dbus-mqtt-devices", "status"]:
                return self._met(read_status(payload), now)
            case ["device_discovery"]:
                return [] if retained else self.again(now)
            case ["device", ident, leaf]:
                return self._from_driver(ident, leaf, _object(payload), retained, now)
            case ["N", portal, kind, instance, *path] if path:
                place = f"W/{portal}/{kind}/{instance}"
                return self._from_gateway(place, "/".join(path), _object(payload), now)
            case _:
                return []

    def _met(self, driver: Driver | None, now: Moment) -> list[Action]:
        """Take the driver's status: another one means registering again."""
        if driver is None:
            driver = REFERENCE
        if driver == self._driver:
            return []
        self._driver = driver
        self._decide_at = None
        if driver.reference:
            return []
        for client in self._clients.values():
            client.registered = None
        self._keep_alive_at = None if driver.has(Feature.NOTIFY) else now.monotonic
        return self._register(now)

    def _from_driver(
        self, ident: str, leaf: str, told: Mapping[str, Any], retained: bool, now: Moment
    ) -> list[Action]:
        client = next(
            (
                one
                for one in self._clients.values()
                if one.registered and one.registered["clientId"] == ident
            ),
            None,
        )
        if client is None or client.plan is None:
            return []
        match leaf:
            case "DBus":
                return self._replied(client, told, now)
            case "Set" if not retained:
                return self._set(client, told, now)
            case "Error":
                _LOGGER.warning("%s: the GX says of %s: %s", self._sink, ident, compact(dict(told)))
        return []

    def _replied(self, client: _Client, told: Mapping[str, Any], now: Moment) -> list[Action]:
        portal, instances = told.get("portalId"), told.get("deviceInstance")
        paths = told.get("topicPath")
        if not isinstance(portal, str) or not isinstance(instances, dict):
            return []
        if isinstance(told.get("errors"), dict) and told["errors"]:
            _LOGGER.warning("%s: the GX refuses: %s", self._sink, compact(told["errors"]))
        assert client.plan is not None
        client.topics.clear()
        client.proxied = isinstance(paths, dict)
        for service in client.plan.services:
            instance = instances.get(service.id)
            if isinstance(instance, bool) or not str(instance).isdecimal():
                continue
            place = f"W/{portal}/{service.row.type}/{instance}"
            path = paths.get(service.id) if isinstance(paths, dict) else None
            if isinstance(path, dict) and isinstance(path.get("W"), str):
                place = path["W"]
            if _PLACE.fullmatch(place):
                client.topics[service.id] = place
        client.asked_at = None
        self.silent = False
        return [*self._values(client, now, everything=True), *self._ask_names(client)]

    # ------------------------------------------------------------------------ names

    def _ask_names(self, client: _Client) -> list[Action]:
        assert client.plan is not None
        assert self._driver is not None
        found: list[Action] = []
        for ident, wanted in names(client.plan, self._driver).items():
            place = client.topics.get(ident)
            if place is not None:
                unasked = [path for path in wanted if (ident, path) not in client.named]
                found += [self._say(f"R{place[1:]}/{path}", "") for path in unasked]
        return found

    def _from_gateway(
        self, place: str, path: str, told: Mapping[str, Any], now: Moment
    ) -> list[Action]:
        """Take a value of the gateway: a name, or without ``notify`` a control that was moved."""
        if self._driver is None or "value" not in told:
            return []
        for client in self._clients.values():
            for ident, own in client.topics.items():
                if own == place and client.plan is not None:
                    if path.startswith(f"{OUTPUT}/"):
                        return self._moved(client, ident, path, told["value"], now)
                    return self._named(client, ident, path, told["value"])
        return []

    def _named(self, client: _Client, ident: str, path: str, value: object) -> list[Action]:
        assert client.plan is not None
        assert self._driver is not None
        service = client.plan.service(ident)
        wanted = names(client.plan, self._driver).get(ident, {}).get(path)
        if service is None or wanted is None or (ident, path) in client.named:
            return []
        client.named.add((ident, path))
        default: object = DEFAULT_TEMPERATURE_TYPE
        if path == "CustomName":
            default = DEFAULT_NAMES.get(service.row.type)
        if value != default or value == wanted:
            return []
        return [self._say(f"{client.topics[ident]}/{path}", {"value": wanted})]

    def _moved(
        self, client: _Client, ident: str, path: str, value: object, now: Moment
    ) -> list[Action]:
        assert self._driver is not None
        if self._driver.has(Feature.NOTIFY):
            return []
        last = client.sent.get((ident, path))
        if last is None or last[0] == value:
            client.unheard.pop((ident, path), None)
            return []
        return self._set(client, {"service": ident, "path": path, "value": value}, now)

    # ------------------------------------------------------------------------ wishes

    def _set(self, client: _Client, told: Mapping[str, Any], now: Moment) -> list[Action]:
        assert client.plan is not None
        place = (str(told.get("service")), str(told.get("path")))
        if self._is_late_echo(client, place, told.get("value"), now):
            service = client.plan.service(place[0])
            shown = {} if service is None else values(service, self._view(client))
            # In case that somebody did set it: the GX shows what is.
            return self._send(client, place[0], {k: shown[k] for k in shown if k == place[1]}, now)
        match read_set(client.plan, told, client.sent, now.monotonic):
            case RefusedSet(service, path, text):
                return self._back(client, service, path, text, now)
            case Wished() as wished:
                return self._wish(client, wished, now)
            case _:
                return []

    @staticmethod
    def _is_late_echo(client: _Client, place: tuple[str, str], value: object, now: Moment) -> bool:
        """Whether a value that was set was sent by us, before another or before registering anew.

        What we send comes back in its order. A wish of it would undo what has happened since.
        """
        unheard = client.unheard.get(place, [])
        for number, (sent, moment) in enumerate(unheard):
            age = now.monotonic - moment
            if sent == value and age <= LATE_ECHO:
                client.unheard[place] = later = unheard[number + 1 :]
                return bool(later) or (place not in client.sent and age <= ECHO)
        return False

    def _wish(self, client: _Client, wished: Wished, now: Moment) -> list[Action]:
        link, device = client.link, client.state.device.id
        if link.read_only or self._settings.get("read_only"):
            text = "read_only is set"
            return self._back(client, wished.service, wished.path, text, now)
        ticket = _Ticket(client, wished)
        found: list[Action] = []
        fields = dict(wished.values)
        for composite, key, text in wished.rows:
            if composite:
                found.append(
                    Wish(
                        link=link.name,
                        command=Command(device),
                        composite=composite,
                        parts=((Part(key), text),),
                        ticket=ticket,
                    )
                )
            else:
                fields[key] = text
        try:
            values_ = {
                key: read_wish(client.state.fields[key], text.encode(), link.zone)
                for key, text in fields.items()
            }
        except (InvalidCommand, LookupError) as error:
            return self._back(client, wished.service, wished.path, str(error), now)
        if values_:
            found.append(Wish(link=link.name, command=Command(device, values_), ticket=ticket))
        if wished.path.endswith("/State") and wished.service.row.type == "switch":
            found += self._released(client, wished, now)
        return found

    def _released(self, client: _Client, wished: Wished, now: Moment) -> list[Action]:
        """Let a momentary output spring back at once."""
        name = wished.path.split("/")[1]
        one = next((one for one in wished.service.outputs if one.id == name), None)
        if one is None or one.option is None:
            return []
        return self._send(client, wished.service.id, {wished.path: 0}, now)

    def _back(
        self, client: _Client, service: PlannedService, path: str, text: str, now: Moment
    ) -> list[Action]:
        """Write the old value back at once, and say why."""
        _LOGGER.warning(
            "%s: %s was refused on the GX: %s", self._sink, client.state.device.name, text
        )
        shown = values(service, self._view(client))
        # Where nobody knows the value, what we sent last stands.
        last = client.sent.get((service.id, path), (None, 0.0))[0]
        value = shown.get(path, last)
        return [] if value is None else self._send(client, service.id, {path: value}, now)

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """Write the old value back where a wish was refused."""
        if not isinstance(wish.ticket, _Ticket) or not self._online:
            return []
        client, wished = wish.ticket.client, wish.ticket.wished
        if outcome.state is not None:
            client.state = outcome.state
        if not outcome.ok:
            text = self._hub.mask(outcome.text or str(outcome.key))
            return self._back(client, wished.service, wished.path, text, now)
        client.changed = True
        return self._values(client, now)

    # ------------------------------------------------------------------------ values

    def _values(self, client: _Client, now: Moment, *, everything: bool = False) -> list[Action]:
        """Send what has changed of a device, or everything."""
        if client.plan is None:
            return []
        client.changed = False
        client.next_values = now.monotonic + float(self._settings.get("min_interval", 1.0))
        if everything:
            client.next_all = now.monotonic + EVERYTHING_EVERY
        view = self._view(client)
        found: list[Action] = []
        for service in client.plan.services:
            shown = values(service, view)
            news = {
                path: value
                for path, value in shown.items()
                if everything or client.sent.get((service.id, path), (_NEVER, 0.0))[0] != value
            }
            if news:
                found += self._send(client, service.id, news, now)
        return found

    def _send(
        self, client: _Client, ident: str, told: Mapping[str, Any], now: Moment
    ) -> list[Action]:
        place = client.topics.get(ident)
        if place is None or client.plan is None or not told:
            return []
        for path, value in told.items():
            self._note_sent(client, (ident, path), value, now.monotonic)
        if client.proxied:
            topic = f"device/{client.plan.client}/Proxy"
            return [self._state(topic, {"topicPath": place, "values": dict(told)})]
        return [self._state(f"{place}/{path}", {"value": value}) for path, value in told.items()]

    @staticmethod
    def _note_sent(client: _Client, place: tuple[str, str], value: Any, now: float) -> None:
        before = client.sent.get(place, (_NEVER, 0.0))
        client.sent[place] = (value, now)
        if place[1].endswith(SET_FROM_THE_GX) and before[0] != value:
            unheard = [one for one in client.unheard.get(place, ()) if now - one[1] <= LATE_ECHO]
            client.unheard[place] = [*unheard, (value, now)]

    @staticmethod
    def _state(topic: str, told: Mapping[str, Any]) -> Publication:
        # Each of several Proxy messages of one topic must arrive: they are no states of the topic.
        return Publication(topic, compact(told), traffic=Traffic.EVENT)

    # ------------------------------------------------------------------------ time

    @property
    def due(self) -> float | None:
        """When it wants to be called next."""
        if not self._online:
            return None
        times = [time for time in (self._decide_at, self._keep_alive_at) if time is not None]
        if self.speaks:
            for client in self._clients.values():
                if client.changed and client.topics:
                    times.append(client.next_values)
                if client.topics:
                    times.append(client.next_all)
                if client.asked_at is not None:
                    times.append(client.complain_at)
                if client.registered and client.gone_at is not None:
                    times.append(client.gone_at + GONE_AFTER)
        return min(times, default=None)

    def tick(self, now: Moment) -> list[Action]:
        """Decide for the reference, send values, keep the gateway talking, complain."""
        moment = now.monotonic
        found: list[Action] = []
        if self._decide_at is not None and moment >= self._decide_at:
            found += self._met(None, now)
            self._decide_at = None
        if self._keep_alive_at is not None and moment >= self._keep_alive_at:
            self._keep_alive_at = moment + KEEP_ALIVE_EVERY
            found += self._keep_alive()
        if not self.speaks:
            return found
        if any(self._overdue(client, moment) for client in self._clients.values()):
            found += self._register(now)
        for client in self._clients.values():
            if client.topics and moment >= client.next_all:
                found += self._values(client, now, everything=True)
            elif client.topics and client.changed and moment >= client.next_values:
                found += self._values(client, now)
            if client.asked_at is not None and moment >= client.complain_at:
                client.complain_at = moment + REPLY_AGAIN
                self.silent = True
                _LOGGER.warning(
                    "%s: the GX has no driver for MQTT devices, or it is off", self._sink
                )
        return found

    @staticmethod
    def _overdue(client: _Client, moment: float) -> bool:
        gone = client.gone_at
        return bool(client.registered) and gone is not None and moment - gone >= GONE_AFTER

    def _keep_alive(self) -> list[Action]:
        portals = {
            place.split("/")[1]
            for client in self._clients.values()
            for place in client.topics.values()
        }
        told = {"keepalive-options": ["suppress-republish"]}
        return [self._say(f"R/{portal}/keepalive", told) for portal in sorted(portals)]


class ClientDialect(GxDialect):
    """One device on a connection of its own, for the reference driver."""

    def __init__(
        self,
        sink: str,
        settings: Mapping[str, Any],
        hub: Hub,
        link: str,
        device: str,
        *,
        main: GxDialect | None = None,
    ) -> None:
        super().__init__(sink, settings, hub)
        self._link, self._device = link, device
        self._main = main
        self._again_at: float | None = None
        self._client_id = client_id_of(hub, link, device)
        self.name = f"gx-{self._client_id}"

    @property
    def links(self) -> frozenset[str]:
        """The link of its device."""
        return frozenset({self._link})

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """What the driver says to this client, and names on the GX."""
        ident = self._client_id
        found = [DISCOVERY, f"device/{ident}/DBus", f"device/{ident}/Error", f"device/{ident}/Set"]
        found += ["N/+/+/+/CustomName", "N/+/+/+/TemperatureType"]
        return [(topic, 1) for topic in found]

    @property
    def will(self) -> Publication | None:
        """The driver takes the device away."""
        told = {"clientId": self._client_id, "connected": 0}
        return self._say(f"device/{self._client_id}/Status", told)

    def _wants(self, link: str, device: str) -> bool:
        return (link, device) == (self._link, self._device)

    @property
    def speaks(self) -> bool:
        """Whether it registers its device: the one connection for all has not done so."""
        return self._online and self._driver is not None and not self._handed_over

    @property
    def _handed_over(self) -> bool:
        """Whether the driver has turned out to know more: it would take our word for the device's.

        A farewell would take the device away that the other connection has registered.
        """
        return self._main is not None and self._main.speaks

    def stopping(self, now: Moment) -> list[Action]:
        """Take the device back."""
        return [] if self._handed_over else super().stopping(now)

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Take what the driver says; a driver with a status asks first and says it then."""
        if topic == DISCOVERY:
            if not retained and self._again_at is None:
                self._again_at = now.monotonic + ASKED_WAIT
            return []
        return [] if self._handed_over else super().receive(topic, payload, retained, now)

    @property
    def due(self) -> float | None:
        """When it wants to be called next."""
        times = [time for time in (super().due, self._again_at) if time is not None]
        return min(times, default=None) if self._online else None

    def tick(self, now: Moment) -> list[Action]:
        """Register again when that was asked for, and what there is for all."""
        found: list[Action] = []
        if self._again_at is not None and now.monotonic >= self._again_at:
            self._again_at = None
            found += self.again(now)
        return [*found, *super().tick(now)]

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Register with the reference at once."""
        super().connected(links, now)
        self._decide_at = self._again_at = None
        self._driver = REFERENCE
        return self.again(now)


_NEVER = object()
_PLACE = re.compile(r"W/[A-Za-z0-9_.-]+/[a-z0-9_]+/[0-9]+")
"""Where values go. A broker would end the connection over a topic that is none."""


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        found = read_json(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
