"""A family for the bridge's tests: an engine that does what the test says, through a factory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from hardwired_engines.engine import (
    BaseEngine,
    Command,
    Device,
    DeviceState,
    EngineError,
    OnOccurrence,
    OnSnapshot,
    Reading,
    Reason,
    Snapshot,
)
from hardwired_engines.factory import EngineFactory, ProbeResult, Surroundings
from hardwired_engines.fields import Catalogue, Field, Quantity

FIELDS = Catalogue(
    "heater",
    [
        Field(key="room", name="Room", quantity=Quantity.TEMPERATURE, unit="°C", precision=1),
        Field(
            key="target",
            name="Target",
            quantity=Quantity.TEMPERATURE,
            unit="°C",
            writable=True,
            minimum=5,
            maximum=30,
        ),
        Field(
            key="mode",
            name="Mode",
            quantity=Quantity.OPTION,
            options=("off", "eco"),
            writable=True,
        ),
        Field(key="problem", name="Problem", quantity=Quantity.PROBLEM),
    ],
)
HEATER = Device("heater", "heater", "Heater")


class FakeEngine(BaseEngine):
    """Says what it is told to say; carries out commands at once, or when ``allow`` is set."""

    catalogues: Mapping[str, Catalogue] = {"heater": FIELDS}

    def __init__(self, surroundings: Surroundings, factory: FakeFactory) -> None:
        super().__init__(surroundings.clock)
        self.surroundings = surroundings
        self.factory = factory
        self.commands: list[Command] = []
        self.fail: Exception | None = None
        self.refuse: EngineError | None = None
        self.allow = asyncio.Event()
        self.allow.set()
        self.finish = asyncio.Event()
        self.woken = 0

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        self._on_snapshot, self._on_occurrence = on_snapshot, on_occurrence
        self._sign()
        if self.factory.fails:
            raise self.factory.fails.pop(0)
        self.show(room=20.5, target=21.0, mode="eco", problem=False)
        await self.finish.wait()
        if self.fail is not None:
            raise self.fail

    def show(self, *, connected: bool = True, **values: Any) -> None:
        state = DeviceState(HEATER, MappingProxyType(values), fields=FIELDS)
        reason = None if connected else Reason.SILENT
        self._publish_snapshot(Snapshot({"heater": state}, connected, reason))

    def read(self, moment: datetime | None = None, **values: Any) -> None:
        assert self._on_occurrence is not None
        self._on_occurrence(Reading(HEATER, moment or datetime.now(UTC), values))

    async def execute(self, command: Command) -> Mapping[str, Any]:
        self.commands.append(command)
        await self.allow.wait()
        if self.refuse is not None:
            raise self.refuse
        state = self.snapshot.devices["heater"]
        self.show(**{**state.values, **command.values})
        return {}

    def wake(self) -> None:
        self.woken += 1


class FakeFactory(EngineFactory[Mapping[str, Any]]):
    """Makes them; the newest is ``engine``."""

    key = "truma"

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []
        self.fails: list[Exception] = []

    @property
    def engine(self) -> FakeEngine:
        return self.engines[-1]

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        return {"heater": FIELDS}

    def read(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(values)

    def make(self, settings: Mapping[str, Any], surroundings: Surroundings) -> FakeEngine:
        engine = FakeEngine(surroundings, self)
        self.engines.append(engine)
        return engine

    async def probe(self, settings: Any, surroundings: Surroundings, **more: Any) -> ProbeResult:
        return ProbeResult(devices=(HEATER,))
