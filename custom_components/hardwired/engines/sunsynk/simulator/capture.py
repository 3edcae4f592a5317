"""A simulation as a capture file, in any link layer (spec i.1, i.4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from ..capture.packet import LinkType
from ..capture.packet_builder import Address, TcpPacket, Wrapping
from ..capture.writer import PcapWriter
from .world import Segment, Simulation, segments

LINK_NAMES = {
    "ethernet": LinkType.ETHERNET,
    "sll": LinkType.LINUX_SLL,
    "sll2": LinkType.LINUX_SLL2,
    "raw": LinkType.RAW,
    "raw12": LinkType.RAW_12,
    "raw14": LinkType.RAW_14,
    "ipv4": LinkType.IPV4,
    "ipv6": LinkType.IPV6,
    "null": LinkType.NULL,
    "loop": LinkType.LOOP,
}
"""The link types by the names of the command line."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = _EPOCH + timedelta(seconds=1 << 32)
_V6_PREFIX = int(ipaddress.IPv6Address("2001:db8::"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """How the packets are wrapped. ``snaplen`` cuts what is longer; 0: nothing is cut."""

    link_type: int = LinkType.ETHERNET
    wrapping: Wrapping = Wrapping.PLAIN
    ipv6: bool = False
    snaplen: int = 0

    def __post_init__(self) -> None:
        if self.snaplen < 0:
            raise ValueError(f"a snap length is 0 or more, not {self.snaplen}")


PLAIN = Medium()


def packets(
    simulation: Simulation, duration: timedelta, medium: Medium = PLAIN
) -> Iterator[tuple[int, int, bytes]]:
    """Yield the packets of a capture of *duration*: nanoseconds since 1970, link type, bytes."""
    for segment in segments(simulation, duration):
        yield _nanoseconds(segment.time), medium.link_type, _packet(segment, medium)


def write_capture(
    file: BinaryIO, simulation: Simulation, duration: timedelta, medium: Medium = PLAIN
) -> int:
    """Write a capture file; returns the number of packets.

    Raises :class:`ValueError` when it would last longer than the seconds of such a file.
    """
    if simulation.start + duration >= _LATEST:
        raise ValueError(f"a capture file ends before {_LATEST:%Y-%m-%d}")
    writer = PcapWriter(file, medium.link_type)
    count = 0
    for time_ns, _, packet in packets(simulation, duration, medium):
        shown = packet[: medium.snaplen] if medium.snaplen else packet
        writer.write(time_ns, shown, len(packet))
        count += 1
    return count


def _packet(segment: Segment, medium: Medium) -> bytes:
    ipv6 = medium.ipv6 or medium.link_type == LinkType.IPV6
    return TcpPacket(
        source=_address(segment.source[0], ipv6=ipv6),
        destination=_address(segment.destination[0], ipv6=ipv6),
        source_port=segment.source[1],
        destination_port=segment.destination[1],
        sequence=segment.seq,
        acknowledgement=segment.ack,
        flags=segment.flags,
        data=segment.data,
        link_type=medium.link_type,
        wrapping=medium.wrapping,
    ).build()


def _address(text: str, *, ipv6: bool) -> Address:
    address = ipaddress.IPv4Address(text)
    return ipaddress.IPv6Address(_V6_PREFIX + int(address)) if ipv6 else address


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
