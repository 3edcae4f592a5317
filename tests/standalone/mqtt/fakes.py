"""A small bridge for the MQTT tests: links whose snapshots are set by hand, wishes that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from hardwired.bridge.sink import (
    Action,
    Dialect,
    LinkView,
    Moment,
    Outcome,
    Request,
    Sink,
    StandingNotice,
    Wish,
)
from hardwired.mqtt.topics import slug
from hardwired_engines.clock import Clock, SystemClock
from hardwired_engines.composite import Composite
from hardwired_engines.engine import Device, DeviceState, Engine, Reason, Snapshot
from hardwired_engines.factory import EngineFactory, OnProgress, ProbeResult, Surroundings
from hardwired_engines.fields import Catalogue, Field, Quantity, Value

WALL = datetime(2026, 11, 28, 12, tzinfo=UTC)


class FakeFactory(EngineFactory[Any]):
    """A family of made-up devices."""

    key = "makeup"

    def __init__(
        self,
        *,
        identified: bool = True,
        requests: Iterable[str] = (),
        composites: Mapping[str, tuple[Composite, ...]] | None = None,
    ) -> None:
        self._identified = identified
        self.requests = frozenset(requests)  # type: ignore[misc]
        self._composites = composites or {}

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        return {}

    def composites(self, kind: str) -> tuple[Composite, ...]:
        return self._composites.get(kind, ())

    def identified(self, device: Device) -> bool:
        return self._identified

    def read(self, values: Mapping[str, Any]) -> Any:
        return values

    def make(self, settings: Any, surroundings: Surroundings) -> Engine:
        raise NotImplementedError

    async def probe(
        self,
        settings: Any,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        raise NotImplementedError


@dataclass
class FakeLink:
    """A link whose snapshot the test sets."""

    name: str
    factory: EngineFactory[Any] = field(default_factory=FakeFactory)
    family: str = "makeup"
    settings: Mapping[str, Any] = field(default_factory=dict)
    zone: tzinfo | None = UTC
    read_only: bool = False
    snapshot: Snapshot = field(default_factory=Snapshot)
    notices: Sequence[StandingNotice] = ()
    wanted: list[tuple[str, str, float | None]] = field(default_factory=list)
    stored: Sequence[str] = ()

    @property
    def known(self) -> Mapping[str, str]:
        return {ident: slug(ident) for ident in (*self.stored, *self.snapshot.devices)}

    def want(self, device: str, key: str, every: float | None = None) -> None:
        self.wanted.append((device, key, every))


class MemoryStore:
    """Keeps data for as long as the test."""

    def __init__(self) -> None:
        self.data: Mapping[str, Any] = {}

    def load(self) -> Mapping[str, Any]:
        return self.data

    def save(self, data: Mapping[str, Any]) -> None:
        self.data = data


class FakeHub:
    """A bridge that collects wishes and requests."""

    def __init__(self, *links: FakeLink, clock: Clock | None = None, **settings: Any) -> None:
        self.settings: Mapping[str, Any] = {"id": "hardwired", "name": "Hardwired", **settings}
        self.instance = "11112222-3333-4444-5555-666677778888"
        self.version = "1.0.0"
        self.started = WALL
        self.log_level = "info"
        self.links: Mapping[str, LinkView] = {link.name: link for link in links}
        self.sinks: Mapping[str, Sink] = {}
        self.clock = clock or SystemClock()
        self.wishes: list[Wish] = []
        self.requests: list[Request] = []
        self.stores: dict[str, MemoryStore] = {}
        self.asked = asyncio.Event()
        self.on_wish: Callable[[Wish], None] | None = None

    @property
    def configured(self) -> frozenset[str]:
        return frozenset(self.links)

    def moment(self) -> Moment:
        return Moment(self.clock.monotonic(), self.clock.now())

    def wish(self, sink: str, wish: Wish) -> None:
        self.wishes.append(wish)
        self.asked.set()
        if self.on_wish is not None:
            self.on_wish(wish)

    def request(self, sink: str, request: Request) -> None:
        self.requests.append(request)
        self.asked.set()

    def health(self) -> Mapping[str, Any]:
        return {"state": "ok"}

    def mask(self, text: str) -> str:
        return text.replace("geheim", "***")

    def store(self, name: str) -> MemoryStore:
        return self.stores.setdefault(name, MemoryStore())

    def report(self, name: str, due: float | None) -> None:
        pass


NUMBERS = [
    Field(key=f"value_{number}", name=f"Value {number}", quantity=Quantity.NUMBER)
    for number in range(50)
]
LAMP = Field(key="lamp", name="Lamp", quantity=Quantity.BOOLEAN, writable=True)
NOTE = Field(key="note", name="Note", quantity=Quantity.EVENT, options=("frost",))
FIELDS = Catalogue("thing", [*NUMBERS, LAMP, NOTE])


def thing(ident: str = "thing", **values: Value | None) -> DeviceState:
    """Return a device with a few values."""
    return DeviceState(Device(ident, "thing", ident.capitalize()), values, fields=FIELDS)


def connected(*states: DeviceState) -> Snapshot:
    """Return a snapshot of a link that is up."""
    return Snapshot({state.device.id: state for state in states}, connected=True, reason=None)


def lost(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of a link that has gone down."""
    devices = {ident: replace(state, available=False) for ident, state in snapshot.devices.items()}
    return Snapshot(devices, connected=False, reason=Reason.DISCONNECTED)


def opened(dialect: Dialect, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
    """Return all that a dialect says after connecting, however many turns it takes."""
    found = list(dialect.connected(links, now))
    while getattr(dialect, "opening", False):
        found += dialect.tick(now)
    return found


OK = Outcome()
