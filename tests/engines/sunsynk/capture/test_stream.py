"""From packets to messages: counters, connections, limits (spec b.7, b.8, f.3)."""

from __future__ import annotations

import ipaddress
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.filter import parse_filter
from hardwired_engines.sunsynk.capture.packet import FIN, RST, SYN, LinkType
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket, Wrapping
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.capture.stream import MAXIMUM_FLOWS, Capture, Frame
from tests.vector_files import cases, load, vectors

from ..dongle.test_envelope import message
from ..helpers import FAMILY
from .test_pcap import captures

NOW = 1_750_000_000 * 10**9
SECOND = 10**9
DONGLE = TcpPacket(
    source=ipaddress.ip_address("192.168.0.21"),
    destination=ipaddress.ip_address("13.42.117.179"),
    source_port=50586,
    destination_port=51100,
    sequence=1000,
)
SENT = message(60, filling=0x11)
"""Begins nowhere a message, wherever it is cut."""

HERE = {
    "packets", "tcp_segments", "truncated", "fragments", "retransmitted", "gaps", "partial_dropped",
    "resyncs",
}  # fmt: skip


def packet(data: bytes, sequence: int = 1000, flags: int = 0x18, **changes: Any) -> bytes:
    """Return a packet of the dongle."""
    return replace(DONGLE, data=data, sequence=sequence, flags=flags, **changes).build()


def feed(capture: Capture, *packets: bytes, time_ns: int | None = NOW) -> list[bytes]:
    """Return the messages that some packets complete."""
    return [
        frame.data for one in packets for frame in capture.feed(time_ns, LinkType.ETHERNET, one)
    ]


@pytest.mark.vectors
@pytest.mark.parametrize("path", captures())
def test_counters_before_the_reports(path: Path) -> None:
    expected = load(FAMILY, f"captures/{path.name}")
    if "error" in expected:
        pytest.skip("the file is refused as a whole: see test_pcap")
    capture = Capture()
    with path.with_suffix("").open("rb") as file:
        frames = list(capture.read(CaptureFile(file)))
    counters = expected["counters"]
    summary = capture.summary()
    assert {name: summary[name] for name in HERE} == {name: counters[name] for name in HERE}
    assert len(frames) == counters["frames"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "filtered.json"))
def test_filtered(case: dict[str, Any]) -> None:
    path = vectors(FAMILY) / "captures" / case["file"]
    capture = Capture(parse_filter(case["filter"]))
    with path.open("rb") as file:
        list(capture.read(CaptureFile(file)))
    assert capture.tcp_segments == case["tcp_segments"]


def test_frames_know_their_time_and_both_directions() -> None:
    capture = Capture()
    (up,) = capture.feed(NOW, LinkType.ETHERNET, packet(SENT))
    answer = replace(DONGLE, data=SENT).answered(5, message(0, 0xA1)).build()
    (down,) = capture.feed(NOW + SECOND, LinkType.ETHERNET, answer)
    assert up.data == SENT
    assert up.time == datetime.fromtimestamp(1_750_000_000, UTC)
    assert (up.flow, up.reverse_flow) == (down.reverse_flow, down.flow)
    assert up.flow != up.reverse_flow


def test_without_times_nothing_ages_and_frames_have_none() -> None:
    capture = Capture()
    assert feed(capture, packet(SENT[:20]), time_ns=None) == []
    (frame,) = capture.feed(None, LinkType.ETHERNET, packet(SENT[20:], 1020))
    assert (frame.data, frame.time) == (SENT, None)


@pytest.mark.parametrize("wrapping", list(Wrapping))
def test_wrapped_packets_share_the_flow_of_plain_ones(wrapping: Wrapping) -> None:
    capture = Capture()
    assert feed(capture, packet(SENT[:20])) == []
    assert feed(capture, packet(SENT[20:], 1020, wrapping=wrapping)) == [SENT]


def test_the_same_packet_as_a_socket_gives_it() -> None:
    capture = Capture()
    assert feed(capture, packet(SENT[:20])) == []
    network = replace(DONGLE, data=SENT[20:], sequence=1020).ip()
    (frame,) = capture.take_network(NOW, ((0x0800, network),))
    assert frame.data == SENT


def test_pure_acknowledgements_make_no_state() -> None:
    capture = Capture()
    for port in range(300):
        feed(capture, packet(b"", source_port=port + 1, flags=0x10))
        feed(capture, packet(b"", source_port=port + 1, flags=FIN))
    assert capture.tcp_segments == 600
    assert not capture._flows


def test_the_least_recently_used_connection_is_given_up_and_flushed() -> None:
    capture = Capture()
    feed(capture, packet(SENT[:20]), packet(SENT[:20], source_port=1))
    for port in range(2, MAXIMUM_FLOWS):
        feed(capture, packet(b"x" * 20, source_port=port))
    feed(capture, packet(b"", 1020, SYN, source_port=999))
    assert capture.stream.partial_dropped == 1
    assert feed(capture, packet(SENT[20:], 1020, source_port=1)) == [SENT]
    assert feed(capture, packet(SENT[20:], 1020)) == []


def test_a_given_up_connection_gives_what_waited_in_it() -> None:
    capture = Capture()
    feed(capture, packet(b"x"), packet(SENT, 1500))
    found = []
    for port in range(1, MAXIMUM_FLOWS + 1):
        found += feed(capture, packet(b"x", source_port=port))
    assert found == [SENT]


def test_timers_of_a_live_capture() -> None:
    capture = Capture()
    feed(capture, packet(SENT[:20]), packet(SENT, 1500))
    assert capture.expire(NOW + 3 * SECOND) == []
    (frame,) = capture.expire(NOW + 4 * SECOND)
    assert frame.data == SENT
    feed(capture, packet(SENT[:20], 1500 + len(SENT)))
    capture.expire(NOW + 1799 * SECOND)
    assert len(capture._flows) == 1
    capture.expire(NOW + 1801 * SECOND)
    assert not capture._flows
    assert (capture.stream.gaps, capture.stream.partial_dropped) == (1, 2)


def test_a_reset_and_a_new_connection_on_the_same_ports() -> None:
    capture = Capture()
    assert feed(capture, packet(SENT[:30]), packet(b"", 1030, RST)) == []
    assert feed(capture, packet(b"", 77, SYN), packet(SENT, 78)) == [SENT]
    assert capture.stream.partial_dropped == 1
    assert feed(capture, packet(SENT, 78 + len(SENT), FIN | 0x18)) == [SENT]
    assert not capture._flows


def test_finish_frees_what_waits_and_forgets_everything() -> None:
    capture = Capture()
    feed(capture, packet(SENT[:20]), packet(SENT, 1500))
    assert [frame.data for frame in capture.finish()] == [SENT]
    assert capture.finish() == []
    assert feed(capture, packet(SENT[20:], 1020)) == []


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", bytes(1400), b"\x16\x03\x03" * 400])
def test_other_connections_pass_by_and_are_still_followed(data: bytes) -> None:
    capture = Capture()
    size = len(data)
    feed(capture, packet(data), packet(data, 1000 + size), packet(data, 1000))
    assert capture.stream.retransmitted == 1
    feed(capture, packet(data, 1000 + 3 * size))
    assert feed(capture, packet(data, 1000 + 2 * size), packet(SENT, 1000 + 4 * size)) == [SENT]
    assert (capture.stream.gaps, capture.stream.resyncs) == (0, 0)


def test_losing_the_thread_in_a_connection_that_was_ours() -> None:
    capture = Capture()
    noise = b"no message at all"
    assert feed(capture, packet(SENT), packet(noise, 1000 + len(SENT))) == [SENT]
    assert capture.stream.resyncs == 1
    feed(capture, packet(noise, 1000 + len(SENT + noise)))
    assert capture.stream.resyncs == 1


@pytest.mark.parametrize("link_type", [0, 1, 12, 14, 101, 108, 113, 228, 276])
@given(st.integers(0, 80), st.randoms())
def test_each_cut_on_each_link_type(link_type: int, place: int, random: Random) -> None:
    place %= len(SENT)
    parts = [(1000, SENT[:place]), (1000 + place, SENT[place:])]
    random.shuffle(parts)
    capture = Capture()
    frames: list[Frame] = capture.feed(NOW, link_type, packet(b"", 999, SYN, link_type=link_type))
    for sequence, data in parts:
        one = packet(data, sequence, link_type=link_type)
        frames += capture.feed(NOW, link_type, one)
    assert [frame.data for frame in frames] == [SENT]


def test_memory_is_bounded_whatever_passes() -> None:
    random = Random(5)
    capture = Capture()
    packets = []
    for number in range(6000):
        data = b"\xa5\x06\x01\x09" + random.randbytes(4) + b"\x0f\xff" + random.randbytes(1300)
        sequence = random.randrange(0, 200_000)
        packets.append(packet(data, sequence, source_port=1 + number % 400))
    tracemalloc.start()
    for one in packets:
        feed(capture, one)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(capture._flows) <= MAXIMUM_FLOWS
    assert held < MAXIMUM_FLOWS * (65536 + 8192)


@pytest.mark.parametrize("time_ns", [1 << 70, -(10**20)])
def test_impossible_times_are_no_times(time_ns: int) -> None:
    (frame,) = Capture().feed(time_ns, LinkType.ETHERNET, packet(SENT))
    assert frame.time is None


def test_a_new_connection_is_not_idle() -> None:
    capture = Capture()
    feed(capture, packet(b"", 999, SYN), packet(SENT[20:], 1020))
    assert capture.expire(NOW + SECOND // 2) == []
    assert feed(capture, packet(SENT[:20])) == [SENT]
