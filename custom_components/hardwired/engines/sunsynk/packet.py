"""From a captured packet to its TCP segment: link layers, IPv4, IPv6, TCP (spec b.6, b.7).

Checksums are not verified: on the sending host the network card fills them in later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from struct import Struct
from typing import TypeAlias

Packet: TypeAlias = tuple[int | None, int, bytes, int]
"""A packet as captured: time in ns since 1970 (``None``: unknown), link type, what was captured,
its length on the wire."""

Flow: TypeAlias = bytes
"""One direction of a TCP connection: source address, destination address, source port and
destination port as they stand in the packet (12 bytes with IPv4, 36 with IPv6)."""

Segment: TypeAlias = tuple[Flow, int, int, int, int]
"""A TCP segment in a packet: flow, sequence number, flags, where its data begin and end."""

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_PPPOE = 0x8864
VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
MAXIMUM_TAGS = 3
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6}

PROTOCOL_TCP = 6
PROTOCOLS_WITH_PORTS = frozenset({6, 17, 132})
FRAGMENT_HEADER = 44
EXTENSION_HEADERS = frozenset({0, 43, 60, FRAGMENT_HEADER})

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


class LinkType(IntEnum):
    """The link types that are understood, by their numbers in capture files."""

    NULL = 0
    ETHERNET = 1
    RAW_BSD = 12
    RAW_OPENBSD = 14
    RAW = 101
    LOOP = 108
    LINUX_COOKED = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_COOKED_2 = 276


class Unusable(Enum):
    """Why a packet gives no segment."""

    NOT_TCP = "not_tcp"
    FRAGMENT = "fragment"
    TRUNCATED = "truncated"
    """Less was captured than IP says there is."""


@dataclass(frozen=True, slots=True)
class Network:
    """Where the network layer of a packet is: EtherType, position, and the VLAN tags before it."""

    ethertype: int
    at: int
    vlans: tuple[int, ...] = ()


NOTHING = Network(0, 0)

_half = Struct(">H").unpack_from
_ports = Struct(">HH").unpack_from


def _behind_ethertype(data: bytes, ethertype: int, at: int) -> Network:
    """Skip VLAN tags and a PPPoE header; *at* is what follows the EtherType."""
    vlans: tuple[int, ...] = ()
    while ethertype in VLAN_TAGS:
        if len(vlans) == MAXIMUM_TAGS or len(data) < at + 4:
            return NOTHING
        vlans = (*vlans, _half(data, at)[0] & 0x0FFF)
        ethertype, at = _half(data, at + 2)[0], at + 4
    if ethertype == ETHERTYPE_PPPOE:
        if len(data) < at + 8 or data[at] != 0x11 or data[at + 1] != 0:
            return NOTHING
        return Network(PPP_PROTOCOLS.get(_half(data, at + 6)[0], 0), at + 8, vlans)
    return Network(ethertype, at, vlans)


def _ethernet(data: bytes) -> Network:
    return NOTHING if len(data) < 14 else _behind_ethertype(data, _half(data, 12)[0], 14)


def _cooked(data: bytes) -> Network:
    return NOTHING if len(data) < 16 else _behind_ethertype(data, _half(data, 14)[0], 16)


def _cooked_2(data: bytes) -> Network:
    return NOTHING if len(data) < 20 else _behind_ethertype(data, _half(data, 0)[0], 20)


def _by_version(data: bytes, at: int) -> Network:
    match data[at] >> 4 if len(data) > at else 0:
        case 4:
            return Network(ETHERTYPE_IPV4, at)
        case 6:
            return Network(ETHERTYPE_IPV6, at)
    return NOTHING


def _raw(data: bytes) -> Network:
    return _by_version(data, 0)


_FAMILIES = {2: ETHERTYPE_IPV4} | dict.fromkeys((10, 24, 28, 30), ETHERTYPE_IPV6)


def _loop(data: bytes) -> Network:
    return Network(_FAMILIES.get(int.from_bytes(data[:4]), 0), 4)


def _null(data: bytes) -> Network:
    # The family is in the byte order of the host that captured, which may be another than ours.
    either = (int.from_bytes(data[:4]), int.from_bytes(data[:4], "little"))
    return Network(next((_FAMILIES[key] for key in either if key in _FAMILIES), 0), 4)


NETWORK: Mapping[int, Callable[[bytes], Network]] = {
    LinkType.NULL: _null,
    LinkType.ETHERNET: _ethernet,
    LinkType.RAW_BSD: _raw,
    LinkType.RAW_OPENBSD: _raw,
    LinkType.RAW: _raw,
    LinkType.LOOP: _loop,
    LinkType.LINUX_COOKED: _cooked,
    LinkType.IPV4: _raw,
    LinkType.IPV6: _raw,
    LinkType.LINUX_COOKED_2: _cooked_2,
}
"""How to find the network layer, by link type; other link types are not understood."""


def cooked_offset(data: bytes) -> int | None:
    """Return where IP begins in what a cooked packet socket delivers; ``None``: it is no IP.

    The kernel takes the outer VLAN tag away. Of two tags, the last four bytes of the inner one
    are left in front of the IP header, of a PPPoE session the whole PPPoE header (spec g.6).
    """
    if len(data) < 20:
        return None
    if data[0] >> 4 in (4, 6):
        return 0
    network = NOTHING
    if data[0] == 0x11 and data[1] == 0:
        network = _behind_ethertype(data, ETHERTYPE_PPPOE, 0)
    if not _is_ip(data, network):
        network = _behind_ethertype(data, _half(data, 2)[0], 4)
    return network.at if _is_ip(data, network) else None


def _is_ip(data: bytes, network: Network) -> bool:
    version = {ETHERTYPE_IPV4: 4, ETHERTYPE_IPV6: 6}.get(network.ethertype)
    return len(data) > network.at and data[network.at] >> 4 == version


@dataclass(frozen=True, slots=True)
class Inner:
    """What a capture filter may ask of a packet; always of the inner packet, behind any tag.

    ``ethertype`` is 0 when it is not known, addresses are empty where there are none, ports are
    ``None`` without ports or in a later fragment. ``macs`` is destination and source.
    """

    ethertype: int
    length: int
    source: bytes = b""
    destination: bytes = b""
    protocol: int | None = None
    source_port: int | None = None
    destination_port: int | None = None
    vlans: tuple[int, ...] = ()
    macs: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class _Transport:
    """What follows an IP header, as far as it was captured. ``end``: -1 when it was cut."""

    protocol: int
    at: int
    end: int
    addresses: bytes
    fragment: bool = False
    later_fragment: bool = False


def _ipv4(data: bytes, at: int, length: int) -> _Transport | Unusable:
    if len(data) < at + 20:
        return Unusable.TRUNCATED if len(data) < length else Unusable.NOT_TCP
    header = (data[at] & 0x0F) * 4
    if data[at] >> 4 != 4 or header < 20:
        return Unusable.NOT_TCP
    fragment = _half(data, at + 6)[0]
    total = _half(data, at + 2)[0]
    # A length of zero is left by segmentation offload: the packet goes to its end.
    end = at + total if total else length
    return _Transport(
        data[at + 9],
        at + header,
        end if end <= len(data) else -1,
        data[at + 12 : at + 20],
        fragment & 0x3FFF != 0,
        fragment & 0x1FFF != 0,
    )


def _ipv6(data: bytes, at: int, length: int) -> _Transport | Unusable:
    if len(data) < at + 40:
        return Unusable.TRUNCATED if len(data) < length else Unusable.NOT_TCP
    if data[at] >> 4 != 6:
        return Unusable.NOT_TCP
    payload = _half(data, at + 4)[0]
    end = at + 40 + payload if payload else length
    addresses = data[at + 8 : at + 40]
    protocol, at = data[at + 6], at + 40
    fragment = later = False
    while protocol in EXTENSION_HEADERS and not later:
        if len(data) < at + 8:
            return Unusable.TRUNCATED if len(data) < end else Unusable.NOT_TCP
        if protocol == FRAGMENT_HEADER:
            place = _half(data, at + 2)[0]
            fragment, later = fragment or place & 0xFFF9 != 0, place & 0xFFF8 != 0
            protocol, at = data[at], at + 8
        else:
            protocol, at = data[at], at + 8 + data[at + 1] * 8
    return _Transport(protocol, at, end if end <= len(data) else -1, addresses, fragment, later)


def tcp_segment(link: int, data: bytes, length: int) -> Segment | Unusable:
    """Return the TCP segment in a packet of a link type in :data:`NETWORK`.

    *length* is its length on the wire.
    """
    network = NETWORK[link](data)
    match network.ethertype:
        case 0x0800:
            transport = _ipv4(data, network.at, length)
        case 0x86DD:
            transport = _ipv6(data, network.at, length)
        case _:
            return Unusable.NOT_TCP
    if isinstance(transport, Unusable):
        return transport
    if transport.fragment and (transport.protocol == PROTOCOL_TCP or len(transport.addresses) > 8):
        return Unusable.FRAGMENT
    if transport.protocol != PROTOCOL_TCP:
        return Unusable.NOT_TCP
    at, end = transport.at, transport.end
    if end < 0:
        return Unusable.TRUNCATED
    if end - at < 20:
        return Unusable.NOT_TCP
    start = at + (data[at + 12] >> 4) * 4
    if not at + 20 <= start <= end:
        return Unusable.NOT_TCP
    flow = transport.addresses + data[at : at + 4]
    return flow, int.from_bytes(data[at + 4 : at + 8]), data[at + 13], start, end


def inspect(link: int, data: bytes, length: int) -> Inner:
    """Return what a filter may ask of a packet. Never fails: what is not there is absent."""
    finder = NETWORK.get(link)
    network = NOTHING if finder is None else finder(data)
    macs = (data[:6], data[6:12]) if link == LinkType.ETHERNET and len(data) >= 12 else None
    at = network.at
    transport: _Transport | Unusable = Unusable.NOT_TCP
    match network.ethertype:
        case 0x0800:
            transport = _ipv4(data, at, length)
        case 0x86DD:
            transport = _ipv6(data, at, length)
        case 0x0806 if len(data) >= at + 28 and data[at + 2 : at + 6] == b"\x08\x00\x06\x04":
            addresses = data[at + 14 : at + 18], data[at + 24 : at + 28]
            return Inner(ETHERTYPE_ARP, length, *addresses, vlans=network.vlans, macs=macs)
    if isinstance(transport, Unusable):
        return Inner(network.ethertype, length, vlans=network.vlans, macs=macs)
    half = len(transport.addresses) // 2
    source_port = destination_port = None
    has_ports = transport.protocol in PROTOCOLS_WITH_PORTS and not transport.later_fragment
    if has_ports and len(data) >= transport.at + 4:
        source_port, destination_port = _ports(data, transport.at)
    return Inner(
        network.ethertype,
        length,
        transport.addresses[:half],
        transport.addresses[half:],
        transport.protocol,
        source_port,
        destination_port,
        network.vlans,
        macs,
    )


def reverse(flow: Flow) -> Flow:
    """Return the other direction of the same connection."""
    size = (len(flow) - 4) // 2
    return flow[size : 2 * size] + flow[:size] + flow[-2:] + flow[-4:-2]
