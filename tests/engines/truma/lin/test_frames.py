"""LIN frames: identifiers, checksums, and the receiver. Spec b.1 - b.4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.truma.lin.frames import (
    SILENCE,
    BadFrame,
    Header,
    LinFrame,
    Receiver,
    Unanswered,
    checksum,
    frame_checksum,
    identifier_of,
    protected,
    response,
)
from tests.vector_files import cases

FRAME_D8 = response(0xD8, b"\xfe" + b"\xff" * 7)


def frames_of(chunks: list[tuple[float, bytes]]) -> list[tuple[int, bytes]]:
    receiver = Receiver()
    events = [event for time, data in chunks for event in receiver.receive_data(data, time)]
    return [(event.pid, event.data) for event in events if isinstance(event, LinFrame)]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "pid_parity.json"))
def test_parity_vectors(case: dict[str, Any]) -> None:
    assert identifier_of(case["byte"]) == case["id"]
    if case["id"] is not None:
        assert protected(case["id"]) == case["byte"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "lin_checksum.json"))
def test_checksum_vectors(case: dict[str, Any]) -> None:
    assert checksum(bytes.fromhex(case["data"]), case["pid"]) == case["checksum"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "streams.json"))
def test_stream_vectors(case: dict[str, Any]) -> None:
    chunks = [(ms / 1000, bytes.fromhex(data)) for ms, data in case["chunks"]]
    assert [[pid, data.hex()] for pid, data in frames_of(chunks)] == case["frames"]


def test_the_worked_examples() -> None:
    assert protected(0x18) == 0xD8
    assert checksum(bytes.fromhex("7f06b2001746001f")) == 0x4B
    assert checksum(b"\xfe" + b"\xff" * 7, 0xD8) == 0x28
    assert checksum(b"\xff" * 8, 0xD8) == 0x27
    assert checksum(bytes(8)) == 0xFF


def test_diagnostic_frames_have_the_classic_checksum() -> None:
    data = bytes(range(1, 9))
    for identifier in range(64):
        pid = protected(identifier)
        classic = identifier in (0x3C, 0x3D)
        assert (frame_checksum(pid, data) == checksum(data)) is classic


@pytest.mark.parametrize("lead", [b"", b"\0", b"\0\0"])
def test_whatever_a_break_looks_like(lead: bytes) -> None:
    assert Receiver().receive_data(lead + b"\x55\xd8", 0) == [Header(0xD8, last=True)]


def test_a_header_with_wrong_parity_is_none() -> None:
    receiver = Receiver()
    assert receiver.receive_data(b"\0\x55\x18", 0) == []
    assert receiver.parity_errors == 1
    assert receiver.receive_data(b"\0\x55\x00\x55\xd8", 0.001) == [Header(0xD8, last=True)]


def test_a_header_behind_which_bytes_wait_is_not_the_last() -> None:
    events = Receiver().receive_data(b"\0\x55\xd8\xfe", 0)
    assert events == [Header(0xD8, last=False)]


def test_a_header_after_an_empty_slot_is_found_at_once() -> None:
    receiver = Receiver()
    receiver.receive_data(b"\0\x55\x97", 0)
    assert receiver.receive_data(b"\0\x55\xd8", 0.02) == [
        Unanswered(0x97, 0),
        Header(0xD8, last=True),
    ]


def test_silence_ends_what_is_in_progress() -> None:
    receiver = Receiver()
    receiver.receive_data(b"\0\x55\xd8\x01\x02", 1.0)
    assert receiver.expire(1.0 + SILENCE) == []
    assert receiver.expire(1.001 + SILENCE) == [Unanswered(0xD8, 2)]
    assert receiver.expire(9.0) == []
    assert receiver.receive_data(b"\x03", 9.0) == []


def test_exactly_25_ms_of_silence_end_nothing() -> None:
    """Whatever the rounding of the clock makes of it."""
    for second in range(2000):
        receiver, began = Receiver(), second * 0.05
        receiver.receive_data(b"\0\x55\xd8\xfe", began)
        events = receiver.receive_data(bytes.fromhex("ffffffffffffff28"), (second * 50 + 25) / 1000)
        assert events == [LinFrame(0xD8, b"\xfe" + b"\xff" * 7)], second
        receiver.receive_data(b"\0\x55\xd8", began + 1)
        assert receiver.expire(began + 1.0251) == [Unanswered(0xD8, 0)]


def test_a_header_hidden_in_a_bad_frame_is_found() -> None:
    receiver = Receiver()
    events = receiver.receive_data(b"\0\x55\xd6" + b"\x01\x02\x03\x04\x05\x06\0\x55\xd8", 0)
    assert events == [
        Header(0xD6, last=False),
        BadFrame(0xD6, b"\x01\x02\x03\x04\x05\x06\0\x55\xd8"),
        Header(0xD8, last=True),
    ]


def test_how_much_of_an_answer_is_outstanding() -> None:
    receiver = Receiver()
    assert receiver.outstanding == 0
    receiver.receive_data(b"\0\x55", 0)
    assert receiver.outstanding == 0
    receiver.receive_data(b"\xd6", 0)
    assert receiver.outstanding == 9
    receiver.receive_data(b"\0", 0)
    assert receiver.outstanding == 0, "this may be the break of the next header"
    receiver.receive_data(b"\x06\x63", 0)
    assert receiver.outstanding == 6
    receiver.receive_data(bytes(6), 0)
    assert receiver.outstanding == 0


@given(st.lists(st.integers(1, 30), max_size=40), st.data())
def test_sound_frames_are_found_whatever_the_split(sizes: list[int], data: st.DataObject) -> None:
    sent = data.draw(
        st.lists(st.tuples(st.integers(0, 63), st.binary(min_size=8, max_size=8)), max_size=8)
    )
    # What looks like a header right behind a header is one, whoever sent it.
    sent = [(number, body) for number, body in sent if body[:2] != b"\0\x55"]
    stream = b"".join(
        b"\0\x55" + bytes((protected(number),)) + response(protected(number), body)
        for number, body in sent
    )
    chunks, at = [], 0
    for size in [*sizes, len(stream)]:
        chunks.append((0.0, stream[at : at + size]))
        at += size
    assert frames_of(chunks) == [(protected(number), body) for number, body in sent]


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 0.06), st.binary(max_size=40)), max_size=30))
def test_any_bytes_at_any_time(chunks: list[tuple[float, bytes]]) -> None:
    receiver = Receiver()
    now = 0.0
    for pause, data in chunks:
        now += pause
        for event in receiver.receive_data(data, now):
            assert identifier_of(event.pid) is not None
            if isinstance(event, LinFrame):
                assert frame_checksum(event.pid, event.data) is not None
                assert len(event.data) == 8
        assert len(receiver._data) < 9
        assert 0 <= receiver.outstanding <= 9


@given(st.binary(max_size=60))
def test_in_step_again_after_any_noise(noise: bytes) -> None:
    receiver = Receiver()
    receiver.receive_data(noise, 0)
    events = receiver.receive_data(b"\0\x55\xd8" + FRAME_D8, 0.1)
    assert events[-1] == LinFrame(0xD8, FRAME_D8[:8])


@given(st.binary(max_size=120))
def test_the_split_changes_nothing_but_what_is_last(data: bytes) -> None:
    whole, single = Receiver(), Receiver()
    at_once = [event for event in whole.receive_data(data, 0) if not isinstance(event, Header)]
    apart = [
        event
        for byte in data
        for event in single.receive_data(bytes((byte,)), 0)
        if not isinstance(event, Header)
    ]
    assert at_once == apart
    assert whole._state == single._state
