"""TCP reassembly of one direction of a connection (spec b.8). Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from .envelope import FrameCutter, search_start

GAP_PATIENCE = 3.0
PARTIAL_PATIENCE = 30.0
JUMP = 65536
MAXIMUM_WAITING = 8
MAXIMUM_WAITING_BYTES = 65536
_HALF = 1 << 31
_MASK = (1 << 32) - 1


@dataclass(slots=True)
class StreamCounts:
    """The counters of this stage."""

    retransmitted: int = 0
    gaps: int = 0
    partial_dropped: int = 0
    resyncs: int = 0


class Direction:
    """The state of one direction. Every method that can complete messages returns them."""

    __slots__ = (
        "_counts",
        "_cutter",
        "_next",
        "_waiting",
        "_waiting_since",
        "last_data",
        "last_seen",
    )

    def __init__(self, counts: StreamCounts) -> None:
        self._counts = counts
        self._cutter = FrameCutter()
        self._next: int | None = None
        self._waiting: list[tuple[int, bytes]] = []
        self._waiting_since = 0.0
        self.last_data = 0.0
        self.last_seen = 0.0

    def passes_by(self, time: float, sequence: int, data: bytes, start: int, end: int) -> bool:
        """Take the bytes of *data* from *start* to *end* if they only move the stream on.

        So it is with nearly every segment of other devices: it is the next one, nothing waits,
        and no message begins in it. Else nothing is done, and :meth:`segment` is to be called.
        """
        cutter = self._cutter
        if (
            sequence != self._next
            or self._waiting
            or cutter.buffer
            or search_start(data, start, end) is not None
        ):
            return False
        self._next = (sequence + end - start) & _MASK
        self.last_data = self.last_seen = time
        if not cutter.provisional:
            cutter.provisional = True
            self._counts.resyncs += 1
        return True

    def segment(self, time: float, sequence: int, data: bytes, *, syn: bool = False) -> list[bytes]:
        """Take a segment; FIN and RST are the caller's affair, after the data."""
        frames: list[bytes] = []
        self.last_seen = time
        if syn:
            frames += self.flush()
            sequence = (sequence + 1) & _MASK
            self._next = sequence
            self._cutter.provisional = False
        if not data:
            return frames
        frames += self.expire(time)
        if self._next is None:
            self._next = sequence
        ahead = _difference(sequence, self._next)
        if ahead < 0:
            data = data[-ahead:]
            if not data:
                self._counts.retransmitted += 1
                return frames
            ahead = 0
        if ahead >= JUMP:
            self._counts.gaps += 1
            self._drop()
            self._next = sequence
            ahead = 0
        if ahead > 0:
            return frames + self._put_aside(time, sequence, data)
        self.last_data = time
        frames += self._accept(data)
        if self._waiting:
            frames += self._take_waiting()
        return frames

    def expire(self, now: float) -> list[bytes]:
        """Give up waiting for what should have come long ago."""
        frames: list[bytes] = []
        if self._cutter.buffer and now - self.last_data > PARTIAL_PATIENCE:
            self._drop()
        if self._waiting and now - self._waiting_since > GAP_PATIENCE:
            frames += self._close_gap()
        return frames

    def flush(self) -> list[bytes]:
        """Close every gap, drop the rest: the connection is over."""
        frames: list[bytes] = []
        while self._waiting:
            frames += self._close_gap()
        self._drop()
        self._next = None
        return frames

    def _put_aside(self, time: float, sequence: int, data: bytes) -> list[bytes]:
        if not self._waiting:
            self._waiting_since = time
        self._waiting.append((sequence, data))
        size = sum(len(piece) for _, piece in self._waiting)
        if len(self._waiting) >= MAXIMUM_WAITING or size > MAXIMUM_WAITING_BYTES:
            return self._close_gap()
        return []

    def _accept(self, data: bytes) -> list[bytes]:
        assert self._next is not None
        self._next = (self._next + len(data)) & _MASK
        cutter = self._cutter
        resyncs, dropped = cutter.resyncs, cutter.partial_dropped
        frames = cutter.append(data)
        self._counts.resyncs += cutter.resyncs - resyncs
        self._counts.partial_dropped += cutter.partial_dropped - dropped
        return frames

    def _take_waiting(self) -> list[bytes]:
        frames: list[bytes] = []
        while True:
            assert self._next is not None
            expected = self._next
            ready = [one for one in self._waiting if _difference(one[0], expected) <= 0]
            if not ready:
                return frames
            first = min(ready, key=lambda one: _difference(one[0], expected))
            self._waiting.remove(first)
            data = first[1][-_difference(first[0], expected) or 0 :]
            if data:
                frames += self._accept(data)

    def _close_gap(self) -> list[bytes]:
        self._counts.gaps += 1
        self._drop()
        origin = self._waiting[0][0] if self._next is None else self._next
        self._next = min(self._waiting, key=lambda one: _difference(one[0], origin))[0]
        return self._take_waiting()

    def _drop(self) -> None:
        if self._cutter.buffer:
            self._counts.partial_dropped += 1
            self._cutter.buffer = b""
        self._cutter.provisional = True


def _difference(one: int, other: int) -> int:
    """Return *one* minus *other* as sequence numbers count, signed 32 bits."""
    return ((one - other + _HALF) & _MASK) - _HALF
