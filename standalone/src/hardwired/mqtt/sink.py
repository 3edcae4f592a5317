"""The MQTT sink: the dialects of one broker, each on its own connection (spec c.2-c.4, c.11).

A connection has one will, so each dialect has a connection. The sink passes snapshots to the
dialects, what they say to their outboxes, what they wish to the bridge, and answers back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from hardwired_engines.engine import Occurrence, Snapshot
from hardwired_engines.plain import read_json

from ..bridge.sink import (
    Action,
    Dialect,
    Hub,
    Outcome,
    Publication,
    Request,
    Sample,
    SinkHealth,
    SinkState,
    Traffic,
    Wish,
)
from .adoption import Returning
from .broker import BrokerSettings, TlsSettings, Verify
from .client import Connection, Incoming, Session, logged_in
from .losses import ConnectionLost, Loss
from .native import NativeDialect
from .outbox import Outbox
from .values import ONLINE

_LOGGER = logging.getLogger(__name__)

LOOK_ROUND = 2.0
"""Seconds in which a new connection looks for another bridge."""
NAME_AGAIN = 300.0
"""Seconds after which an unknown host name is told again."""
SIGN_EVERY, SIGN_WITHIN = 10.0, 60.0

_CONFIGURATION = frozenset(
    {
        Loss.NOT_AUTHORISED,
        Loss.WRONG_PROTOCOL,
        Loss.CLIENT_ID,
        Loss.TLS_CERTIFICATE,
        Loss.TLS_HOST_NAME,
        Loss.TLS_VERSION,
        Loss.TLS_FILES,
        Loss.TAKEN_OVER,
        Loss.NO_RIGHT,
        Loss.OTHER_BRIDGE,
    }
)
"""Losses that somebody must mend; the others pass."""


def broker_of(settings: Mapping[str, Any]) -> BrokerSettings:
    """Return where the broker of a sink's table is; secrets are resolved already."""
    tls = None
    if settings.get("tls") or settings.get("ca_file") or settings.get("cert_file"):
        tls = TlsSettings(
            ca_file=settings.get("ca_file"),
            cert_file=settings.get("cert_file"),
            key_file=settings.get("key_file"),
            key_password=reveal(settings.get("key_password")),
            verify=Verify(settings.get("verify", "full")),
        )
    return BrokerSettings(
        host=settings["host"],
        port=settings.get("port") or (1883 if tls is None else 8883),
        username=settings.get("username"),
        password=reveal(settings.get("password")),
        keepalive=int(settings.get("keepalive", 60)),
        protocol=5 if str(settings.get("protocol", "3.1.1")).startswith("5") else 4,
        tls=tls,
    )


def reveal(secret: Any) -> str | None:
    """Return a secret's text; a text is one, too."""
    if secret is None or isinstance(secret, str):
        return secret
    return str(secret.reveal())


class Pacer:
    """Holds a topic's state back until its interval is over; the last one always goes out."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._sent: dict[str, float] = {}
        self._held: dict[str, Publication] = {}

    def let(self, message: Publication, now: float) -> bool:
        """Whether *message* may go now; else it is held, in the place of an older one."""
        if self._interval <= 0 or message.traffic is not Traffic.STATE or not message.retain:
            return True
        last = self._sent.get(message.topic)
        if message.at_once or last is None or now - last >= self._interval:
            self._sent[message.topic] = now
            self._held.pop(message.topic, None)
            return True
        self._held[message.topic] = message
        return False

    def said(self, messages: Iterable[Publication], now: float) -> None:
        """Take note that *messages* are said."""
        for message in messages:
            if message.traffic is Traffic.STATE and message.retain:
                self._sent[message.topic] = now
                self._held.pop(message.topic, None)

    def renew(self, messages: Iterable[Publication], now: float) -> None:
        """Take note that everything is said anew."""
        self._held.clear()
        self._sent = {
            message.topic: now
            for message in messages
            if message.traffic is Traffic.STATE and message.retain
        }

    @property
    def due(self) -> float | None:
        """When something held may go."""
        if not self._held:
            return None
        return min(self._sent[topic] for topic in self._held) + self._interval

    def release(self, now: float) -> list[Publication]:
        """Return what was held long enough."""
        ready = [
            message
            for topic, message in self._held.items()
            if now - self._sent[topic] >= self._interval
        ]
        for message in ready:
            del self._held[message.topic]
            self._sent[message.topic] = now
        return ready


class Channel:
    """One dialect on its connection."""

    def __init__(
        self,
        sink: MqttSink,
        dialect: Dialect,
        client_id: str,
        *,
        min_interval: float = 0.0,
        queue: int = 1000,
    ) -> None:
        self._sink = sink
        self.dialect = dialect
        self.outbox = Outbox(queue)
        self.connection = Connection(sink.broker, client_id, self, self.outbox, sink.clock)
        self._pacer = Pacer(min_interval)
        self._changed = asyncio.Event()
        self._will: Publication | None = None
        self.published: Counter[str] = Counter()
        self.state = SinkState.OUTAGE
        self.why: str | None = "starting"
        self._lost_at: datetime | None = None
        self._lost_for: float | None = None
        self._told: tuple[Loss, float] | None = None
        self._dropped_before = 0

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"{self._sink.name}/{self.dialect.name}"

    # ------------------------------------------------------------------------ from the sink

    def act(self, actions: Iterable[Action]) -> None:
        """Carry out what the dialect returned, in order."""
        now = self._sink.hub.moment().monotonic
        ready: list[Publication] = []
        for action in actions:
            match action:
                case Publication():
                    if self._pacer.let(action, now):
                        ready.append(action)
                case Wish() | Request():
                    self._sink.ask(self, action)
        self._send(ready, now)
        self._changed.set()
        if self.connection.up and self._will != self.dialect.will:
            self.connection.renew()
        elif not self.connection.up and self._will is None and self.dialect.ready:
            self.connection.wake()

    def _send(self, messages: Sequence[Publication], now: float) -> None:
        if messages:
            for message in messages:
                self.published[message.traffic.value] += 1
            self.outbox.put(messages, now)
            self.connection.poke()

    async def live(self) -> None:
        """Call the dialect when it is due."""
        hub = self._sink.hub
        while True:
            now = hub.moment().monotonic
            due = [now + SIGN_EVERY]
            due += [time for time in (self.dialect.due, self._pacer.due) if time is not None]
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with self._sink.clock.timeout(max(0.0, min(due) - now)):
                    await self._changed.wait()
            moment = hub.moment()
            self._sink.sign()
            self._send(self._pacer.release(moment.monotonic), moment.monotonic)
            if self.dialect.due is not None and self.dialect.due <= moment.monotonic:
                if self.opening:
                    self._open(self.dialect.tick(moment), moment.monotonic)
                else:
                    self.act(self.dialect.tick(moment))
                # A dialect that is always due must not keep the loop from turning.
                await asyncio.sleep(0)

    def _open(self, actions: Iterable[Action], now: float) -> None:
        """Add to what is said first on a connection, in its order."""
        messages = [one for one in actions if isinstance(one, Publication)]
        for message in messages:
            self.published[message.traffic.value] += 1
        self._pacer.said(messages, now)
        self.outbox.add(messages)
        self.connection.poke()
        self._changed.set()

    # ------------------------------------------------------------------------ from the connection

    @property
    def opening(self) -> bool:
        """Whether the dialect is still saying what it says first."""
        return bool(getattr(self.dialect, "opening", False))

    @property
    def ready(self) -> bool:
        """Whether there may be a connection."""
        return self.dialect.ready

    def will(self) -> Publication | None:
        """Return the will of the next connection."""
        self._will = self.dialect.will
        return self._will

    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Return what to subscribe to."""
        return self.dialect.subscriptions

    async def before(self, session: Session) -> None:
        """Nothing: an old program looked at nothing, either."""

    def opened(self, refused: Sequence[str]) -> Iterable[Publication]:
        """Return what the dialect says first."""
        moment = self._sink.hub.moment()
        snapshots = {
            name: snapshot
            for name, snapshot in self._sink.snapshots.items()
            if name in self.dialect.links
        }
        if refused:
            _LOGGER.warning(
                "%s: the broker gives no right to subscribe to %s: commands will not arrive",
                self.name,
                ", ".join(refused),
            )
        self._back(refused)
        found: list[Publication] = []
        for action in self.dialect.connected(snapshots, moment):
            if isinstance(action, Publication):
                found.append(action)
                self.published[action.traffic.value] += 1
            else:
                self._sink.ask(self, action)
        self._pacer.renew(found, moment.monotonic)
        self._changed.set()
        return found

    def _back(self, refused: Sequence[str]) -> None:
        hub = self._sink.hub
        dropped = self.outbox.dropped.total()
        if self._lost_for is not None:
            away = hub.moment().monotonic - self._lost_for
            lost = dropped - self._dropped_before
            _LOGGER.info(
                "%s: connected to %s again after %.0f s; %s",
                self.name,
                self._sink.broker.address,
                away,
                f"{lost} messages were dropped" if lost else "nothing was dropped",
            )
        else:
            _LOGGER.info("%s: connected to %s", self.name, self._sink.broker.address)
        self._dropped_before = dropped
        self._lost_at = self._lost_for = self._told = None
        self.state, self.why = SinkState.OK, None
        if refused:
            self.state = SinkState.CONFIG_ERROR
            self.why = f"no right to subscribe to {', '.join(refused)}: commands will not arrive"

    def received(self, message: Incoming) -> None:
        """Pass a message to the dialect."""
        moment = self._sink.hub.moment()
        self.act(self.dialect.receive(message.topic, message.payload, message.retained, moment))

    def lost(self, error: ConnectionLost, *, again_in: float) -> None:
        """Tell the dialect and, once, people."""
        moment = self._sink.hub.moment()
        if self._lost_for is None:
            self._lost_at, self._lost_for = moment.wall, moment.monotonic
            self.dialect.disconnected(moment)
        self.why = self._sink.hub.mask(str(error))
        configuration = error.loss in _CONFIGURATION
        self.state = SinkState.CONFIG_ERROR if configuration else SinkState.OUTAGE
        told = self._told
        again = (
            told is not None
            and error.loss is Loss.NAME_NOT_FOUND
            and moment.monotonic - told[1] >= NAME_AGAIN
        )
        if told is None or told[0] is not error.loss or again:
            if told is None or configuration or again:
                _LOGGER.warning(
                    "%s: no connection to %s: %s; trying again",
                    self.name,
                    self._sink.broker.address,
                    self.why,
                )
            self._told = (error.loss, moment.monotonic)
        _LOGGER.debug("%s: %s; next try in %.1f s", self.name, self.why, again_in)

    def last_words(self) -> Iterable[Publication]:
        """Return what the dialect says before an orderly end."""
        for action in self.dialect.stopping(self._sink.hub.moment()):
            if isinstance(action, Publication):
                yield action

    @property
    def delivered(self) -> bool:
        """Whether nothing is left to say; a dialect that has nothing to speak of has not begun."""
        return self.connection.idle or not (self.dialect.ready or len(self.outbox))

    @property
    def since(self) -> datetime | None:
        """Since when there is no connection."""
        return self._lost_at


class NativeChannel(Channel):
    """The native dialect's connection: it looks for another bridge under the same prefix."""

    dialect: NativeDialect

    def __init__(self, sink: MqttSink, dialect: NativeDialect, client_id: str) -> None:
        super().__init__(
            sink,
            dialect,
            client_id,
            min_interval=float(sink.settings.get("min_interval", 1.0)),
            queue=int(sink.settings.get("queue", 1000)),
        )
        self._looked = False

    async def before(self, session: Session) -> None:
        """Look for another bridge, on the first connection. Raises :class:`ConnectionLost`."""
        if self._looked:
            return
        topics = self.dialect.topics
        info = topics.bridge("info")
        found = await session.retained([info, topics.state], LOOK_ROUND)
        instance = _instance(found.get(info))
        own = instance in (None, self._sink.hub.instance)
        if not own and found.get(topics.state) == ONLINE.encode():
            raise ConnectionLost(
                Loss.OTHER_BRIDGE,
                f"another bridge ({_ident(found.get(info))}) uses the prefix"
                f" {topics.prefix} on this broker",
            )
        if not self.dialect.remembers:
            # No state folder, or a first start: the broker may know more than we do.
            pattern = f"{topics.discovery}/device/+/config"
            self.dialect.recall(await session.below(pattern, LOOK_ROUND))
        self._looked = True


def _instance(info: bytes | None) -> str | None:
    told = _json(info)
    found = told.get("instance")
    return found if isinstance(found, str) else None


def _ident(info: bytes | None) -> str:
    return str(_json(info).get("id", "unknown"))[:64]


def _json(payload: bytes | None) -> Mapping[str, Any]:
    try:
        found = read_json(payload or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class MqttSink:
    """One broker."""

    type: ClassVar[str] = "mqtt"

    def __init__(self, name: str, settings: Mapping[str, Any], hub: Hub) -> None:
        self.name = name
        self.settings = settings
        self.hub = hub
        self.clock = hub.clock
        self.broker = broker_of(settings)
        self.taken_id: str | None = None
        """The client id, once somebody wanted it."""
        self.snapshots: dict[str, Snapshot] = {}
        self.channels: list[Channel] = []
        self._asked: dict[Wish | Request, Channel] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._runs = False

    @property
    def client_id(self) -> str:
        """The configured client id, else one that a restart keeps (spec c.2).

        At a broker that an earlier sink has, the sink's name is added: two connections with one id
        would drive each other out.
        """
        if self.taken_id is None:
            told = self.settings.get("client_id")
            self.taken_id = str(told) if told else self._usual_client_id()
        return self.taken_id

    def _usual_client_id(self) -> str:
        instance = self.hub.instance.replace("-", "")
        found, earlier = f"{self.hub.settings.get('id', 'hardwired')}-{instance[:8]}", True
        for name, other in self.hub.sinks.items():
            if name == self.name:
                earlier = False
            elif (
                isinstance(other, MqttSink)
                and other.broker.place == self.broker.place
                # One that CONFIG names behind us may have it since before a reload.
                and (other.taken_id == found or (earlier and other.taken_id is None))
            ):
                return f"{found}-{self.name}"
        return found

    def make_channels(self) -> list[Channel]:
        """Return the channels that CONFIG asks for."""
        client_id = self.client_id
        native = NativeDialect(self.name, self.settings, self.hub, self.hub.store(self._store))
        found: list[Channel] = []
        ids: Counter[str] = Counter()
        if native.links:
            found.append(NativeChannel(self, native, client_id))
        for link, dialect in self.legacy():
            own = f"{client_id}-{dialect.name}-{link}" if found else client_id
            ids[own] += 1
            if ids[own] > 1:  # one dialect twice for one link, on other topics
                own = f"{own}-{ids[own]}"
            queue = int(self.settings.get("queue", 1000))
            if topics := native.left(dialect.name):
                give_back = partial(native.give_back, dialect.name)
                dialect = Returning(dialect, topics, give_back)  # noqa: PLW2901 - in its place
            found.append(Channel(self, dialect, own, queue=queue))
        return found

    @property
    def _store(self) -> str:
        return f"announced-{self.name}"

    def legacy(self) -> Iterable[tuple[str, Dialect]]:
        """Return links and old programs' dialects of this sink, in the order of CONFIG."""
        from ..compat.dialects import make_dialect  # noqa: PLC0415 - only where one is configured

        for link, view in self.hub.links.items():
            for settings in view.settings.get("legacy") or ():
                if settings.get("sink", self.name) == self.name:
                    told = {**settings, "read_only": self.settings.get("read_only", False)}
                    yield link, make_dialect(told, view, self.hub, self.name)

    # ------------------------------------------------------------------------ life

    async def run(self) -> None:
        """Live until cancelled or stopped."""
        self.channels = self.make_channels()
        self._runs = True
        self.snapshots = {name: view.snapshot for name, view in self.hub.links.items()}
        connections = [asyncio.create_task(one.connection.run()) for one in self.channels]
        lives = [asyncio.create_task(one.live()) for one in self.channels]
        self._tasks = connections
        try:
            if not connections:
                await asyncio.Event().wait()
            await self._watch(connections, lives)
        finally:
            for task in (*connections, *lives):
                task.cancel()
            await asyncio.gather(*connections, *lives, return_exceptions=True)
            self.hub.report(self._watch_name, None)

    async def _watch(
        self, connections: list[asyncio.Task[None]], lives: list[asyncio.Task[None]]
    ) -> None:
        """Wait until all connections have ended. Raises what one of the tasks has met."""
        pending: set[asyncio.Task[None]] = set(connections)
        while pending:
            ended, _ = await asyncio.wait({*pending, *lives}, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            pending -= ended

    @property
    def _watch_name(self) -> str:
        return f"sink {self.name}"

    def sign(self) -> None:
        """Tell the watchdog that the sink lives."""
        self.hub.report(self._watch_name, self.hub.moment().monotonic + SIGN_WITHIN)

    def wake(self) -> None:
        """Try again at once."""
        for channel in self.channels:
            channel.connection.wake()

    async def stop(self, deadline: float) -> None:
        """Say the last words of each dialect and disconnect."""
        for channel in self.channels:
            channel.connection.finish()
        left = deadline - self.hub.moment().monotonic
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, left))

    # ------------------------------------------------------------------------ from the bridge

    def snapshot(self, link: str, before: Snapshot | None, after: Snapshot) -> None:
        """Pass a snapshot to the dialects that speak of its link."""
        self.snapshots[link] = after
        moment = self.hub.moment()
        for channel in self.channels:
            if link in channel.dialect.links:
                channel.act(channel.dialect.snapshot(link, before, after, moment))

    def occurrence(self, link: str, occurrence: Occurrence) -> None:
        """Pass an occurrence on."""
        moment = self.hub.moment()
        for channel in self.channels:
            if link in channel.dialect.links:
                channel.act(channel.dialect.occurrence(link, occurrence, moment))

    def forget(self, link: str, device: str) -> None:
        """Take a device away that somebody has removed over another sink."""
        for channel in self.channels:
            if link in channel.dialect.links and hasattr(channel.dialect, "forget"):
                channel.act(channel.dialect.forget(link, device))

    def ask(self, channel: Channel, action: Wish | Request) -> None:
        """Ask the bridge for something on behalf of a dialect."""
        self._asked[action] = channel
        if isinstance(action, Wish):
            self.hub.wish(self.name, action)
        else:
            self.hub.request(self.name, action)

    def answered(self, wish: Wish | Request, outcome: Outcome) -> None:
        """Give an answer to the dialect that asked."""
        channel = self._asked.pop(wish, None)
        if channel is not None:
            channel.act(channel.dialect.answered(wish, outcome, self.hub.moment()))

    # ------------------------------------------------------------------------ how it is

    @property
    def full(self) -> bool:
        """Whether a source that can wait should."""
        half = int(self.settings.get("queue", 1000)) // 2
        return any(
            channel.connection.up and len(channel.outbox) > half for channel in self.channels
        )

    @property
    def empty(self) -> bool:
        """Whether all that its links have said has arrived."""
        return self._runs and all(channel.delivered for channel in self.channels)

    @property
    def health(self) -> SinkHealth:
        """How it is: as bad as the worst of its connections."""
        order = (SinkState.CONFIG_ERROR, SinkState.OUTAGE, SinkState.OK)
        worst = min(self.channels, key=lambda one: order.index(one.state), default=None)
        if worst is None:
            return SinkHealth(type=self.type)
        why = worst.why
        deaf = any(getattr(one.dialect, "deaf", False) for one in self.channels)
        if why is None and deaf:
            why = "the broker takes our messages and does not pass them on: rights?"
        return SinkHealth(
            type=self.type,
            state=SinkState.CONFIG_ERROR if worst.state is SinkState.OK and deaf else worst.state,
            why=why,
            since=worst.since,
            published=sum(one.connection.published for one in self.channels),
            coalesced=sum(one.outbox.coalesced for one in self.channels),
            dropped=sum(one.outbox.dropped.total() for one in self.channels),
            waiting=sum(len(one.outbox) for one in self.channels),
        )

    def samples(self) -> Iterable[Sample]:
        """Return its metrics (spec f.5)."""
        up = bool(self.channels) and all(one.connection.up for one in self.channels)
        yield Sample("hardwired_mqtt_connected", {}, float(up))
        published: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        ignored: Counter[str] = Counter()
        for one in self.channels:
            published += one.published
            dropped += one.outbox.dropped
            ignored += getattr(one.dialect, "ignored", Counter())
            ignored["too_many"] += one.connection.ignored
        for kind, count in published.items():
            yield Sample("hardwired_mqtt_messages_total", {"class": kind}, count)
        coalesced = sum(one.outbox.coalesced for one in self.channels)
        yield Sample("hardwired_mqtt_coalesced_total", {}, coalesced)
        for kind, count in dropped.items():
            yield Sample("hardwired_mqtt_dropped_total", {"class": kind}, count)
        for reason, count in ignored.items():
            yield Sample("hardwired_mqtt_ignored_total", {"reason": reason}, count)


async def check(settings: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the broker of a sink's table; ``None``: it takes us."""
    client_id = f"{settings.get('client_id') or 'hardwired'}-check"  # not the bridge's: it may run
    broker = broker_of(settings)
    try:
        async with logged_in(broker, client_id):
            return None
    except ConnectionLost as lost:
        return f"{broker.address}: {lost}"


def make(name: str, settings: Mapping[str, Any], hub: Hub) -> MqttSink:
    """Return the sink of a ``[sinks.NAME]`` of type mqtt."""
    return MqttSink(name, settings, hub)
