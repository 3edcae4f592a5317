"""What plain packets of other devices are done with quickly must be what reading them slowly says.

The slow way here: every packet layer by layer, every segment through the reassembly.
"""

from __future__ import annotations

import io
import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture import pcap
from hardwired_engines.sunsynk.capture.filter import parse_filter
from hardwired_engines.sunsynk.capture.packet import (
    FIN,
    LINK_TYPES,
    RST,
    SYN,
    LinkType,
    Segment,
    Skip,
    find_network,
    read_ip,
    read_tcp,
    reversed_flow,
)
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket, Wrapping, wrap
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.capture.reassembly import Direction, StreamCounts
from hardwired_engines.sunsynk.capture.stream import MAXIMUM_FLOWS, Capture, Frame
from hardwired_engines.sunsynk.capture.writer import PcapWriter

from ..dongle.test_envelope import message

NOW = 1_750_000_000 * 10**9
V4 = TcpPacket(
    source=ipaddress.ip_address("192.168.0.21"),
    destination=ipaddress.ip_address("13.42.117.179"),
    source_port=50586,
    destination_port=51100,
    sequence=0,
)
V6 = replace(
    V4, source=ipaddress.ip_address("fd00::21"), destination=ipaddress.ip_address("2a05::1")
)


class Sent(NamedTuple):
    """A captured packet."""

    time_ns: int
    link_type: int
    data: bytes


class SlowCapture:
    """The same as a capture, without any short cut."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.stream = StreamCounts()
        self.flows: dict[bytes, Direction] = {}
        self.now = 0

    def feed(self, sent: Sent) -> list[Frame]:
        """Take one packet."""
        self.counts["packets"] += 1
        segment = self.segment(sent)
        if not isinstance(segment, Segment):
            return []
        self.counts["tcp_segments"] += 1
        flow, sequence, flags, data = segment
        if not data and not flags & (SYN | FIN | RST):
            return []
        self.now = sent.time_ns
        known = flow in self.flows
        if not known and not data and not flags & SYN:
            return []
        direction = self.flows.pop(flow) if known else Direction(self.stream)
        syn = bool(flags & SYN)
        found = direction.segment(sent.time_ns / 10**9, sequence, data, syn=syn)
        if flags & (FIN | RST):
            found += direction.flush()
        else:
            self.flows[flow] = direction
        frames = self.frames(flow, found)
        if len(self.flows) > MAXIMUM_FLOWS:
            oldest = next(iter(self.flows))
            frames += self.frames(oldest, self.flows.pop(oldest).flush())
        return frames

    def segment(self, sent: Sent) -> Segment | Skip:
        """Read all layers; counts."""
        if sent.link_type not in LINK_TYPES:
            self.counts["unsupported"] += 1
            return Skip.UNSUPPORTED
        network = find_network(sent.link_type, sent.data)
        datagram = network if isinstance(network, Skip) else read_ip(sent.data, network)
        found = datagram if isinstance(datagram, Skip) else read_tcp(sent.data, datagram)
        if found is Skip.FRAGMENT:
            self.counts["fragments"] += 1
        if found is Skip.TRUNCATED:
            self.counts["truncated"] += 1
        return found

    def finish(self) -> list[Frame]:
        """Flush everything."""
        return [
            frame
            for flow, direction in self.flows.items()
            for frame in self.frames(flow, direction.flush())
        ]

    def frames(self, flow: bytes, found: list[bytes]) -> list[Frame]:
        """Return messages with their time and connection."""
        time = datetime.fromtimestamp(self.now / 10**9, UTC)
        return [Frame(data, time, flow, reversed_flow(flow)) for data in found]

    def summary(self) -> dict[str, int]:
        """Return the counters."""
        names = ("packets", "tcp_segments", "truncated", "fragments", "unsupported")
        stream = ("retransmitted", "gaps", "partial_dropped", "resyncs")
        return {
            **{name: self.counts[name] for name in names},
            **{name: getattr(self.stream, name) for name in stream},
        }


streams = st.lists(
    st.one_of(
        st.integers(0, 40).map(lambda size: message(size, filling=0x33)),
        st.binary(max_size=60),
        st.lists(st.sampled_from(b"\xa5\xa5\x01\xa1\x00\x0f\x10"), max_size=30).map(bytes),
    ),
    max_size=12,
).map(b"".join)


@st.composite
def traffic(draw: st.DrawFn, connections: int = 4) -> list[Sent]:
    """Return packets of some connections: split anywhere, some lost, repeated, cut, wrapped."""
    link_type = draw(st.sampled_from(sorted(LINK_TYPES)))
    content = [draw(streams) for _ in range(connections)]
    places = [draw(st.sampled_from((5, 2**32 - 50)))] * connections
    sent = []
    time_ns = NOW
    for _ in range(draw(st.integers(1, 40))):
        time_ns += draw(st.sampled_from((0, 10**6, 10**9, 4 * 10**9, 31 * 10**9)))
        number = draw(st.integers(0, connections - 1))
        start = places[number]
        size = draw(st.integers(0, 60))
        data, content[number] = content[number][:size], content[number][size:]
        kind = draw(st.integers(0, 15))
        shift = {1: -20, 2: 30, 3: 70_000}.get(kind, 0)
        mark = {4: SYN, 5: FIN, 6: RST}.get(kind, 0)
        packet = replace(
            V6 if number % 2 else V4,
            source_port=1000 + number,
            sequence=(start + shift) % 2**32,
            flags=0x10 | mark,
            data=data,
            link_type=link_type,
            wrapping=Wrapping.PLAIN,
        )
        if link_type == LinkType.ETHERNET and kind in (7, 8, 9):
            packet = replace(packet, wrapping=list(Wrapping)[kind - 6])
        built = packet.build()
        match kind:
            case 10:
                built += bytes(draw(st.integers(1, 10)))
            case 11:
                built = built[: draw(st.integers(0, len(built)))]
            case 12:
                at = draw(st.integers(0, len(built) - 1))
                built = built[:at] + bytes((draw(st.integers(0, 255)),)) + built[at + 1 :]
            case 13 if number % 2 == 0 and len(data) > 8:
                built = packet.fragments(24)[0]
            case 14:
                built = wrap(_with_options(packet.ip()), link_type)
        if kind != 15:
            sent.append(Sent(time_ns, link_type, built))
        places[number] = (start + len(data) + (1 if mark == SYN else 0)) % 2**32
    return sent


def _with_options(ip: bytes) -> bytes:
    if ip[0] >> 4 != 4:
        return ip
    total = int.from_bytes(ip[2:4]) + 4
    return b"\x46" + ip[1:2] + total.to_bytes(2) + ip[4:20] + bytes(4) + ip[20:]


def slowly(packets: Sequence[Sent]) -> tuple[list[Frame], dict[str, int]]:
    """Return what the slow way says."""
    slow = SlowCapture()
    frames = [frame for one in packets for frame in slow.feed(one)]
    return frames + slow.finish(), slow.summary()


def fed(capture: Capture, packets: Sequence[Sent]) -> tuple[list[Frame], dict[str, int]]:
    """Return what a capture says of packets given one at a time."""
    frames = [frame for one in packets for frame in capture.feed(*one)]
    return frames + capture.finish(), capture.summary()


def from_file(packets: Sequence[Sent]) -> tuple[list[Frame], dict[str, int]]:
    """Return what a capture says of the same packets in a file."""
    file = io.BytesIO()
    writer = PcapWriter(file, packets[0].link_type if packets else LinkType.ETHERNET)
    for one in packets:
        writer.write(one.time_ns, one.data)
    capture = Capture()
    file.seek(0)
    return list(capture.read(CaptureFile(file))), capture.summary()


@given(traffic())
def test_quickly_and_slowly_say_the_same(packets: list[Sent]) -> None:
    expected = slowly(packets)
    assert fed(Capture(), packets) == expected
    assert fed(Capture(parse_filter("tcp")), packets)[0] == expected[0]


@given(traffic(), st.integers(1, 700))
def test_whatever_part_of_a_file_is_in_memory(packets: list[Sent], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pcap, "CHUNK", size)
        assert from_file(packets) == slowly(packets)


@given(traffic())
def test_as_a_socket_gives_them(packets: list[Sent]) -> None:
    capture = Capture()
    heard = []
    for time_ns, link_type, data in packets:
        network = find_network(link_type, data)
        if not isinstance(network, Skip) and network.ethertype in (0x0800, 0x86DD):
            ip = data[network.start :]
            if ip[:1] and ip[0] >> 4 == {0x0800: 4, 0x86DD: 6}[network.ethertype]:
                heard.append((Sent(time_ns, LinkType.RAW, ip), network.ethertype))
    frames = [
        frame
        for (time_ns, _, data), ethertype in heard
        for frame in capture.take_network(time_ns, [(ethertype, data)])
    ]
    found = frames + capture.finish(), capture.summary()
    assert found == slowly([one for one, _ in heard])


@given(
    st.lists(
        st.tuples(
            st.integers(0, MAXIMUM_FLOWS + 8), st.sampled_from((b"none", b"\xa5", b"\xa5\6"))
        ),
        min_size=MAXIMUM_FLOWS,
        max_size=3 * MAXIMUM_FLOWS,
    )
)
def test_more_connections_than_are_followed(segments: list[tuple[int, bytes]]) -> None:
    places: Counter[int] = Counter()
    packets = []
    for port, data in segments:
        packet = replace(V4, source_port=port, sequence=places[port], data=data)
        packets.append(Sent(NOW, LinkType.ETHERNET, packet.build()))
        places[port] += len(data)
    assert fed(Capture(), packets) == slowly(packets)
    assert from_file(packets) == slowly(packets)


NOISE = b"nothing of ours here"


def test_each_buffer_of_a_batch_is_searched_by_itself() -> None:
    sent, capture = message(30), Capture()
    capture.feed(NOW, LinkType.ETHERNET, replace(V4, data=NOISE).build())
    capture.feed(NOW, LinkType.ETHERNET, replace(V4, data=NOISE, source_port=1).build())
    noise = replace(V4, data=NOISE, sequence=len(NOISE)).build()
    ours = replace(V4, data=sent, sequence=len(NOISE), source_port=1).build()
    spans = [(NOW, LinkType.ETHERNET, one, 0, len(one)) for one in (noise, ours)]
    assert [frame.data for frame in capture.take(spans)] == [sent]


def test_a_connection_that_passes_by_is_not_idle() -> None:
    capture = Capture()
    for number in range(3):
        packet = replace(V4, data=NOISE, sequence=number * len(NOISE))
        capture.feed(NOW + number * 10**12, LinkType.ETHERNET, packet.build())
    capture.expire(NOW + 2 * 10**12 + 1799 * 10**9)
    assert len(capture._flows) == 1
    capture.expire(NOW + 2 * 10**12 + 1801 * 10**9)
    assert not capture._flows


def test_half_a_message_behind_a_gap_waits_for_its_rest() -> None:
    size = len(NOISE)
    whole, place = message(200), 3 * size
    parts = (
        (0, 0, NOISE),
        (100, size, NOISE),
        (101, place, whole[:50]),
        (105, place, whole[:50]),
        (106, place + 50, whole[50:]),
    )
    packets = [
        Sent(NOW + at * 10**9, LinkType.ETHERNET, replace(V4, sequence=first, data=data).build())
        for at, first, data in parts
    ]
    found = fed(Capture(), packets)
    assert found == slowly(packets)
    assert [frame.data for frame in found[0]] == [whole]


@pytest.mark.parametrize("offset", range(5))
def test_a_tcp_header_that_claims_to_be_too_short_is_none(offset: int) -> None:
    built = bytearray(replace(V4, data=NOISE).build())
    built[46] = offset << 4
    capture = Capture()
    assert capture.feed(NOW, LinkType.ETHERNET, bytes(built)) == []
    assert (capture.packets, capture.tcp_segments) == (1, 0)
