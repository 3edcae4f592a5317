"""The plant's wall clock in UTC (spec b.11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.dongle.timestamps import TimeQuality, locate, resolve
from tests.vector_files import cases

from ..helpers import FAMILY, moment

LONDON = load_zone("Europe/London")


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "timestamps.json"))
def test_local_to_utc(case: dict[str, Any]) -> None:
    local = moment(case["local"])
    assert local is not None
    time, quality = locate(
        local,
        load_zone(case["timezone"]),
        moment(case["capture_utc"]),
        moment(case["previous_utc"]),
    )
    assert time == moment(case["utc"])
    assert quality == case["quality"]


@pytest.mark.parametrize("year", [2000, 2019, 2100, 2255])
def test_an_unset_clock_takes_the_time_of_capture(year: int) -> None:
    capture = datetime(2026, 3, 1, 12, tzinfo=UTC)
    local = datetime(year, 1, 1)  # noqa: DTZ001
    assert resolve(local, LONDON, capture) == (capture, TimeQuality.CLOCK_UNSET)
    assert resolve(local, LONDON).quality is TimeQuality.CLOCK_UNSET
    assert resolve(local, LONDON).time.year == year


def test_a_capture_time_of_a_router_without_a_clock_counts_for_nothing() -> None:
    uptime = datetime(1970, 1, 1, 0, 10, tzinfo=UTC)
    local = datetime(2025, 10, 26, 1, 30)  # noqa: DTZ001
    assert resolve(local, LONDON, uptime) == resolve(local, LONDON)
    unset = datetime(2000, 1, 1)  # noqa: DTZ001
    assert resolve(unset, LONDON, uptime).time.year == 2000


def test_a_clock_ahead_keeps_its_time() -> None:
    capture = datetime(2026, 1, 1, 12, tzinfo=UTC)
    limit = datetime(2026, 1, 1, 12, 15)  # noqa: DTZ001
    assert resolve(limit, LONDON, capture).quality is TimeQuality.EXACT
    ahead = limit + timedelta(seconds=1)
    assert resolve(ahead, LONDON, capture) == (
        ahead.replace(tzinfo=UTC),
        TimeQuality.CLOCK_AHEAD,
    )


def test_in_the_repeated_hour_the_first_pass_can_be_over_by_a_second_or_none() -> None:
    local = datetime(2025, 10, 26, 1, 30)  # noqa: DTZ001
    first, second = (datetime(2025, 10, 26, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert locate(local, LONDON, previous=first).time == second
    assert locate(local, LONDON, previous=first - timedelta(seconds=1)).time == first


ZONES = ("Europe/London", "Africa/Johannesburg", "Australia/Lord_Howe", "America/New_York")


@given(
    local=st.datetimes(datetime(2000, 1, 1), datetime(2255, 12, 31)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
    capture=st.none() | st.datetimes(timezones=st.just(UTC)),
    previous=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_every_time_has_a_place(
    local: datetime, zone: str, capture: datetime | None, previous: datetime | None
) -> None:
    place = load_zone(zone)
    time, quality = locate(local, place, capture, previous)
    assert time.tzinfo is UTC
    back = time.astimezone(place).replace(tzinfo=None, fold=0)
    assert (back == local) != (quality is TimeQuality.GAP)
    resolve(local, place, capture, previous)
