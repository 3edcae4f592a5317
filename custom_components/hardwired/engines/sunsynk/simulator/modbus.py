"""Simulated inverters on a Modbus line, RTU or TCP, with what goes wrong there.

Everything is determined by the seed. Probabilities are per request.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, tzinfo
from itertools import count
from random import Random
from typing import Any

from ...clock import Clock
from ...engine import LinkError, Reason
from ...link import Stream
from ...simulating import InProcess, remember
from ..modbus.frames import (
    EXCEPTION,
    MAXIMUM_READ,
    READ_HOLDING,
    WRITE_MULTIPLE,
    crc,
    read_pdu,
    rtu_frame,
)
from ..modbus.image import CLOCK_REGISTERS, clock_words, read_inverter_clock
from ..modbus.writable import SETTINGS, Kind
from .plant import Plant, PlantSettings

LAST_REGISTER = 330
FIRST_SERIAL = 2200000001
REBOOT = 30.0
TURNAROUND = 0.01
SILENCE = 0.5
"""Seconds on a serial line after which half a request is none: generous, for a loaded computer."""
TAKEN_BACK_AFTER = 1.0
SINGLE_PHASE = 3
UNSET_CLOCK = datetime(2000, 1, 1)  # noqa: DTZ001 - the inverter's wall clock
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
DEFAULTS: Mapping[int, int] = {
    43: 1, 53: 5000, 201: 5760, 202: 5760, 203: 5520, 204: 100, 210: 100, 211: 120, 217: 10,
    218: 20, 219: 15, 220: 4600, 221: 5000, 222: 4700, 230: 40, 232: 1, 235: 0, 243: 1, 244: 2,
    245: 5000, 247: 1, 248: 1, 250: 0, 251: 500, 252: 800, 253: 1200, 254: 1700, 255: 2100,
    256: 3000, 257: 3000, 258: 3000, 259: 3000, 260: 3000, 261: 3000, 262: 4900, 263: 4900,
    264: 4900, 265: 4900, 266: 4900, 267: 4900, 268: 100, 269: 80, 270: 30, 271: 30, 272: 50,
    273: 100, 274: 1, 275: 1, 280: 0, 292: 4000, 293: 5000, 325: 0,
}  # fmt: skip
"""The settings of a new inverter, by register."""
WRITABLE_REGISTERS = {
    *(setting.register for setting in SETTINGS.values()),
    *CLOCK_REGISTERS,
    *(43, 204, 325),
}
"""What other programs set is taken, too: on and off, the battery's capacity, the BMS's protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusFaults:
    """What goes wrong. Probabilities 0 ... 1 per request, unless it says otherwise."""

    slow: float = 0.0
    """Answers take up to so many seconds, 0 ... 5."""
    drop: float = 0.0
    """No answer."""
    crc: float = 0.0
    """A bit of the answer is wrong."""
    cut: float = 0.0
    """The end of the answer is missing."""
    noise: float = 0.0
    """Other bytes come before the answer."""
    wrong_unit: float = 0.0
    """The answer bears another unit."""
    late: float = 0.0
    """The answer comes when it is no longer awaited, after four seconds."""
    echo: bool = False
    """The adapter sends back what it gets."""
    max_block: int = 0
    """More registers at once get no answer; 0: no limit."""
    refuse_block: int = 0
    """More registers at once are refused with exception 3; 0: no limit."""
    second_master: float = 0.0
    """Another master asks and is answered, before our answer."""
    busy: float = 0.0
    """Exception 6."""
    clamp: int = 0
    """No number above this is taken; 0: no limit."""
    ignore_writes: float = 0.0
    """A write is confirmed and not carried out."""
    take_back: float = 0.0
    """The old value is back a second after it was written."""
    reboot: float = 0.0
    """Silence for 30 s; the clock is then 2000-01-01."""
    zero: float = 0.0
    """All readings are zero."""

    def __post_init__(self) -> None:
        for item in fields(self):
            most = {"slow": 5, "max_block": 125, "refuse_block": 125, "clamp": 65535}
            if not 0 <= getattr(self, item.name) <= most.get(item.name, 1):
                raise ValueError(f"the fault {item.name} is 0 to {most.get(item.name, 1)}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ModbusFaults:
        """Return the faults named. Raises :class:`ValueError` on an unknown name or bad value."""
        kinds = {item.name: type(getattr(cls(), item.name)) for item in fields(cls)}
        if unknown := values.keys() - kinds.keys():
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        try:
            numbers = {name: float(value) for name, value in values.items()}
        except (TypeError, ValueError):
            raise ValueError("a fault is a number") from None
        for name, number in numbers.items():
            if kinds[name] is not float and not number.is_integer():
                raise ValueError(f"the fault {name} is a whole number, not {number:g}")
        return cls(**{name: kinds[name](number) for name, number in numbers.items()})


@dataclass(slots=True)
class SimulatedInverter:
    """One inverter: a house behind it, its settings, its clock."""

    serial: str
    plant: Plant
    device_type: int = SINGLE_PHASE
    clock_offset: timedelta = timedelta()
    """By how much its clock is ahead of the local time."""
    settings: dict[int, int] = field(default_factory=lambda: dict(DEFAULTS))
    silent_until: float = 0.0
    shown_at: datetime | None = None
    written: list[tuple[int, int]] = field(default_factory=list)
    """The writes that were taken: register, word."""
    _readings: dict[int, int] = field(default_factory=dict)
    _no_date: dict[int, int] = field(default_factory=dict)
    """Words of a clock that is being set and shows no date yet: 31 February, on the way from
    31 January to 1 February."""

    def image(self, local: datetime) -> dict[int, int]:
        """Return all registers at a local time."""
        if self.shown_at is None or abs((local - self.shown_at).total_seconds()) >= 1:
            self.plant.advance(local)
            self._readings = self.plant.registers()
            self.shown_at = local
        image = dict.fromkeys(range(LAST_REGISTER + 1), 0)
        image |= self._readings | self.settings
        image |= {0: self.device_type, 2: 0x0104}
        for index in range(5):
            image[3 + index] = int.from_bytes(self.serial[2 * index : 2 * index + 2].encode())
        shown = max(local + self.clock_offset, UNSET_CLOCK)
        image |= dict(zip(CLOCK_REGISTERS, clock_words(shown), strict=True)) | self._no_date
        return image

    def write(self, register: int, word: int, local: datetime) -> None:
        """Take a word: a setting, or a third of the clock."""
        remember(self.written, (register, word))
        if register not in CLOCK_REGISTERS:
            self.settings[register] = word
            return
        image = {**self.image(local), register: word}
        set_to = read_inverter_clock(image)
        if set_to is None:
            self._no_date = {one: image[one] for one in CLOCK_REGISTERS}
            return
        self._no_date = {}
        self.clock_offset = set_to - local.replace(microsecond=0)

    def restart(self, local: datetime, now: float) -> None:
        """Be silent for a while; the clock is lost."""
        self.silent_until = now + REBOOT
        self.clock_offset = UNSET_CLOCK - local
        self._no_date = {}


class ModbusWorld:
    """The inverters on a line, by unit id. *local* tells the plant's wall clock."""

    def __init__(
        self,
        local: Callable[[], datetime],
        *,
        units: Sequence[int] = (1,),
        seed: int = 1,
        faults: ModbusFaults | None = None,
        device_type: int = SINGLE_PHASE,
        rated_power: int = 5000,
    ) -> None:
        self.local = local
        self.faults = faults or ModbusFaults()
        self.random = Random(seed)  # noqa: S311
        self.requests = 0
        self.inverters = {
            unit: SimulatedInverter(
                str(FIRST_SERIAL + index),
                Plant(
                    PlantSettings(rated_power=rated_power),
                    Random(f"{seed} {index}"),  # noqa: S311
                ),
                device_type,
            )
            for index, unit in enumerate(units)
        }
        self.undo: list[tuple[float, int, int, int]] = []

    def answer(self, unit: int, pdu: bytes, now: float) -> bytes | None:
        """Return the PDU that a unit answers; ``None``: it is silent."""
        self.requests += 1
        inverter = self.inverters.get(unit)
        if inverter is None:
            return None
        self._take_back(now)
        if self.happens(self.faults.reboot):
            inverter.restart(self.local(), now)
        if now < inverter.silent_until:
            return None
        if self.happens(self.faults.busy):
            return bytes((pdu[0] | EXCEPTION, 6))
        match pdu[0]:
            case 0x03:
                return self._read(inverter, pdu)
            case 0x10:
                return self._write(unit, inverter, pdu, now)
        return bytes((pdu[0] | EXCEPTION, ILLEGAL_FUNCTION))

    def happens(self, probability: float) -> bool:
        """Draw whether something goes wrong now."""
        return probability > 0 and self.random.random() < probability

    def _read(self, inverter: SimulatedInverter, pdu: bytes) -> bytes | None:
        start, size = int.from_bytes(pdu[1:3]), int.from_bytes(pdu[3:5])
        faults = self.faults
        if not 1 <= size <= MAXIMUM_READ or 0 < faults.refuse_block < size:
            return bytes((READ_HOLDING | EXCEPTION, ILLEGAL_VALUE))
        if 0 < faults.max_block < size:
            return None
        if start + size - 1 > LAST_REGISTER:
            return bytes((READ_HOLDING | EXCEPTION, ILLEGAL_ADDRESS))
        image = inverter.image(self.local())
        if self.happens(faults.zero):
            image |= dict.fromkeys(range(59, 200), 0)
        words = b"".join(image[register].to_bytes(2) for register in range(start, start + size))
        return bytes((READ_HOLDING, len(words))) + words

    def _write(self, unit: int, inverter: SimulatedInverter, pdu: bytes, now: float) -> bytes:
        start, size = int.from_bytes(pdu[1:3]), int.from_bytes(pdu[3:5])
        if len(pdu) != 6 + 2 * size or pdu[5] != 2 * size or not size:
            return bytes((WRITE_MULTIPLE | EXCEPTION, ILLEGAL_VALUE))
        if not set(range(start, start + size)) <= WRITABLE_REGISTERS:
            return bytes((WRITE_MULTIPLE | EXCEPTION, ILLEGAL_ADDRESS))
        for index in range(size):
            register = start + index
            word = int.from_bytes(pdu[6 + 2 * index : 8 + 2 * index])
            if self.happens(self.faults.ignore_writes):
                continue
            if self.faults.clamp and _is_number(register):
                word = min(word, self.faults.clamp)
            old = inverter.settings.get(register, 0)
            inverter.write(register, word, self.local())
            if register not in CLOCK_REGISTERS and self.happens(self.faults.take_back):
                self.undo.append((now + TAKEN_BACK_AFTER, unit, register, old))
        return pdu[:5]

    def _take_back(self, now: float) -> None:
        due = [one for one in self.undo if one[0] <= now]
        for one in due:
            self.undo.remove(one)
            _, unit, register, old = one
            self.inverters[unit].settings[register] = old


def _is_number(register: int) -> bool:
    return any(
        setting.register == register and setting.kind is Kind.NUMBER
        for setting in SETTINGS.values()
    )


class ModbusSimulator:
    """One connection to the line: takes requests, sends answers, damaged as the faults say.

    *tcp*: with the frames of Modbus TCP, else RTU.
    """

    def __init__(self, world: ModbusWorld, *, tcp: bool = False) -> None:
        self.world = world
        self._tcp = tcp
        self._buffer = bytearray()
        self._heard_at = 0.0
        self._order = count()
        self._outgoing: list[tuple[float, int, bytes]] = []
        self._busy_until = 0.0

    def connected(self, now: float) -> None:
        """Somebody has opened the line."""
        self._buffer.clear()

    def disconnected(self, now: float) -> None:
        """Whatever has not been sent yet is lost with the connection of a network."""
        if self._tcp:
            self._outgoing.clear()

    @property
    def hung_up(self) -> bool:
        """It stays."""
        return False

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes; requests in them are answered in their order."""
        if self.world.faults.echo:
            self._send(now, data)
        if not self._tcp and now - self._heard_at > SILENCE:
            self._buffer.clear()
        self._heard_at = now
        self._buffer += data
        del self._buffer[:-4096]
        cut = self._cut_tcp if self._tcp else self._cut_rtu
        while (request := cut()) is not None:
            self._take(*request, now)

    def _cut_tcp(self) -> tuple[bytes, int, bytes] | None:
        buffer = self._buffer
        while len(buffer) >= 8:
            length = int.from_bytes(buffer[4:6])
            if buffer[2:4] != b"\0\0" or not 2 <= length <= 254:
                buffer.clear()
                return None
            if len(buffer) < 6 + length:
                return None
            frame = bytes(buffer[: 6 + length])
            del buffer[: 6 + length]
            return frame[:2], frame[6], frame[7:]
        return None

    def _cut_rtu(self) -> tuple[bytes, int, bytes] | None:
        buffer = self._buffer
        while len(buffer) >= 8:
            size = 9 + buffer[6] if buffer[1] == WRITE_MULTIPLE else 8
            frame = bytes(buffer[:size])
            if len(frame) == size and crc(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
                del buffer[:size]
                return b"", frame[0], frame[1:-2]
            if len(frame) < size < 9 + 247:
                return None
            del buffer[0]
        return None

    def _take(self, transaction: bytes, unit: int, pdu: bytes, now: float) -> None:
        world, faults = self.world, self.world.faults
        answer = world.answer(unit, pdu, now)
        random = world.random
        due = max(now, self._busy_until) + TURNAROUND + random.uniform(0, faults.slow)
        self._busy_until = due
        if answer is None or world.happens(faults.drop):
            return
        if world.happens(faults.late):
            due = now + 4.0
        if world.happens(faults.wrong_unit):
            unit = unit % 247 + 1
        if not self._tcp and world.happens(faults.second_master):
            self._let_another_ask(unit, pdu, due)
        self._send(due, self._damaged(self._framed(transaction, unit, answer)))

    def _let_another_ask(self, unit: int, pdu: bytes, due: float) -> None:
        """Another master asks for as many registers, from elsewhere, and is answered."""
        size = int.from_bytes(pdu[3:5]) if pdu[0] == READ_HOLDING else 1
        request = read_pdu(LAST_REGISTER + 1 - size, size)
        self._send(due, rtu_frame(unit, request))
        answer = self.world.answer(unit, request, due)
        if answer is not None:
            self._send(due, rtu_frame(unit, answer))

    def _framed(self, transaction: bytes, unit: int, pdu: bytes) -> bytes:
        if self._tcp:
            return transaction + bytes(2) + (len(pdu) + 1).to_bytes(2) + bytes((unit,)) + pdu
        return rtu_frame(unit, pdu)

    def _damaged(self, frame: bytes) -> bytes:
        world, faults = self.world, self.world.faults
        if world.happens(faults.crc) and not self._tcp:
            at = world.random.randrange(len(frame))
            frame = (
                frame[:at] + bytes((frame[at] ^ 1 << world.random.randrange(8),)) + frame[at + 1 :]
            )
        if world.happens(faults.cut):
            frame = frame[: world.random.randrange(1, len(frame))]
        if world.happens(faults.noise) and not self._tcp:
            frame = world.random.randbytes(world.random.randrange(1, 20)) + frame
        return frame

    def _send(self, due: float, data: bytes) -> None:
        heapq.heappush(self._outgoing, (due, next(self._order), data))

    def transmit(self, now: float) -> bytes:
        """Return the bytes that leave at *now*."""
        if self._outgoing and self._outgoing[0][0] <= now:
            return heapq.heappop(self._outgoing)[2]
        return b""

    def next_due(self, now: float) -> float | None:
        """Return when the next bytes leave."""
        return self._outgoing[0][0] if self._outgoing else None


class SimulatedLine:
    """A line within this process, for ``sim://?units=1,2&seed=1&type=3&drop=0.1``.

    It stays the same however often it is opened. Raises :class:`LinkError` (BAD_ADDRESS).
    """

    def __init__(
        self, query: Mapping[str, str], clock: Clock, zone: tzinfo, *, tcp: bool = False
    ) -> None:
        self._clock = clock
        self._tcp = tcp
        own = {"units", "seed", "type", "rated_power"}
        try:
            self.world = ModbusWorld(
                lambda: clock.now().astimezone(zone).replace(tzinfo=None),
                units=tuple(int(unit) for unit in query.get("units", "1").split(",")),
                seed=int(query.get("seed", "1")),
                device_type=int(query.get("type", str(SINGLE_PHASE)), 0),
                rated_power=int(query.get("rated_power", "5000")),
                faults=ModbusFaults.from_mapping(
                    {name: value for name, value in query.items() if name not in own}
                ),
            )
        except ValueError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error

    async def open(self) -> Stream:
        """Return our end of a new connection."""
        return await InProcess(ModbusSimulator(self.world, tcp=self._tcp), self._clock).open()
