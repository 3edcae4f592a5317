"""What xtender_mqtt said and understood by MQTT, as a dialect of the bridge (spec studer g).

Values are not retained: they are said again every ``loop_sleep`` seconds, the urgent ones every
second, whether they have changed or not, as long as the device is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hardwired_engines.engine import DeviceState, Snapshot
from hardwired_engines.studer.catalogue import FAMILY_OF, point_of
from hardwired_engines.studer.datapoints.datapoint import Datapoint
from hardwired_engines.studer.scom.families import Family

from ...bridge.sink import (
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
from ...mqtt.message import MqttMessage
from ..legacy import LegacyDialect, published
from .config import URGENT, XTENDERS, WriteProperty
from .mqtt import CommandRefused, XtmqFace
from .names import PARAMETERS, SENSORS, Entry

URGENT_EVERY = 1.0
SHORTEST_LOOP = 1.0
FIRST_XTENDER = 101


class XtenderDialect(LegacyDialect):
    """One xtender_mqtt."""

    name = "xtender_mqtt"

    def __init__(self, settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> None:
        super().__init__(settings, link, hub, sink)
        self._face = XtmqFace(
            sensors=_names(self.settings.get("sensors"), SENSORS),
            parameters=_names(self.settings.get("parameters"), PARAMETERS),
            prefix=str(self.settings.get("prefix", "xtender")),
            discovery_prefix=self.discovery_prefix,
            write_property=WriteProperty(self.settings.get("write_property", "ram")),
            allow_guarded=bool(self.settings.get("allow_guarded", False)),
        )
        self._urgent = frozenset(self.settings.get("urgent", URGENT))
        self._loop = max(SHORTEST_LOOP, float(self.settings.get("loop_sleep", 5)))
        self._most = int(self.settings.get("xtenders", XTENDERS))
        self._next: dict[bool, float] = {True: 0.0, False: 0.0}
        """When the urgent (true) and the other values are said again."""
        self._addresses: dict[int, str] = {}
        """Who was announced: the id of the device by its address."""
        self._there: dict[int, bool] = {}
        self._wanted: set[str] = set()
        self._wishes: dict[Wish | Request, tuple[int, Datapoint]] = {}

    # ------------------------------------------------------------------------ the connection

    @property
    def will(self) -> Publication | None:
        """The last will."""
        return self._other([self._face.bridge(online=False)])[0]

    @staticmethod
    def _other(messages: Iterable[MqttMessage]) -> list[Publication]:
        return published(messages, Traffic.OTHER)

    def command_topics(self) -> Iterable[str]:
        """Return what to subscribe to for commands."""
        return self._face.subscriptions()

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Say that we live, announce, and all values."""
        self.online = True
        self._addresses.clear()
        self._there.clear()
        found = self._appeared(self.link.snapshot)
        found += self._values(now, urgent=True) + self._values(now, urgent=False)
        return [*found, *self._other([self._face.bridge(online=True)])]

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Announce who has appeared, and say who is there."""
        self._want(after)
        return [*self._appeared(after)] if self.online else []

    # ------------------------------------------------------------------------ devices

    def _devices(self, snapshot: Snapshot) -> Iterator[tuple[int, Family, DeviceState]]:
        """Return who has an address; of Xtenders as many as are wanted."""
        for state in snapshot.devices.values():
            family = FAMILY_OF.get(state.device.kind)
            told = state.device.address
            if family is None or told is None or not told.isdecimal():
                continue
            address = int(told)
            if family is Family.XT and not 0 <= address - FIRST_XTENDER < self._most:
                continue
            yield address, family, state

    def _want(self, snapshot: Snapshot) -> None:
        """Ask that what is published be read."""
        for _, family, state in self._devices(snapshot):
            ident = state.device.id
            if family is not Family.XT or ident in self._wanted:
                continue
            self._wanted.add(ident)
            for point in self._points(state):
                every = URGENT_EVERY if point.id in self._urgent else self._loop
                if point.id in self._face.reads():
                    self.link.want(ident, point.key, every)

    @staticmethod
    def _points(state: DeviceState) -> Iterator[Datapoint]:
        for key in state.fields:
            point = point_of(state.device.kind, key)
            if point is not None:
                yield point

    def _appeared(self, snapshot: Snapshot) -> list[Publication]:
        found: list[Publication] = []
        self._want(snapshot)
        there: dict[int, bool] = {}
        for address, family, state in self._devices(snapshot):
            there[address] = state.available
            if self._addresses.get(address) != state.device.id:
                self._addresses[address] = state.device.id
                found += self._announced(address, family, state)
        gone = {address: False for address in self._there if address not in there}
        for address, online in {**gone, **there}.items():
            if self._there.get(address) is not online:
                found += self._other([self._face.availability(address, online=online)])
        self._there = there
        return found

    def announce(self, now: Moment) -> list[Publication]:
        """Return the announcements of all devices."""
        return [
            message
            for address, family, state in self._devices(self.link.snapshot)
            for message in self._announced(address, family, state)
        ]

    def _announced(self, address: int, family: Family, state: DeviceState) -> Iterator[Publication]:
        if not self.discovery:
            return
        if family is Family.XT:
            messages = self._face.discovery(address)
        else:
            shown = [point for point in self._points(state) if point.key in state.values]
            messages = self._face.discovery_of_points(address, state.device.name, shown)
        for message in messages:
            yield Publication(
                message.topic,
                _with_entity_id(message, self.discovery_prefix),
                message.retain,
                message.qos,
                Traffic.DISCOVERY,
            )

    # ------------------------------------------------------------------------ values

    def _values(self, now: Moment, *, urgent: bool) -> list[Publication]:
        """Return all values of one class of urgency."""
        every = URGENT_EVERY if urgent else self._loop
        self._next[urgent] = now.monotonic + every
        messages: list[MqttMessage] = []
        for address, _, state in self._devices(self.link.snapshot):
            if not state.available:
                continue
            for point in self._points(state):
                if (point.id in self._urgent) is urgent and point.key in state.values:
                    messages += self._value(address, point, state)
        return published(messages)

    def _value(self, address: int, point: Datapoint, state: DeviceState) -> list[MqttMessage]:
        minutes = state.details.get(point.key, {}).get("minutes")
        found = self._face.values(
            address,
            point,
            state.values.get(point.key),
            self.link.zone,
            minutes=minutes if isinstance(minutes, int) else None,
        )
        if found and point.family is Family.XT:
            found += [self._face.meta(address, entry) for entry in self._entries(point)]
        return found

    def _entries(self, point: Datapoint) -> list[Entry]:
        return self._face.entries_of(point)

    def next_due(self) -> float | None:
        """Return when values are said again."""
        return min(self._next.values())

    def on_tick(self, now: Moment) -> list[Action]:
        """Say values again."""
        found: list[Action] = []
        for urgent, due in list(self._next.items()):
            if now.monotonic >= due:
                found += self._values(now, urgent=urgent)
        return found

    # ------------------------------------------------------------------------ commands

    def heard(self, topic: str, payload: bytes, now: Moment) -> list[Action]:
        """Take a command."""
        address = _address_in(topic)
        ident, family = self._who(address)
        try:
            text = payload[:1024].decode()
            command = self._face.command(topic, text, family)
        except UnicodeDecodeError:
            return [] if address is None else self._result(address, done=False)
        except CommandRefused as error:
            return [] if error.address is None else self._result(error.address, done=False)
        forbidden = command.persistent and not self.link.settings.get("flash_writes", False)
        if ident is None or self.read_only or forbidden:
            return self._result(command.address, done=False)
        wish = Wish(link=self.link.name, command=command.for_engine(ident), alone=True)
        self._wishes[wish] = command.address, command.point
        return [wish]

    def _who(self, address: int | None) -> tuple[str | None, Family | None]:
        for at, family, state in self._devices(self.link.snapshot):
            if at == address:
                return state.device.id, family
        return None, None

    def _result(self, address: int, *, done: bool) -> list[Action]:
        return [*published([self._face.result(address, done=done)], Traffic.RESULT)]

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """Say ``Ok`` or ``Error``, and the value as it is now."""
        told = self._wishes.pop(wish, None)
        if told is None:
            return []
        address, point = told
        found = self._result(address, done=outcome.ok)
        if outcome.ok and outcome.state is not None and point.key in outcome.state.values:
            found += published(self._value(address, point, outcome.state))
        return found


def _names(told: Iterable[str] | None, table: Mapping[str, Entry]) -> frozenset[str]:
    if told is None:
        return frozenset(name for name, entry in table.items() if entry.enabled)
    return frozenset(name for name in told if name in table)


def _address_in(topic: str) -> int | None:
    """Return the address in a command's topic."""
    levels = topic.split("/")
    told = levels[-4] if len(levels) >= 4 else ""
    return int(told) if told.isdecimal() and len(told) <= 4 else None


def _with_entity_id(message: MqttMessage, prefix: str) -> str:
    """Return an announcement with the entity id that ``object_id`` no longer gives."""
    if not message.payload:
        return ""
    config = json.loads(message.payload)
    component = message.topic.removeprefix(f"{prefix}/").split("/")[0]
    config["default_entity_id"] = f"{component}.{config['object_id'].lower()}"
    return json.dumps(config, ensure_ascii=False, separators=(",", ":"))


def make(settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> XtenderDialect:
    """Return the dialect of one legacy entry."""
    return XtenderDialect(settings, link, hub, sink)
