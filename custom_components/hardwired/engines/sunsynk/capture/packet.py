"""From a captured packet to the TCP segment in it: link layers, IPv4, IPv6, TCP (spec b.6, b.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, IntEnum, auto
from functools import lru_cache
from struct import Struct
from typing import Literal, NamedTuple


class LinkType(IntEnum):
    """The link types of capture files that are understood."""

    NULL = 0
    ETHERNET = 1
    PPP = 9
    RAW_12 = 12
    RAW_14 = 14
    PPP_SERIAL = 50
    PPP_ETHER = 51
    ATM_RFC1483 = 100
    RAW = 101
    CISCO_HDLC = 104
    FRAME_RELAY = 107
    LOOP = 108
    ENC = 109
    LINUX_SLL = 113
    PFLOG = 117
    PKTAP_149 = 149
    PPP_PPPD = 166
    PPI = 192
    PPP_WITH_DIRECTION = 204
    MPLS = 219
    IPV4 = 228
    IPV6 = 229
    NFLOG = 239
    NETANALYZER = 240
    PKTAP = 258
    LINUX_SLL2 = 276
    DSA_BROADCOM = 281
    DSA_BROADCOM_PREPENDED = 282
    DSA = 284
    EDSA = 285


LINK_TYPES = frozenset(int(kind) for kind in LinkType)
LINK_NAMES = {
    10: "FDDI",
    105: "Wi-Fi (802.11)",
    119: "Wi-Fi (802.11, Prism)",
    127: "Wi-Fi (802.11, radiotap)",
    163: "Wi-Fi (802.11, AVS)",
    187: "Bluetooth",
    189: "USB",
    195: "802.15.4",
    220: "USB",
    227: "CAN",
    253: "netlink",
}
"""What some link types that are not understood hold."""


def link_name(link_type: int) -> str:
    """Return what a link type that is not understood is called."""
    known = LINK_NAMES.get(link_type)
    return f"link type {link_type}" if known is None else f"{known}, link type {link_type}"


ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_PPPOE = 0x8864
ETHERTYPE_EDSA = 0xDADA
ETHERTYPES_MPLS = (0x8847, 0x8848)
UNREAD_ETHERTYPES = {
    0x4305: "batman-adv",
    0x88E5: "MACsec",
    0x88E7: "802.1ah",
    0x8926: "VN-Tag",
    0x894F: "NSH",
}
"""Packets that may hold others."""
VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200, 0x9300})
LONGEST_LLC = 1500
"""A greater number in the place of the EtherType is one; else it is the length of an LLC frame."""
SNAP = b"\xaa\xaa\x03"
SNAP_ETHERTYPE, SNAP_BRIDGED = b"\0\0\0", b"\0\x80\xc2"
BRIDGED_ETHERNET = (0x0001, 0x0007)
NLPID_SNAP = 0x80
NLPIDS = {0xCC: ETHERTYPE_IPV4, 0x8E: ETHERTYPE_IPV6}
MAXIMUM_TAGS = 3
MAXIMUM_LABELS = 8
NFLOG_PAYLOAD = 9
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6}
NULL_FAMILIES = {2: ETHERTYPE_IPV4} | dict.fromkeys((10, 24, 28, 30), ETHERTYPE_IPV6)

TCP = 6
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60

FIN, SYN, RST = 0x01, 0x02, 0x04

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
    reader = _READERS.get(link_type)
    if reader is None:
        return Skip.UNSUPPORTED
    try:
        return reader(data)
    except (IndexError, KeyError, ValueError, RecursionError):
        # Nobody wraps so deep that Python gives up, but who wants to stop us.
        return Skip.OTHER


def carried_link_type(link_type: int, data: bytes) -> int:
    """Return the link type of what a header of PPI or macOS carries, else the packet's own."""
    if link_type == LinkType.PPI:
        return int.from_bytes(data[4:8], "little")
    if link_type in (LinkType.PKTAP, LinkType.PKTAP_149):
        return int.from_bytes(data[8:12], _order(data))
    return link_type


def _order(data: bytes) -> Literal["little", "big"]:
    """Return the byte order of a header that begins with its length."""
    return "big" if int.from_bytes(data[:4], "little") > 0xFFFF else "little"


def by_version(data: bytes, start: int = 0) -> Network:
    """Return the network layer at *start* by its version nibble. Raises ``KeyError``."""
    return Network({4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}[data[start] >> 4], start)


def _null(data: bytes) -> Network:
    family = int.from_bytes(data[:4], "little")
    if family > 0xFFFF:
        family = int.from_bytes(data[:4], "big")
    return Network(NULL_FAMILIES[family], 4)


def _loop(data: bytes) -> Network:
    return Network(NULL_FAMILIES[int.from_bytes(data[:4], "big")], 4)


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


def _ppp_with_direction(data: bytes) -> Network:
    """Return it behind a byte of direction, which may stand in the place of the address."""
    return _ppp(data, 1) if data[1] != 0x03 else _ppp(b"\xff" + data[1:], 0)


def _ppp(data: bytes, start: int = 0) -> Network:
    """Return the network layer of a PPP frame, with or without address and control, or of HDLC."""
    if data[start] in (0x0F, 0x8F) and data[start + 1] == 0:
        return Network(data[start + 2] << 8 | data[start + 3], start + 4)
    if data[start] == 0xFF and data[start + 1] == 0x03:
        start += 2
    if data[start] & 1:
        # The protocol's first byte, 0, may be left out.
        return Network(PPP_PROTOCOLS[data[start]], start + 1)
    return Network(PPP_PROTOCOLS[data[start] << 8 | data[start + 1]], start + 2)


def _pktap(data: bytes) -> Network | Skip:
    """Return the network layer behind the header of macOS that names the interface."""
    length = int.from_bytes(data[:4], _order(data))
    inner = carried_link_type(LinkType.PKTAP, data)
    if length < 12 or length > len(data) or inner in (LinkType.PKTAP, LinkType.PKTAP_149):
        return Skip.OTHER
    found = find_network(inner, data[length:])
    return found if isinstance(found, Skip) else found._replace(start=found.start + length)


def _nflog(data: bytes) -> Network | Skip:
    """Return the packet in a message of the firewall's log, in the order of the router's bytes."""
    at = 4
    # Kinds are small numbers.
    order: Literal["little", "big"] = "little" if data[at + 3] & 0x7F == 0 else "big"
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 2], order)
        kind = int.from_bytes(data[at + 2 : at + 4], order) & 0x7FFF
        if length < 4:
            return Skip.OTHER
        if kind == NFLOG_PAYLOAD:
            return by_version(data, at + 4)
        at += (length + 3) // 4 * 4
    return Skip.OTHER


def _llc(data: bytes, start: int, tags: tuple[int, ...] = ()) -> Network | Skip:
    """Return the network layer behind LLC and SNAP."""
    kind = data[start + 6] << 8 | data[start + 7]
    if data[start : start + 6] != SNAP + SNAP_ETHERTYPE or kind <= LONGEST_LLC:
        return Skip.OTHER
    return _network(data, kind, start + 8, tags)


def _atm(data: bytes) -> Network | Skip:
    """Return the network layer of a DSL line, routed or bridged."""
    if data[:6] == SNAP + SNAP_BRIDGED and (data[6] << 8 | data[7]) in BRIDGED_ETHERNET:
        return _tagged(data, 10 + 12)
    return _llc(data, 0)


def _frame_relay(data: bytes) -> Network | Skip:
    """Return the network layer behind an address of two or four bytes and the protocol's id."""
    start = 2 if data[1] & 1 else 4
    if data[start] != 0x03:
        return Skip.OTHER
    # Zeros may fill up before the id.
    start += 2 if data[start + 1] == 0 else 1
    if data[start : start + 4] == bytes((NLPID_SNAP,)) + SNAP_ETHERTYPE:
        return Network(data[start + 4] << 8 | data[start + 5], start + 6)
    return Network(NLPIDS[data[start]], start + 1)


def _ppi(data: bytes) -> Network | Skip:
    """Return the network layer behind a header of one's own length that names the link type."""
    length, inner = int.from_bytes(data[2:4], "little"), carried_link_type(LinkType.PPI, data)
    if length < 8 or length > len(data) or inner == LinkType.PPI:
        return Skip.OTHER
    found = find_network(inner, data[length:])
    return found if isinstance(found, Skip) else found._replace(start=found.start + length)


def _mpls(data: bytes, start: int, tags: tuple[int, ...]) -> Network | Skip:
    """Return the network layer behind MPLS labels, in a pseudo-wire too."""
    for _ in range(MAXIMUM_LABELS):
        bottom = data[start + 2] & 1
        start += 4
        if bottom:
            break
    else:
        return Skip.OTHER
    if data[start] >> 4 in (4, 6):
        return by_version(data, start)._replace(vlan=tags)
    start += 4 if data[start] >> 4 == 0 else 0
    return _tagged(data, start + 12)


def _network(data: bytes, kind: int, start: int, tags: tuple[int, ...]) -> Network | Skip:
    if kind == ETHERTYPE_EDSA:
        return _tagged(data, start + 6)
    if kind in ETHERTYPES_MPLS:
        return _mpls(data, start, tags)
    if kind == ETHERTYPE_PPPOE:
        if data[start] != 0x11 or data[start + 1] != 0:
            return Skip.OTHER
        kind = PPP_PROTOCOLS[data[start + 6] << 8 | data[start + 7]]
        start += 8
    if kind <= LONGEST_LLC:
        return _llc(data, start, tags)
    return Network(kind, start, tags)


_READERS: Mapping[int, Callable[[bytes], Network | Skip]] = {
    LinkType.ETHERNET: lambda data: _tagged(data, 12),
    **dict.fromkeys(
        (LinkType.RAW, LinkType.RAW_12, LinkType.RAW_14, LinkType.IPV4, LinkType.IPV6), by_version
    ),
    LinkType.LINUX_SLL: lambda data: _tagged(data, 14),
    LinkType.LINUX_SLL2: _cooked_v2,
    LinkType.NULL: _null,
    LinkType.LOOP: _loop,
    # The tag of the switch chip stands before the EtherType, or before the whole.
    **dict.fromkeys(
        (LinkType.DSA, LinkType.DSA_BROADCOM, LinkType.DSA_BROADCOM_PREPENDED),
        lambda data: _tagged(data, 16),
    ),
    LinkType.EDSA: lambda data: _tagged(data, 20),
    **dict.fromkeys((LinkType.PPP, LinkType.PPP_SERIAL, LinkType.CISCO_HDLC), _ppp),
    **dict.fromkeys((LinkType.PPP_PPPD, LinkType.PPP_WITH_DIRECTION), _ppp_with_direction),
    LinkType.PPP_ETHER: lambda data: _network(data, ETHERTYPE_PPPOE, 0, ()),
    **dict.fromkeys((LinkType.PKTAP, LinkType.PKTAP_149), _pktap),
    LinkType.NFLOG: _nflog,
    LinkType.ATM_RFC1483: _atm,
    LinkType.FRAME_RELAY: _frame_relay,
    # Address family, SPI and flags of IPsec, and what was inside.
    LinkType.ENC: lambda data: by_version(data, 12),
    # The header tells its length without what fills it up.
    LinkType.PFLOG: lambda data: by_version(data, (data[0] + 3) // 4 * 4),
    LinkType.PPI: _ppi,
    LinkType.MPLS: lambda data: _mpls(data, 0, ()),
    LinkType.NETANALYZER: lambda data: _tagged(data, 16),
}
"""How the network layer is found, by link type."""


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
