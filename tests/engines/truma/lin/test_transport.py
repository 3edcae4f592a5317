"""Messages in frames on identifiers 3C and 3D. Spec b.5, c.4."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.truma.lin.transport import MAXIMUM_SIZE, Assembler, Request, split

LONG = bytes(range(100, 141))


def joined(frames: list[bytes], assembler: Assembler | None = None, step: float = 0.05) -> object:
    assembler = assembler or Assembler()
    found = [assembler.receive_data(frame, number * step) for number, frame in enumerate(frames)]
    assert found[:-1] == [None] * (len(found) - 1)
    return found[-1]


def test_the_worked_example() -> None:
    frame = bytes.fromhex("0305b9001f0001ff")
    assert Assembler().receive_data(frame, 0) == Request(3, bytes.fromhex("b9001f0001"))
    assert split(3, bytes.fromhex("b9001f0001")) == [frame]


@given(st.integers(0, 255), st.binary(min_size=1, max_size=MAXIMUM_SIZE), st.integers(0, 255))
def test_what_is_split_is_joined(nad: int, data: bytes, padding: int) -> None:
    frames = split(nad, data, padding)
    assert all(len(frame) == 8 for frame in frames)
    assert joined(frames) == Request(nad, data)


@pytest.mark.parametrize("size", [0, 256, 5000])
def test_what_does_not_fit(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        split(3, bytes(size))


def test_a_message_of_41_bytes_takes_seven_frames() -> None:
    assert [frame[1] for frame in split(3, LONG)] == [0x10, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26]


@pytest.mark.parametrize("lost", range(1, 7))
def test_a_gap_drops_the_message(lost: int) -> None:
    frames = split(3, LONG)
    del frames[lost]
    assembler = Assembler()
    assert [assembler.receive_data(frame, 0) for frame in frames] == [None] * 6
    assert joined(split(3, LONG), assembler) == Request(3, LONG)


@pytest.mark.parametrize("twice", range(1, 6))
def test_a_repetition_drops_the_message(twice: int) -> None:
    frames = split(3, LONG)
    frames.insert(twice, frames[twice])
    assembler = Assembler()
    assert [assembler.receive_data(frame, 0) for frame in frames] == [None] * 8
    assert assembler.dropped == 1


def test_another_node_breaks_in() -> None:
    frames = split(3, LONG)
    frames[3] = bytes((1,)) + frames[3][1:]
    assert joined(frames) is None


def test_a_damaged_frame_drops_the_message() -> None:
    assembler, frames = Assembler(), split(3, LONG)
    for frame in frames[:4]:
        assembler.receive_data(frame, 0)
    assembler.damaged()
    assert [assembler.receive_data(frame, 0) for frame in frames[4:]] == [None] * 3


def test_frames_come_within_two_seconds() -> None:
    assert joined(split(3, LONG), step=2.0) == Request(3, LONG)
    assert joined(split(3, LONG), step=2.01) is None


def test_a_new_message_ends_the_old_one() -> None:
    assembler, frames = Assembler(), split(3, LONG)
    for frame in frames[:4]:
        assembler.receive_data(frame, 0)
    assert assembler.receive_data(bytes.fromhex("0305b9001f0001ff"), 0) is not None
    assert assembler.receive_data(frames[4], 0) is None
    for frame in frames[:2]:
        assembler.receive_data(frame, 0)
    assert joined(frames, assembler) == Request(3, LONG)


@pytest.mark.parametrize(
    "frame",
    [
        "0300b9001f0001ff",  # a single frame with nothing in it
        "0307b9001f0001ff",  # and with more than fits
        "030fb9001f0001ff",
        "0310060102030405",  # six bytes need no first frame
        "0311000102030405",  # more than 255
        "0321000102030405",  # a consecutive frame of nothing
        "0331000102030405",  # an unknown kind
    ],
)
def test_what_is_ignored(frame: str) -> None:
    assert Assembler().receive_data(bytes.fromhex(frame), 0) is None


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 3), st.binary(min_size=8, max_size=8)), max_size=80))
def test_any_frames(frames: list[tuple[float, bytes]]) -> None:
    assembler, now = Assembler(), 0.0
    for pause, frame in frames:
        now += pause
        request = assembler.receive_data(frame, now)
        assert request is None or 1 <= len(request.data) <= MAXIMUM_SIZE
        assert len(assembler._data) < MAXIMUM_SIZE + 6
