"""A gateway with devices for the engine's tests: small, scripted, every request logged.

The simulator plays a whole plant; this double does nothing but what a test tells it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Occurrence, Snapshot
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom import messages, multi_info
from hardwired_engines.studer.scom.families import FAMILIES, Family
from hardwired_engines.studer.scom.frame import Frame, FrameFlags, ObjectType, Request, Service
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.values import Format, encode
from hardwired_engines.studer.settings import StuderSettings

Answer = Frame | bytes | None
Rule = Callable[[Request], Any]
"""Returns an answer (a frame, raw bytes, ``None`` for silence) or ``NotImplemented``."""


@dataclass
class Unit:
    """One device of the double: values by datapoint, RAM apart from flash."""

    family: Family
    fid: tuple[int, int] = (0x1234, 1)
    software: tuple[int, int] = (256, 6 * 256 + 54)
    values: dict[int, float] = field(default_factory=dict)
    ram: dict[int, float] = field(default_factory=dict)
    limits: dict[int, tuple[float, float]] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    dead: int | None = None
    """``None``: alive; 0: silent; else the error code that the gateway gives."""


class Double:
    """Plays the gateway; a :class:`Simulator` for the runners."""

    hung_up = False

    def __init__(self, latency: float = 0.02) -> None:
        self.latency = latency
        self.units: dict[int, Unit] = {501: Unit(Family.RCC, values={5002: 1718100000.0})}
        self.guid: bytes | None = None
        self.flags = FrameFlags.DATALOG_SUPPORTED
        self.messages: list[messages.PlantMessage] = []
        self.multi = False
        self.rules: list[Rule] = []
        self.log: list[Request] = []
        self._parser = Parser()
        self._out: list[tuple[float, bytes]] = []

    def add(self, address: int, family: Family, **values: float) -> Unit:
        """Put a device at an address; *values* like ``i3022=4.5`` or ``p1138=60``."""
        unit = Unit(family, fid=(0x1234, address))
        for name, value in values.items():
            unit.values[int(name[1:])] = value
        self.units[address] = unit
        return unit

    def writes(self) -> list[tuple[int, int, int, bytes]]:
        """Return address, parameter, property and data of every write that came."""
        return [
            (request.destination, request.object_id, request.property_id, request.data)
            for request in self.log
            if request.service is Service.WRITE
        ]

    def reads(self, address: int) -> list[int]:
        """Return the numbers that were read from an address."""
        return [
            request.object_id
            for request in self.log
            if request.service is Service.READ and request.destination == address
        ]

    def later(self, moment: float, data: bytes) -> None:
        """Send bytes at a moment of the clock, asked or not."""
        self._out.append((moment, data))
        self._out.sort(key=lambda entry: entry[0])

    def connected(self, now: float) -> None:
        self._parser = Parser()
        self._out.clear()

    def disconnected(self, now: float) -> None:
        """Nothing to do."""

    def receive(self, data: bytes, now: float) -> None:
        for frame in self._parser.receive_data(data):
            request = Request.of(frame)
            if request is None:
                continue
            self.log.append(request)
            answer = self._answer(request)
            if answer is None:
                continue
            raw = answer.encode() if isinstance(answer, Frame) else answer
            self.later(now + self.latency, raw)

    def transmit(self, now: float) -> bytes:
        if self._out and self._out[0][0] <= now + 1e-9:
            return self._out.pop(0)[1]
        return b""

    def next_due(self, now: float) -> float | None:
        return self._out[0][0] if self._out else None

    def _answer(self, request: Request) -> Answer:
        for rule in tuple(self.rules):
            answer = rule(request)
            if answer is not NotImplemented:
                return answer  # type: ignore[no-any-return]
        if request.destination in (100, 300, 700):
            return self._multicast(request)
        unit = self.units.get(request.destination)
        if unit is None:
            return request.error(2, flags=self.flags)
        if unit.dead == 0:
            return None
        if unit.dead is not None:
            return request.error(unit.dead, flags=self.flags)
        if request.destination == 501 and request.object_type > 2:
            return self._gateway(request)
        return self._datapoint(unit, request)

    def _multicast(self, request: Request) -> Answer:
        if request.service is Service.READ:
            return request.error(0x2D, flags=self.flags)
        for address, unit in self.units.items():
            if address // 100 == request.destination // 100:
                self._datapoint(unit, request)
        return request.answer(flags=self.flags)

    def _gateway(self, request: Request) -> Answer:
        match request.object_type:
            case ObjectType.GUID if self.guid is not None:
                return request.answer(self.guid, flags=self.flags)
            case ObjectType.MESSAGE:
                index = request.object_id
                if index == 0:
                    self.flags &= ~FrameFlags.MESSAGE_PENDING
                if index >= len(self.messages):
                    return request.error(0x22, flags=self.flags)
                return request.answer(self.messages[-1 - index].encode(), flags=self.flags)
            case ObjectType.MULTI_INFO if self.multi:
                items = []
                for item in multi_info.decode_request(request.data):
                    unit = next(
                        (
                            unit
                            for address, unit in self.units.items()
                            if FAMILIES[unit.family].first + item.aggregation - 1 == address
                            and by_id(unit.family, item.info) is not None
                        ),
                        None,
                    )
                    alive = unit is not None and unit.dead is None
                    value = 0.0
                    if unit is not None and alive:
                        told = self._identity(unit, item.info)
                        value = unit.values.get(item.info, 0.0) if told is None else told
                    items.append((item, value))
                data = multi_info.encode(multi_info.MultiInfo(480, 1718100000, tuple(items)))
                return request.answer(data, flags=self.flags)
        return request.error(0x21, flags=self.flags)

    def _datapoint(self, unit: Unit, request: Request) -> Answer:
        number = request.object_id
        point = by_id(unit.family, number)
        if point is None or point.wire_format is None or number in unit.missing:
            return request.error(0x22, flags=self.flags)
        if request.service is Service.WRITE:
            if not point.writable:
                return request.error(0x25, flags=self.flags)
            value = _decode(point.wire_format, request.data)
            low, high = unit.limits.get(number, (-math.inf, math.inf))
            if not low <= value <= high:
                return request.error(0x27 if value < low else 0x28, flags=self.flags)
            if request.property_id == 5:
                unit.values[number] = value
            unit.ram[number] = value
            return request.answer(flags=self.flags)
        if point.is_parameter and request.property_id in (6, 7):
            if number not in unit.limits:
                return request.error(0x23, flags=self.flags)
            value = unit.limits[number][request.property_id - 6]
            return request.answer(encode(point.wire_format, value), flags=self.flags)
        if point.is_parameter and request.property_id == 8:
            return request.answer(b"\x20\x00", flags=self.flags)
        value = self._identity(unit, number)
        if value is None:
            default = 0.0 if point.limits.default is None else point.limits.default
            if point.choices:
                default = point.choices[-1].wire
            value = unit.values.get(number, default)
        whole = point.wire_format is not Format.FLOAT
        return request.answer(
            encode(point.wire_format, int(value) if whole else value), flags=self.flags
        )

    @staticmethod
    def _identity(unit: Unit, number: int) -> float | None:
        info = FAMILIES[unit.family]
        if info.fid and number in info.fid:
            return float(unit.fid[info.fid.index(number)])
        if info.software and number in info.software:
            return float(unit.software[info.software.index(number)])
        if number in (3127, 11048, 15075, 7035):
            return unit.values.get(number, 48.0)
        return None


def _decode(wire_format: Format, data: bytes) -> float:
    if wire_format is Format.FLOAT:
        return float(struct.unpack("<f", data)[0])
    return float(int.from_bytes(data, "little"))


def plant(xtenders: int = 3, latency: float = 0.02) -> Double:
    """Return a double with Xtenders that agree with each other."""
    double = Double(latency)
    for index in range(xtenders):
        double.add(
            101 + index,
            Family.XT,
            i3000=52.0 + index / 10,
            i3005=-5.0,
            i3011=230.0,
            i3012=1.0,
            i3021=230.0,
            i3022=4.0 + index,
            i3028=1,
            i3078=2.0,
            i3081=3.0,
            i3083=10.0 + index,
            i3084=50.0,
            i3085=50.0,
            i3104=40.0,
            i3136=1.0 + index,
            i3137=0.0,
            i3124=256,
            i3125=4000,
            i3126=230.0,
            i3089=1 << (index % 3),
            p1138=60.0,
            p1107=32.0,
            p1124=1,
            p1125=1,
        )
    return double


def addresses_of(engine: StuderEngine) -> dict[str, int | None]:
    """Return where each device answers, by its id."""
    return {
        state.device.id: None if state.device.address is None else int(state.device.address)
        for state in engine.snapshot.devices.values()
        if state.device.kind != "system"
    }


@dataclass
class Running:
    """An engine that runs on a double, with the clock in the test's hand."""

    engine: StuderEngine
    double: Double
    clock: ManualClock
    storage: MemoryStorage
    snapshots: list[Snapshot]
    occurrences: list[Occurrence]

    @property
    def last(self) -> Snapshot:
        """The newest snapshot."""
        return self.snapshots[-1]

    def id(self, address: int) -> str:
        """Return the device that the engine knows at an address."""
        return next(key for key, value in self.addresses.items() if value == address)

    @property
    def addresses(self) -> dict[str, int | None]:
        """Where each device answers, by its id."""
        return addresses_of(self.engine)

    def notices(self) -> list[str]:
        """Return the keys of the notices."""
        return [notice.key for notice in self.engine.snapshot.notices]

    def value(self, address: int, key: str) -> Any:
        """Return a value as published."""
        return self.last.value(self.id(address), key)

    async def pass_(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds)

    async def until(self, condition: Callable[[], bool], limit: float = 120.0) -> float:
        """Let time pass until something holds; returns how long it took."""
        began = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - began < limit, "it did not come to pass"
            await self.clock.advance(0.05)
        return self.clock.monotonic() - began

    async def do(self, *arguments: Any, **details: Any) -> Any:
        """Execute a command while time passes."""
        import asyncio

        from hardwired_engines.engine import Command

        task = asyncio.ensure_future(self.engine.execute(Command(*arguments, **details)))
        began = self.clock.monotonic()
        while not task.done():
            assert self.clock.monotonic() - began < 60, "the command does not end"
            await self.clock.advance(0.05)
        return task.result()


@asynccontextmanager
async def running(
    double: Double, storage: MemoryStorage | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Run an engine on a double until it is connected; stop it at the end."""
    import asyncio

    clock = ManualClock()
    storage = storage or MemoryStorage()
    engine = StuderEngine(
        StuderSettings.from_mapping({"link": "sim://", **settings}),
        clock,
        zone=UTC,
        storage=storage,
        world=double,
    )
    snapshots: list[Snapshot] = []
    occurrences: list[Occurrence] = []
    task = asyncio.ensure_future(engine.run(snapshots.append, occurrences.append))
    run = Running(engine, double, clock, storage, snapshots, occurrences)
    try:
        await run.until(lambda: bool(snapshots) and snapshots[-1].connected)
        yield run
    finally:
        task.cancel()
        await asyncio.wait([task])
