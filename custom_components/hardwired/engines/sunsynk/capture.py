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
    FIN,
    LINK_TYPES,
    RST,
    SYN,
    LinkType,
    Network,
    Segment,
    Skip,
    find_network,
    read_ip,
    read_tcp,
    reversed_flow,
)
from .reassembly import Direction, StreamCounts

MAXIMUM_FLOWS = 64
FLOW_PATIENCE = 1800.0
NANOSECOND = 1_000_000_000

PacketFilter = Callable[[int, bytes, Network], bool]
"""Whether a captured packet (link type, bytes, network layer) passes."""

_SEQUENCE = Struct(">I").unpack_from
_PLAIN_IPV4 = b"\x08\x00\x45"


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
        self.packets += 1
        if (
            link_type == LinkType.ETHERNET
            and self._filter is None
            and data[12:15] == _PLAIN_IPV4
            and len(data) >= 54
        ):
            # The plain case, nearly every packet of a real capture: IPv4 without options.
            if data[23] != 6:
                return []
            end = 14 + (data[16] << 8 | data[17])
            header = data[46] >> 2 & 0x3C
            start = 34 + header
            if not data[20] & 0x3F and not data[21] and 54 <= start <= end <= len(data):
                self.tcp_segments += 1
                flags = data[47]
                if start == end and not flags & (FIN | SYN | RST):
                    return []
                flow = data[26:30] + data[34:36] + data[30:34] + data[36:38]
                (sequence,) = _SEQUENCE(data, 38)
                return self._segment(time_ns, flow, sequence, flags, data[start:end])
        return self._feed_other(time_ns, link_type, data)

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
            if now - direction.last_data > FLOW_PATIENCE:
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
        time = None if time_ns is None else datetime.fromtimestamp(time_ns / NANOSECOND, UTC)
        return [
            Frame(data, time, one.flow, reversed_flow(one.flow))
            for one in found
            for data in one.frames
        ]
