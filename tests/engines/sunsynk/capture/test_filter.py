"""Capture filter expressions (spec g.4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.engine import Reason
from hardwired_engines.sunsynk.capture.filter import CaptureFilter, FilterError, parse_filter
from hardwired_engines.sunsynk.capture.packet import LinkType, Network, Skip, find_network
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket, Wrapping
from hardwired_engines.sunsynk.settings import SettingsError, SunsynkSettings
from tests.vector_files import cases, load

from ..helpers import FAMILY
from .test_packet import V6

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


@pytest.mark.parametrize("expression, same", [
    ("net 192.168/16", "net 192.168.0.0/16"),
    ("net 172.16/12", "net 172.16.0.0/12"),
    ("net 192.168.0/24", "net 192.168.0"),
    ("net 192.168.0.0 / 16", "net 192.168.0.0/16"),
    ("net 192.168 mask 255.255.0.0", "net 192.168"),
    ("net 10.0.0.0 mask 255.0", "net 10"),
    ("src net 192.0.0.21 mask 255.0.0.255", "src host 192.168.0.21"),
    ("tcp||udp", "tcp or udp"),
    ("tcp&&!port 443", "tcp and not port 443"),
    ("host 192.168.0.21||10.0.0.1&&port 51100", "host 192.168.0.21 or 10.0.0.1 and port 51100"),
    ("ether host 60:55:f9:b0:92:14||tcp", "ether host 60:55:f9:b0:92:14 or tcp"),
    ("port (80 or 51100)", "port 80 or port 51100"),
    ("not port (80 or 51100)", "not (port 80 or port 51100)"),
    ("src (10.0.0.1 or 192.168.0.21)", "src 10.0.0.1 or src 192.168.0.21"),
    ("dst net (10 or 192.168/16) and tcp", "(dst net 10 or dst net 192.168.0.0/16) and tcp"),
    ("port 80 or (443 or (not 51100)) or 50586",
     "port 80 or (port 443 or (not port 51100)) or port 50586"),
    ("host 10.0.0.1 or not (192.168.0.21 or 10.0.0.2)",
     "host 10.0.0.1 or not (host 192.168.0.21 or host 10.0.0.2)"),
    ("host !192.168.0.21", "not host 192.168.0.21"),
    ("src || dst port 51100", "src or dst port 51100"),
    ("dst && src host 192.168.0.21", "src and dst host 192.168.0.21"),
    ("proto 6", "(ip and tcp) or (ip6 and tcp)"),
    ("proto (1 or 6)", "proto 1 or proto 6"),
    ("host 10.0.0.1 or (port 5) or 192.168.0.21", "host 10.0.0.1 or port 5 or host 192.168.0.21"),
])  # fmt: skip
def test_two_ways_of_saying_the_same(expression: str, same: str) -> None:
    packets = [
        one.build()
        for sent in (SENT, V6, replace(SENT, source_port=80), replace(SENT, destination_port=443))
        for one in (sent, sent.answered(9, b"x"))
    ]
    given_, wanted = parse_filter(expression), parse_filter(same)
    assert [matches(given_, one) for one in packets] == [matches(wanted, one) for one in packets]


@pytest.mark.parametrize("expression, word", [
    ("ip host fd00::21", "fd00::21"),
    ("ip6 host 192.168.0.21", "192.168.0.21"),
    ("arp host fd00::21", "fd00::21"),
    ("ip net fd00::/8", "fd00::"),
    ("ip6 net 10.0.0.0/8", "10.0.0.0"),
    ("ip6 net 10", "'10'"),
    ("ip host 192.168.0.21 or fd00::21", "fd00::21"),
    ("net 192.168.0.0 mask 0.0.255.255", "outside the net"),
    ("net 10.0.0.0 mask 24", "24"),
    ("net 10 mask 255.0.0.0", "dotted"),
    ("net fd00:: mask ffff::", "ffff"),
    ("net 192.168.0.0/255.255.255.0", "255.255.255.0"),
    ("net 10/8", "10.0.0.0/8"),
    ("net 192.168.1/16", "outside the net"),
    ("net 10.0.0.0/33", "33"),
    ("net fd00::/129", "129"),
    ("net 10.0.0.0/8/8", "/"),
    ("(host 10.0.0.1) or 10.0.0.2", "10.0.0.2"),
    ("tcp and (port 5 or 6) or 7", "7"),
    ("host 10.0.0.1 or (10.0.0.2 or port 5)", "port"),
    ("port (80 or udp)", "udp"),
    ("host ()", r"\)"),
    ("vlan 4096", "4096"),
    ("host fe80::1%eth0", "fe80::1%eth0"),
    ("ether host 60:55-f9:b0:92:14", "60:55-f9"),
    ("greater 4294967296", "4294967296"),
])  # fmt: skip
def test_what_libpcap_refuses_is_refused(expression: str, word: str) -> None:
    with pytest.raises(FilterError, match=word):
        parse_filter(expression)


@pytest.mark.parametrize("expression", [
    "ip proto \\tcp", "ip proto 0x6", "port 0x35", "port 010", "less 0x40", "100 < len",
    "portrange 51100", "host 10", "host 192.168.0", "host 192.168.0.021", "host 0x0a000001",
    "host 10.0.0.1 or 51100", "vlan 0x7", "net loopback", "net 256", "net 010.0.0.0/8",
    "ether host 6055f9b09214", "ether host 6055.f9b0.9214", "host ::1/128", "ip [8] < 64",
    "port 80 or tcp[13] = 2", "port 80 or 100 < len",
])  # fmt: skip
def test_what_only_libpcap_understands_is_refused_by_name(expression: str) -> None:
    with pytest.raises(FilterError, match="not supported without libpcap"):
        parse_filter(expression)


def test_a_name_stands_for_the_addresses_that_fit() -> None:
    def resolve(name: str) -> Iterable[str]:
        return {"both": ["192.168.0.21", "fd00::21"], "six": ["fe80::21%eth0"]}[name]

    assert parse_filter("ip host both", resolve).host == ipaddress.ip_address("192.168.0.21")
    assert parse_filter("ip6 host both", resolve).host == ipaddress.ip_address("fd00::21")
    assert parse_filter("host six", resolve).host == ipaddress.ip_address("fe80::21")
    with pytest.raises(FilterError, match="six"):
        parse_filter("ip host six", resolve)


@pytest.mark.parametrize(
    "expression",
    ["ether host 60:55:f9:b0:92:14", "tcp and not ether src 60:55:f9:b0:92:14", "vlan", "vlan 7",
     "port 51100 or (tcp and vlan)"],
)  # fmt: skip
def test_without_a_link_layer_its_words_are_refused(expression: str) -> None:
    parse_filter(expression)
    with pytest.raises(FilterError, match=r"(ether|vlan).*live capture"):
        parse_filter(expression, link_layer=False)


def test_live_settings_are_without_a_link_layer() -> None:
    given_ = {"time_zone": "UTC", "interface": "br0", "path": "a.pcap"}
    for expression in ("vlan", "ether host 60:55:f9:b0:92:14"):
        SunsynkSettings.from_mapping({**given_, "source": "file", "filter": expression})
        with pytest.raises(SettingsError, match="live capture") as caught:
            SunsynkSettings.from_mapping({**given_, "source": "live", "filter": expression})
        assert caught.value.reason is Reason.BAD_FILTER
    for family in ("ip", "ip6"):
        expression = f"{family} host dongle.lan and greater 100"
        SunsynkSettings.from_mapping({**given_, "source": "live", "filter": expression})


def test_without_a_link_layer_lengths_are_those_of_ethernet_all_the_same() -> None:
    whole, bare = SENT.build(), SENT.ip()
    for limit in (len(bare), len(whole) - 1, len(whole), len(whole) + 1):
        for word in ("greater", "less"):
            file = parse_filter(f"{word} {limit}")
            live = parse_filter(f"{word} {limit}", link_layer=False)
            assert matches(file, whole) == live.matches(LinkType.IPV4, bare, Network(0x0800, 0))


WORDS = """
    tcp udp ip ip6 arp icmp ether src dst host net port portrange proto and or not ! && || ( )
    vlan greater less mask 192.168.0.21 10.0.0.0/8 fd00::21 fe80::1%eth0 fd00::/8 192.168
    60:55:f9:b0:92:14 51100 51000-51200 6 ٣ name tcp[13] len > - / : . % mask 255.255.0.0 010 0x6
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


@pytest.mark.parametrize("depth, sound", [(50, True), (51, False)])
def test_parentheses_in_each_other(depth: int, sound: bool) -> None:
    for start, inside in (("", "tcp"), ("port ", "51100")):
        expression = f"{start}{'(' * depth}{inside}{')' * depth}"
        if sound:
            assert matches(parse_filter(expression), SENT.build())
        else:
            with pytest.raises(FilterError, match="parentheses"):
                parse_filter(expression)


def test_many_negations_and_long_numbers() -> None:
    assert matches(parse_filter("not " * 300 + "tcp"), SENT.build())
    for word in ("port", "host", "net", "net 10.0.0.0 /", "vlan", "greater"):
        with pytest.raises(FilterError):
            parse_filter(f"{word} {'9' * 5000}")


def test_a_list_of_many_hosts_is_fine() -> None:
    expression = " or ".join(f"host 10.0.0.{number}" for number in range(60))
    assert not matches(parse_filter(expression), SENT.build())
