"""Mirrored and tunnelled traffic: the packet inside a packet.

Switches and routers send copies of a port's traffic wrapped: TZSP (MikroTik), ERSPAN and GRE
(Cisco, Open vSwitch), VXLAN, Geneve. What is wrapped in a way that is not read here is named.
"""

from __future__ import annotations

from typing import NamedTuple

from .packet import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPES_MPLS,
    Datagram,
    LinkType,
)

IP_IN_IP, UDP, IPV6_IN_IP, GRE, ESP, ETHERNET_IN_IP, L2TP = 4, 17, 41, 47, 50, 97, 115
TZSP_PORT, VXLAN_PORT, VXLAN_LINUX_PORT, VXLAN_GPE_PORT, GENEVE_PORT = 37008, 4789, 8472, 4790, 6081

MIRROR_PORTS = frozenset({TZSP_PORT, VXLAN_PORT, VXLAN_LINUX_PORT, VXLAN_GPE_PORT, GENEVE_PORT})
"""UDP ports to which mirrored packets are sent."""
NAMED_PORTS = {
    1701: "L2TP",
    4500: "IPsec (UDP 4500)",
    5247: "CAPWAP",
    7932: "a mirror of HP/Aruba (UDP 7932)",
    51820: "WireGuard",
}
NAMED_PROTOCOLS = {ESP: "IPsec (ESP)", L2TP: "L2TP"}
CARRIERS = frozenset({IP_IN_IP, UDP, IPV6_IN_IP, GRE, ETHERNET_IN_IP, *NAMED_PROTOCOLS})
"""IP protocols that may carry a packet."""
DEEPEST = 4
"""So many wrappings are taken off at most."""

TRANSPARENT_ETHERNET = 0x6558
ERSPAN_1_2, ERSPAN_3 = 0x88BE, 0x22EB
PPP = 0x880B
EOIP = 0x6400
"""MikroTik's Ethernet over IP."""
_BY_ETHERTYPE = {
    TRANSPARENT_ETHERNET: LinkType.ETHERNET,
    ETHERTYPE_IPV4: LinkType.IPV4,
    ETHERTYPE_IPV6: LinkType.IPV6,
    **dict.fromkeys(ETHERTYPES_MPLS, LinkType.MPLS),
}
_BY_GPE = {1: LinkType.IPV4, 2: LinkType.IPV6, 3: LinkType.ETHERNET, 5: LinkType.MPLS}
_BY_TZSP = {1: LinkType.ETHERNET}


class Inner(NamedTuple):
    """A packet inside another: its link type, its bytes, and how it was wrapped."""

    link_type: int
    data: bytes
    wrapping: str


class Unread(NamedTuple):
    """A wrapping that may hold a packet and is not read."""

    name: str


def unwrapped(data: bytes, datagram: Datagram) -> Inner | Unread | None:
    """Return the packet inside an IP packet; ``None``: there is none."""
    if datagram.protocol not in CARRIERS or datagram.fragment:
        return None
    payload = data[datagram.start : datagram.end]
    try:
        match datagram.protocol:
            case 47:
                return _gre(payload)
            case 17:
                return _udp(payload)
            case 4:
                return Inner(LinkType.IPV4, payload, "IP in IP")
            case 41:
                return Inner(LinkType.IPV6, payload, "IPv6 in IP")
            case 97:
                return Inner(LinkType.ETHERNET, payload[2:], "Ethernet in IP")
    except IndexError:
        return None
    return Unread(NAMED_PROTOCOLS[datagram.protocol])


def _udp(data: bytes) -> Inner | Unread | None:
    port = _u16(data, 2)
    body = data[8:]
    match port:
        case 37008:
            return _tzsp(body)
        case 4789 | 8472:
            return Inner(LinkType.ETHERNET, body[8:], "VXLAN") if body[0] & 0x08 else None
        case 4790:
            return _typed("VXLAN-GPE", _BY_GPE.get(body[3]), body[3], body[8:])
        case 6081:
            kind = _u16(body, 2)
            start = 8 + (body[0] & 0x3F) * 4
            return _typed("Geneve", _BY_ETHERTYPE.get(kind), kind, body[start:])
    name = NAMED_PORTS.get(port) or NAMED_PORTS.get(_u16(data, 0))
    return None if name is None else Unread(name)


def _tzsp(data: bytes) -> Inner | Unread | None:
    if data[0] != 1 or data[1] not in (0, 1):
        return None
    kind = _u16(data, 2)
    at = 4
    while (tag := data[at]) != 1:
        at += 1 if tag == 0 else 2 + data[at + 1]
    return _typed("TZSP", _BY_TZSP.get(kind), kind, data[at + 1 :])


def _gre(data: bytes) -> Inner | Unread | None:
    flags, kind = _u16(data, 0), _u16(data, 2)
    version = flags & 7
    at = 4
    if version == 0:
        at += 4 * bool(flags & 0xC000)
        at += 4 * bool(flags & 0x2000)
        at += 4 * bool(flags & 0x1000)
    elif version == 1 and kind == PPP:
        at = 8 + 4 * bool(flags & 0x1000) + 4 * bool(flags & 0x0080)
        return Inner(LinkType.PPP, data[at:], "PPTP")
    elif version == 1 and kind == EOIP:
        return Inner(LinkType.ETHERNET, data[8:], "EoIP")
    else:
        return Unread(f"GRE version {version}")
    if kind == ERSPAN_1_2:
        # Type I has no sequence number and no header of its own.
        start = at + 8 if flags & 0x1000 else at
        return Inner(LinkType.ETHERNET, data[start:], "ERSPAN")
    if kind == ERSPAN_3:
        carried = data[at + 10] >> 2 & 0x1F
        start = at + 12 + 8 * (data[at + 11] & 1)
        link = {0: LinkType.ETHERNET, 2: LinkType.RAW}.get(carried)
        return _typed("ERSPAN III", link, carried, data[start:])
    return _typed("GRE", _BY_ETHERTYPE.get(kind), kind, data[at:])


def _typed(name: str, link_type: int | None, kind: int, data: bytes) -> Inner | Unread:
    if link_type is None:
        return Unread(f"{name} with contents of type {kind:#x}")
    return Inner(link_type, data, name)


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
