"""From packets to the dongle's messages (spec b.6 - b.9): the stage before the reports.

Pure: packets come with their times, messages go out. Memory is bounded per connection and in
all, whatever passes on the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Any, NamedTuple

from .packet import (
    ETHERTYPE_IPV6,
    FIN,
    LINK_TYPES,
    RST,
    SYN,
    TCP,
    LinkType,
    Network,
    Segment,
    Skip,
    find_network,
    read_ip,
    read_tcp,
    reversed_flow,
)
from .pcap import CaptureFile
from .reassembly import Direction, StreamCounts

MAXIMUM_FLOWS = 64
FLOW_PATIENCE = 1800.0
NANOSECOND = 1_000_000_000

PacketFilter = Callable[[int, bytes, Network], bool]
"""Whether a captured packet (link type, bytes, network layer) passes."""

_PLAIN = Struct(">12xIH2xI2x12sI4xBB").unpack_from
"""Of Ethernet, IPv4 without options and TCP: EtherType, version and TOS; total length; fragment
field, TTL and protocol; addresses and ports; sequence number; data offset; flags."""
_PLAIN_6 = Struct(">14xB3xHBx36sI4xBB").unpack_from
"""Of Ethernet, IPv6 and TCP: version; payload length; protocol; addresses and ports; sequence
number; data offset; flags."""
_PLAIN_SIZE, _PLAIN_SIZE_6 = 54, 74
_PLAIN_IPV4 = 0x080045
_ETHERNET = int(LinkType.ETHERNET)
_LATEST = 253_402_300_800
"""The year 10000, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the dongle or of its server.

    ``time`` is when it was captured, in UTC; ``None``: not known. ``flow`` names its direction,
    ``reverse_flow`` the other one of the same connection.
    """

    data: bytes
    time: datetime | None
    flow: bytes
    reverse_flow: bytes


class _Found(NamedTuple):
    flow: bytes
    frames: list[bytes]


class Capture:
    """Takes packets, gives messages; counts what it passes over (spec f.3)."""

    def __init__(self, packet_filter: PacketFilter | None = None) -> None:
        self.packets = 0
        self.tcp_segments = 0
        self.truncated = 0
        self.fragments = 0
        self.unsupported = 0
        self.stream = StreamCounts()
        self._filter = packet_filter
        self._flows: dict[bytes, Direction] = {}
        self._now = 0.0

    def feed(self, time_ns: int | None, link_type: int, data: bytes) -> list[Frame]:
        """Take one packet as a capture file has it; return the messages it completes.

        *time_ns* is in nanoseconds since 1970; ``None``: not known.
        """
        return self._feed_span(time_ns, link_type, data, 0, len(data))

    def _feed_span(
        self, time_ns: int | None, link_type: int, buffer: bytes, first: int, last: int
    ) -> list[Frame]:
        """Take the packet that stands in *buffer* from *first* to *last*.

        Nearly every packet of a real capture is plain, and of these nearly every one is another
        device's: it is done with here, without a copy.
        """
        self.packets += 1
        if link_type != _ETHERNET or self._filter is not None or last - first < _PLAIN_SIZE:
            return self._feed_other(time_ns, link_type, buffer[first:last])
        kind, total, rest, flow, sequence, offset, flags = _PLAIN(buffer, first)
        if kind >> 8 == _PLAIN_IPV4:
            if rest & 0xFF != TCP:
                return []
            start, end = first + 34 + (offset >> 4) * 4, first + 14 + total
            plain = not rest & 0x3FFF0000 and offset >= 0x50 and start <= end <= last
        elif kind >> 16 == ETHERTYPE_IPV6 and last - first >= _PLAIN_SIZE_6:
            version, total, following, flow, sequence, offset, flags = _PLAIN_6(buffer, first)
            start, end = first + 54 + (offset >> 4) * 4, first + 54 + total
            plain = (
                following == TCP and version >> 4 == 6 and offset >= 0x50 and start <= end <= last
            )
        else:
            start = end = first
            plain = False
        if not plain:
            return self._feed_other(time_ns, link_type, buffer[first:last])
        self.tcp_segments += 1
        if not flags & (FIN | SYN | RST):
            if start == end:
                return []
            flows = self._flows
            direction = flows.pop(flow, None)
            if direction is not None:
                flows[flow] = direction
                now = self._now if time_ns is None else time_ns / NANOSECOND
                if direction.passes_by(now, sequence, buffer, start, end):
                    self._now = now
                    return []
        return self._segment(time_ns, flow, sequence, flags, buffer[start:end])

    def feed_network(self, time_ns: int | None, ethertype: int, data: bytes) -> list[Frame]:
        """Take one packet that begins with its network layer, as a cooked socket gives it."""
        self.packets += 1
        return self._feed_network(time_ns, LinkType.RAW, data, Network(ethertype, 0))

    def _feed_other(self, time_ns: int | None, link_type: int, data: bytes) -> list[Frame]:
        if link_type not in LINK_TYPES:
            self.unsupported += 1
            return []
        network = find_network(link_type, data)
        if isinstance(network, Skip):
            return []
        return self._feed_network(time_ns, link_type, data, network)

    def _feed_network(
        self, time_ns: int | None, link_type: int, data: bytes, network: Network
    ) -> list[Frame]:
        if self._filter is not None and not self._filter(link_type, data, network):
            return []
        datagram = read_ip(data, network)
        if isinstance(datagram, Skip):
            return []
        match read_tcp(data, datagram):
            case Segment() as segment:
                self.tcp_segments += 1
                return self._segment(
                    time_ns, segment.flow, segment.sequence, segment.flags, segment.data
                )
            case Skip.FRAGMENT:
                self.fragments += 1
            case Skip.TRUNCATED:
                self.truncated += 1
        return []

    def _segment(
        self, time_ns: int | None, flow: bytes, sequence: int, flags: int, data: bytes
    ) -> list[Frame]:
        if time_ns is not None:
            self._now = time_ns / NANOSECOND
        now = self._now
        flows = self._flows
        direction = flows.pop(flow, None)
        if direction is None:
            if not data and not flags & SYN:
                return []
            direction = Direction(self.stream)
        frames = (
            direction.segment(now, sequence, data, syn=True)
            if flags & SYN
            else direction.segment(now, sequence, data)
        )
        if flags & (FIN | RST):
            frames += direction.flush()
        else:
            flows[flow] = direction
        found = [_Found(flow, frames)] if frames else []
        if len(flows) > MAXIMUM_FLOWS:
            oldest = next(iter(flows))
            found.append(_Found(oldest, flows.pop(oldest).flush()))
        return self._frames(time_ns, found) if found else []

    def expire(self, now_ns: int) -> list[Frame]:
        """Apply the time limits; to be called now and then while nothing arrives."""
        self._now = now = now_ns / NANOSECOND
        found = []
        for flow, direction in list(self._flows.items()):
            frames = direction.expire(now)
            if now - direction.last_seen > FLOW_PATIENCE:
                frames += direction.flush()
                del self._flows[flow]
            found.append(_Found(flow, frames))
        return self._frames(now_ns, found)

    def finish(self) -> list[Frame]:
        """Flush everything: the end of the file, or a new start on the interface."""
        found = [_Found(flow, direction.flush()) for flow, direction in self._flows.items()]
        self._flows.clear()
        return self._frames(int(self._now * NANOSECOND) or None, found)

    def read(self, packets: Iterable[tuple[int | None, int, bytes]]) -> Iterator[Frame]:
        """Take all *packets* of a file and flush; yields the messages."""
        if isinstance(packets, CaptureFile):
            feed_span = self._feed_span
            for span in packets.spans():
                if frames := feed_span(*span):
                    yield from frames
        else:
            feed = self.feed
            for time_ns, link_type, data in packets:
                if frames := feed(time_ns, link_type, data):
                    yield from frames
        yield from self.finish()

    def summary(self) -> dict[str, Any]:
        """Return the counters of this stage as plain types (spec f.3)."""
        return {
            "packets": self.packets,
            "tcp_segments": self.tcp_segments,
            "truncated": self.truncated,
            "fragments": self.fragments,
            "retransmitted": self.stream.retransmitted,
            "gaps": self.stream.gaps,
            "partial_dropped": self.stream.partial_dropped,
            "resyncs": self.stream.resyncs,
        }

    @staticmethod
    def _frames(time_ns: int | None, found: list[_Found]) -> list[Frame]:
        seconds = -1.0 if time_ns is None else time_ns / NANOSECOND
        time = datetime.fromtimestamp(seconds, UTC) if 0 <= seconds < _LATEST - 1 else None
        return [
            Frame(data, time, one.flow, reversed_flow(one.flow))
            for one in found
            for data in one.frames
        ]
