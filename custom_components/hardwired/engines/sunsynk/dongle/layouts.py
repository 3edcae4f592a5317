"""Where the registers are in a report (spec b.3), and how a whole block is decoded.

A report is the plain concatenation of Modbus register blocks, so a layout is a list of blocks.
Three are known; others are learned from the polling map that the server sends (spec b.4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from ..catalogue import BMS_FIELDS, BMS_REGISTERS, TABLE, WORD_LIMITS, RegisterField
from ..register_words import TEMPERATURE_OFFSET, WORD, Codec, decimal, raw_of

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

    @cached_property
    def length(self) -> int:
        """The size of the whole frame in bytes."""
        return WORDS_AT + 2 * sum(size for _, size in self.blocks)

    @cached_property
    def _plan(self) -> _Plan:
        return _Plan(self.registers)

    @cached_property
    def _checked(self) -> Sequence[slice]:
        begins = accumulate((2 * size for _, size in self.blocks), initial=WORDS_AT)
        found = []
        for at, (start, size) in zip(begins, self.blocks, strict=False):
            first = max(start, CHECKED_BLOCK.start)
            last = min(start + size, CHECKED_BLOCK.stop)
            if first < last:
                found.append(slice(at + 2 * (first - start), at + 2 * (last - start)))
        return found

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
        return not any(b"".join([frame[place] for place in self._checked]))

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


def candidates(length: int, learned: Layout | None = None) -> tuple[Layout, ...]:
    """Return the layouts that a report of *length* bytes may have, the likeliest first."""
    known = _ALONE.get(length, ())
    if learned is None or learned.length != length or learned in known:
        return known
    return (learned, *known)


_ALONE = {length: (layout,) for length, layout in LAYOUTS.items()}


class _Plan:
    """How the fields of one layout are read from a frame; made once per layout.

    A report with all words in range is read by a function generated for its layout, which takes a
    fifth of the time of the loop over the table. The loop is kept for the others.
    """

    def __init__(self, registers: Sequence[int]) -> None:
        self._index = {register: position for position, register in enumerate(registers)}
        self._rows = [row for row in TABLE if self._has(*row.registers) and row.registers]
        self._unpack = struct.Struct(f">{len(registers)}H").unpack_from
        self._read_sound = _compile(registers, self._rows)

    def _has(self, *registers: int) -> bool:
        return all(register in self._index for register in registers)

    def decode(self, frame: bytes) -> tuple[Values, list[str]]:
        """Return the values and the keys of the fields out of range."""
        values = self._read_sound(frame)
        return (self._read_any(frame)) if values is None else (values, [])

    def _read_any(self, frame: bytes) -> tuple[Values, list[str]]:
        words = self._unpack(frame, WORDS_AT)
        image = {register: words[position] for register, position in self._index.items()}
        has_bms = any(image.get(register) for register in BMS_REGISTERS)
        values: Values = {}
        violations: list[str] = []
        for row in self._rows:
            value, sound = read_field(row, [image[register] for register in row.registers])
            values[row.key] = value if has_bms or row.key not in BMS_FIELDS else None
            if not sound:
                violations.append(row.key)
        if values.keys() >= PV_POWERS:
            values["pv_power"] = pv_power(values)
        if values.keys() >= NON_ESSENTIAL:
            values["load_power_non_essential"] = non_essential(values)
        return values, violations


def read_field(row: RegisterField, words: Sequence[int]) -> tuple[int | float | str | None, bool]:
    """Return the value of one field, and whether its words were in range."""
    raw = raw_of(row.codec, words)
    if raw is None:
        return None, row.codec is not Codec.HHMM
    if row.codec is Codec.ENUM:
        option = row.options.get(raw)
        return option, option is not None or row.lenient
    if not row.plausible(raw):
        return None, False
    return decimal(raw, row.decimals), True


def _compile(
    registers: Sequence[int], rows: Sequence[RegisterField]
) -> Callable[[bytes], Values | None]:
    """Write the function that reads a report; it returns ``None`` if a word is out of range.

    It fills a copy of values that are all absent, which takes half the time of a new dictionary.
    Its text has only register numbers and words of the table.
    """
    wanted = {register for row in rows for register in row.registers}
    wanted |= set(BMS_REGISTERS) & set(registers)
    last = {register: position for position, register in enumerate(registers)}
    signed = {row.registers[0] for row in rows if row.codec is Codec.S16}
    names, format_ = [], [">"]
    for position, register in enumerate(registers):
        if register in wanted and last[register] == position:
            names.append(f"r{register}")
            format_.append("h" if register in signed else "H")
        else:
            format_.append("2x")
    checks: list[str] = []
    always: dict[str, str] = {}
    with_bms: dict[str, str] = {}
    for row in rows:
        check, assignment = _statements(row)
        checks += check
        (with_bms if row.key in BMS_FIELDS else always)[row.key] = assignment
    keys = [row.key for row in rows]
    if always.keys() >= PV_POWERS:
        keys.append("pv_power")
        always["pv_power"] = "values['pv_power'] = r186 + r187 + r188"
    if always.keys() >= NON_ESSENTIAL:
        keys.append("load_power_non_essential")
        always[keys[-1]] = f"values[{keys[-1]!r}] = r172 - r167 if r172 > r167 else 0"
    bms = [f"r{register}" for register in BMS_REGISTERS if register in last]
    lines = [
        "def read(frame):",
        f"    [{', '.join(names)}] = unpack(frame, {WORDS_AT})",
        *(f"    {line}" for line in checks),
        "    values = blank()",
        *(f"    {line}" for line in always.values()),
        f"    if {' or '.join(bms or ['0'])}:",
        *(f"        {line}" for line in with_bms.values()),
        "        pass",
        "    return values",
    ]
    space: dict[str, Any] = {f"{row.key}_options": dict(row.options) for row in rows}
    space["unpack"] = struct.Struct("".join(format_)).unpack_from
    space["blank"] = dict.fromkeys(keys).copy
    exec("\n".join(lines), space)  # noqa: S102 - see the docstring
    read: Callable[[bytes], Values | None] = space["read"]
    return read


def _statements(row: RegisterField) -> tuple[list[str], str]:
    """Return the Python that gives up when a field's words are out of range, and that sets it."""
    word = f"r{row.registers[0]}"
    place = f"values[{row.key!r}]"
    match row.codec:
        case Codec.TEMPERATURE:
            low, high = row.low + TEMPERATURE_OFFSET, row.high + TEMPERATURE_OFFSET
            return (
                [f"if ({word} < {low} or {word} > {high}) and {word}: return"],
                f"if {word}: {place} = ({word} - {TEMPERATURE_OFFSET}) / {10**row.decimals}",
            )
        case Codec.ENUM:
            options = f"{row.key}_options"
            checks = [] if row.lenient else [f"if {word} not in {options}: return"]
            return checks, f"{place} = {options}.get({word})"
        case Codec.HHMM:
            return (
                [f"if {word} > 2359 or {word} % 100 > 59: return"],
                f"{place} = {word} // 100 * 3600 + {word} % 100 * 60",
            )
    checks = []
    if len(row.registers) > 1:
        others = (f" + r{row.registers[at]} * {WORD**at}" for at in range(1, len(row.registers)))
        checks.append(f"{row.key} = {word}{''.join(others)}")
        word = row.key
    low, high = WORD_LIMITS.get(row.codec, (0, WORD ** len(row.registers) - 1))
    limits = [f"{word} < {row.low}"] if row.low > low else []
    limits += [f"{word} > {row.high}"] if row.high < high else []
    if limits:
        unless = f" and {word}" if row.zero else ""
        checks.append(f"if ({' or '.join(limits)}){unless}: return")
    return checks, f"{place} = {word} / {10**row.decimals}" if row.decimals else f"{place} = {word}"


PV_POWERS = frozenset({"pv_power_1", "pv_power_2", "pv_power_3"})
NON_ESSENTIAL = frozenset({"grid_power_ct", "grid_power_l1"})


def pv_power(values: Values) -> int | None:
    """Return the sum of the three strings in W; ``None`` if one has no value (spec d.4)."""
    first, second, third = values["pv_power_1"], values["pv_power_2"], values["pv_power_3"]
    if isinstance(first, int) and isinstance(second, int) and isinstance(third, int):
        return first + second + third
    return None


def non_essential(values: Values) -> int | None:
    """Return the power of the loads before the inverter, in W (spec d.4)."""
    at_meter, at_inverter = values["grid_power_ct"], values["grid_power_l1"]
    if isinstance(at_meter, int) and isinstance(at_inverter, int):
        return max(0, at_meter - at_inverter)
    return None


UNKNOWN_TO_THE_TABLE = (
    Block(13, 1), Block(16, 2), Block(54, 1), Block(59, 66), Block(150, 50), Block(204, 1),
    Block(312, 8), Block(320, 7),
)  # fmt: skip
"""A layout that can be read only after its polling map was seen."""


def read_layouts(text: str) -> tuple[Layout, ...]:
    """Return the layouts of a text: ``292``, ``306``, ``mixed``, ``learned``, ``59x66,150x50``.

    Several inverters take them in turn. Raises :class:`ValueError`.
    """
    if text == "mixed":
        return tuple(LAYOUTS.values())
    if text == "learned":
        return (layout_of(UNKNOWN_TO_THE_TABLE),)
    if text.isdigit() and int(text) in LAYOUTS:
        return (LAYOUTS[int(text)],)
    try:
        pairs = [part.split("x") for part in text.split(",")]
        blocks = tuple(Block(int(start), int(size)) for start, size in pairs)
    except ValueError:
        raise ValueError(
            f"{text!r} is no layout: 292, 302, 306, mixed, learned, 59x66,..."
        ) from None
    if not all(0 < size < 256 and 0 <= start < 65536 - size for start, size in blocks):
        raise ValueError(f"{text!r}: registers go from 0 to 65535, at most 255 in a block")
    return (layout_of(blocks),)
