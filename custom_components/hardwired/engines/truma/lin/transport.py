"""The transport layer on identifiers 3C and 3D: messages in single and multiple frames (spec b.5).

Frames are eight bytes: node address, PCI, six more.
"""

from __future__ import annotations

from dataclasses import dataclass

SINGLE, FIRST, CONSECUTIVE = 0, 1, 2
FRAME_PATIENCE = 2.0
"""Seconds between two frames of one message."""
SINGLE_SIZE = 6
FIRST_SIZE = 5
MAXIMUM_SIZE = 255
PADDING = 0xFF


@dataclass(frozen=True, slots=True)
class Request:
    """A complete message to a node. ``data`` begins with the service identifier."""

    nad: int
    data: bytes


class Assembler:
    """Puts requests together from 3C frames (spec c.4, rules 3 and 4)."""

    __slots__ = ("_data", "_deadline", "_nad", "_next", "_size", "dropped", "lost")

    def __init__(self) -> None:
        self._data = bytearray()
        self._nad = 0
        self._size = 0
        self._next = 0
        self._deadline = 0.0
        self.dropped = 0
        self.lost: int | None = None
        """Whom the message was for of which a part was missing last; whoever reads it clears it."""

    def damaged(self) -> None:
        """A frame was damaged: the message in progress is lost."""
        self._give_up()

    def receive_data(self, frame: bytes, now: float) -> Request | None:
        """Take the eight bytes of a frame; return the message it completes."""
        nad, pci = frame[0], frame[1]
        kind, low = pci >> 4, pci & 15
        if kind == SINGLE:
            self._give_up()
            if 1 <= low <= SINGLE_SIZE:
                return Request(nad, frame[2 : 2 + low])
            return None
        if kind == FIRST:
            self._give_up()
            size = low << 8 | frame[2]
            if SINGLE_SIZE < size <= MAXIMUM_SIZE:
                self._nad, self._size, self._next = nad, size, 1
                self._data[:] = frame[3:]
                self._deadline = now + FRAME_PATIENCE
            return None
        if kind == CONSECUTIVE and self._size:
            if nad == self._nad and low == self._next and now <= self._deadline:
                return self._continue(frame, now)
            self._give_up()
        elif kind == CONSECUTIVE:
            # Its beginning was damaged, or a frame before it.
            self.lost = nad
        return None

    def _continue(self, frame: bytes, now: float) -> Request | None:
        self._data += frame[2:]
        self._next = (self._next + 1) & 15
        self._deadline = now + FRAME_PATIENCE
        if len(self._data) < self._size:
            return None
        request = Request(self._nad, bytes(self._data[: self._size]))
        self._size = 0
        return request

    def _give_up(self) -> None:
        if self._size:
            self.dropped += 1
            self.lost = self._nad
        self._size = 0


def split(nad: int, data: bytes, padding: int = PADDING) -> list[bytes]:
    """Return the frames, eight bytes each, that carry *data* (service identifier first).

    Raises :class:`ValueError` when it does not fit.
    """
    if not 1 <= len(data) <= MAXIMUM_SIZE:
        raise ValueError(f"a message has 1 to {MAXIMUM_SIZE} bytes, not {len(data)}")
    if len(data) <= SINGLE_SIZE:
        return [_padded(bytes((nad, len(data))) + data, PADDING)]
    frames = [bytes((nad, FIRST << 4 | len(data) >> 8, len(data) & 0xFF)) + data[:FIRST_SIZE]]
    for number, start in enumerate(range(FIRST_SIZE, len(data), SINGLE_SIZE), 1):
        pci = CONSECUTIVE << 4 | number & 15
        frames.append(_padded(bytes((nad, pci)) + data[start : start + SINGLE_SIZE], padding))
    return frames


def _padded(frame: bytes, padding: int) -> bytes:
    return frame + bytes((padding,)) * (8 - len(frame))
