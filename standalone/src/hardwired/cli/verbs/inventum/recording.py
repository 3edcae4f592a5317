"""Reads recordings of a terminal: our own lines, or the raw bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardwired_engines.engine import Direction

from ...recording import Chunk, in_utf8, recorded_line

MEANINGFUL = frozenset({"screen", "columns", "row"})
NOTHING_KNOWN = "there is no screen and no row of an Ecolution in it"
_RECORDED = re.compile(rb'\s*\{\s*"')


def chunks_of(raw: bytes) -> Iterator[Chunk]:
    """Yield what passed in both directions. Raw bytes are one chunk, without a time.

    Raises :class:`ValueError` for a line that can't be read.
    """
    raw = in_utf8(raw)
    if not _RECORDED.match(raw):
        yield Chunk(raw, Direction.IN)
        return
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        chunk = recorded_line(line.decode(errors="replace"), number)
        if chunk.direction is None:
            raise ValueError(f"line {number} is no line of a recording: it has no direction")
        yield chunk


def heard_in(raw: bytes) -> Iterator[bytes]:
    """Yield the device's bytes in a recording. Raises :class:`ValueError` as :func:`chunks_of`."""
    for chunk in chunks_of(raw):
        if chunk.direction is Direction.IN:
            yield chunk.data
