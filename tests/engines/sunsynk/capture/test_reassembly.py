"""Putting TCP streams together again (spec b.8)."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.reassembly import Direction, StreamCounts
from tests.vector_files import cases

from ..dongle.test_envelope import message
from ..helpers import FAMILY

COUNTERS = ("retransmitted", "gaps", "partial_dropped", "resyncs")


def play(segments: list[dict[str, Any]]) -> tuple[list[bytes], StreamCounts]:
    """Return the messages of one direction, and what was counted."""
    counts = StreamCounts()
    direction = Direction(counts)
    found: list[bytes] = []
    for one in segments:
        data, syn = bytes.fromhex(one["data"]), one.get("syn", False)
        found += direction.segment(one["t"], one["seq"], data, syn=syn)
        if one.get("fin") or one.get("rst"):
            found += direction.flush()
            direction = Direction(counts)
    return found + direction.flush(), counts


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "streams.json"))
def test_streams(case: dict[str, Any]) -> None:
    found, counts = play(case["segments"])
    assert [frame.hex() for frame in found] == case["frames"]
    for name, count in case["counters"].items():
        assert getattr(counts, name) == count, name


def segments_of(stream: bytes, places: list[int], first: int) -> list[tuple[int, bytes]]:
    """Return a stream cut at some places, with sequence numbers that may wrap."""
    ends = sorted({0, len(stream), *(place % len(stream) for place in places)})
    return [((first + start) % 2**32, stream[start:end]) for start, end in pairwise(ends)]


streams = st.lists(st.integers(0, 400), min_size=1, max_size=6).map(
    lambda sizes: [message(size, filling=0x33) for size in sizes]
)
starts = st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 900, 2**32 - 1))


@given(streams, st.lists(st.integers(0, 5000), max_size=6), starts, st.randoms())
def test_order_repetition_and_overlap_do_not_matter(
    sent: list[bytes], places: list[int], first: int, random: Random
) -> None:
    stream = b"".join(sent)
    pieces = segments_of(stream, places, first)
    again = segments_of(stream, [random.randrange(5000) for _ in range(3)], first)
    played = pieces + random.sample(again, min(2, len(again)))
    # At most seven may wait: the eighth closes the gap.
    window = [played[at : at + 7] for at in range(0, len(played), 7)]
    for part in window:
        random.shuffle(part)
    counts = StreamCounts()
    direction = Direction(counts)
    found = direction.segment(0.0, (first - 1) % 2**32, b"", syn=True)
    for sequence, data in (piece for part in window for piece in part):
        found += direction.segment(1.0, sequence, data)
    if len(pieces) <= 7:
        assert found + direction.flush() == sent
        assert counts.gaps == counts.resyncs == counts.partial_dropped == 0
    else:
        assert all(frame in sent for frame in found + direction.flush())


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.integers(0, 2**32 - 1), st.binary(max_size=200), st.booleans()
        ),
        max_size=30,
    )
)
def test_any_segments_are_survived(segments: list[tuple[float, int, bytes, bool]]) -> None:
    direction = Direction(StreamCounts())
    for time, sequence, data, syn in segments:
        direction.segment(time, sequence, data, syn=syn)
        direction.expire(time + 1)
    direction.flush()


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(1, 9000)), max_size=60))
def test_what_waits_is_bounded(arrivals: list[tuple[int, int]]) -> None:
    direction = Direction(StreamCounts())
    direction.segment(0.0, 1, b"\xa5\x06\x01\x09")
    for ahead, size in arrivals:
        direction.segment(0.0, (5 + ahead) % 2**32, b"\xa5" * size)
        held = sum(len(data) for _, data in direction._waiting)
        assert len(direction._waiting) < 8
        assert held <= 65536
        assert len(direction._cutter.buffer) < 4107


def test_bytes_already_taken_win_over_another_version() -> None:
    sent = message(30, filling=0x11)
    forged = message(30, filling=0x22)
    direction = Direction(StreamCounts())
    found = direction.segment(0.0, 100, sent[:25])
    found += direction.segment(0.1, 100, forged)
    assert found == [sent[:25] + forged[25:]]


def test_limits_of_time() -> None:
    sent = message(30, filling=0x11)
    counts = StreamCounts()
    direction = Direction(counts)
    direction.segment(0.0, 1000, sent[:20])
    direction.segment(10.0, 1000 + 500, sent)
    assert direction.expire(13.0) == []
    assert direction.expire(13.1) == [sent]
    assert (counts.gaps, counts.partial_dropped) == (1, 1)
    direction.segment(20.0, 1500 + len(sent), sent[:5])
    direction.expire(50.0)
    assert counts.partial_dropped == 1
    direction.expire(50.1)
    assert counts.partial_dropped == 2


def test_the_end_of_a_connection_frees_what_waits() -> None:
    sent = message(30, filling=0x11)
    counts = StreamCounts()
    direction = Direction(counts)
    direction.segment(0.0, 100, sent[:7])
    direction.segment(0.1, 3000, sent)
    direction.segment(0.2, 6000, sent)
    assert direction.flush() == [sent, sent]
    assert (counts.gaps, counts.partial_dropped) == (2, 1)
    assert {name: getattr(counts, name) for name in COUNTERS}["retransmitted"] == 0


def test_what_comes_out_of_a_closed_gap_has_just_arrived() -> None:
    """A heartbeat is lost after minutes of silence; the report behind it comes in pieces."""
    report = message(291, filling=0x33)
    pieces = [report[place : place + 20] for place in range(0, len(report), 20)]
    counts = StreamCounts()
    direction = Direction(counts)
    found = direction.segment(0.0, 1000, report)
    first = 1000 + len(report) + 11
    for number, piece in enumerate(pieces):
        found += direction.segment(300.0 + number / 100, first + 20 * number, piece)
    assert found == [report, report]
    assert (counts.gaps, counts.partial_dropped) == (1, 0)


def test_a_gap_that_the_time_closes_leaves_time_for_the_rest() -> None:
    report = message(291, filling=0x33)
    counts = StreamCounts()
    direction = Direction(counts)
    found = direction.segment(0.0, 1000, report)
    first = 1000 + len(report) + 11
    found += direction.segment(300.0, first, report[:150])
    for second in range(1, 6):
        found += direction.expire(300.0 + second)
    found += direction.segment(305.0, first + 150, report[150:])
    assert found == [report, report]
    assert (counts.gaps, counts.partial_dropped) == (1, 0)
