"""Accepting a report, and above all refusing what is none (spec b.10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given, strategies as st

from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.dongle.layouts import LAYOUTS, WORDS_AT, Block, layout_of
from hardwired_engines.sunsynk.dongle.report import (
    RejectedReport,
    Rejection,
    Report,
    is_report,
    read_report,
)
from hardwired_engines.sunsynk.dongle.timestamps import resolve
from tests.vector_files import cases, load

from ..helpers import FAMILY, differences, frame_of, moment

REAL = "real_292.json"


def outcome(frame: bytes) -> Report | str:
    """Return the report, or the word of the vectors for why there is none."""
    if not is_report(frame):
        return "not_report"
    try:
        return read_report(frame)
    except RejectedReport as rejected:
        return rejected.reason.value


def check(report: Report, expected: dict[str, Any], timezone: str) -> None:
    """Compare a report with a vector's."""
    assert not differences(report.values, expected["values"])
    assert set(report.violations) == set(expected["violations"])
    assert report.serial == expected["serial"]
    assert report.local_time == moment(expected["local_time"])
    assert report.layout.name == expected["layout"]
    assert report.rssi == expected["rssi"]
    assert report.quality == expected["quality"]
    assert report.message_no == expected.get("message_no", report.message_no)
    assert report.length == expected.get("length", report.length)
    time, quality = resolve(report.local_time, load_zone(timezone))
    assert time == (moment(expected.get("time_utc")) or time)
    assert quality == expected.get("time_quality", quality)


@pytest.mark.vectors
@pytest.mark.parametrize(
    "case",
    [*cases(FAMILY, "reports.json"), *cases(FAMILY, REAL), *cases(FAMILY, "real_306.json")],
)
def test_messages(case: dict[str, Any]) -> None:
    result = outcome(bytes.fromhex(case["hex"]))
    if "reject" in case:
        assert result == case["reject"]
    else:
        assert isinstance(result, Report), result
        check(result, case["expect"], case["timezone"])


def real_frame() -> bytes:
    """Return the real packet's report."""
    return bytes.fromhex(load(FAMILY, REAL)["cases"][0]["hex"])


@given(
    size=st.sampled_from(sorted(LAYOUTS)),
    noise=st.binary(min_size=262, max_size=262),
)
def test_noise_behind_a_valid_head_is_refused(size: int, noise: bytes) -> None:
    # Few distinct bytes make words that happen to be in range everywhere: that is not noise.
    assume(len(set(noise)) > 100)
    frame = frame_of({}, LAYOUTS[size])[:WORDS_AT] + noise[: size - WORDS_AT]
    assert outcome(frame) in (Rejection.IMPLAUSIBLE, Rejection.EMPTY)


@pytest.mark.parametrize("shift", [1, 2, -1, -2])
def test_a_real_report_shifted_by_a_word_or_half_of_one_is_refused(shift: int) -> None:
    frame = real_frame()
    words = frame[WORDS_AT:]
    moved = words[shift:] + words[:shift]
    assert outcome(frame[:WORDS_AT] + moved) == Rejection.IMPLAUSIBLE


@given(st.binary(max_size=700))
@example(b"\xa5\x06\x01\x09\x02\xce\x00\x00\xfa\x00\x00")
def test_any_bytes_are_a_report_or_not(data: bytes) -> None:
    assert isinstance(outcome(data), (Report, str))


@given(
    position=st.integers(0, 291),
    value=st.integers(0, 255),
)
def test_a_damaged_byte_never_yields_a_value_out_of_range(position: int, value: int) -> None:
    frame = bytearray(real_frame())
    frame[position] = value
    result = outcome(bytes(frame))
    if isinstance(result, Report):
        assert len(result.violations) < 3
        assert all(result.values[key] is None for key in result.violations)


def test_the_learned_layout_is_tried_first_and_the_table_second() -> None:
    blocks = (Block(59, 66), Block(150, 50), Block(204, 1), Block(312, 8), Block(13, 4))
    learned = layout_of(blocks)
    assert learned.length == 302
    good = {59: 2, 79: 5000, 183: 5200, 184: 50, 192: 5000, 316: 51}
    assert read_report(frame_of(good, learned), learned).layout is learned
    # The table's layout, while a map of the same size was seen: the values decide.
    odd = good | {59: 2, 60: 30000, 61: 50000, 62: 60000, 64: 5000, 65: 65535, 67: 65535}
    true = LAYOUTS[302]
    frame = frame_of(odd | {87: 65535, 88: 100, 109: 2000, 194: 1}, true)
    report = read_report(frame, learned)
    assert report.layout in (learned, true)
    assert len(report.violations) < 3


@pytest.mark.parametrize(
    ("registers", "reason"),
    [({}, Rejection.EMPTY), ({184: 50, 183: 5000}, Rejection.EMPTY)],
)
def test_nothing_where_the_counters_should_be(registers: dict[int, int], reason: Rejection) -> None:
    assert outcome(frame_of(registers)) == reason


def test_two_fields_out_of_range_are_let_pass_three_are_not() -> None:
    two = {59: 9, 79: 1}
    report = outcome(frame_of(two))
    assert isinstance(report, Report)
    assert report.violations == ("grid_frequency", "inverter_state")
    assert report.values["inverter_state"] is None
    assert outcome(frame_of(two | {90: 1})) == Rejection.IMPLAUSIBLE


def test_the_order_of_the_reasons() -> None:
    frame = frame_of({}, serial="bad!serial", time=(25, 13, 1, 0, 0, 0))
    assert outcome(frame) == Rejection.BAD_SERIAL
    assert outcome(frame_of({}, time=(25, 13, 1, 0, 0, 0))) == Rejection.BAD_TIME
    unknown = layout_of((Block(59, 70),))
    assert outcome(frame_of({}, unknown)) == Rejection.UNKNOWN_LAYOUT
    assert outcome(frame_of({}, unknown, time=(25, 13, 1, 0, 0, 0))) == Rejection.BAD_TIME


def test_what_a_report_tells_of_itself() -> None:
    report = outcome(frame_of({59: 2, 184: 50}, message_no=7))
    assert isinstance(report, Report)
    assert report.registers[184] == 50
    assert report.body == report.frame[11:]
    assert (report.message_no, report.rssi, report.length) == (7, -50, 292)
