"""A simulated Studer plant under an engine, with everything published held against the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Device, Direction, RecordedFrame, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.storage import Storage
from hardwired_engines.studer.catalogue import SYSTEM, XCOM, point_of, to_field
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom.values import Format
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator.world import World, make

STEP = 0.25


def as_float32(point_format: Format | None, value: float) -> float:
    """Return what a device's value is once it has been on the wire."""
    if point_format is not Format.FLOAT:
        return value
    from hardwired_engines.studer.scom.values import decode, encode  # noqa: PLC0415

    wire = decode(Format.FLOAT, encode(Format.FLOAT, value))
    assert isinstance(wire, float)
    return wire


@dataclass
class Auditor:
    """Takes every snapshot and asks the plant whether its values were ever true."""

    world: World
    published: int = 0
    wrong: list[str] = field(default_factory=list)
    _seen: dict[str, Mapping[str, Value | None]] = field(default_factory=dict)

    def take(self, snapshot: Snapshot) -> None:
        """Check what is new in a snapshot."""
        for state in snapshot.devices.values():
            device = state.device
            before = self._seen.get(device.id, {})
            if state.values is before or device.kind in (XCOM, SYSTEM):
                continue
            self._seen[device.id] = state.values
            for key, value in state.values.items():
                if value is not None and before.get(key) != value:
                    self._check(device, key, value)

    def _check(self, device: Device, key: str, value: Value) -> None:
        point = point_of(device.kind, key)
        if point is None:
            return
        self.published += 1
        held = self.world.truth.held(device.id, point.id)
        if not any(
            to_field(point, as_float32(point.wire_format, entry.value), None) == value
            for entry in reversed(held)
        ):
            self.wrong.append(f"{device.name} {key} = {value}")


@dataclass
class Trial:
    """An engine on a simulated plant, both on a clock that is turned by hand."""

    engine: StuderEngine
    world: World
    clock: ManualClock
    auditor: Auditor
    task: asyncio.Task[None]
    requests: Counter[int]

    @classmethod
    def begin(
        cls, query: Mapping[str, str], storage: Storage | None = None, **settings: Any
    ) -> Trial:
        """Start the engine; it publishes every value, so that each is held against the truth."""
        clock = ManualClock()
        port = make(query)
        engine = StuderEngine(
            StuderSettings.from_mapping({"link": "sim://", "hide_noise": False, **settings}),
            clock,
            zone=UTC,
            storage=storage,
            world=port,
        )
        asked: Counter[int] = Counter()

        def note(frame: RecordedFrame) -> None:
            if frame.direction is Direction.OUT:
                asked[int.from_bytes(frame.data[6:10], "little")] += 1

        engine.frames.listen(note)
        auditor = Auditor(port.world)
        task = asyncio.ensure_future(engine.run(auditor.take))
        return cls(engine, port.world, clock, auditor, task, asked)

    async def until(
        self, condition: Callable[[], bool], limit: float = 300.0, *, step: float = STEP
    ) -> float | None:
        """Let time pass until something holds; returns how long it took, ``None``: too long."""
        began = self.clock.monotonic()
        while not condition():
            if self.clock.monotonic() - began > limit:
                return None
            await self.clock.advance(step, settle=12)
        return self.clock.monotonic() - began

    async def pass_(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds, settle=12)

    async def end(self) -> None:
        """Stop the engine."""
        self.task.cancel()
        await asyncio.wait([self.task])

    def unit(self, address: int) -> str:
        """Return the device at an address."""
        return next(
            key
            for key, state in self.engine.snapshot.devices.items()
            if state.device.address == str(address)
        )

    def asked(self, address: int) -> int:
        """Return how many requests went to an address."""
        return self.requests[address]

    def available(self, unit: str) -> bool:
        """Whether a device is shown as there."""
        state = self.engine.snapshot.devices.get(unit)
        return state is not None and state.available

    def presence(self, address: int) -> str | None:
        """What the engine thinks of the device at an address."""
        for entry in self.engine.diagnostics()["devices"]:
            if entry["device"] == f"xt at {address}":
                found: str | None = entry["presence"]
                return found
        return None

    def everybody(self, xtenders: int) -> bool:
        """Whether all Xtenders are there with a value for the output current."""
        states = [s for s in self.engine.snapshot.devices.values() if s.device.kind == "xt"]
        there = [s for s in states if s.available and s.values.get("output_current") is not None]
        return self.engine.snapshot.connected and len(there) >= xtenders
