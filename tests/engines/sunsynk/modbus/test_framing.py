"""Which bytes answer a request: noise, other masters, echoes, late answers (spec b.15, c.7)."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.modbus.frames import (
    ModbusError,
    read_answer,
    read_pdu,
    rtu_frame,
    tcp_frame,
    write_pdu,
)
from hardwired_engines.sunsynk.modbus.framing import (
    AnotherMaster,
    NotModbusTcp,
    RtuFraming,
    TcpFraming,
    only_echo,
)

ASKED = read_pdu(250, 4)
ANSWER = bytes((3, 8)) + bytes(range(8))
OTHER = bytes((3, 8)) + bytes(range(8, 16))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return data in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


def heard(framing: RtuFraming | TcpFraming, pieces: list[bytes]) -> bytes | None:
    """Return the answer among what is heard."""
    for piece in pieces:
        framing.receive_data(piece)
        if (answer := framing.answer()) is not None:
            return answer
    return None


@given(st.binary(max_size=30), st.lists(st.integers(0, 400), max_size=6))
def test_an_answer_is_found_behind_noise_however_it_is_cut(noise: bytes, places: list[int]) -> None:
    framing = RtuFraming()
    framing.send(1, ASKED)
    with contextlib.suppress(AnotherMaster):
        assert heard(framing, cut(noise + rtu_frame(1, ANSWER), places)) == ANSWER


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.just(rtu_frame(1, ASKED)),
            st.just(rtu_frame(1, read_pdu(16, 4))),
            st.just(rtu_frame(2, OTHER)),
            st.just(rtu_frame(1, b"\x83\x02")),
            st.builds(lambda body: rtu_frame(1, body), st.binary(min_size=1, max_size=40)),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_whatever_comes_is_an_answer_of_the_right_shape_or_none(
    pieces: list[bytes], tcp: bool
) -> None:
    framing = TcpFraming() if tcp else RtuFraming()
    framing.send(1, ASKED)
    try:
        answer = heard(framing, pieces)
    except ModbusError:
        return
    if answer is not None:
        with contextlib.suppress(ModbusError):
            assert len(read_answer(ASKED, answer)) == 4


def test_what_another_master_has_asked_for_is_not_ours() -> None:
    framing = RtuFraming()
    framing.send(1, ASKED)
    framing.receive_data(rtu_frame(1, read_pdu(16, 4)) + rtu_frame(1, OTHER))
    with pytest.raises(AnotherMaster):
        framing.answer()
    framing.receive_data(rtu_frame(1, ANSWER))
    with pytest.raises(AnotherMaster):
        framing.answer()
    assert framing.seen["foreign"] == 1
    framing.send(1, ASKED)
    assert heard(framing, [rtu_frame(1, ANSWER)]) == ANSWER


def test_another_masters_answer_of_another_size_disturbs_nothing() -> None:
    framing = RtuFraming()
    framing.send(1, ASKED)
    foreign = rtu_frame(1, read_pdu(16, 1)) + rtu_frame(1, b"\x03\x02\x01\x02")
    assert heard(framing, [foreign + rtu_frame(1, ANSWER)]) == ANSWER


def test_a_request_seen_just_before_ours_is_remembered() -> None:
    framing = RtuFraming()
    framing.receive_data(b"\x00" + rtu_frame(1, read_pdu(16, 4)))
    framing.send(1, ASKED)
    with pytest.raises(AnotherMaster):
        heard(framing, [rtu_frame(1, OTHER)])


def test_a_late_answer_is_not_taken_for_one_to_another_question() -> None:
    framing = RtuFraming()
    framing.send(1, read_pdu(16, 4))
    framing.unanswered()
    assert framing.doubtful(1, ASKED)
    assert not framing.doubtful(1, read_pdu(16, 4))
    framing.send(1, ASKED)
    assert heard(framing, [rtu_frame(1, OTHER)]) is None
    assert heard(framing, [rtu_frame(1, ANSWER)]) == ANSWER
    framing.unanswered()
    framing.forget()
    assert not framing.doubtful(1, read_pdu(16, 4))


def test_what_was_read_before_a_write_is_out_of_date() -> None:
    framing = RtuFraming()
    framing.send(1, ASKED)
    framing.unanswered()
    framing.send(1, write_pdu(250, [530]))
    assert framing.doubtful(1, ASKED)
    framing.send(1, ASKED)
    assert heard(framing, [rtu_frame(1, ANSWER)]) is None


def test_an_echo_is_left_out_and_told() -> None:
    framing = RtuFraming()
    request = framing.send(1, ASKED)
    assert heard(framing, [request[:3], request[3:]]) is None
    assert only_echo(framing.seen)
    assert heard(framing, [rtu_frame(1, ANSWER)]) == ANSWER
    assert not only_echo(framing.seen)
    written = framing.send(1, write_pdu(250, [530]))
    assert heard(framing, [written + rtu_frame(1, written[1:6])]) == written[1:6]


def test_a_wrong_checksum_is_counted_once() -> None:
    framing = RtuFraming()
    framing.send(1, ASKED)
    wrong = bytearray(rtu_frame(1, ANSWER))
    wrong[-1] ^= 1
    assert heard(framing, [bytes(wrong), b"\x00", b"\x00"]) is None
    assert framing.seen["checksum"] == 1


def test_answers_over_tcp_are_told_apart_by_their_number() -> None:
    framing = TcpFraming()
    framing.send(1, ASKED)
    framing.send(1, ASKED)
    pieces = [tcp_frame(1, 1, OTHER) + tcp_frame(2, 1, ANSWER)[:5], tcp_frame(2, 1, ANSWER)[5:]]
    assert heard(framing, pieces) == ANSWER
    assert framing.seen["stale"] == 1
    assert not framing.doubtful(1, ASKED)
    framing.send(1, ASKED)
    with pytest.raises(ModbusError):
        heard(framing, [tcp_frame(3, 2, ANSWER)])
    with pytest.raises(NotModbusTcp):
        heard(framing, [rtu_frame(1, ANSWER)])
    assert heard(framing, [tcp_frame(3, 1, ANSWER)]) == ANSWER
    framing.receive_data(b"\x00")
    framing.unanswered()
    framing.forget()
    framing.send(1, ASKED)
    assert heard(framing, [tcp_frame(4, 1, ASKED), tcp_frame(4, 1, ANSWER)]) == ANSWER
