"""Frames of Solarman and IGEN sticks (protocol V5), to tell them from ours (spec a.1).

They begin with the same byte. This source does not read them; the logger's number in them
must never be shown.
"""

from __future__ import annotations

START = 0xA5
OVERHEAD = 13
"""Start, length, control code, sequence, logger's number; check sum and end."""
END = 0x15
CONTROLS = (0x10, 0x11)


def solarman_size(data: bytes, start: int = 0, end: int | None = None) -> int:
    """Return the size of the whole frame of protocol V5 at *start*; 0: there is none.

    It is known by its length, check sum and end byte.
    """
    stop = len(data) if end is None else end
    if stop - start < OVERHEAD or data[start] != START:
        return 0
    if data[start + 3] not in CONTROLS:
        return 0
    size = OVERHEAD + (data[start + 1] | data[start + 2] << 8)
    last = start + size - 1
    if last >= stop:
        return 0
    total = sum(data[start + 1 : last - 1]) & 0xFF
    return size if data[last] == END and data[last - 1] == total else 0
