"""Duplicates, live state, staleness, counters that must not fall, zone check (spec b.11-13)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.pipeline.history import (
    Duplicates,
    Progress,
    RisingCounters,
    ZoneCheck,
)
from tests.vector_files import cases

from ..helpers import FAMILY

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "state.json"))
def test_reports_in_order_of_arrival(case: dict[str, Any]) -> None:
    duplicates, progress = Duplicates(), Progress()
    for event in case["events"]:
        history = not duplicates.seen(event["body"].encode())
        live = (
            history
            and progress.take(
                START + timedelta(seconds=event["reading_s"]), event["arrival_s"]
            ).live
        )
        assert (history, live) == (event["history"], event["live"]), event
    assert progress.stale_at(600) == case["stale_after_s"]


def test_the_last_512_bodies_are_remembered() -> None:
    duplicates = Duplicates()
    bodies = [str(number).encode() for number in range(512)]
    assert not any(duplicates.seen(body) for body in bodies)
    assert all(duplicates.seen(body) for body in bodies)
    assert not duplicates.seen(b"one more")
    assert not duplicates.seen(bodies[0])
    assert duplicates.seen(bodies[-1])


@pytest.mark.parametrize(("interval", "expiry"), [(69, 600), (300, 750), (600, 1500), (3000, 3600)])
def test_staleness_adapts_to_the_interval(interval: int, expiry: float) -> None:
    progress = Progress()
    assert progress.stale_at() is None
    for number in range(12):
        progress.take(START + timedelta(seconds=number * interval), number * interval)
    assert progress.interval == interval
    assert progress.stale_at() == 11 * interval + expiry


def test_an_unknown_arrival_is_no_pause() -> None:
    progress = Progress()
    assert progress.take(START, None).live
    assert not progress.take(START - timedelta(hours=1), None).live
    assert progress.take(START, None).live


def publish(counters: RisingCounters, *values: float | None) -> list[float | None]:
    """Return what is let through of the values of one counter."""
    key = "pv_production_total"
    told = [counters.hold_back({key: value})[key] for value in values]
    return [value if isinstance(value, (int, float)) else None for value in told]


def test_a_glitch_of_a_lifetime_counter_is_held_back() -> None:
    assert publish(RisingCounters(), 100.0, 0.0, 100.1, 0.0, 0.0, 100.2) == [
        100.0, None, 100.1, None, None, 100.2,
    ]  # fmt: skip


def test_a_replaced_inverter_is_believed_after_three_reports() -> None:
    assert publish(RisingCounters(), 100.0, 3.0, 3.1, 3.2, 3.3, 3.1) == [
        100.0, None, None, 3.2, 3.3, None,
    ]  # fmt: skip


def test_a_counter_that_still_falls_confirms_nothing() -> None:
    assert publish(RisingCounters(), 100.0, 50.0, 40.0, 30.0, 30.0, 30.0) == [
        100.0, None, None, None, None, 30.0,
    ]  # fmt: skip


def test_a_missing_counter_is_neither_a_fall_nor_a_confirmation() -> None:
    assert publish(RisingCounters(), 100.0, None, 100.0, 5.0, None, 5.0, 5.0) == [
        100.0, None, 100.0, None, None, None, 5.0,
    ]  # fmt: skip


@given(st.lists(st.none() | st.floats(0, 1e7), max_size=40))
def test_a_counter_never_falls_without_three_in_a_row(values: list[float | None]) -> None:
    counters = RisingCounters()
    last = 0.0
    for index, value in enumerate(publish(counters, *values)):
        if value is None:
            continue
        if value < last:
            known = [other for other in values[: index + 1] if other is not None]
            assert all(other < last for other in known[-3:])
        last = value


@pytest.mark.parametrize(
    ("offsets", "mismatch"),
    [
        ([3, 4, 5, 4], None),
        ([3, 4, 5, 4, 3], 0),
        ([7203, 7204, 7200, 7201, 7205], 7200),
        ([-5400, -5390, -5395, -5400, -5401], -5400),
        ([0, 0, 0, 0, 121], None),
        ([9, 5000, 2, 3600, 3600, 3601, 3602, 3603], 3600),
        ([3600] * 5 + [0] * 5, 0),
    ],
)
def test_the_zone_check(offsets: list[float], mismatch: int | None) -> None:
    check = ZoneCheck()
    for offset in offsets:
        check.take(offset)
    assert check.mismatch == mismatch
