"""The envelope, and cutting messages from a stream (spec b.1, b.9)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.dongle.envelope import (
    FROM_DONGLE,
    FROM_SERVER,
    HEADER_SIZE,
    MAXIMUM_BODY,
    FrameCutter,
    find_start,
    frame_size,
    header_ok,
)
from tests.vector_files import cases

from ..helpers import FAMILY


def message(size: int, direction: int = FROM_DONGLE, filling: int = 0xA5) -> bytes:
    """Return a message with a body of *size* bytes that looks like starts all over."""
    return (
        bytes((0xA5, 6, direction, 5, 0, 0, 0, 0, 1)) + size.to_bytes(2) + bytes([filling]) * size
    )


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "messages.json"))
def test_headers(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    expected = case["header"]
    assert header_ok(data) == (expected is not None)
    if expected is None:
        assert FrameCutter().append(data) == []
        return
    assert frame_size(data) == HEADER_SIZE + expected["body_length"]
    assert data[2] == {"dongle": FROM_DONGLE, "server": FROM_SERVER}[expected["direction"]]
    assert (frame_size(data) == len(data)) == case["complete"]
    assert FrameCutter().append(data) == ([data] if case["complete"] else [])


def test_only_start_direction_and_length_are_required() -> None:
    sound = bytearray(message(0))
    for at in (1, 3, 4, 5, 6, 7, 8):
        assert header_ok(sound[:at] + b"\xff" + sound[at + 1 :])
    for at in (0, 2):
        assert not header_ok(sound[:at] + b"\xff" + sound[at + 1 :])
    assert header_ok(sound[:9] + MAXIMUM_BODY.to_bytes(2))
    assert not header_ok(sound[:9] + (MAXIMUM_BODY + 1).to_bytes(2))
    assert not header_ok(sound[:-1])


def could_start(data: bytes) -> bool:
    """The three tests of rule 1, written down once more."""
    return (
        data[0] == 0xA5
        and (len(data) < 3 or data[2] in (0x01, 0xA1))
        and (len(data) < 11 or header_ok(data))
    )


@given(
    st.lists(st.sampled_from((b"\xa5", b"\x01", b"\xa1", b"\x10", b"\0", b"\xff")), max_size=40),
    st.integers(0, 10),
)
def test_the_first_possible_start_is_found(parts: list[bytes], start: int) -> None:
    data = b"".join(parts)
    expected = next((at for at in range(start, len(data)) if could_start(data[at:])), -1)
    assert find_start(data, start) == expected


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from((FROM_DONGLE, FROM_SERVER)))),
    st.lists(st.integers(0, 3000)),
)
def test_messages_come_out_however_the_stream_is_cut(
    sizes: list[tuple[int, int]], places: list[int]
) -> None:
    sent = [message(size, direction) for size, direction in sizes]
    stream = b"".join(sent)
    ends = sorted({0, len(stream), *(place for place in places if place < len(stream))})
    cutter = FrameCutter()
    # Sure of the beginning: bodies full of start bytes must not be taken for messages.
    cutter.provisional = False
    found = [frame for start, end in pairwise(ends) for frame in cutter.append(stream[start:end])]
    assert found == sent
    assert cutter.buffer == b""
    assert cutter.resyncs == cutter.partial_dropped == 0


@given(st.lists(st.binary(max_size=300)))
def test_any_bytes_are_survived_and_little_is_kept(pieces: list[bytes]) -> None:
    cutter = FrameCutter()
    for piece in pieces:
        for frame in cutter.append(piece):
            assert header_ok(frame)
            assert frame_size(frame) == len(frame)
        assert len(cutter.buffer) < HEADER_SIZE + MAXIMUM_BODY
        assert not cutter.buffer or find_start(cutter.buffer) == 0


@given(st.binary(max_size=600))
def test_a_message_alone_in_its_piece_ends_every_doubt(noise: bytes) -> None:
    sent = message(40, filling=0)
    cutter = FrameCutter()
    cutter.append(noise)
    if cutter.provisional:
        assert cutter.append(sent) == [sent]


def test_losing_the_thread_is_counted_once() -> None:
    cutter = FrameCutter()
    assert cutter.append(message(3, filling=0)) == [message(3, filling=0)]
    cutter.append(b"rubbish")
    cutter.append(b"more rubbish")
    assert cutter.resyncs == 1
    assert cutter.partial_dropped == 0
    assert cutter.append(message(3, filling=0)) == [message(3, filling=0)]


def test_a_beginning_given_up_for_a_whole_message_is_counted() -> None:
    cutter = FrameCutter()
    cutter.append(message(3000)[:50])
    whole = message(20, filling=0)
    assert cutter.append(whole) == [whole]
    assert (cutter.resyncs, cutter.partial_dropped) == (1, 1)


def solarman(size: int) -> bytes:
    """Return a frame of protocol V5 with *size* bytes between head and check sum."""
    inner = (
        size.to_bytes(2, "little") + b"\x10\x42" + bytes(2) + b"\x01\x02\x03\x04" + b"\xa5" * size
    )
    return b"\xa5" + inner + bytes((sum(inner) & 0xFF, 0x15))


@pytest.mark.parametrize("before", [1, 3])
def test_what_follows_frames_of_another_stick_is_read(before: int) -> None:
    ours = message(20, filling=0x33)
    cutter = FrameCutter()
    assert cutter.append(solarman(281) * before + ours) == [ours]
    assert (cutter.foreign, cutter.resyncs, cutter.partial_dropped) == (before, 0, 0)
    assert cutter.append(solarman(7)) == []
    assert (cutter.foreign, cutter.buffer) == (before + 1, b"")
