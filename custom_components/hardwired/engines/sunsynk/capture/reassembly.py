"""TCP reassembly of one direction of a connection (spec b.8). Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ..dongle.envelope import FrameCutter
from .pcap import NANOSECOND

GAP_PATIENCE = 3.0
PARTIAL_PATIENCE = 30.0
JUMP = 65536
MAXIMUM_WAITING = 8
MAXIMUM_WAITING_BYTES = 65536
_HALF = 1 << 31
SEQUENCES = (1 << 32) - 1
"""Sequence numbers are taken modulo this and one."""


@dataclass(slots=True)
class StreamCounts:
    """The counters of this stage."""

    retransmitted: int = 0
    gaps: int = 0
    partial_dropped: int = 0
    resyncs: int = 0
    foreign: int = 0
    """Segments of another kind of stick."""


class Direction:
    """The state of one direction. Every method that can complete messages returns them.

    Nearly all segments belong to other devices: they come in order, nothing is pending, and no
    message begins in them. For these the caller may skip :meth:`segment`: when ``idle``, and the
    sequence number is ``next``, it sets ``next`` behind the segment and ``passed`` to the time in
    nanoseconds.
    """

    __slots__ = (
        "_counts",
        "_cutter",
        "_last_data",
        "_last_seen",
        "_waiting",
        "_waiting_since",
        "idle",
        "next",
        "passed",
    )

    def __init__(self, counts: StreamCounts) -> None:
        self._counts = counts
        self._cutter = FrameCutter()
        self._waiting: list[tuple[int, bytes]] = []
        self._waiting_since = 0.0
        self._last_data = 0.0
        self._last_seen = 0.0
        self.next: int | None = None
        self.idle = True
        self.passed: int | None = None

    @property
    def last_seen(self) -> float:
        """When the last segment came."""
        return self._last_seen if self.passed is None else self.passed / NANOSECOND

    def segment(self, time: float, sequence: int, data: bytes, *, syn: bool = False) -> list[bytes]:
        """Take a segment; the caller handles FIN and RST, after the data."""
        frames: list[bytes] = []
        if self.passed is not None:
            self._last_data = self.passed / NANOSECOND
            self.passed = None
        self._last_seen = time
        if syn:
            frames += self.flush()
            self.next = sequence = (sequence + 1) & SEQUENCES
            self._cutter.provisional = self.idle = False
        if data:
            cutter = self._cutter
            if self._waiting or cutter.buffer:
                frames += self.expire(time)
            if sequence == self.next and not self._waiting:
                frames += self._accept(data)
            else:
                frames += self._place(time, sequence, data)
            self.idle = cutter.provisional and not cutter.buffer and not self._waiting
        return frames

    def _place(self, time: float, sequence: int, data: bytes) -> list[bytes]:
        """Put data in their place in the stream."""
        if self.next is None:
            self.next = sequence
        ahead = _difference(sequence, self.next)
        if ahead < 0:
            data = data[-ahead:]
            if not data:
                self._counts.retransmitted += 1
                return []
        elif ahead >= JUMP:
            self._counts.gaps += 1
            self._drop()
            self.next = sequence
        elif ahead > 0:
            return self._put_aside(time, sequence, data)
        frames = self._accept(data)
        return frames + self._take_waiting() if self._waiting else frames

    def _settle(self) -> None:
        """Update whether something is pending."""
        cutter = self._cutter
        self.idle = cutter.provisional and not cutter.buffer and not self._waiting

    def expire(self, now: float) -> list[bytes]:
        """Give up waiting for segments that are overdue."""
        frames: list[bytes] = []
        if self._cutter.buffer and now - self._last_data > PARTIAL_PATIENCE:
            self._drop()
            self._settle()
        if self._waiting and now - self._waiting_since > GAP_PATIENCE:
            frames += self._close_gap()
            self._settle()
        return frames

    def flush(self) -> list[bytes]:
        """Close every gap, drop the rest: the connection is over."""
        frames: list[bytes] = []
        while self._waiting:
            frames += self._close_gap()
        self._drop()
        self.next = None
        self._settle()
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
        assert self.next is not None
        self.next = (self.next + len(data)) & SEQUENCES
        self._last_data = self._last_seen
        cutter = self._cutter
        resyncs, dropped = cutter.resyncs, cutter.partial_dropped
        foreign = cutter.foreign
        frames = cutter.append(data)
        self._counts.foreign += cutter.foreign - foreign
        self._counts.resyncs += cutter.resyncs - resyncs
        self._counts.partial_dropped += cutter.partial_dropped - dropped
        return frames

    def _take_waiting(self) -> list[bytes]:
        frames: list[bytes] = []
        while True:
            assert self.next is not None
            expected = self.next
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
        origin = self._waiting[0][0] if self.next is None else self.next
        self.next = min(self._waiting, key=lambda one: _difference(one[0], origin))[0]
        return self._take_waiting()

    def _drop(self) -> None:
        if self._cutter.buffer:
            self._counts.partial_dropped += 1
            self._cutter.buffer = b""
        self._cutter.provisional = True


def _difference(one: int, other: int) -> int:
    """Return *one* minus *other* as sequence numbers count, signed 32 bits."""
    return ((one - other + _HALF) & SEQUENCES) - _HALF
