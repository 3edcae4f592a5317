"""Link layers, IP and TCP (spec b.6, b.7), and building packets."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.packet import (
    LINK_TYPES,
    LinkType,
    Network,
    Segment,
    Skip,
    find_network,
    read_ip,
    read_tcp,
    reversed_flow,
)
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket, Wrapping, checksum, wrap

V4 = TcpPacket(
    source=ipaddress.ip_address("192.168.0.21"),
    destination=ipaddress.ip_address("13.42.117.179"),
    source_port=50586,
    destination_port=51100,
    sequence=0xFFFFFFF0,
    data=b"what it says",
)
V6 = replace(
    V4, source=ipaddress.ip_address("fd00::21"), destination=ipaddress.ip_address("2a05::1")
)
TCP_AT = 34


def segment_in(link_type: int, data: bytes) -> Segment | Skip:
    """Take all three steps."""
    network = find_network(link_type, data)
    if isinstance(network, Skip):
        return network
    datagram = read_ip(data, network)
    return datagram if isinstance(datagram, Skip) else read_tcp(data, datagram)


def check(found: Segment | Skip, sent: TcpPacket) -> None:
    """Compare a segment with the packet that was built."""
    assert isinstance(found, Segment)
    assert (found.sequence, found.flags, found.data) == (sent.sequence, sent.flags, sent.data)


def patched(packet: bytes, at: int, new: bytes) -> bytes:
    """Return a packet with other bytes at a place."""
    return packet[:at] + new + packet[at + len(new) :]


@pytest.mark.parametrize("sent", [V4, V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("link_type", list(LinkType))
def test_every_link_type(sent: TcpPacket, link_type: LinkType) -> None:
    check(segment_in(link_type, replace(sent, link_type=link_type).build()), sent)


@pytest.mark.parametrize("sent", [V4, V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("wrapping", list(Wrapping))
def test_every_wrapping(sent: TcpPacket, wrapping: Wrapping) -> None:
    packet = replace(sent, wrapping=wrapping, vlan=5).build()
    check(segment_in(LinkType.ETHERNET, packet), sent)
    network = find_network(LinkType.ETHERNET, packet)
    assert isinstance(network, Network)
    assert network.vlan == {Wrapping.VLAN: (5,), Wrapping.QINQ: (5, 6)}.get(wrapping, ())


@pytest.mark.parametrize("tags", range(6))
@pytest.mark.parametrize("link_type, at", [(LinkType.LINUX_SLL, 14), (LinkType.ETHERNET, 12)])
def test_at_most_three_tags(tags: int, link_type: LinkType, at: int) -> None:
    packet = replace(V4, link_type=link_type).build()
    tagged = packet[:at] + struct.pack(">HH", 0x9100, 9) * tags + packet[at:]
    found = segment_in(link_type, tagged)
    if tags <= 3:
        check(found, V4)
    else:
        assert found is Skip.OTHER


def test_a_tag_behind_the_second_cooked_header() -> None:
    packet = replace(V4, link_type=LinkType.LINUX_SLL2).build()
    tagged = b"\x81\x00" + packet[2:20] + struct.pack(">HH", 7, 0x0800) + packet[20:]
    check(segment_in(LinkType.LINUX_SLL2, tagged), V4)


@pytest.mark.parametrize("family, sent", [(2, V4), (10, V6), (24, V6), (28, V6), (30, V6)])
def test_families_in_both_orders(family: int, sent: TcpPacket) -> None:
    for order in ("<", ">"):
        check(segment_in(LinkType.NULL, struct.pack(order + "I", family) + sent.ip()), sent)
    check(segment_in(LinkType.LOOP, struct.pack(">I", family) + sent.ip()), sent)
    assert segment_in(LinkType.LOOP, struct.pack("<I", family) + sent.ip()) is Skip.OTHER


def test_padding_is_no_data_and_length_zero_is_the_rest() -> None:
    check(segment_in(LinkType.ETHERNET, V4.build() + b"padding"), V4)
    check(segment_in(LinkType.ETHERNET, V6.build() + b"padding"), V6)
    check(segment_in(LinkType.ETHERNET, patched(V4.build(), 16, b"\0\0")), V4)
    check(segment_in(LinkType.ETHERNET, patched(V6.build(), 18, b"\0\0")), V6)


@pytest.mark.parametrize("sent", [V4, V6], ids=["IPv4", "IPv6"])
def test_less_captured_than_sent(sent: TcpPacket) -> None:
    packet = sent.build()
    for size in range(74, len(packet)):
        assert segment_in(LinkType.ETHERNET, packet[:size]) is Skip.TRUNCATED


def test_options_of_ip_and_tcp() -> None:
    ip = V4.ip()
    longer = b"\x46" + ip[1:2] + struct.pack(">H", len(ip) + 4) + ip[4:20] + bytes(4) + ip[20:]
    check(segment_in(LinkType.RAW, longer), V4)
    tcp = patched(ip, 32, b"\x60")
    found = segment_in(LinkType.RAW, tcp)
    assert isinstance(found, Segment)
    assert found.data == V4.data[4:]


@pytest.mark.parametrize("at, new", [
    (14, b"\x55"),  # neither 4 nor 6
    (14, b"\x44"),  # an IP header of 16 bytes
    (16, b"\0\x10"),  # a packet shorter than its header
    (16, b"\0\x20"),  # too short for TCP
    (23, b"\x11"),  # UDP
    (46, b"\x40"),  # a TCP header of 16 bytes
    (46, b"\xf0"),  # a TCP header longer than the packet
    (12, b"\x08\x06"),  # ARP
    (12, b"\x00\x20"),  # a length, not an EtherType
])  # fmt: skip
def test_damaged_and_other_packets(at: int, new: bytes) -> None:
    assert segment_in(LinkType.ETHERNET, patched(V4.build(), at, new)) is Skip.OTHER


def test_fragments_are_told_apart() -> None:
    parts = replace(V4, data=bytes(200)).fragments(64)
    assert len(parts) > 2
    assert {segment_in(LinkType.ETHERNET, part) for part in parts} == {Skip.FRAGMENT}
    dont_fragment = patched(V4.build(), 20, b"\x40\0")
    check(segment_in(LinkType.ETHERNET, dont_fragment), V4)
    of_udp = patched(parts[1], 23, b"\x11")
    assert segment_in(LinkType.ETHERNET, of_udp) is Skip.OTHER


def with_headers(*headers: bytes) -> bytes:
    """Return the IPv6 packet with extension headers; byte 0 of each is its own number."""
    ip = V6.ip()
    numbers = [one[0] for one in headers] + [6]
    chain = b"".join(
        bytes((following,)) + one[1:] for one, following in zip(headers, numbers[1:], strict=True)
    )
    length = struct.pack(">H", len(ip) - 40 + len(chain))
    return ip[:4] + length + bytes((numbers[0],)) + ip[7:40] + chain + ip[40:]


HOP, ROUTE, LONG = b"\0\0" + bytes(6), b"\x2b\0" + bytes(6), b"\x3c\x01" + bytes(14)


def test_headers_of_ip_version_6() -> None:
    check(segment_in(LinkType.RAW, with_headers(HOP, ROUTE, LONG)), V6)
    whole = b"\x2c\0\0\0" + bytes(4)
    check(segment_in(LinkType.RAW, with_headers(HOP, whole)), V6)
    first, later = b"\x2c\0\0\x01" + bytes(4), b"\x2c\0\0\x08" + bytes(4)
    assert segment_in(LinkType.RAW, with_headers(first)) is Skip.FRAGMENT
    assert segment_in(LinkType.RAW, with_headers(HOP, later)) is Skip.FRAGMENT
    assert segment_in(LinkType.RAW, with_headers(*[HOP] * 20)[:60]) in (Skip.OTHER, Skip.TRUNCATED)


def test_flows_name_both_directions() -> None:
    for sent in (V4, V6):
        there = segment_in(LinkType.ETHERNET, sent.build())
        back = segment_in(LinkType.ETHERNET, sent.answered(1, b"answer").build())
        assert isinstance(there, Segment)
        assert isinstance(back, Segment)
        assert reversed_flow(there.flow) == back.flow != there.flow
        assert reversed_flow(back.flow) == there.flow


def test_link_types_that_are_not_understood() -> None:
    assert 127 not in LINK_TYPES
    assert find_network(127, V4.build()) is Skip.UNSUPPORTED
    with pytest.raises(ValueError, match="127"):
        wrap(V4.ip(), 127)


def test_checksums_of_built_packets_are_right() -> None:
    ip = replace(V4, data=b"odd").ip()
    assert checksum(ip[:20]) == 0
    pseudo = ip[12:20] + struct.pack(">II", len(ip) - 20, 6)
    assert checksum(pseudo + ip[20:]) == 0


@given(st.sampled_from([*LinkType, 127]), st.binary(max_size=150))
def test_any_bytes(link_type: int, data: bytes) -> None:
    found = segment_in(link_type, data)
    assert isinstance(found, (Segment, Skip))


@given(
    st.sampled_from(list(Wrapping)),
    st.sampled_from([V4, V6]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
)
def test_any_damage(
    wrapping: Wrapping, sent: TcpPacket, damage: list[tuple[int, int]], size: int
) -> None:
    packet = bytearray(replace(sent, wrapping=wrapping).build())
    for at, value in damage:
        packet[at % len(packet)] = value
    found = segment_in(LinkType.ETHERNET, bytes(packet[:size]))
    if isinstance(found, Segment):
        assert found.data in bytes(packet[:size])
