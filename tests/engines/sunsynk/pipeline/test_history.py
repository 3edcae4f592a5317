"""Duplicates, live state, staleness, counters that must not fall, zone check (spec b.11-13)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hardwired_engines.sunsynk.pipeline.history import (
    Duplicates,
    Progress,
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


def test_the_first_of_a_burst_after_a_silence_is_not_the_present() -> None:
    """Found by the simulated year: it was shown though it was two hours old."""
    progress = Progress()
    taken = []
    for number in range(4):
        moment = START + timedelta(minutes=5 * number)
        taken.append(progress.take(moment, 300.0 * number, moment).live)
    assert all(taken)
    # The Internet is lost for two hours; then the buffered reports come at once.
    back = START + timedelta(hours=2, minutes=15)
    burst = [
        (reading, progress.take(reading, 8100 + 0.2 * number, back).live)
        for number in range(25)
        for reading in [START + timedelta(minutes=20 + 5 * number - 5)]
    ]
    ages = [(back - reading).total_seconds() for reading, live in burst if live]
    assert ages
    assert max(ages) <= progress.expiry
    assert burst[-1][1]


def test_a_clock_that_was_set_back_is_believed_at_the_second_report() -> None:
    progress = Progress()
    for number in range(4):
        moment = START + timedelta(minutes=5 * number)
        progress.take(moment, 300.0 * number, moment)
    for number, live in ((4, False), (5, True), (6, True)):
        captured = START + timedelta(minutes=5 * number)
        reading = captured - timedelta(hours=2)
        assert progress.take(reading, 300.0 * number, captured).live is live


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
