"""The receiver: bytes as they come, whole frames out (spec b.10).

One network read is never assumed to be one frame. After an error a single byte is dropped, because
the next frame may begin inside the broken one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .frame import (
    HEADER,
    HEADER_SIZE,
    MAX_DATA_LENGTH,
    MIN_DATA_LENGTH,
    OVERHEAD,
    Frame,
    checksum,
)


@dataclass(slots=True)
class ParserCounters:
    """What a parser has seen since it was created."""

    frames: int = 0
    bytes_discarded: int = 0
    header_errors: int = 0
    length_errors: int = 0
    data_errors: int = 0


class Parser:
    """Finds frames in a stream. Feed it what arrives; flush it when the line is silent."""

    __slots__ = ("_buffer", "counters", "taken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.counters = ParserCounters()
        self.taken: list[bytes] = []
        """The frames that were returned last, as they came."""

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> list[Frame]:
        """Take bytes, return the frames that they complete."""
        self._buffer += data
        self.taken = []
        return self._run()

    def flush(self) -> list[Frame]:
        """Give up an incomplete frame, because the line is silent; return what was inside it."""
        frames = []
        self.taken = []
        while self._buffer:
            self._discard(1)
            frames += self._run()
        return frames

    def _run(self) -> list[Frame]:
        buffer = self._buffer
        counters = self.counters
        frames: list[Frame] = []
        size = len(buffer)
        at = 0
        discarded = 0
        while True:
            start = buffer.find(0xAA, at)
            if start < 0:
                discarded += size - at
                at = size
                break
            discarded += start - at
            at = start
            if size - at < HEADER_SIZE:
                break
            _, flags, source, destination, length, _, _ = HEADER.unpack_from(buffer, at)
            if checksum(buffer[at + 1 : at + 12]) != buffer[at + 12 : at + 14]:
                counters.header_errors += 1
            elif not MIN_DATA_LENGTH <= length <= MAX_DATA_LENGTH:
                counters.length_errors += 1
            elif size - at < OVERHEAD + length:
                break
            else:
                end = at + HEADER_SIZE + length
                data = bytes(buffer[at + HEADER_SIZE : end])
                if checksum(data) == buffer[end : end + 2]:
                    frames.append(Frame(flags, source, destination, data))
                    self.taken.append(bytes(buffer[at : end + 2]))
                    at = end + 2
                    continue
                counters.data_errors += 1
            at += 1
            discarded += 1
        del buffer[:at]
        counters.bytes_discarded += discarded
        counters.frames += len(frames)
        return frames

    def _discard(self, count: int) -> None:
        del self._buffer[:count]
        self.counters.bytes_discarded += count
