"""Packets as a capture file has them, built from TCP segments: for the simulator and recordings."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import TypeAlias

from .packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_PPPOE, LinkType

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

MAC_DONGLE = bytes.fromhex("6055f9000001")
MAC_ROUTER = bytes.fromhex("04421a000001")


class Wrapping(Enum):
    """What is between Ethernet and IP."""

    PLAIN = "plain"
    VLAN = "vlan"
    QINQ = "qinq"
    PPPOE = "pppoe"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpPacket:
    """One TCP segment and the way it is wrapped. Addresses are of one IP version."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int = 0
    flags: int = PSH | ACK
    data: bytes = b""
    link_type: int = LinkType.ETHERNET
    wrapping: Wrapping = Wrapping.PLAIN
    vlan: int = 7
    identification: int = 0

    def build(self) -> bytes:
        """Return the packet as a capture file of its link type has it."""
        return wrap(self.ip(), self.link_type, self.wrapping, self.vlan)

    def ip(self) -> bytes:
        """Return the IP packet, checksums right."""
        header = struct.pack(
            ">HHIIBBHHH",
            self.source_port,
            self.destination_port,
            self.sequence & 0xFFFFFFFF,
            self.acknowledgement & 0xFFFFFFFF,
            5 << 4,
            self.flags,
            0xFFFF,
            0,
            0,
        )
        segment = header + self.data
        pseudo = self.source.packed + self.destination.packed
        pseudo += struct.pack(">II", len(segment), 6)
        total = checksum(pseudo + segment)
        segment = segment[:16] + struct.pack(">H", total) + segment[18:]
        if isinstance(self.source, ipaddress.IPv4Address):
            ip = struct.pack(
                ">BBHHHBBH", 0x45, 0, 20 + len(segment), self.identification, 0, 64, 6, 0
            )
            ip += self.source.packed + self.destination.packed
            return ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + segment
        ip = struct.pack(">IHBB", 6 << 28, len(segment), 6, 64)
        return ip + self.source.packed + self.destination.packed + segment

    def fragments(self, size: int = 64) -> list[bytes]:
        """Return the same as IPv4 fragments of *size* payload bytes (a multiple of 8)."""
        whole = self.ip()
        header, payload = whole[:20], whole[20:]
        parts = []
        for start in range(0, len(payload), size):
            piece = payload[start : start + size]
            more = 0x2000 if start + size < len(payload) else 0
            ip = header[:2] + struct.pack(">H", 20 + len(piece)) + header[4:6]
            ip += struct.pack(">H", more | start // 8) + header[8:10] + b"\0\0" + header[12:]
            ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
            parts.append(wrap(ip + piece, self.link_type, self.wrapping, self.vlan))
        return parts

    def answered(self, sequence: int, data: bytes, flags: int = PSH | ACK) -> TcpPacket:
        """Return a segment of the other direction."""
        return replace(
            self,
            source=self.destination,
            destination=self.source,
            source_port=self.destination_port,
            destination_port=self.source_port,
            sequence=sequence,
            acknowledgement=self.sequence + len(self.data),
            data=data,
            flags=flags,
        )


def checksum(data: bytes) -> int:
    """Return the Internet checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(_words(len(data) // 2).unpack(data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f">{count}H")


def wrap(ip: bytes, link_type: int, wrapping: Wrapping = Wrapping.PLAIN, vlan: int = 7) -> bytes:
    """Return an IP packet in a link layer. Raises :class:`ValueError` for an unknown one."""
    version_4 = ip[0] >> 4 == 4
    kind = ETHERTYPE_IPV4 if version_4 else ETHERTYPE_IPV6
    match link_type:
        case LinkType.ETHERNET:
            return MAC_ROUTER + MAC_DONGLE + _inner(ip, kind, wrapping, vlan)
        case LinkType.LINUX_SLL:
            return struct.pack(">HHH8sH", 0, 1, 6, MAC_DONGLE + b"\0\0", kind) + ip
        case LinkType.LINUX_SLL2:
            return struct.pack(">HHIHBB8s", kind, 0, 2, 1, 0, 6, MAC_DONGLE + b"\0\0") + ip
        case LinkType.RAW | LinkType.RAW_12 | LinkType.RAW_14 | LinkType.IPV4 | LinkType.IPV6:
            return ip
        case LinkType.NULL:
            return struct.pack("<I", 2 if version_4 else 30) + ip
        case LinkType.LOOP:
            return struct.pack(">I", 2 if version_4 else 24) + ip
        case _:
            return _wrap_rarely(ip, link_type, kind)


def _wrap_rarely(ip: bytes, link_type: int, kind: int) -> bytes:
    """Return an IP packet in a link layer of routers, switch chips and macOS."""
    macs = MAC_ROUTER + MAC_DONGLE
    protocol = struct.pack(">H", 0x0021 if kind == ETHERTYPE_IPV4 else 0x0057)
    ethertype = struct.pack(">H", kind)
    ethernet = macs + ethertype + ip
    family = 2 if kind == ETHERTYPE_IPV4 else 10
    tag = b"\x40\x28\x00\x01"
    ppp = b"\xff\x03" + protocol + ip
    pktap = struct.pack("<III", 108, 1, LinkType.ETHERNET).ljust(108, b"\0")
    nflog = struct.pack("<BBH", family, 0, 256) + struct.pack("<HHB3x", 5, 10, 0)
    built: dict[int, bytes] = {
        LinkType.PPP: ppp,
        LinkType.PPP_SERIAL: ppp,
        LinkType.PPP_PPPD: b"\x01" + ppp[1:],
        LinkType.PPP_WITH_DIRECTION: b"\x01" + ppp,
        LinkType.PPP_ETHER: struct.pack(">BBHH", 0x11, 0, 1, len(ip) + 2) + protocol + ip,
        LinkType.CISCO_HDLC: b"\x0f\x00" + ethertype + ip,
        LinkType.DSA: macs + tag + ethertype + ip,
        LinkType.DSA_BROADCOM: macs + tag + ethertype + ip,
        LinkType.DSA_BROADCOM_PREPENDED: tag + ethernet,
        LinkType.EDSA: macs + b"\xda\xda\0\0" + tag + ethertype + ip,
        LinkType.PKTAP: pktap + ethernet,
        LinkType.PKTAP_149: pktap + ethernet,
        LinkType.NFLOG: nflog + struct.pack("<HH", len(ip) + 4, 9) + ip,
        LinkType.ATM_RFC1483: b"\xaa\xaa\x03\0\0\0" + ethertype + ip,
        LinkType.FRAME_RELAY: b"\x04\x01\x03\x80\0\0\0" + ethertype + ip,
        LinkType.ENC: struct.pack("<III", family, 0x1234, 3) + ip,
        LinkType.PFLOG: bytes((61, family)).ljust(64, b"\0") + ip,
        LinkType.PPI: struct.pack("<BBHI", 0, 0, 8, LinkType.ETHERNET) + ethernet,
        LinkType.MPLS: b"\0\0\x11\x40" + ip,
        LinkType.NETANALYZER: bytes(4) + ethernet + bytes(4),
    }
    if link_type not in built:
        raise ValueError(f"no packet can be built for link type {link_type}")
    return built[link_type]


def _inner(ip: bytes, kind: int, wrapping: Wrapping, vlan: int) -> bytes:
    match wrapping:
        case Wrapping.VLAN:
            return struct.pack(">HHH", 0x8100, vlan, kind) + ip
        case Wrapping.QINQ:
            return struct.pack(">HHHHH", 0x88A8, vlan, 0x8100, vlan + 1, kind) + ip
        case Wrapping.PPPOE:
            protocol = 0x0021 if kind == ETHERTYPE_IPV4 else 0x0057
            return struct.pack(">HBBHHH", ETHERTYPE_PPPOE, 0x11, 0, 1, len(ip) + 2, protocol) + ip
    return struct.pack(">H", kind) + ip
