"""What the tests of this family share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hardwired_engines.sunsynk.dongle.layouts import LAYOUTS, WORDS_AT, Layout

FAMILY = "sunsynk"


def same(ours: object, theirs: object) -> bool:
    """Whether two values agree: numbers to 1e-6, anything else exactly."""
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        return abs(ours - theirs) < 1e-6
    return ours == theirs


def differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, Any]:
    """Return what differs between two sets of values, as pairs (ours, theirs)."""
    absent = "absent"
    return {
        key: (ours.get(key, absent), theirs.get(key, absent))
        for key in ours.keys() | theirs.keys()
        if not same(ours.get(key, absent), theirs.get(key, absent))
    }


def moment(text: str | None) -> datetime | None:
    """Return the time in a vector."""
    return None if text is None else datetime.fromisoformat(text)


def frame_of(
    registers: Mapping[int, int],
    layout: Layout = LAYOUTS[292],
    *,
    serial: str = "2211000042",
    time: tuple[int, ...] = (25, 6, 14, 10, 0, 0),
    message_no: int = 1,
) -> bytes:
    """Return a report frame with these registers; the others are 0."""
    words = b"".join(registers.get(register, 0).to_bytes(2) for register in layout.registers)
    body = serial.encode().ljust(26, b"\0") + bytes(time) + b"\1" + words
    header = bytes((0xA5, 6, 1, 9, 2, 0xCE, 0, 0, message_no)) + len(body).to_bytes(2)
    assert len(header + body) == layout.length == WORDS_AT + len(words)
    return header + body


def server_frame(kind: int, body: bytes, message_no: int = 1) -> bytes:
    """Return a message of the server."""
    return bytes((0xA5, 6, 0xA1, kind, 1, 0, 0, 0, message_no)) + len(body).to_bytes(2) + body


def polling_map(blocks: Iterable[tuple[int, int]], cls: int = 0) -> bytes:
    """Return the body of a polling map with these blocks."""
    entries = [bytes((cls, 0, 3)) + start.to_bytes(2) + bytes((size,)) for start, size in blocks]
    return b"1.4".ljust(16, b"\0") + bytes((len(entries),)) + b"".join(entries)
