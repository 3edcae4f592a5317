"""Which registers stand where in a report (spec b.3), and how a whole block is decoded.

A report is the plain concatenation of Modbus register blocks, so a layout is a list of blocks.
Three are known; others are learned from the polling map that the server sends (spec b.4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import repeat
from operator import add, ge, itemgetter, le, mul, truediv
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from .catalogue import BMS_FIELDS, BMS_REGISTERS, TABLE, RegisterField
from .codec import TEMPERATURE_OFFSET, WORD, Codec, combined, decimal, seconds_of_hhmm

Values: TypeAlias = dict[str, int | float | str | None]
"""Field key -> number, text of an option, or ``None`` for no value."""

WORDS_AT = 44
"""Where the register words of a report begin."""

CHECKED_BLOCK = range(59, 125)
"""The registers that are never all zero in a true report."""


class Block(NamedTuple):
    """Consecutive holding registers: *size* of them from *start* on."""

    start: int
    size: int


@dataclass(frozen=True)
class Layout:
    """What a report of one size holds. ``name`` is its known size, or ``"learned"``."""

    name: int | str
    blocks: tuple[Block, ...]

    @cached_property
    def registers(self) -> tuple[int, ...]:
        """The register of each word, in order."""
        return tuple(
            register for start, size in self.blocks for register in range(start, start + size)
        )

    @property
    def length(self) -> int:
        """The size of the whole frame in bytes."""
        return WORDS_AT + 2 * sum(size for _, size in self.blocks)

    @cached_property
    def _plan(self) -> _Plan:
        return _Plan(self.registers)

    @cached_property
    def _checked(self) -> Sequence[slice]:
        return [
            slice(WORDS_AT + 2 * index, WORDS_AT + 2 * index + 2)
            for index, register in enumerate(self.registers)
            if register in CHECKED_BLOCK
        ]

    def decode(self, frame: bytes) -> tuple[Values, list[str]]:
        """Return the values of the fields in this layout and the keys of those out of range.

        *frame* is as long as the layout says.
        """
        return self._plan.decode(frame)

    def offset(self, register: int) -> int | None:
        """Return the byte position of a register's high byte in the frame, if it is there."""
        try:
            return WORDS_AT + 2 * self.registers.index(register)
        except ValueError:
            return None

    def is_empty(self, frame: bytes) -> bool:
        """Whether registers 59 ... 124 are all zero or absent."""
        return not any(any(frame[place]) for place in self._checked)

    def words(self, frame: bytes) -> dict[int, int]:
        """Return the raw words by register, unsigned."""
        words = struct.unpack_from(f">{len(self.registers)}H", frame, WORDS_AT)
        return dict(zip(self.registers, words, strict=True))


def _blocks(*pairs: tuple[int, int]) -> tuple[Block, ...]:
    return tuple(Block(start, size) for start, size in pairs)


LAYOUTS: Mapping[int, Layout] = MappingProxyType(
    {
        292: Layout(292, _blocks((59, 66), (150, 50), (312, 8))),
        302: Layout(
            302, _blocks((13, 1), (16, 2), (54, 1), (59, 66), (150, 50), (204, 1), (312, 8))
        ),
        306: Layout(
            306,
            _blocks(
                (13, 1), (16, 2), (54, 1), (59, 66), (150, 50), (204, 1), (244, 1), (312, 8),
                (491, 1),
            ),
        ),
    }
)  # fmt: skip
"""The known layouts by size."""


@lru_cache(maxsize=16)
def layout_of(blocks: tuple[Block, ...]) -> Layout:
    """Return the layout of a list of blocks: the known one where it is one."""
    known = LAYOUTS.get(Layout("learned", blocks).length)
    return known if known is not None and known.blocks == blocks else Layout("learned", blocks)


def candidates(length: int, learned: Layout | None) -> Iterable[Layout]:
    """Yield the layouts that a report of *length* bytes may have, the likeliest first."""
    known = LAYOUTS.get(length)
    if learned is not None and learned.length == length and learned is not known:
        yield learned
    if known is not None:
        yield known


_Pick: TypeAlias = Callable[[Sequence[int]], tuple[int, ...]]


def _pick(indices: Sequence[int]) -> _Pick:
    match len(indices):
        case 0:
            return lambda _: ()
        case 1:
            return lambda words: (words[indices[0]],)
        case _:
            return itemgetter(*indices)


class _Group:
    """Numbers decoded together, at the speed of C loops: one at a time takes three times as long.

    One-word fields come first, then those of two words.
    """

    def __init__(self, rows: Sequence[RegisterField], index: Mapping[int, int]) -> None:
        self.rows = sorted(rows, key=lambda row: len(row.registers))
        self._keys = tuple(row.key for row in self.rows)
        self._scales = tuple(10**row.decimals for row in self.rows) if rows[0].decimals else None
        self._first = _pick([index[row.registers[0]] for row in self.rows])
        double = [row for row in self.rows if len(row.registers) == 2]
        self._single = len(rows) - len(double)
        self._high = _pick([index[row.registers[1]] for row in double]) if double else None
        self._least = tuple(row.low for row in self.rows)
        self._most = tuple(row.high for row in self.rows)

    def decode(self, words: Sequence[int], values: Values, violations: list[str]) -> None:
        raws = self._first(words)
        if self._high is not None:
            low_words = raws[self._single :]
            high_words = map(mul, self._high(words), repeat(WORD))
            raws = (*raws[: self._single], *map(add, low_words, high_words))
        if all(map(le, raws, self._most)) and all(map(ge, raws, self._least)):
            numbers = raws if self._scales is None else map(truediv, raws, self._scales)
            values.update(zip(self._keys, numbers, strict=True))
            return
        for row, raw in zip(self.rows, raws, strict=True):
            if row.plausible(raw):
                values[row.key] = decimal(raw, row.decimals)
            else:
                violations.append(row.key)


class _WordWithZero(NamedTuple):
    """A temperature or a frequency: the word 0 stands apart from the valid range."""

    key: str
    at: int
    least: int
    most: int
    offset: int
    scale: int
    at_zero: float | None

    @classmethod
    def of(cls, row: RegisterField, at: int) -> _WordWithZero:
        offset = TEMPERATURE_OFFSET if row.codec is Codec.TEMPERATURE else 0
        at_zero = 0.0 if row.zero else None
        return cls(
            row.key, at, row.low + offset, row.high + offset, offset, 10**row.decimals, at_zero
        )


class _Plan:
    """How the fields of one layout are read from a frame; made once per layout."""

    def __init__(self, registers: Sequence[int]) -> None:
        index = {register: position for position, register in enumerate(registers)}
        rows = [row for row in TABLE if row.registers and index.keys() >= set(row.registers)]
        present = {row.key for row in rows}
        self._sums = present >= PV_POWERS
        self._subtracts = present >= NON_ESSENTIAL
        derived = [*["pv_power"] * self._sums, *["load_power_non_essential"] * self._subtracts]
        self._blank: Values = {
            row.key: None for row in TABLE if row.key in present or row.key in derived
        }
        grouped: dict[tuple[bool, bool], list[RegisterField]] = {}
        self._with_zero: list[_WordWithZero] = []
        self._options: list[tuple[str, int, Mapping[int, str], bool]] = []
        self._bits: list[tuple[str, _Pick]] = []
        self._clock_times: list[tuple[str, int]] = []
        for row in rows:
            at = index[row.registers[0]]
            if row.zero or row.codec is Codec.TEMPERATURE:
                self._with_zero.append(_WordWithZero.of(row, at))
            elif row.codec in (Codec.U16, Codec.U32, Codec.S16):
                grouped.setdefault((row.decimals > 0, row.codec is Codec.S16), []).append(row)
            elif row.codec is Codec.ENUM:
                self._options.append((row.key, at, row.options, row.lenient))
            elif row.codec is Codec.BITS:
                self._bits.append((row.key, _pick([index[other] for other in row.registers])))
            elif row.codec is Codec.HHMM:
                self._clock_times.append((row.key, at))
        self._groups = [_Group(members, index) for members in grouped.values()]
        self._bms = _pick([index[register] for register in BMS_REGISTERS if register in index])
        self._bms_fields = [key for key in BMS_FIELDS if key in present]
        signed = {row.registers[0] for row in rows if row.codec is Codec.S16}
        letters = "".join("h" if register in signed else "H" for register in registers)
        self._unpack = struct.Struct(f">{letters}").unpack_from

    def decode(self, frame: bytes) -> tuple[Values, list[str]]:
        words = self._unpack(frame, WORDS_AT)
        values = self._blank.copy()
        violations: list[str] = []
        for group in self._groups:
            group.decode(words, values, violations)
        self._decode_singly(words, values, violations)
        if self._bms_fields and not any(self._bms(words)):
            values.update(dict.fromkeys(self._bms_fields))
        if self._sums:
            values["pv_power"] = pv_power(values)
        if self._subtracts:
            values["load_power_non_essential"] = non_essential(values)
        return values, violations

    def _decode_singly(self, words: Sequence[int], values: Values, violations: list[str]) -> None:
        for key, at, least, most, offset, scale, at_zero in self._with_zero:
            word = words[at]
            if least <= word <= most:
                values[key] = (word - offset) / scale
            elif word == 0:
                values[key] = at_zero
            else:
                violations.append(key)
        for key, at, options, lenient in self._options:
            option = values[key] = options.get(words[at])
            if option is None and not lenient:
                violations.append(key)
        for key, pick in self._bits:
            values[key] = combined(bits) if any(bits := pick(words)) else 0
        for key, at in self._clock_times:
            if (seconds := seconds_of_hhmm(words[at])) is None:
                violations.append(key)
            values[key] = seconds


PV_POWERS = frozenset({"pv_power_1", "pv_power_2", "pv_power_3"})
NON_ESSENTIAL = frozenset({"grid_power_ct", "grid_power_l1"})


def pv_power(values: Values) -> int | None:
    """Return the sum of the three strings in W; ``None`` if one has no value (spec d.4)."""
    first, second, third = values["pv_power_1"], values["pv_power_2"], values["pv_power_3"]
    if isinstance(first, int) and isinstance(second, int) and isinstance(third, int):
        return first + second + third
    return None


def non_essential(values: Values) -> int | None:
    """Return what the loads before the inverter take, in W (spec d.4)."""
    at_meter, at_inverter = values["grid_power_ct"], values["grid_power_l1"]
    if isinstance(at_meter, int) and isinstance(at_inverter, int):
        return max(0, at_meter - at_inverter)
    return None
