"""Capture filter expressions (spec g.4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.sunsynk.filter import CaptureFilter, FilterError, parse_filter
from hardwired_engines.sunsynk.packet import LinkType, Network, Skip, find_network
from hardwired_engines.sunsynk.packet_builder import TcpPacket, Wrapping
from tests.vector_files import cases, load

from .helpers import FAMILY

SENT = TcpPacket(
    source=ipaddress.ip_address("192.168.0.21"),
    destination=ipaddress.ip_address("13.42.117.179"),
    source_port=50586,
    destination_port=51100,
    sequence=1,
    data=b"x",
)


def network_of(packet: bytes) -> Network:
    """Return where the network layer of an Ethernet frame begins."""
    found = find_network(LinkType.ETHERNET, packet)
    return Network(0, 14) if isinstance(found, Skip) else found


def matches(wanted: CaptureFilter, packet: bytes) -> bool:
    """Whether an Ethernet frame fits the expression alone."""
    return wanted.matches(LinkType.ETHERNET, packet, network_of(packet))


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "filter.json"))
def test_expressions(case: dict[str, Any]) -> None:
    expression = case["expr"]
    if "error" in case:
        with pytest.raises(FilterError):
            parse_filter(expression)
    elif case.get("outside_subset"):
        if expression.split()[0] == "vlan":
            parse_filter(expression)
            return
        with pytest.raises(FilterError, match="not supported without libpcap"):
            parse_filter(expression)
    else:
        wanted = parse_filter(expression)
        packets = [bytes.fromhex(packet) for packet in load(FAMILY, "filter.json")["packets"]]
        assert "".join(str(int(matches(wanted, packet))) for packet in packets) == case["match"]


@pytest.mark.parametrize("wrapping", list(Wrapping))
def test_addresses_and_ports_mean_the_inner_packet(wrapping: Wrapping) -> None:
    packet = replace(SENT, wrapping=wrapping, vlan=7).build()
    for expression in ("tcp", "src host 192.168.0.21 and dst port 51100", "ip", "net 192.168"):
        assert matches(parse_filter(expression), packet)
    tagged = wrapping in (Wrapping.VLAN, Wrapping.QINQ)
    assert matches(parse_filter("vlan"), packet) == tagged
    assert matches(parse_filter("vlan 7 and port 51100"), packet) == tagged
    assert matches(parse_filter("vlan 8"), packet) == (wrapping is Wrapping.QINQ)
    assert not matches(parse_filter("vlan 9"), packet)


def test_same_precedence_from_left_to_right() -> None:
    packet = SENT.build()
    assert not matches(parse_filter("tcp or udp and port 1"), packet)
    assert matches(parse_filter("port 1 and udp or tcp"), packet)
    assert matches(parse_filter("not udp and tcp"), packet)
    assert not matches(parse_filter("not (udp or tcp)"), packet)


def test_used_as_a_capture_filter_it_lets_only_tcp_through() -> None:
    packet = bytearray(SENT.build())
    packet[23] = 17
    network = network_of(bytes(packet))
    wanted = parse_filter("port 51100")
    assert wanted.matches(LinkType.ETHERNET, bytes(packet), network)
    assert not wanted(LinkType.ETHERNET, bytes(packet), network)
    assert wanted(LinkType.ETHERNET, SENT.build(), network)


def test_host_names_are_resolved_or_named() -> None:
    def resolve(name: str) -> Iterable[str]:
        if name == "dongle.lan":
            return ["192.168.0.21", "fd00::21"]
        raise OSError

    assert matches(parse_filter("src host dongle.lan", resolve), SENT.build())
    for expression, given_resolve in (("host dongle.lan", None), ("host other.lan", resolve)):
        with pytest.raises(FilterError, match=expression.split()[1]):
            parse_filter(expression, given_resolve)


@pytest.mark.parametrize("expression, host, port", [
    ("", None, None),
    ("tcp", None, None),
    ("host 192.168.0.21", "192.168.0.21", None),
    ("tcp and src host 192.168.0.21 and port 51100", "192.168.0.21", 51100),
    ("host fd00::21 and (tcp and dst port 51100)", "fd00::21", 51100),
    ("host 192.168.0.21 or port 51100", None, None),
    ("not host 192.168.0.21", None, None),
    ("udp port 53 and host 192.168.0.21", "192.168.0.21", None),
    ("portrange 1-5", None, None),
])  # fmt: skip
def test_what_the_kernel_may_be_told(expression: str, host: str | None, port: int | None) -> None:
    wanted = parse_filter(expression)
    assert wanted.host == (None if host is None else ipaddress.ip_address(host))
    assert wanted.port == port


WORDS = """
    tcp udp ip ip6 arp icmp ether src dst host net port portrange proto and or not ! && || ( )
    vlan greater less mask 192.168.0.21 10.0.0.0/8 fd00::21 fe80::1%eth0 fd00::/8 192.168
    60:55:f9:b0:92:14 51100 51000-51200 6 ٣ name tcp[13] len > - / : . %
""".split()  # noqa: SIM905


@settings(max_examples=400)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), st.text(max_size=40)))
def test_any_text_is_a_filter_or_an_error(expression: str) -> None:
    try:
        wanted = parse_filter(expression, lambda _name: ["192.0.2.1"])
    except FilterError:
        return
    for packet in (SENT.build(), SENT.build()[:20], replace(SENT, wrapping=Wrapping.QINQ).build()):
        assert wanted(LinkType.ETHERNET, packet, network_of(packet)) in (True, False)


@pytest.mark.parametrize(
    "expression", ["(" * 5000, "not " * 5000 + "tcp", " or ".join(["host 10.0.0.1"] * 5000)]
)
def test_absurdly_long_expressions_are_refused(expression: str) -> None:
    with pytest.raises(FilterError, match="too long"):
        parse_filter(expression)


def test_a_list_of_many_hosts_is_fine() -> None:
    expression = " or ".join(f"host 10.0.0.{number}" for number in range(60))
    assert not matches(parse_filter(expression), SENT.build())
