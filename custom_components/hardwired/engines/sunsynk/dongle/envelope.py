"""The envelope of the dongle's messages, and cutting them from a byte stream (spec b.1, b.9)."""

from __future__ import annotations

import re
import sys

from .solarman import solarman_size

START = 0xA5
HEADER_SIZE = 11
MAXIMUM_BODY = 4096
FROM_DONGLE = 0x01
FROM_SERVER = 0xA1
_DIRECTIONS = (FROM_DONGLE, FROM_SERVER)


def header_ok(data: bytes) -> bool:
    """Whether *data* begins with a valid envelope (spec b.1)."""
    return (
        len(data) >= HEADER_SIZE
        and data[0] == START
        and data[2] in _DIRECTIONS
        and (data[9] << 8 | data[10]) <= MAXIMUM_BODY
    )


def frame_size(data: bytes) -> int:
    """Return the size in bytes of the message whose valid envelope *data* begins with."""
    return HEADER_SIZE + (data[9] << 8 | data[10])


_START = re.compile(rb"\xa5(?!.[^\x01\xa1]|.{8}(?:[^\x00-\x10].|\x10[^\0]))", re.DOTALL)
"""A start byte, unless direction or body length, as far as present, are impossible."""

_LIKELY = re.compile(rb"\xa5(?:.[\x01\xa1]|..[\x10\x11])", re.DOTALL).search


def find_start(data: bytes, start: int = 0, end: int = sys.maxsize) -> int:
    """Return where in *data*, from *start* to *end*, a message could begin; -1: nowhere."""
    found = _START.search(data, start, end)
    return -1 if found is None else found.start()


def likely_start(data: bytes, start: int) -> int:
    """Return where, from *start* on, a message seems to start; else a large number.

    The foreign frames of :mod:`.solarman` count, too.

    One search in the buffer of a capture serves all packets before the place it finds.
    """
    found = _LIKELY(data, start)
    return sys.maxsize if found is None else found.start()


class FrameCutter:
    """Cuts messages from one direction of a connection.

    ``provisional``: the buffer may not begin at the start of a message. Memory is
    bounded by the largest message plus the largest piece appended.
    """

    __slots__ = ("buffer", "foreign", "partial_dropped", "provisional", "resyncs")

    def __init__(self) -> None:
        self.buffer = b""
        self.provisional = True
        self.resyncs = 0
        self.partial_dropped = 0
        self.foreign = 0
        """Frames of another kind of stick at the beginning of a piece: see :mod:`.solarman`."""

    def drop(self) -> None:
        """Drop what has been collected, and count it if there was something."""
        if self.buffer:
            self.partial_dropped += 1
            self.buffer = b""
        self.provisional = True

    def append(self, data: bytes) -> list[bytes]:
        """Append *data*; return the messages that are complete now."""
        buffer = self.buffer
        while not buffer and (size := solarman_size(data)):
            self.foreign += 1
            data = data[size:]
            if not data:
                return []
        if not buffer and header_ok(data) and frame_size(data) == len(data):
            self.provisional = False
            return [data]
        if buffer:
            if self.provisional and header_ok(data) and frame_size(data) == len(data):
                self.resyncs += 1
                self.drop()
                buffer = data
            else:
                buffer += data
        else:
            buffer = data
        frames: list[bytes] = []
        while buffer:
            start = find_start(buffer)
            if start != 0:
                if not self.provisional:
                    self.resyncs += 1
                    self.provisional = True
                if start < 0:
                    buffer = b""
                    break
                buffer = buffer[start:]
            if len(buffer) < HEADER_SIZE or len(buffer) < (size := frame_size(buffer)):
                break
            frames.append(buffer[:size])
            buffer = buffer[size:]
            self.provisional = False
        self.buffer = buffer
        return frames
