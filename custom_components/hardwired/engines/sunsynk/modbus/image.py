"""What a register image says: identity, clock, program slots, values (spec c.6, d.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from ..dongle.layouts import CHECKED_BLOCK, WORDS_AT, Block, Layout, Values

CYCLE = (Block(59, 66), Block(150, 50), Block(250, 30), Block(312, 8), Block(22, 3))
"""What is read in one cycle."""
POWERS = range(CYCLE[1].start, sum(CYCLE[1]))
"""The registers of voltages, currents and powers."""
NEEDED = frozenset(CYCLE[:2])
"""Blocks without which there is nothing to show."""
IDENTITY = (Block(3, 5), Block(0, 1), Block(2, 1), Block(13, 1), Block(16, 2))
"""What is asked first, and again now and then."""
CONFIGURATION = (Block(53, 1), Block(200, 50), Block(280, 1), Block(292, 2))
"""What changes only when somebody changes it."""

LONG_RUN = 8
"""Registers in a row that are zero, to be doubted: the smallest answers are as long."""
DEVICE_TYPE = 0
SERIAL_REGISTERS = range(3, 8)
CLOCK_REGISTERS = range(22, 25)
PROGRAM_TIMES = range(250, 256)
THREE_PHASE_FAMILIES = (5, 6)
NO_HYBRIDS = {2: "a string inverter", 4: "a micro-inverter"}
"""Device types of the same maker that mean other things by these registers."""
LARGE_TYPE = 0x200
"""The device type of the 16 kW models."""


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


def clock_words(local: datetime) -> tuple[int, int, int]:
    """Return the words of registers 22 ... 24 for a wall clock."""
    return (
        (local.year - 2000) << 8 | local.month,
        local.day << 8 | local.hour,
        local.minute << 8 | local.second,
    )


def is_three_phase(device_type: int) -> bool:
    """Whether register 0 is of an inverter with other registers than these."""
    return device_type in THREE_PHASE_FAMILIES or device_type >> 8 in THREE_PHASE_FAMILIES


def active_slot(times: Sequence[int], now: int) -> int:
    """Return the program slot in force, 1 ... 6; times in seconds since midnight."""
    for slot, (start, end) in enumerate(pairwise(times), 1):
        if start <= now < end:
            return slot
    return len(times)


def packed(image: Mapping[int, int]) -> tuple[Layout, bytes]:
    """Return the registers of an image as a report would carry them: layout and frame."""
    layout = _layout(tuple(_blocks(sorted(image))))
    words = b"".join(image[register].to_bytes(2) for register in layout.registers)
    return layout, bytes(WORDS_AT) + words


def decode_image(image: Mapping[int, int]) -> Values | None:
    """Return the values in a register image; out of range is no value.

    ``None``: it is empty, which no running inverter shows.
    """
    return None if is_empty(image) else decode(image)[0]


def is_empty(image: Mapping[int, int]) -> bool:
    """Whether registers 59 ... 124 are all zero or absent, or 150 ... 199 are all zero.

    No running inverter shows that: among the first is its state, among the others the voltages of
    its output and its battery.
    """
    present = [image[register] for register in POWERS if register in image]
    return not any(image.get(register) for register in CHECKED_BLOCK) or not any(present or (1,))


def fallen_silent(before: Mapping[int, int], image: Mapping[int, int]) -> frozenset[int]:
    """Return the registers that have become zero in a long row of zeros.

    So a part of an answer looks that is empty. What was not known *before* may have been something
    else.
    """
    found: set[int] = set()
    for block in CYCLE[:2]:
        run: list[int] = []
        for register in (*range(block.start, sum(block)), None):
            if register is not None and image.get(register) == 0:
                run.append(register)
                continue
            fallen = [one for one in run if before.get(one) != 0]
            if len(run) >= LONG_RUN:
                found.update(fallen)
            run = []
    return frozenset(found)


def decode(image: Mapping[int, int]) -> tuple[Values, list[str]]:
    """Return the values in a register image, and the keys of the fields out of range."""
    layout, frame = packed(image)
    values, violations = layout.decode(frame)
    if "inverter_program_time_1" in values:
        slot = _slot_in_force(values, read_inverter_clock(image))
        for key in ("inverter_program_power", "inverter_program_soc"):
            values[key] = None if slot is None else values.get(f"{key}_{slot}")
    return values, violations


def _slot_in_force(values: Values, clock: datetime | None) -> int | None:
    times = [values.get(f"inverter_program_time_{slot}") for slot in range(1, 7)]
    known = [time for time in times if isinstance(time, int)]
    if clock is None or len(known) < len(times):
        return None
    return active_slot(known, clock.hour * 3600 + clock.minute * 60 + clock.second)


@lru_cache(maxsize=32)
def _layout(blocks: tuple[Block, ...]) -> Layout:
    """Return the layout of these blocks; made once, because its reader is compiled."""
    return Layout("modbus", blocks)


def _blocks(registers: Iterable[int]) -> list[Block]:
    blocks: list[Block] = []
    for register in registers:
        if blocks and sum(blocks[-1]) == register:
            blocks[-1] = Block(blocks[-1].start, blocks[-1].size + 1)
        else:
            blocks.append(Block(register, 1))
    return blocks


def pieces(block: Block, most: int) -> Iterator[Block]:
    """Yield a block in parts of at most *most* registers."""
    for start in range(block.start, sum(block), most):
        yield Block(start, min(most, sum(block) - start))
