"""What inetbox.py said and heard by MQTT, as a dialect of the bridge (spec truma g.2-g.5).

It eats the panel's buffers and the display's frames as they passed (``Unit``), so that all its
topics live on, the unknown bytes included.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from hardwired_engines.engine import Occurrence, Snapshot, Unit
from hardwired_engines.truma.inet.buffers import (
    STATUS_LAYOUTS,
    UPLOADS,
    Group,
    MessageId,
    with_twins,
)
from hardwired_engines.truma.inet.rules import HeaterKind, HeatingMode

from ...bridge.sink import (
    Action,
    Hub,
    LinkView,
    Moment,
    Outcome,
    Publication,
    Request,
    Traffic,
    Verb,
    Wish,
)
from ...mqtt.message import MqttMessage, OnChange
from ..legacy import LegacyDialect, published
from ..truma_set import commands, sync_clock
from .discovery import discovery
from .mqtt import (
    INETBOX2MQTT_EVERY,
    REPEAT_ALIVE,
    REPEAT_ONLINE,
    REPEAT_STATUS,
    REPEAT_VALUES,
    Enabled,
    InetboxFace,
    Restart,
    SetClock,
    SetMessage,
    Unsupported,
    decode_payload,
)
from .set_messages import Batch, SetMessages
from .texts import Dialect, Kind, Language, Texts, UpdateStatus

_LOGGER = logging.getLogger(__name__)

DAY = 86_400.0
REFLECT_FOR = 30.0
"""Seconds after which a reflected value that the panel does not show is taken back."""
_STATUS_IDS = {layout.name: number for number, layout in STATUS_LAYOUTS.items()}
_UPDATE = {status.value: status for status in UpdateStatus}


class InetboxDialect(LegacyDialect):
    """One inetbox.py."""

    name = "inetbox.py"
    program = Dialect.INETBOX_PY

    def __init__(self, settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> None:
        super().__init__(settings, link, hub, sink)
        self.texts = Texts(
            self.program,
            Language(self.settings.get("language", "none")),
            extended=bool(self.settings.get("extended_texts", False)),
        )
        self.face = InetboxFace(self.texts, self.data_topic(), self.discovery_prefix)
        self.set_messages = SetMessages(
            self.texts,
            default_target=float(self.settings.get("default_target_temp_room", 5)),
            default_mode=self._default_mode(),
            wait=self.collect_for(),
            heater=HeaterKind(link.settings.get("heater") or "combi"),
        )
        self._baselines: dict[Group, dict[str, int]] = {}
        self._taken: dict[Group, dict[str, int]] = {}
        """What the panel has taken and not shown yet."""
        self._on_the_way: dict[Wish, tuple[Group, Mapping[str, int]]] = {}
        self._values: dict[str, list[MqttMessage]] = {}
        """What was last said of each unit: said again after a reconnect."""
        self._on_change = OnChange(self.repeat_values())
        self._on_status = OnChange(REPEAT_STATUS)
        self._next_values = 0.0
        self._next_status = 0.0
        self._next_online = 0.0
        self._told_alive = True
        self._next_clock: float | None = None
        self._commit_at: float | None = None
        self._reflected: dict[str, tuple[str, float]] = {}
        self._wishes: dict[Wish | Request, tuple[str, ...]] = {}

    def _default_mode(self) -> int:
        told = self.settings.get("default_heating_mode", "eco")
        try:
            return self.texts.code(Kind.HEATING_MODE, told)
        except ValueError:
            return Texts(self.program).code(Kind.HEATING_MODE, told)

    # ------------------------------------------------------------------------ of the program

    def data_topic(self) -> str:
        """Return what all topics begin with."""
        return str(self.settings.get("data_topic", "service/truma/"))

    def collect_for(self) -> float:
        """Return for how many seconds set messages wait for company."""
        return float(self.settings.get("updates_buffer_time", 1))

    def repeat_values(self) -> float | None:
        """Return after how many seconds an unchanged value is repeated."""
        return REPEAT_VALUES

    def values_every(self) -> float:
        """Return how often values are looked at; what is new goes at once where this is zero."""
        return 0.0

    def online_every(self) -> float:
        """Return how often the life sign is repeated."""
        return REPEAT_ONLINE

    @property
    def will(self) -> Publication | None:
        """The last will."""
        return self._other([self.face.online(online=False)])[0]

    def command_topics(self) -> Iterable[str]:
        """Return what to subscribe to for commands."""
        return (topic for topic in self.face.subscriptions() if topic != self.birth_topic)

    def announce(self, now: Moment) -> list[Publication]:
        """Return the announcements."""
        if not self.discovery:
            return []
        messages = discovery(
            self.texts,
            data_topic=self.data_topic(),
            prefix=self.discovery_prefix,
            optimistic=bool(self.settings.get("ha_optimistic", False)),
        )
        return published(messages, Traffic.DISCOVERY)

    @staticmethod
    def _other(messages: Iterable[MqttMessage]) -> list[Publication]:
        return published(messages, Traffic.OTHER)

    # ------------------------------------------------------------------------ the connection

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Announce, say that we live, and all that is known."""
        self.online = True
        self._on_change.forget()
        self._on_status.forget()
        found: list[Action] = [*self.announce(now), *self._alive(now), *self._status(now)]
        found += self._other(self.face.release(self.hub.version))
        if self.program is Dialect.INETBOX2MQTT and "ac_manual_status" not in self._values:
            self._values["ac_manual_status"] = self.face.aircon()
        found += self._said(now)
        if self._next_clock is None and self.settings.get("set_time", False):
            self._next_clock = now.monotonic + REFLECT_FOR
        return found

    @property
    def alive(self) -> bool:
        """What the life sign says while we are connected."""
        return True

    def _alive(self, now: Moment) -> list[Publication]:
        self._next_online = now.monotonic + self.online_every()
        self._told_alive = self.alive
        return self._other([self.face.online(online=self._told_alive)])

    def _status(self, now: Moment) -> list[Publication]:
        self._next_status = now.monotonic + REPEAT_STATUS
        found = self.face.update_status(self._update_status())
        found += self.face.cp_plus_status(online=self.link.snapshot.connected)
        return self._other(self._on_status.due(found, now.monotonic))

    def _update_status(self) -> UpdateStatus:
        if not self.link.snapshot.connected:
            return UpdateStatus.WAITING_FOR_CP_PLUS
        if self.set_messages.waiting:
            return UpdateStatus.WAITING_COMMIT
        panel = self.state_of("panel")
        told = None if panel is None else panel.values.get("update_status")
        if self._wishes:
            return UpdateStatus.WAITING_TRUMA
        return _UPDATE.get(str(told), UpdateStatus.IDLE)

    def _said(self, now: Moment) -> list[Action]:
        """Return the values that are new or due for repetition."""
        self._next_values = now.monotonic + (self.values_every() or REPEAT_VALUES / 4)
        messages = [message for unit in self._values.values() for message in unit]
        shown = [self._shown(message, now) for message in messages]
        return [*published(self._on_change.due(shown, now.monotonic))]

    def _shown(self, message: MqttMessage, now: Moment) -> MqttMessage:
        """Return a value, or what was set in its place for a while."""
        reflected = self._reflected.get(message.topic)
        if reflected is None:
            return message
        text, until = reflected
        if text == message.payload or now.monotonic >= until:
            del self._reflected[message.topic]
            return message
        return MqttMessage(message.topic, text, message.retain, message.qos)

    # ------------------------------------------------------------------------ what is heard

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Take a buffer of the panel or a frame of the display."""
        if not isinstance(occurrence, Unit):
            return []
        name, values = occurrence.name, occurrence.values
        if (number := _STATUS_IDS.get(name)) is not None:
            self._values[name] = self.face.buffer(number, values)
            for group, upload in UPLOADS.items():
                if upload.baseline_id == number:
                    self._baselines[group] = dict(values)
                    self._taken.pop(group, None)
            if number == MessageId.HEATER:
                self.set_messages.see(values)
        elif name.startswith("signal_"):
            self._values[name] = self.face.signal(
                int(name.removeprefix("signal_"), 16), occurrence.raw
            )
        else:
            return []
        if not self.online or self.values_every():
            return []
        return self._said(now)

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Take the panel's state: whether it talks to us, the counter of changes."""
        panel = next(
            (state for state in after.devices.values() if state.device.kind == "panel"), None
        )
        heater = next(
            (state for state in after.devices.values() if state.device.kind == "heater"), None
        )
        if heater is not None and (modes := heater.fields.get("heating_mode")) is not None:
            vario = HeatingMode.ECO.name.lower() not in modes.options
            self.set_messages.heater = HeaterKind.VARIO if vario else HeaterKind.COMBI
        counter = None if panel is None else panel.values.get("command_counter")
        if isinstance(counter, int):
            self._values["counter"] = self.face.counter(counter)
        if not self.online:
            return []
        found: list[Action] = [*self._status(now)]
        if self.alive is not self._told_alive:
            found += self._alive(now)
        return found if self.values_every() else [*found, *self._said(now)]

    def heard(self, topic: str, payload: bytes, now: Moment) -> list[Action]:
        """Take a set message, or another wish."""
        if self.read_only:
            return [self._error("read_only is set: nothing is written")]
        match self.face.receive(topic, decode_payload(payload[:1024])):
            case SetMessage(key, text):
                self.set_messages.add(key, text, now.monotonic)
                self._commit_at = now.monotonic + self.collect_for()
                return [*self._status(now)]
            case SetClock():
                return [self._wish(Wish(link=self.link.name, command=sync_clock(), alone=True))]
            case Restart():
                return [self._ask(Request(verb=Verb.RESTART, link=self.link.name))]
            case Unsupported(reason):
                return [self._error(reason)]
            case Enabled(enabled):
                _LOGGER.info("%s: enabled is %s, which changes nothing", self.link.name, enabled)
                return []
            case _:
                return []

    def _error(self, text: str) -> Publication:
        [message] = published([self.face.error(self.hub.mask(text))], Traffic.OTHER)
        return message

    # ------------------------------------------------------------------------ what is set

    def _expected(self) -> dict[Group, dict[str, int]]:
        """Return the last status of each group, with the changes that are on their way."""
        expected = {group: {**shown} for group, shown in self._baselines.items()}
        for group, fields in (*self._taken.items(), *self._on_the_way.values()):
            if group in expected:
                expected[group] |= fields
        return expected

    def _commit(self, now: Moment) -> list[Action]:
        self._commit_at = None
        expected = self._expected()
        batch = self.set_messages.commit(expected)
        found: list[Action] = [self._error(text) for text in batch.errors]
        reflected = self._reflect(batch, now)
        for group, fields in batch.wishes.items():
            for command in commands({group: fields}, expected):
                if isinstance(command, str):
                    found.append(self._error(command))
                    continue
                wish = Wish(link=self.link.name, command=command, alone=True)
                self._on_the_way[wish] = group, with_twins(fields)
                found.append(self._wish(wish, tuple(topic for topic, _ in reflected)))
        return [*found, *self._said(now), *self._status(now)]

    def _reflect(self, batch: Batch, now: Moment) -> list[tuple[str, str]]:
        """Show what was set at once, where the program did; return topics and texts."""
        messages = self.face.reflected(batch.updates)
        for message in messages:
            self._reflected[message.topic] = (message.payload, now.monotonic + REFLECT_FOR)
            known = {told.topic for unit in self._values.values() for told in unit}
            if message.topic not in known:
                self._values.setdefault("reflected", []).append(message)
        return [(message.topic, message.payload) for message in messages]

    def _wish(self, wish: Wish, topics: tuple[str, ...] = ()) -> Wish:
        self._wishes[wish] = topics
        return wish

    def _ask(self, request: Request) -> Request:
        self._wishes[request] = ()
        return request

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """Tell a refusal on ``error``; what was reflected is taken back."""
        topics = self._wishes.pop(wish, ())
        if isinstance(wish, Wish) and (sent := self._on_the_way.pop(wish, None)) and outcome.ok:
            group, fields = sent
            self._taken.setdefault(group, {}).update(fields)
        found: list[Action] = []
        if not outcome.ok:
            found.append(self._error(outcome.text or str(outcome.key)))
            for topic in topics:
                self._reflected.pop(topic, None)
            if self.settings.get("ha_optimistic", False):
                # Home Assistant shows what it wished: say again what is.
                self._on_change.forget()
        if not self.online:
            return []
        return [*found, *self._said(now), *self._status(now)]

    # ------------------------------------------------------------------------ time

    def next_due(self) -> float | None:
        """Return when something is to be said or committed."""
        times = [self._next_values, self._next_status, self._next_online]
        times += [time for time in (self._commit_at, self._next_clock) if time is not None]
        times += [until for _, until in self._reflected.values()]
        return min(times)

    def on_tick(self, now: Moment) -> list[Action]:
        """Commit, repeat, set the clock once a day."""
        moment = now.monotonic
        found: list[Action] = []
        if self._commit_at is not None and moment >= self._commit_at:
            found += self._commit(now)
        if moment >= self._next_online:
            found += self._alive(now)
        if moment >= self._next_status:
            found += self._status(now)
        expired = any(moment >= until for _, until in self._reflected.values())
        if moment >= self._next_values or expired:
            found += self._said(now)
            self._reflected = {
                topic: told for topic, told in self._reflected.items() if told[1] > moment
            }
        if self._next_clock is not None and moment >= self._next_clock:
            self._next_clock = moment + DAY
            if not self.read_only and not self.link.settings.get("clock_sync", False):
                found.append(
                    self._wish(Wish(link=self.link.name, command=sync_clock(), alone=True))
                )
        return found


def make(settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> InetboxDialect:
    """Return the dialect of one legacy entry."""
    return InetboxDialect(settings, link, hub, sink)


__all__ = ["INETBOX2MQTT_EVERY", "REPEAT_ALIVE", "InetboxDialect", "make"]
