"""The table of registers in docs/protocol/sunsynk.md, made from the table that drives the decoder.

Run as a module it prints the rows, for the page; the test compares them with the page. How sure a
row is and its note stand in the page only.
"""

from __future__ import annotations

from collections.abc import Iterator

from custom_components.hardwired.engines.sunsynk.catalogue import TABLE, RegisterField
from custom_components.hardwired.engines.sunsynk.dongle.layouts import LAYOUTS
from custom_components.hardwired.engines.sunsynk.register_words import Codec

HEADER = ("Register", "Field", "292", "302", "306", "Codec", "Unit", "Valid")


def rows() -> Iterator[tuple[str, ...]]:
    """Yield the cells of every register field, by register."""
    fields = [row for row in TABLE if row.registers and not row.codec.derived]
    for row in sorted(fields, key=lambda row: row.registers):
        yield (
            ", ".join(map(str, row.registers)),
            f"`{row.key}`",
            *(_offsets(row, length) for length in (292, 302, 306)),
            _codec(row),
            row.unit or "–",
            _valid(row),
        )


def _offsets(row: RegisterField, length: int) -> str:
    offsets = [LAYOUTS[length].offset(register) for register in row.registers]
    return "–" if None in offsets else ", ".join(map(str, offsets))


def _codec(row: RegisterField) -> str:
    if row.decimals and row.codec is not Codec.TEMPERATURE:
        return f"{row.codec} × {10**-row.decimals:g}"
    return str(row.codec)


def _valid(row: RegisterField) -> str:
    if row.options:
        return "; ".join(f"{code} {text}" for code, text in row.options.items())
    if row.codec is Codec.BITS:
        return "bits"
    if row.codec is Codec.HHMM:
        return "00:00 … 23:59"
    if row.codec is Codec.S16 and (row.low, row.high) == (-0x8000, 0x7FFF):
        return "any"
    scale = 10**row.decimals
    text = f"{row.low / scale:.10g} … {row.high / scale:.10g}"
    return f"{text}, or 0" if row.zero else text


if __name__ == "__main__":
    for cells in rows():
        print("| " + " | ".join(cells) + " |")
