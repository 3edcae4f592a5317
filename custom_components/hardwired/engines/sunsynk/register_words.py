"""Register words to plain numbers and back (spec b.5), and the faults that bits stand for (spec h).

A word is a 16-bit integer, 0 ... 65535. Two-word values put the low word first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

WORD = 0x10000


class Codec(StrEnum):
    """How the words of a field make its value (spec b.5)."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    TEMPERATURE = "temp"
    HHMM = "hhmm"
    ENUM = "enum"
    BITS = "bits"
    SLOT = "slot"
    SUM = "sum"
    DIFFERENCE = "diff"

    @property
    def derived(self) -> bool:
        """Whether the value is computed from other fields, not read from registers."""
        return self in (Codec.SLOT, Codec.SUM, Codec.DIFFERENCE)


TEMPERATURE_OFFSET = 1000
"""A temperature word counts tenths of a degree from -100 °C."""


def signed(word: int) -> int:
    """Return a word as two's complement."""
    return word - WORD if word & 0x8000 else word


def combined(words: Sequence[int]) -> int:
    """Return words as one unsigned number, the low word first."""
    return sum(word << (16 * index) for index, word in enumerate(words))


def seconds_of_hhmm(word: int) -> int | None:
    """Return the seconds since midnight of a word like 530 for 05:30; ``None``: no such time."""
    hours, minutes = divmod(word, 100)
    if hours > 23 or minutes > 59:
        return None
    return hours * 3600 + minutes * 60


def hhmm_of_seconds(seconds: int) -> int:
    """Return the word for a time of day. Raises :class:`ValueError` outside the day."""
    if not 0 <= seconds < 86400:
        raise ValueError(f"{seconds} s is no time of day")
    return seconds // 3600 * 100 + seconds % 3600 // 60


def raw_of(codec: Codec, words: Sequence[int]) -> int | None:
    """Return the integer that a field's words stand for, before the decimal point is set.

    A temperature is in tenths of a degree Celsius; ``None`` is an absent probe or no time of day.
    """
    match codec:
        case Codec.S16:
            return signed(words[0])
        case Codec.TEMPERATURE:
            return None if words[0] == 0 else words[0] - TEMPERATURE_OFFSET
        case Codec.HHMM:
            return seconds_of_hhmm(words[0])
        case _:
            return combined(words)


def words_of(codec: Codec, raw: int | None, count: int) -> tuple[int, ...]:
    """Return the words that :func:`raw_of` reads as *raw*; the inverse, for the simulator.

    Raises :class:`ValueError` when *raw* does not fit into *count* words.
    """
    match codec:
        case Codec.TEMPERATURE:
            raw = 0 if raw is None else raw + TEMPERATURE_OFFSET
        case Codec.HHMM:
            raw = 0 if raw is None else hhmm_of_seconds(raw)
        case Codec.S16:
            raw = raw or 0
            if not -0x8000 <= raw <= 0x7FFF:
                raise ValueError(f"{raw} does not fit into a signed word")
            raw %= WORD
    raw = raw or 0
    if not 0 <= raw < 1 << (16 * count):
        raise ValueError(f"{raw} does not fit into {count} words")
    return tuple(raw >> (16 * index) & 0xFFFF for index in range(count))


def decimal(raw: int, decimals: int) -> int | float:
    """Return *raw* with its decimal point set: the double nearest to the exact decimal."""
    return raw if decimals == 0 else raw / 10**decimals


def fault_numbers(bits: int) -> Iterator[int]:
    """Yield the fault numbers in the combined fault registers: bit 0 is fault 1."""
    return (bit + 1 for bit in range(bits.bit_length()) if bits >> bit & 1)


def fault_codes(bits: int) -> str:
    """Return the faults as the display of the inverter writes them: ``"F13, F35"``."""
    return ", ".join(f"F{number:02}" for number in fault_numbers(bits))
