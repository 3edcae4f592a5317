"""Watches what an engine publishes, and compares it with what was true at the simulated plant."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Occurrence, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.studer.catalogue import point_of, to_field
from hardwired_engines.studer.datapoints.datapoint import Datapoint
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom.values import Format, WireValue
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator.world import World, make

from .simulated import START

RECENT = 120.0
"""How old the truth may be that is published: the values of a slow round may come together.

No two readings are equal, so this is as strict about whose value it is as a second would be.
"""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that was shown and that the device did not hold."""

    time: float
    device: str
    number: int
    shown: Value
    held: tuple[float, ...]


@dataclass(slots=True)
class Judge:
    """Hears every snapshot. ``wrong`` is what should never have been shown."""

    world: World
    clock: ManualClock
    checked: int = 0
    snapshots: int = 0
    oldest: float = 0.0
    """How old the truth was at most when it was shown."""
    wrong: list[Wrong] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)
    absences: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    """Per device, when it became available or ceased to be."""
    _last: Snapshot = field(default_factory=Snapshot)

    def __call__(self, snapshot: Snapshot) -> None:
        self.snapshots += 1
        now = self.clock.monotonic()
        for device, state in snapshot.devices.items():
            before = self._last.devices.get(device)
            if before is state:
                continue
            if before is None or before.available != state.available:
                self.absences.setdefault(device, []).append((now, state.available))
            for key, value in state.values.items():
                if value is None or not state.available:
                    continue
                if before is not None and before.available and before.values.get(key) == value:
                    continue
                self._check(device, state.device.kind, key, value, now)
        self._last = snapshot

    def _check(self, device: str, kind: str, key: str, value: Value, now: float) -> None:
        point = point_of(kind, key)
        if point is None:
            return
        owner = "xcom" if kind == "xcom" else device
        held = self.world.truth.held(owner, point.id, now - RECENT, now)
        self.checked += 1
        ages = [
            now - one.time
            for one in held
            if to_field(point, as_wire(point, one.value), None) == value
        ]
        if ages:
            self.oldest = max(self.oldest, min(ages))
        elif not (point.is_parameter and value in self._settings(owner, point)):
            values = tuple(one.value for one in held[-6:])
            self.wrong.append(Wrong(now, device, point.id, value, values))

    def _settings(self, owner: str, point: Datapoint) -> tuple[Value | None, ...]:
        """Return what a parameter is now, in flash and in RAM, whoever has asked when."""
        found = next((d.parameters for d in self.world.devices if d.fid == owner), None)
        parameters = found or self.world.gateway.parameters
        numbers = (parameters.saved(point.id), parameters.in_force(point.id))
        return tuple(to_field(point, as_wire(point, number), None) for number in numbers)

    def lost_at(self, device: str) -> list[float]:
        """Return when a device became unavailable."""
        return [time for time, available in self.absences.get(device, []) if not available]

    def found_at(self, device: str) -> list[float]:
        """Return when a device became available."""
        return [time for time, available in self.absences.get(device, []) if available]


def as_wire(point: Datapoint, value: float) -> WireValue:
    match point.wire_format:
        case Format.FLOAT:
            return float(value)
        case Format.BOOL:
            return bool(value)
        case _:
            return int(value)


@dataclass(slots=True)
class Trial:
    """An engine on a simulated plant, with a judge, and a clock that is turned by hand."""

    world: World
    clock: ManualClock
    engine: StuderEngine
    judge: Judge
    task: asyncio.Task[None]

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    async def run(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        assert not self.task.done(), "the engine lives until it is cancelled"

    async def run_until_started(self) -> None:
        for _ in range(120):
            await self.run(1)
            if self.engine.snapshot.connected:
                await self.run(15)
                return
        raise AssertionError("the engine has not started")

    def fid(self, address: int) -> str:
        return self.world.device(address).fid

    def value(self, address: int, key: str) -> Value | None:
        return self.engine.snapshot.value(self.fid(address), key)

    def available(self, address: int) -> bool:
        state = self.engine.snapshot.devices.get(self.fid(address))
        return state is not None and state.available

    def inject(self, fault: str, **options: Any) -> None:
        self.world.advance(self.now)
        self.world.inject(fault, self.now, **options)


@asynccontextmanager
async def trial(
    settings: dict[str, Any] | None = None, storage: Any = None, **query: Any
) -> AsyncIterator[Trial]:
    """Let an engine run on a simulated plant."""
    clock = ManualClock()
    texts = {"start": START, "grid": "always", **{k: str(v) for k, v in query.items()}}
    port = make(texts)
    chosen = StuderSettings.from_mapping({"link": "sim://plant", **(settings or {})})
    engine = StuderEngine(chosen, clock, storage=storage, world=port)
    judge = Judge(port.world, clock)
    task = asyncio.ensure_future(engine.run(judge, judge.occurrences.append))
    try:
        yield Trial(port.world, clock, engine, judge, task)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
