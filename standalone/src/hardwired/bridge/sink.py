"""The contracts of the bridge: sinks, and the dialects that MQTT sinks speak (spec c.11).

A :class:`Sink` is one place where values go: a broker, a time-series server. A :class:`Dialect`
is a set of topics and what it makes of values and wishes; it is pure: no I/O, no clock but the
:class:`Moment` that each call brings. A :class:`Hub` is the bridge as sinks see it. Everything
here runs in the one event loop; nothing here knows a family or a dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeAlias

from hardwired_engines.clock import Clock
from hardwired_engines.composite import Wish as PartWish
from hardwired_engines.engine import Command, DeviceState, Notice, Occurrence, Snapshot
from hardwired_engines.factory import EngineFactory


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a call: seconds that never run backwards, and the wall clock in UTC."""

    monotonic: float
    wall: datetime


# ------------------------------------------------------------------------- what a dialect returns


class Traffic(StrEnum):
    """What a publication is, for its place in the queue and the counters (spec c.4, f.5).

    ``STATE``, ``DISCOVERY`` and ``OTHER`` (availability, about, bridge topics, notices) are the
    latest of their topic when retained; the others pass.
    """

    STATE = "state"
    DISCOVERY = "discovery"
    EVENT = "event"
    RESULT = "result"
    RESPONSE = "response"
    HEALTH = "health"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to publish. ``at_once``: past the topic's ``min_interval``, after a command."""

    topic: str
    payload: str
    retain: bool = False
    qos: int = 0
    traffic: Traffic = Traffic.STATE
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wish:
    """A wish for a device, checked by itself.

    ``command`` names the device; with ``composite`` (a key) its ``parts`` become field values
    when the window closes. All plain ``set`` wishes for one device within the window, from all
    sinks, are one Command (spec c.6); ``alone`` waits for nobody: a SIGNAL, a family's verb, a
    dialect that has collected already. ``ticket`` is the asker's own and comes back with it.
    """

    link: str
    command: Command
    composite: str | None = None
    parts: tuple[PartWish, ...] = ()
    alone: bool = False
    ticket: Any = None


class Verb(StrEnum):
    """What may be asked of the bridge itself (spec c.7)."""

    HEALTH = "health"
    NOTICES = "notices"
    REFRESH = "refresh"
    RESTART = "restart"
    LOG_LEVEL = "log_level"
    READ = "read"
    REMOVE = "remove"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """Something asked of the bridge, checked against what exists.

    ``keys`` are the values that READ must fetch from the device. Writing, and what a family
    carries out itself (``fast``, its ``refresh``), are wishes.
    """

    verb: Verb
    link: str | None = None
    device: str | None = None
    keys: tuple[str, ...] = ()
    level: str | None = None
    module: str | None = None
    minutes: int | None = None
    ticket: Any = None


Action: TypeAlias = Publication | Wish | Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a wish or a request.

    ``key`` is ``None`` when it was carried out (spec c.6 lists the others), ``text`` says why
    not, ``placeholders`` fill the text in other languages. ``state`` is the device afterwards;
    ``data`` what a reading command or a request has brought; ``took`` seconds.
    """

    key: str | None = None
    text: str = ""
    placeholders: Mapping[str, str] = field(default_factory=_nothing)
    state: DeviceState | None = None
    data: Mapping[str, Any] | None = None
    took: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was carried out."""
        return self.key is None


class Dialect(Protocol):
    """A set of topics on one connection (spec c.11). Pure; each call returns what to do, in order.

    The native dialect and the GX are made once per sink, the old programs' once per legacy entry.
    """

    name: str
    """For the log and the client id."""

    @property
    def links(self) -> frozenset[str]:
        """The links of which it speaks."""

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Topic filters, each with its QoS."""

    @property
    def ready(self) -> bool:
        """Whether it can connect: it knows its will, or needs none."""

    @property
    def will(self) -> Publication | None:
        """The last will; asked before each connect, and a change of it needs a new connection."""

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """The connection stands and the subscriptions are made: everything anew."""

    def disconnected(self, now: Moment) -> None:
        """The connection is lost."""

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """A link knows something new; *before* is what this dialect saw last."""

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Something happened, or was read."""

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """A message came."""

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """What this dialect asked for was carried out, or not."""

    @property
    def due(self) -> float | None:
        """The monotonic time at which it wants to be called next; ``None``: not by itself."""

    def tick(self, now: Moment) -> list[Action]:
        """It is time: repeats, windows, waits."""

    def stopping(self, now: Moment) -> list[Action]:
        """Last words before an orderly end."""


# ------------------------------------------------------------------------------------ the bridge


@dataclass(frozen=True, slots=True)
class StandingNotice:
    """A notice and since when it stands, in UTC; ``text`` in the bridge's language."""

    notice: Notice
    since: datetime
    text: str


class LinkView(Protocol):
    """One ``[devices.NAME]`` as sinks and dialects see it. The same object while it lives."""

    name: str
    family: str
    factory: EngineFactory[Any]
    settings: Mapping[str, Any]
    """Its table of CONFIG with all defaults: ``area``, ``native``, ``include``, ``legacy`` ..."""
    zone: tzinfo | None

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written: the bridge's or the link's word."""

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""

    @property
    def notices(self) -> Sequence[StandingNotice]:
        """What the owner should know, in order of age."""

    @property
    def known(self) -> Mapping[str, str]:
        """Every device ever seen: id -> slug, in the order of first sight (spec c.1)."""

    def want(self, device: str, key: str, every: float | None = None) -> None:
        """Ask that a value be read as long as the sinks are the same (spec c.10)."""


class Store(Protocol):
    """A JSON file of the state folder, or memory where there is none."""

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last; empty the first time."""

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*; returns at once."""


class Hub(Protocol):
    """The bridge as a sink sees it."""

    settings: Mapping[str, Any]
    """``[bridge]`` with all defaults: ``id``, ``name``, ``language``, ``read_only`` ..."""
    instance: str
    """The uuid of this installation."""
    version: str
    started: datetime
    clock: Clock
    """The time by which everything here waits."""

    @property
    def log_level(self) -> str:
        """The level of the log now."""

    @property
    def links(self) -> Mapping[str, LinkView]:
        """The enabled links, in the order of CONFIG."""

    @property
    def configured(self) -> frozenset[str]:
        """The names of all links of CONFIG, those that are off included."""

    @property
    def sinks(self) -> Mapping[str, Sink]:
        """The enabled sinks, in the order of CONFIG."""

    def moment(self) -> Moment:
        """Return the time."""

    def wish(self, sink: str, wish: Wish) -> None:
        """Queue a wish; the sink's ``answered`` is called when it is settled."""

    def request(self, sink: str, request: Request) -> None:
        """Carry out a request; the sink's ``answered`` is called when it is settled."""

    def health(self) -> Mapping[str, Any]:
        """Return the bridge's health (spec f.4), plain JSON types, masked."""

    def mask(self, text: str) -> str:
        """Return *text* without secrets (spec h.4)."""

    def store(self, name: str) -> Store:
        """Return a file of the state folder, by its name without ``.json``."""

    def report(self, name: str, due: float | None) -> None:
        """Tell the watchdog: alive, next report by the monotonic time *due*; ``None``: ended."""


# ----------------------------------------------------------------------------------------- sinks


class Unusable(Exception):
    """CONFIG, or what it names, can't be used as it is: the program ends with code 78."""


class SinkState(StrEnum):
    """How a sink is."""

    OK = "ok"
    OUTAGE = "outage"
    CONFIG_ERROR = "config_error"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkHealth:
    """A sink's state and counters (spec f.4). Counters that a type has not are ``None``."""

    type: str
    state: SinkState = SinkState.OFF
    why: str | None = None
    since: datetime | None = None
    published: int | None = None
    coalesced: int | None = None
    dropped: int = 0
    waiting: int = 0
    accepted: int | None = None
    delivered: int | None = None
    refused: int | None = None
    set_aside: int | None = None
    oldest: datetime | None = None
    spool: str | None = None
    """``disk``, ``memory`` or ``None``."""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the metrics (spec f.5): name, labels without the sink's own, value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Sink(Protocol):
    """One place where values go. Made by its module's ``make(name, settings, hub)``.

    ``snapshot``, ``occurrence`` and ``answered`` return at once; they are called from the sink's
    own feeding task and never while ``run`` has not begun.
    """

    type: ClassVar[str]
    name: str

    async def run(self) -> None:
        """Live until cancelled; connect and reconnect. Raises only what is unforeseen."""

    def snapshot(self, link: str, before: Snapshot | None, after: Snapshot) -> None:
        """A link knows something new; *before* is what this sink took last."""

    def occurrence(self, link: str, occurrence: Occurrence) -> None:
        """Something happened, or was read. In order."""

    def answered(self, wish: Wish | Request, outcome: Outcome) -> None:
        """What this sink asked for was settled."""

    def wake(self) -> None:
        """Try again at once: SIGHUP."""

    async def stop(self, deadline: float) -> None:
        """Say the last words and leave all in order by the monotonic *deadline*."""

    @property
    def full(self) -> bool:
        """Whether a source that can wait should (the sink's own queue is over half)."""

    @property
    def empty(self) -> bool:
        """Whether all that it took has arrived."""

    @property
    def health(self) -> SinkHealth:
        """How it is."""

    def samples(self) -> Iterable[Sample]:
        """Return its metrics."""
