"""From a captured packet to the TCP segment in it: link layers, IPv4, IPv6, TCP (spec b.6, b.7)."""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from functools import lru_cache
from struct import Struct
from typing import NamedTuple


class LinkType(IntEnum):
    """The link types of capture files that are understood."""

    NULL = 0
    ETHERNET = 1
    RAW_12 = 12
    RAW_14 = 14
    RAW = 101
    LOOP = 108
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


LINK_TYPES = frozenset(int(kind) for kind in LinkType)

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_PPPOE = 0x8864
VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
MAXIMUM_TAGS = 3
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6}
NULL_FAMILIES = {2: ETHERTYPE_IPV4} | dict.fromkeys((10, 24, 28, 30), ETHERTYPE_IPV6)

TCP = 6
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60

FIN, SYN, RST = 0x01, 0x02, 0x04

_U16 = Struct(">H").unpack_from
_PORTS_SEQUENCE = Struct(">HHI").unpack_from


class Skip(Enum):
    """Why there is no segment in a packet."""

    UNSUPPORTED = auto()
    """A link type that is not understood."""
    OTHER = auto()
    """No TCP over IP, or too damaged to tell."""
    FRAGMENT = auto()
    """A part of an IP packet."""
    TRUNCATED = auto()
    """Less was captured than was sent."""


class Network(NamedTuple):
    """Where the network layer begins, and its kind; ``vlan`` are the tags, outermost first."""

    ethertype: int
    start: int
    vlan: tuple[int, ...] = ()


class Datagram(NamedTuple):
    """What an IP packet carries, for the filter and for TCP.

    ``end`` is where its bytes end by its own account; ``first`` says whether it holds the
    beginning of the transport header, ``fragment`` whether it is a part of something.
    """

    version: int
    source: bytes
    destination: bytes
    protocol: int
    start: int
    end: int
    fragment: bool
    first: bool


class Segment(NamedTuple):
    """A TCP segment.

    ``flow`` is source address, destination address, source port and destination port: in most
    packets they are adjacent.
    """

    flow: bytes
    sequence: int
    flags: int
    data: bytes


def find_network(link_type: int, data: bytes) -> Network | Skip:
    """Return where the network layer of a captured packet begins (spec b.6)."""
    try:
        match link_type:
            case LinkType.ETHERNET:
                return _tagged(data, 12)
            case LinkType.RAW | LinkType.RAW_12 | LinkType.RAW_14 | LinkType.IPV4 | LinkType.IPV6:
                return by_version(data)
            case LinkType.LINUX_SLL:
                return _tagged(data, 14)
            case LinkType.LINUX_SLL2:
                return _cooked_v2(data)
            case LinkType.NULL:
                family = int.from_bytes(data[:4], "little")
                if family > 0xFFFF:
                    family = int.from_bytes(data[:4], "big")
                return Network(NULL_FAMILIES[family], 4)
            case LinkType.LOOP:
                return Network(NULL_FAMILIES[int.from_bytes(data[:4], "big")], 4)
    except (IndexError, KeyError, ValueError):
        return Skip.OTHER
    return Skip.UNSUPPORTED


def by_version(data: bytes, start: int = 0) -> Network:
    """Return the network layer at *start* by its version nibble. Raises ``KeyError``."""
    return Network({4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}[data[start] >> 4], start)


def _cooked_v2(data: bytes) -> Network | Skip:
    kind = data[0] << 8 | data[1]
    if kind in VLAN_TAGS:
        return _tags(data, kind, 20)
    return _network(data, kind, 20, ())


def _tagged(data: bytes, position: int) -> Network | Skip:
    kind = data[position] << 8 | data[position + 1]
    return _tags(data, kind, position + 2)


def _tags(data: bytes, kind: int, start: int) -> Network | Skip:
    tags: tuple[int, ...] = ()
    while kind in VLAN_TAGS and len(tags) < MAXIMUM_TAGS:
        tags += ((data[start] << 8 | data[start + 1]) & 0x0FFF,)
        kind = data[start + 2] << 8 | data[start + 3]
        start += 4
    return _network(data, kind, start, tags)


def _network(data: bytes, kind: int, start: int, tags: tuple[int, ...]) -> Network | Skip:
    if kind == ETHERTYPE_PPPOE:
        if data[start] != 0x11 or data[start + 1] != 0:
            return Skip.OTHER
        kind = PPP_PROTOCOLS[data[start + 6] << 8 | data[start + 7]]
        start += 8
    return Network(kind, start, tags)


def read_ip(data: bytes, network: Network) -> Datagram | Skip:
    """Return what the IP packet at the network layer carries."""
    try:
        if network.ethertype == ETHERTYPE_IPV4:
            return _ipv4(data, network.start)
        if network.ethertype == ETHERTYPE_IPV6:
            return _ipv6(data, network.start)
    except IndexError:
        return Skip.OTHER
    return Skip.OTHER


def _ipv4(data: bytes, start: int) -> Datagram | Skip:
    first = data[start]
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20 or len(data) < start + header:
        return Skip.OTHER
    total = data[start + 2] << 8 | data[start + 3]
    if 0 < total < header:
        return Skip.OTHER
    part = (data[start + 6] << 8 | data[start + 7]) & 0x3FFF
    return Datagram(
        4,
        data[start + 12 : start + 16],
        data[start + 16 : start + 20],
        data[start + 9],
        start + header,
        start + total if total else len(data),
        part != 0,
        part & 0x1FFF == 0,
    )


def _ipv6(data: bytes, start: int) -> Datagram | Skip:
    if data[start] >> 4 != 6 or len(data) < start + 40:
        return Skip.OTHER
    length = data[start + 4] << 8 | data[start + 5]
    end = start + 40 + length if length else len(data)
    following = data[start + 6]
    position = start + 40
    fragment, first = False, True
    while following in (HOP_BY_HOP, ROUTING, DESTINATION, FRAGMENT):
        if position + 8 > end:
            return Skip.OTHER
        size = 8
        if following == FRAGMENT:
            offset = data[position + 2] << 8 | data[position + 3]
            fragment = fragment or offset & 0xFFF9 != 0
            first = first and offset >> 3 == 0
        else:
            size += data[position + 1] * 8
        following = data[position]
        position += size
        if not first:
            break
    return Datagram(
        6,
        data[start + 8 : start + 24],
        data[start + 24 : start + 40],
        following,
        position,
        end,
        fragment,
        first,
    )


def read_tcp(data: bytes, datagram: Datagram) -> Segment | Skip:
    """Return the TCP segment in an IP packet."""
    if datagram.protocol != TCP:
        return Skip.OTHER
    if datagram.fragment:
        return Skip.FRAGMENT
    start, end = datagram.start, datagram.end
    if end > len(data):
        return Skip.TRUNCATED
    if end - start < 20:
        return Skip.OTHER
    header = (data[start + 12] >> 4) * 4
    if header < 20 or start + header > end:
        return Skip.OTHER
    _, _, sequence = _PORTS_SEQUENCE(data, start)
    flow = datagram.source + datagram.destination + data[start : start + 4]
    return Segment(flow, sequence, data[start + 13], data[start + header : end])


@lru_cache(maxsize=256)
def reversed_flow(flow: bytes) -> bytes:
    """Return the other direction of a flow."""
    size = len(flow) // 2 - 2
    return flow[size : 2 * size] + flow[:size] + flow[-2:] + flow[-4:-2]
