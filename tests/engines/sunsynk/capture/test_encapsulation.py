"""Mirrored traffic: the packet inside a packet, and what is only named (issue 12.11)."""

from __future__ import annotations

import ipaddress
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.bpf import run, tcp_program
from hardwired_engines.sunsynk.capture.packet import LinkType
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.capture.segments import Segments

from .test_packet import V4, V6

CASES = Path(__file__).parents[3] / "cases" / "sunsynk"
ETHERNET = V4.build()


def ipv4(protocol: int, payload: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return head + bytes((192, 0, 2, 1, 192, 0, 2, 2)) + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + bytes(32) + payload


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload


def gre(flags: int, kind: int, payload: bytes, optional: bytes = b"") -> bytes:
    return struct.pack(">HH", flags, kind) + optional + payload


WRAPPINGS = {
    "TZSP": (17, udp(37008, b"\1\0\0\1\1" + ETHERNET)),
    "TZSP tagged": (17, udp(37008, b"\1\0\0\1\0\x0a\2xy\1" + ETHERNET)),
    "VXLAN": (17, udp(4789, b"\x08\0\0\0\0\0\7\0" + ETHERNET)),
    "VXLAN 8472": (17, udp(8472, b"\x08\0\0\0\0\0\7\0" + ETHERNET)),
    "VXLAN-GPE": (17, udp(4790, b"\x0c\0\0\3\0\0\7\0" + ETHERNET)),
    "Geneve": (17, udp(6081, b"\0\0\x65\x58\0\0\7\0" + ETHERNET)),
    "Geneve options": (17, udp(6081, b"\2\0\x65\x58\0\0\7\0" + bytes(8) + ETHERNET)),
    "Geneve IP": (17, udp(6081, b"\0\0\x08\0\0\0\7\0" + V4.ip())),
    "GRE": (47, gre(0, 0x0800, V4.ip())),
    "GRE key": (47, gre(0x2000, 0x0800, V4.ip(), bytes(4))),
    "GRE all": (47, gre(0xB000, 0x6558, ETHERNET, bytes(12))),
    "GRETAP": (47, gre(0, 0x6558, ETHERNET)),
    "ERSPAN I": (47, gre(0, 0x88BE, ETHERNET)),
    "ERSPAN II": (47, gre(0x1000, 0x88BE, ETHERNET, bytes(4) + b"\x10" + bytes(7))),
    "ERSPAN III": (47, gre(0x1000, 0x22EB, ETHERNET, bytes(4) + b"\x20" + bytes(11))),
    "ERSPAN III+": (
        47, gre(0x1000, 0x22EB, ETHERNET, bytes(4) + b"\x20" + bytes(10) + b"\1" + bytes(8)),
    ),
    "GRE MPLS": (47, gre(0, 0x8847, b"\0\0\x11\x40" + V4.ip())),
    "EoIP": (47, gre(0x2001, 0x6400, ETHERNET, struct.pack(">HH", len(ETHERNET), 7))),
    "PPTP": (47, gre(0x3081, 0x880B, b"\xff\x03\0\x21" + V4.ip(), bytes(12))),
    "IP in IP": (4, V4.ip()),
    "Ethernet in IP": (97, b"\x30\0" + ETHERNET),
}  # fmt: skip


def segments(link_type: int, packet: bytes) -> tuple[Segments, list[tuple[int, bytes]]]:
    taken = Segments()
    found = taken.read([(None, link_type, packet, 0, len(packet))])
    return taken, [(sequence, data[a:b]) for _, _, sequence, _, data, a, b in found]


@pytest.mark.parametrize("carrier", [ipv4, ipv6])
@pytest.mark.parametrize("name", sorted(WRAPPINGS))
def test_every_wrapping(name: str, carrier: Callable[[int, bytes], bytes]) -> None:
    protocol, payload = WRAPPINGS[name]
    _, found = segments(LinkType.RAW, carrier(protocol, payload))
    assert found == [(V4.sequence, V4.data)]


def test_wrapped_twice_and_without_end() -> None:
    twice = ipv4(17, udp(37008, b"\1\0\0\1\1" + ETHERNET[:14] + ipv4(*WRAPPINGS["GRETAP"])))
    assert segments(LinkType.RAW, twice)[1] == [(V4.sequence, V4.data)]
    endless = V4.ip()
    for _ in range(100):
        endless = ipv4(4, endless)
    assert segments(LinkType.RAW, endless)[1] == []


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (ipv4(50, bytes(40)), "IPsec (ESP)"),
        (ipv4(17, udp(51820, bytes(40))), "WireGuard"),
        (ipv4(17, udp(5247, bytes(40))), "CAPWAP"),
        (ipv4(17, udp(37008, b"\1\0\0\x12\1" + ETHERNET)), "TZSP with contents of type 0x12"),
        (ipv4(47, gre(0, 0x1234, ETHERNET)), "GRE with contents of type 0x1234"),
    ],
)
def test_what_is_not_read_is_named(packet: bytes, name: str) -> None:
    taken, found = segments(LinkType.RAW, packet)
    assert found == []
    assert taken.unread == {name: 1}


def test_a_link_type_that_is_not_read_is_named() -> None:
    assert segments(105, bytes(60))[0].unread == {"Wi-Fi (802.11), link type 105": 1}
    assert segments(999, bytes(60))[0].unread == {"link type 999": 1}
    for link_type, head in (
        (LinkType.PPI, struct.pack("<BBHI", 0, 0, 8, 105)),
        (LinkType.PKTAP, struct.pack("<III", 108, 1, 105).ljust(108, b"\0")),
    ):
        taken, _ = segments(link_type, head + bytes(60))
        assert taken.unread == {"Wi-Fi (802.11), link type 105": 1}
        assert taken.unsupported == 1


@pytest.mark.parametrize(
    ("ethertype", "name"), [(0x88E5, "MACsec"), (0x4305, "batman-adv"), (0x8926, "VN-Tag")]
)
def test_an_ethertype_that_is_not_read_is_named(ethertype: int, name: str) -> None:
    packet = ETHERNET[:12] + struct.pack(">H", ethertype) + bytes(60)
    assert segments(LinkType.ETHERNET, packet)[0].unread == {name: 1}


def test_the_same_packet_in_other_clothes() -> None:
    bridged = b"\xaa\xaa\x03\0\x80\xc2\0\7\0\0" + ETHERNET
    assert segments(LinkType.ATM_RFC1483, bridged)[1] == [(V4.sequence, V4.data)]
    short = b"\x04\x01\x03\xcc" + V4.ip()
    assert segments(LinkType.FRAME_RELAY, short)[1] == [(V4.sequence, V4.data)]
    log = struct.pack(">BBHHHB3xHH", 2, 0, 256, 5, 10, 0, len(V4.ip()) + 4, 9) + V4.ip()
    assert segments(LinkType.NFLOG, log)[1] == [(V4.sequence, V4.data)], "of a big-endian router"
    filled = b"\x04\x00\x00\x01\x03\0\x80\0\0\0\x08\0" + V4.ip()
    assert segments(LinkType.FRAME_RELAY, filled)[1] == [(V4.sequence, V4.data)]


@pytest.mark.parametrize(
    ("link_type", "layer"),
    [
        (LinkType.ETHERNET, b"\xda\xda\0\0\x40\x28\0\1"),
        (LinkType.ETHERNET, b"\x88\x47\0\0\x11\x40" + bytes(12)),
        (LinkType.PPI, struct.pack("<BBHIIII", 0, 0, 8, LinkType.PKTAP, 12, 1, LinkType.PPI)),
    ],
)
def test_layers_without_end_are_no_packet(link_type: LinkType, layer: bytes) -> None:
    head = ETHERNET[:12] if link_type is LinkType.ETHERNET else b""
    assert segments(link_type, head + layer * 3000)[1] == []


def test_mpls_and_the_switch_tag_on_ethernet() -> None:
    for inner in (
        b"\x92\0\0\5\x08\0" + V4.ip(),
        struct.pack(">H", 8 + len(V4.ip())) + b"\xaa\xaa\3\0\0\0\x08\0" + V4.ip(),
        b"\x88\x47\0\0\x10\x40\0\0\x21\x40" + V4.ip(),
        b"\x88\x47\0\0\x11\x40\0\0\0\0" + ETHERNET,
        b"\xda\xda\0\0\x40\x28\0\1\x08\0" + V4.ip(),
        b"\x88\x47\0\0\x11\x40" + V6.ip(),
    ):
        assert segments(LinkType.ETHERNET, ETHERNET[:12] + inner)[1][0][1] == V4.data


@pytest.mark.parametrize("name", ["tzsp", "dsa284", "gretap", "ppp9"])
def test_wrapped_captures_of_owners(name: str) -> None:
    from hardwired_engines.clock import load_zone
    from hardwired_engines.sunsynk.pipeline.decoder import Decoder

    wanted = json.loads((CASES / "wrapped.json").read_text(encoding="utf-8"))["right"]
    assert "4 reports" in wanted
    decoder = Decoder(load_zone("UTC"))
    with (CASES / f"wrapped_{name}.pcap").open("rb") as file:
        assert len(list(decoder.read(CaptureFile(file)))) == 4


def test_the_modified_pcap_of_a_fritz_box() -> None:
    from hardwired_engines.clock import load_zone
    from hardwired_engines.sunsynk.pipeline.decoder import Decoder

    path = CASES / json.loads((CASES / "fritzbox_modified.json").read_text())["input"]
    with path.open("rb") as file:
        (received,) = Decoder(load_zone("UTC")).read(CaptureFile(file))
    assert received.serial == "1235687108"
    assert received.values["grid_voltage"] == 233.3


@pytest.mark.parametrize("name", sorted(WRAPPINGS))
def test_the_kernel_lets_mirrors_pass(name: str) -> None:
    protocol, payload = WRAPPINGS[name]
    for host in (None, ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fd00::1")):
        for port in (None, 51100):
            program = tcp_program(host, port, mirrors=True)
            plain = tcp_program(host, port)
            for packet in (ipv4(protocol, payload), ipv6(protocol, payload)):
                assert bool(run(program, packet)) is (protocol in (17, 47))
            for packet in (ipv4(6, bytes(40)), ipv4(17, udp(53, b"")), V4.ip(), V6.ip()):
                assert run(program, packet) == run(plain, packet)


@given(st.sampled_from([4, 17, 41, 47, 97]), st.binary(max_size=80), st.binary(max_size=4))
def test_noise_is_no_packet(protocol: int, payload: bytes, head: bytes) -> None:
    segments(LinkType.RAW, ipv4(protocol, head + payload))
    for port in (37008, 4789, 4790, 6081):
        segments(LinkType.RAW, ipv4(17, udp(port, payload)))


@given(st.sampled_from(list(LinkType)), st.binary(max_size=120))
def test_noise_on_every_link(link_type: LinkType, packet: bytes) -> None:
    segments(link_type, packet)
