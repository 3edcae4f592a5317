"""The inverter's own Modbus, as a pure codec: frames, register image, program slots, writes.

Spec b.15, c.6, d.5, e.2. Only functions 3 and 16 are used; nothing here sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from ..register_words import hhmm_of_seconds, seconds_of_hhmm
from .layouts import CHECKED_BLOCK, WORDS_AT, Block, Layout, Values

READ_HOLDING = 0x03
WRITE_MULTIPLE = 0x10
EXCEPTION = 0x80
MAXIMUM_READ = 125

CYCLE = (Block(59, 66), Block(150, 50), Block(250, 30), Block(312, 8), Block(22, 3))
"""What is read in one cycle."""
SERIAL_REGISTERS = range(3, 8)
CLOCK_REGISTERS = range(22, 25)
PROGRAM_TIMES = range(250, 256)
THREE_PHASE_FAMILIES = (5, 6)


class ModbusError(ValueError):
    """A frame that is no answer to the request. The transfer may be tried again."""


class ModbusException(ModbusError):
    """The inverter or gateway said no. ``code`` is the Modbus exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class EchoError(ModbusError):
    """The request came back: the RS-485 adapter echoes what it sends."""


def crc(data: bytes) -> int:
    """Return the CRC-16 of Modbus RTU; it travels low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Return *pdu* (function and data) as it goes on a serial line."""
    body = bytes((unit,)) + pdu
    return body + crc(body).to_bytes(2, "little")


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return *pdu* as it goes through TCP."""
    header = transaction.to_bytes(2) + bytes(2) + (len(pdu) + 1).to_bytes(2)
    return header + bytes((unit,)) + pdu


def read_pdu(start: int, count: int) -> bytes:
    """Return the request for *count* holding registers. Raises :class:`ValueError`."""
    if not 1 <= count <= MAXIMUM_READ:
        raise ValueError(f"{count} registers can't be read at once")
    return bytes((READ_HOLDING,)) + start.to_bytes(2) + count.to_bytes(2)


def write_pdu(register: int, words: Sequence[int]) -> bytes:
    """Return the request that writes *words* from *register* on."""
    data = b"".join(word.to_bytes(2) for word in words)
    return (
        bytes((WRITE_MULTIPLE,))
        + register.to_bytes(2)
        + len(words).to_bytes(2)
        + bytes((len(data),))
        + data
    )


def rtu_pdu(request: bytes, answer: bytes) -> bytes:
    """Return the checked PDU of a serial *answer* to *request*. Raises :class:`ModbusError`."""
    if answer == request:
        raise EchoError("the request came back: switch the adapter's echo off")
    if len(answer) < 5:
        raise ModbusError("too short")
    if crc(answer[:-2]) != int.from_bytes(answer[-2:], "little"):
        raise ModbusError("CRC wrong")
    if answer[0] != request[0]:
        raise ModbusError("another unit")
    return answer[1:-2]


def tcp_pdu(request: bytes, answer: bytes) -> bytes:
    """Return the checked PDU of an *answer* through TCP. Raises :class:`ModbusError`."""
    if answer == request:
        raise EchoError("the request came back")
    if len(answer) < 9 or int.from_bytes(answer[4:6]) != len(answer) - 6:
        raise ModbusError("length wrong")
    if answer[:4] != request[:4]:
        raise ModbusError("another transaction")
    if answer[6] != request[6]:
        raise ModbusError("another unit")
    return answer[7:]


def read_answer(request: bytes, pdu: bytes) -> tuple[int, ...]:
    """Return the words in the answer *pdu* to the read *request* (a PDU as well).

    Raises :class:`ModbusException` when it was refused, else :class:`ModbusError`.
    """
    _check_function(request, pdu)
    count = int.from_bytes(request[3:5])
    if len(pdu) != 2 + 2 * count or pdu[1] != 2 * count:
        raise ModbusError("byte count wrong")
    return tuple(int.from_bytes(pdu[at : at + 2]) for at in range(2, len(pdu), 2))


def write_answer(request: bytes, pdu: bytes) -> None:
    """Check that the answer *pdu* confirms the write *request*. Raises like a read."""
    _check_function(request, pdu)
    if pdu != request[:5]:
        raise ModbusError("address or count not echoed")


def _check_function(request: bytes, pdu: bytes) -> None:
    if len(pdu) >= 2 and pdu[0] == request[0] | EXCEPTION:
        raise ModbusException(pdu[1])
    if not pdu or pdu[0] != request[0]:
        raise ModbusError("another function")


def read_serial(image: Mapping[int, int]) -> str | None:
    """Return the serial number in registers 3 ... 7; two characters a word."""
    if not all(register in image for register in SERIAL_REGISTERS):
        return None
    text = b"".join(image[register].to_bytes(2) for register in SERIAL_REGISTERS)
    return text.decode("ascii") if text.isalnum() else None


def read_inverter_clock(image: Mapping[int, int]) -> datetime | None:
    """Return the inverter's wall clock in registers 22 ... 24."""
    if not all(register in image for register in CLOCK_REGISTERS):
        return None
    year, month, day, hour, minute, second = b"".join(
        image[register].to_bytes(2) for register in CLOCK_REGISTERS
    )
    try:
        return datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        return None


def is_three_phase(device_type: int) -> bool:
    """Whether register 0 is of an inverter with other registers than these."""
    return device_type in THREE_PHASE_FAMILIES or device_type >> 8 in THREE_PHASE_FAMILIES


def active_slot(times: Sequence[int], now: int) -> int:
    """Return the program slot in force, 1 ... 6; times in seconds since midnight."""
    for slot, (start, end) in enumerate(pairwise(times), 1):
        if start <= now < end:
            return slot
    return len(times)


def decode_image(image: Mapping[int, int]) -> Values | None:
    """Return the values in a register image; out of range is no value.

    ``None``: registers 59 ... 124 are all zero, which no running inverter shows.
    """
    if not any(image.get(register) for register in CHECKED_BLOCK):
        return None
    layout = Layout("modbus", tuple(_blocks(sorted(image))))
    words = b"".join(image[register].to_bytes(2) for register in layout.registers)
    values, _ = layout.decode(bytes(WORDS_AT) + words)
    clock = read_inverter_clock(image)
    times = [values.get(f"inverter_program_time_{slot}") for slot in range(1, 7)]
    if "inverter_program_time_1" in values:
        slot = None
        if clock is not None and all(isinstance(time, int) for time in times):
            now = clock.hour * 3600 + clock.minute * 60 + clock.second
            slot = active_slot([time for time in times if isinstance(time, int)], now)
        for key in ("inverter_program_power", "inverter_program_soc"):
            values[key] = None if slot is None else values.get(f"{key}_{slot}")
    return values


def _blocks(registers: Iterable[int]) -> list[Block]:
    blocks: list[Block] = []
    for register in registers:
        if blocks and sum(blocks[-1]) == register:
            blocks[-1] = Block(blocks[-1].start, blocks[-1].size + 1)
        else:
            blocks.append(Block(register, 1))
    return blocks


class Kind(StrEnum):
    """What sort of value a setting takes."""

    NUMBER = "number"
    SWITCH = "switch"
    OPTION = "option"
    TIME = "time"


class ForbiddenWrite(ValueError):
    """A value that must not be written; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of the inverter (spec d.5). Limits are register words.

    ``at_least`` and ``at_most`` name registers whose present value bounds this one;
    ``rated_power`` bounds it by registers 16 and 17; ``bms_limit`` by a register that counts only
    when it is above zero.
    """

    key: str
    register: int
    kind: Kind
    low: int = 0
    high: int = 0xFFFF
    high_16kw: int | None = None
    mask: int = 0xFFFF
    on: int = 1
    options: tuple[int, ...] = ()
    at_least: tuple[int, ...] = ()
    at_most: tuple[int, ...] = ()
    rated_power: bool = False
    bms_limit: int | None = None

    def word(self, value: int, image: Mapping[int, int], *, is_16kw: bool = False) -> int:
        """Return the word to write for *value*, every interlock checked (spec e.2).

        *value* is the masked part for options, 0 or 1 for switches, seconds for times, else the
        word. *image* must hold the registers that bound it. Raises :class:`ForbiddenWrite`.
        """
        match self.kind:
            case Kind.SWITCH:
                if value not in (0, 1):
                    raise ForbiddenWrite(f"{self.key} is on (1) or off (0)")
                wanted = self.on if value else 0
            case Kind.OPTION:
                if value not in self.options:
                    raise ForbiddenWrite(f"{self.key} has no option {value}")
                wanted = value
            case Kind.TIME:
                wanted = self._checked_time(value, image)
            case _:
                low, high = self.limits(image, is_16kw=is_16kw)
                if not low <= value <= high:
                    raise ForbiddenWrite(f"{self.key} takes {low} to {high} now, not {value}")
                wanted = value
        if self.mask == 0xFFFF:
            return wanted
        return masked(_present(image, self.register), self.mask, wanted)

    def limits(self, image: Mapping[int, int], *, is_16kw: bool = False) -> tuple[int, int]:
        """Return the lowest and highest word allowed now. Raises :class:`ForbiddenWrite`."""
        low = self.low
        high = self.high_16kw if is_16kw and self.high_16kw is not None else self.high
        low = max(low, *(_present(image, register) for register in self.at_least), low)
        high = min(high, *(_present(image, register) for register in self.at_most), high)
        if self.rated_power:
            high = min(high, (_present(image, 16) + (_present(image, 17) << 16)) // 10)
        if self.bms_limit is not None and 0 < (limit := _present(image, self.bms_limit)) < 0x8000:
            high = min(high, limit)
        return low, high

    def _checked_time(self, seconds: int, image: Mapping[int, int]) -> int:
        try:
            wanted = hhmm_of_seconds(seconds)
        except ValueError as error:
            raise ForbiddenWrite(str(error)) from None
        # The day may only turn between the slots 6 and 1, so those two have one neighbour each.
        before, after = self.register - 1, self.register + 1
        for neighbour in (before, after):
            if neighbour not in PROGRAM_TIMES:
                continue
            other = seconds_of_hhmm(_present(image, neighbour))
            if other is None:
                raise ForbiddenWrite(f"register {neighbour} holds no time")
            if (other > seconds) if neighbour == before else (other < seconds):
                raise ForbiddenWrite(f"{self.key} must stay between its neighbours")
        return wanted


def masked(old: int, mask: int, new: int) -> int:
    """Return *old* with the bits of *mask* replaced by those of *new*."""
    return old & ~mask & 0xFFFF | new & mask


def _present(image: Mapping[int, int], register: int) -> int:
    try:
        return image[register]
    except KeyError:
        raise ForbiddenWrite(f"register {register} must be read first") from None


def _number(key: str, register: int, low: int, high: int, **bounds: Any) -> Setting:
    return Setting(key=key, register=register, kind=Kind.NUMBER, low=low, high=high, **bounds)


def _switch(key: str, register: int, mask: int, on: int = 1) -> Setting:
    return Setting(key=key, register=register, kind=Kind.SWITCH, mask=mask, on=on)


def _option(key: str, register: int, options: tuple[int, ...], mask: int = 0xFFFF) -> Setting:
    return Setting(key=key, register=register, kind=Kind.OPTION, options=options, mask=mask)


SHUTDOWN_VOLTAGE, RESTART_VOLTAGE, LOW_VOLTAGE, FLOAT_VOLTAGE = 220, 221, 222, 203
SHUTDOWN_CAPACITY, RESTART_CAPACITY, LOW_CAPACITY = 217, 218, 219
BMS_CHARGE_LIMIT, BMS_DISCHARGE_LIMIT = 314, 315
LEAST_VOLTAGE, MOST_VOLTAGE = 4100, 6000

_VOLTAGES = (
    ("battery_equalisation_voltage", 201, (), ()),
    ("battery_absorption_voltage", 202, (), ()),
    ("battery_float_voltage", FLOAT_VOLTAGE, (LOW_VOLTAGE,), ()),
    ("battery_shutdown_voltage", SHUTDOWN_VOLTAGE, (), (LOW_VOLTAGE, RESTART_VOLTAGE)),
    ("battery_restart_voltage", RESTART_VOLTAGE, (SHUTDOWN_VOLTAGE,), ()),
    ("battery_low_voltage", LOW_VOLTAGE, (SHUTDOWN_VOLTAGE,), (FLOAT_VOLTAGE,)),
    *(
        (f"program_{slot}_voltage", 261 + slot, (LOW_VOLTAGE,), (FLOAT_VOLTAGE,))
        for slot in range(1, 7)
    ),
)

_POWERS = (
    ("max_solar_power", 53),
    ("max_sell_power", 245),
    *((f"program_{slot}_power", 255 + slot) for slot in range(1, 7)),
    ("generator_peak_shaving_power", 292),
    ("grid_peak_shaving_power", 293),
)

_SETTINGS = (
    *(
        Setting(
            key=key,
            register=register,
            kind=Kind.NUMBER,
            low=LEAST_VOLTAGE,
            high=MOST_VOLTAGE,
            at_least=at_least,
            at_most=at_most,
        )
        for key, register, at_least, at_most in _VOLTAGES
    ),
    *(_number(key, register, 0, 0x7FFF, rated_power=True) for key, register in _POWERS),
    _number("battery_max_charge_current", 210, 0, 185, high_16kw=290, bms_limit=BMS_CHARGE_LIMIT),
    _number(
        "battery_max_discharge_current", 211, 0, 185, high_16kw=290, bms_limit=BMS_DISCHARGE_LIMIT
    ),
    _number("grid_charge_battery_current", 230, 0, 185, high_16kw=140, bms_limit=BMS_CHARGE_LIMIT),
    _number(
        "battery_shutdown_capacity",
        SHUTDOWN_CAPACITY,
        0,
        100,
        at_most=(LOW_CAPACITY, RESTART_CAPACITY),
    ),
    _number("battery_restart_capacity", RESTART_CAPACITY, 0, 100, at_least=(SHUTDOWN_CAPACITY,)),
    _number("battery_low_capacity", LOW_CAPACITY, 0, 50, at_least=(SHUTDOWN_CAPACITY,)),
    *(
        _number(f"program_{slot}_capacity", 267 + slot, 0, 100, at_least=(LOW_CAPACITY,))
        for slot in range(1, 7)
    ),
    *(
        Setting(key=f"program_{slot}_time", register=249 + slot, kind=Kind.TIME)
        for slot in range(1, 7)
    ),
    _switch("grid_charge_enabled", 232, 0x0001),
    _switch("priority_load", 243, 0x0001),
    _switch("solar_export", 247, 0x0001),
    _switch("use_timer", 248, 0x0001),
    _switch("peak_shaving", 280, 0x000F),
    _switch("generator_peak_shaving", 280, 0x00F0, 0x0010),
    _switch("grid_peak_shaving", 280, 0x0F00, 0x0100),
    _switch("grid_always_on", 280, 0xF000, 0x1000),
    *(_switch(f"program_{slot}_sell", 273 + slot, 0x0040, 0x0040) for slot in range(1, 7)),
    _option("aux_port_usage", 235, (0, 1, 2)),
    _option("load_limit", 244, (0, 1, 2)),
    *(_option(f"program_{slot}_charge", 273 + slot, (0, 1, 2, 3), 0x0003) for slot in range(1, 7)),
    *(_option(f"program_{slot}_mode", 273 + slot, (0, 4, 8, 12), 0x001C) for slot in range(1, 7)),
)

SETTINGS: Mapping[str, Setting] = {setting.key: setting for setting in _SETTINGS}
"""What may be offered. Registers 43 (inverter on/off) and 325 (BMS protocol) are left out: they
can black out the house or cut the battery off."""
