"""From captured packets to TCP segments (spec b.6, b.7): the first stage of reading a capture.

Nearly every packet is plain TCP over IP of another device. Such a packet is read at the fixed
offsets of its fields, without a copy; all others layer by layer, with the readers of
:mod:`.packet`. Both give the same result for a packet that both can read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from .encapsulation import (
    CARRIERS,
    DEEPEST,
    MIRROR_PORTS,
    NAMED_PORTS,
    UDP,
    Inner,
    Unread,
    unwrapped,
)
from .packet import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    FIN,
    RST,
    SYN,
    TCP,
    UNREAD_ETHERTYPES,
    LinkType,
    Network,
    Segment,
    Skip,
    carried_link_type,
    find_network,
    link_name,
    read_ip,
    read_tcp,
)
from .pcap import Span

PacketFilter: TypeAlias = Callable[[int, bytes, Network], bool]
"""Whether a captured packet (link type, bytes, network layer) passes."""

PlacedSegment: TypeAlias = tuple[int | None, bytes, int, int, bytes, int, int]
"""A segment that was not copied: time in ns (``None``: not known), flow, sequence number, flags;
a buffer, where in it the data begin and end. Flow and flags as in :class:`.packet.Segment`."""

MARKS = FIN | SYN | RST
"""The flags that matter without data."""


class _Plain(NamedTuple):
    """The offsets of the fields of a plain packet on one kind of link; IP begins at ``ip``.

    Of IPv4 without options, ``unpack`` gives kind (EtherType, where the link has one; first byte
    and TOS), total length, fragment field with TTL and protocol, flow, sequence number, and data
    offset with flags. Of IPv6, ``unpack_6`` gives kind, payload length, protocol, and the same.
    """

    ip: int
    ipv4: int
    ipv6: int
    unpack: Callable[[bytes, int], tuple[Any, ...]]
    unpack_6: Callable[[bytes, int], tuple[Any, ...]]


def _plain(ip: int) -> _Plain:
    """Return it for links where IP begins at *ip*, with the EtherType before it unless at 0."""
    kind = f">{ip - 2}xI" if ip else ">H"
    return _Plain(
        ip,
        ETHERTYPE_IPV4 << 8 | 0x45 if ip else 0x45,
        ETHERTYPE_IPV6 << 4 | 6 if ip else 6,
        Struct(f"{kind}H2xI2x12sI4xH").unpack_from,
        Struct(f"{kind}2xHBx36sI4xH").unpack_from,
    )


_PLAIN: Mapping[int, _Plain] = {
    LinkType.ETHERNET: _plain(14),
    LinkType.LINUX_SLL: _plain(16),
    **dict.fromkeys(
        (LinkType.RAW, LinkType.RAW_12, LinkType.RAW_14, LinkType.IPV4, LinkType.IPV6), _plain(0)
    ),
}
_NEVER = _plain(0)._replace(ip=1 << 40)
_LEAST, _LEAST_6 = 40, 60
_PART = 0x3FFF0000
"""Where "more fragments" and the fragment offset stand before TTL and protocol."""
MAXIMUM_NAMES = 16

_INTERESTING = MIRROR_PORTS | NAMED_PORTS.keys()


def _of_interest(flow: bytes) -> bool:
    """Whether a UDP packet may carry others, by the last four bytes of its flow: the ports."""
    return (flow[-2] << 8 | flow[-1]) in _INTERESTING or (flow[-4] << 8 | flow[-3]) in NAMED_PORTS


def _may_carry(protocol: int, flow: bytes) -> bool:
    """Whether an IP packet other than TCP may hold another packet."""
    return protocol in CARRIERS and (protocol != UDP or _of_interest(flow))


class Segments:
    """Takes packets, gives TCP segments; counts what it passes over (spec f.3)."""

    def __init__(self, packet_filter: PacketFilter | None = None) -> None:
        self.packets = 0
        self.tcp_segments = 0
        self.truncated = 0
        self.fragments = 0
        self.unsupported = 0
        self.unread: dict[str, int] = {}
        """Packets that may hold others and are not read, by what they are."""
        self.unwrapped: dict[str, int] = {}
        """Packets taken out of others, by how they were wrapped."""
        self._filter = packet_filter

    def filter_by(self, packet_filter: PacketFilter | None) -> None:
        """Let only such packets pass from now on."""
        self._filter = packet_filter

    def read(self, spans: Sequence[Span]) -> list[PlacedSegment]:  # noqa: C901 - the hot loop
        """Take packets without copying them; return the segments with data or flags."""
        found: list[PlacedSegment] = []
        self.packets += len(spans)
        plain_segments = 0
        known, (ip, ipv4, ipv6, unpack, unpack_6) = -1, _NEVER
        for time_ns, link_type, buffer, first, last in spans:
            if link_type != known:
                known = link_type
                plain = _NEVER if self._filter is not None else _PLAIN.get(link_type, _NEVER)
                ip, ipv4, ipv6, unpack, unpack_6 = plain
            at = first + ip
            if at + _LEAST <= last:
                kind, total, rest, flow, sequence, bits = unpack(buffer, first)
                start, end, part = 1, 0, 0
                if kind >> 8 == ipv4:
                    if rest & 0xFF == TCP:
                        start, end = at + 20 + (bits >> 12) * 4, at + total
                        part = rest & _PART
                    elif not _may_carry(rest & 0xFF, flow):
                        continue
                elif kind >> 12 == ipv6 and at + _LEAST_6 <= last:
                    _, total, protocol, flow, sequence, bits = unpack_6(buffer, first)
                    if protocol == TCP:
                        start, end = at + 40 + (bits >> 12) * 4, at + 40 + total
                    elif protocol == UDP and not _of_interest(flow):
                        continue
                if start <= end <= last and bits >= 0x5000 and not part:
                    plain_segments += 1
                    if start < end or bits & MARKS:
                        found.append((time_ns, flow, sequence, bits & 0xFF, buffer, start, end))
                    continue
            for segment in self._read_layers(link_type, buffer[first:last]):
                flow, sequence, flags, data = segment
                found.append((time_ns, flow, sequence, flags, data, 0, len(data)))
        self.tcp_segments += plain_segments
        return found

    def _read_layers(self, link_type: int, data: bytes, depth: int = 0) -> tuple[Segment, ...]:
        """Return what :meth:`read` returns for any packet: one segment or none."""
        network = find_network(link_type, data)
        if network is Skip.UNSUPPORTED:
            self.unsupported += 1
            self._note_unread(link_name(carried_link_type(link_type, data)))
            return ()
        if isinstance(network, Skip):
            return ()
        if network.ethertype in UNREAD_ETHERTYPES:
            self._note_unread(UNREAD_ETHERTYPES[network.ethertype])
            return ()
        datagram = read_ip(data, network)
        if not isinstance(datagram, Skip) and datagram.protocol in CARRIERS:
            match unwrapped(data, datagram):
                case Inner(inner, packet, wrapping) if depth < DEEPEST and packet:
                    self.unwrapped[wrapping] = self.unwrapped.get(wrapping, 0) + 1
                    return self._read_layers(inner, packet, depth + 1)
                case Unread(name):
                    self._note_unread(name)
        if self._filter is not None and not self._filter(link_type, data, network):
            return ()
        segment = datagram if isinstance(datagram, Skip) else read_tcp(data, datagram)
        match segment:
            case Segment():
                self.tcp_segments += 1
                return (segment,) if segment.data or segment.flags & MARKS else ()
            case Skip.FRAGMENT:
                self.fragments += 1
            case Skip.TRUNCATED:
                self.truncated += 1
        return ()

    def _note_unread(self, name: str) -> None:
        if name in self.unread or len(self.unread) < MAXIMUM_NAMES:
            self.unread[name] = self.unread.get(name, 0) + 1

    def summary(self) -> dict[str, Any]:
        """Return the counters of this stage as plain types (spec f.3)."""
        return {
            "packets": self.packets,
            "tcp_segments": self.tcp_segments,
            "truncated": self.truncated,
            "fragments": self.fragments,
            "unsupported": self.unsupported,
        }
