"""From packets to the dongle's messages (spec b.6 - b.9): the stage before the reports.

Pure: packets come with their times, messages go out. Memory is bounded per connection and in
all, whatever passes on the interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..dongle.envelope import START, find_start, likely_start
from ..dongle.solarman import solarman_size
from .packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, FIN, RST, SYN, LinkType, reversed_flow
from .pcap import NANOSECOND, CaptureFile, Span
from .reassembly import SEQUENCES, Direction, StreamCounts
from .segments import MARKS, PacketFilter, PlacedSegment, Segments

MAXIMUM_FLOWS = 64
FLOW_PATIENCE = 1800.0

_NETWORKS = {ETHERTYPE_IPV4: LinkType.IPV4, ETHERTYPE_IPV6: LinkType.IPV6}
_LATEST = 253_402_300_800
"""The year 10000, in seconds since 1970."""


class Frame(NamedTuple):
    """One message of the dongle or of its server.

    ``time`` is when it was captured, in UTC; ``None``: not known. ``flow`` names its direction,
    ``reverse_flow`` the other one of the same connection.
    """

    data: bytes
    time: datetime | None
    flow: bytes
    reverse_flow: bytes


class Capture:
    """Takes packets, gives messages; counts what it passes over (spec f.3)."""

    def __init__(self, packet_filter: PacketFilter | None = None) -> None:
        self.stream = StreamCounts()
        self._segments = Segments(packet_filter)
        self._flows: dict[bytes, Direction] = {}
        self._now = 0

    def filter_by(self, packet_filter: PacketFilter | None) -> None:
        """Let only such packets pass from now on."""
        self._segments.filter_by(packet_filter)

    @property
    def packets(self) -> int:
        """Packets taken."""
        return self._segments.packets

    @property
    def tcp_segments(self) -> int:
        """TCP segments among them that passed the filter."""
        return self._segments.tcp_segments

    @property
    def unsupported(self) -> int:
        """Packets of link types that are not understood."""
        return self._segments.unsupported

    @property
    def foreign(self) -> int:
        """Segments of another kind of stick, that this source does not read."""
        return self.stream.foreign

    @property
    def unread(self) -> Mapping[str, int]:
        """Packets that may hold others and are not read, by what they are."""
        return self._segments.unread

    def feed(self, time_ns: int | None, link_type: int, data: bytes) -> list[Frame]:
        """Take one packet as a capture file has it; return the messages it completes.

        *time_ns* is in nanoseconds since 1970; ``None``: not known.
        """
        return self.take(((time_ns, link_type, data, 0, len(data)),))

    def take_network(
        self, time_ns: int | None, packets: Iterable[tuple[int, bytes]]
    ) -> list[Frame]:
        """Take packets that begin with their network layer, as a cooked socket gives them.

        Each comes with its EtherType; all were captured at one time.
        """
        return self.take([(time_ns, _NETWORKS[kind], data, 0, len(data)) for kind, data in packets])

    def take(self, spans: Sequence[Span]) -> list[Frame]:
        """Take packets without copying them; return the messages they complete.

        Another device's segment costs a comparison and an addition. The buffer is searched for the
        start of a message once for many segments.
        """
        found: list[Frame] = []
        flows = self._flows
        searched, likely = b"", -1
        for segment in self._segments.read(spans):
            time_ns, flow, sequence, flags, buffer, start, end = segment
            if time_ns is not None:
                self._now = time_ns
            direction = flows.pop(flow, None)
            if (
                direction is not None
                and direction.idle
                and direction.next == sequence
                and not flags & MARKS
            ):
                if buffer is not searched:
                    searched, likely = buffer, -1
                if likely < start:
                    likely = likely_start(buffer, start)
                quiet = likely >= end and START not in (buffer[end - 1], buffer[end - 2])
                if quiet or (
                    find_start(buffer, start, end) < 0 and not solarman_size(buffer, start, end)
                ):
                    direction.next = (sequence + end - start) & SEQUENCES
                    direction.passed = self._now
                    flows[flow] = direction
                    continue
            found += self._follow(segment, direction)
        return found

    def _follow(self, segment: PlacedSegment, direction: Direction | None) -> list[Frame]:
        """Take a segment whose direction is not among the flows for now."""
        time_ns, flow, sequence, flags, buffer, start, end = segment
        if direction is None:
            if start == end and not flags & SYN:
                return []
            direction = Direction(self.stream)
        now, data = self._now / NANOSECOND, buffer[start:end]
        frames = direction.segment(now, sequence, data, syn=flags & SYN != 0)
        if flags & (FIN | RST):
            frames += direction.flush()
        else:
            self._flows[flow] = direction
        found = _frames(time_ns, flow, frames) if frames else []
        if len(self._flows) > MAXIMUM_FLOWS:
            oldest = next(iter(self._flows))
            found += _frames(time_ns, oldest, self._flows.pop(oldest).flush())
        return found

    def expire(self, now_ns: int) -> list[Frame]:
        """Apply the time limits; to be called now and then while nothing arrives."""
        self._now, now = now_ns, now_ns / NANOSECOND
        found = []
        for flow, direction in list(self._flows.items()):
            frames = direction.expire(now)
            if now - direction.last_seen > FLOW_PATIENCE:
                frames += direction.flush()
                del self._flows[flow]
            found += _frames(now_ns, flow, frames)
        return found

    def finish(self) -> list[Frame]:
        """Flush everything: the end of the file, or a new start on the interface."""
        now_ns = self._now or None
        found = []
        for flow, direction in self._flows.items():
            found += _frames(now_ns, flow, direction.flush())
        self._flows.clear()
        return found

    def read(self, packets: Iterable[tuple[int | None, int, bytes]]) -> Iterator[Frame]:
        """Take all *packets* of a file and flush; yields the messages."""
        if isinstance(packets, CaptureFile):
            for batch in packets.batches():
                yield from self.take(batch)
        else:
            for packet in packets:
                yield from self.feed(*packet)
        yield from self.finish()

    def summary(self) -> dict[str, Any]:
        """Return the counters of this stage as plain types (spec f.3)."""
        return {
            **self._segments.summary(),
            "retransmitted": self.stream.retransmitted,
            "gaps": self.stream.gaps,
            "partial_dropped": self.stream.partial_dropped,
            "resyncs": self.stream.resyncs,
        }


def _frames(time_ns: int | None, flow: bytes, frames: Iterable[bytes]) -> list[Frame]:
    """Return messages with their time and their connection."""
    seconds = -1.0 if time_ns is None else time_ns / NANOSECOND
    time = datetime.fromtimestamp(seconds, UTC) if 0 <= seconds < _LATEST - 1 else None
    other = reversed_flow(flow)
    return [Frame(data, time, flow, other) for data in frames]
