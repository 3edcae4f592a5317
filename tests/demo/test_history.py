"""The two weeks behind the demonstration: they lead to what the devices say now."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from demo.history import Curve, hours
from demo.home_assistant import ROOT
from demo.pasts import METERS, house, times, van
from hardwired_engines.sunsynk.simulator.world import Simulation
from hardwired_engines.sunsynk.sources.simulated import WEEKS

ZONE = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 11, 29, 15, 3, 20, tzinfo=ZONE)
DAY = timedelta(days=1)


@pytest.mark.parametrize("day", range(7))
def test_the_inverters_past_leads_to_its_counters(day: int) -> None:
    """On each day of the week: the lifetime's gain since midnight is what the daily ones say."""
    now = NOW + day * DAY
    rows = house(times(now)).rows
    (dongle,) = Simulation(weeks=WEEKS, zone=ZONE).dongles()
    dongle.report(now)
    live = dongle.plant.energy
    last, told = rows[-1]
    assert now - last < timedelta(minutes=5)
    assert rows[0][0] <= now - 14 * DAY
    midnight = next(row for moment, row in rows if moment.date() == now.date())
    for ending, key in METERS.items():
        assert live[key] / 1000 - told[ending] == pytest.approx(0, abs=0.4), key
        today = live[key.replace("_total", "_daily")] / 1000
        assert told[ending] - midnight[ending] == pytest.approx(today, abs=0.4), key
        assert all(one[ending] <= later[ending] for (_, one), (_, later) in pairwise(rows)), key
    assert told["_battery_soc"] == pytest.approx(dongle.plant.soc, abs=5)


def test_an_hour_of_a_meter_ends_where_the_next_one_begins() -> None:
    points = [(moment, float(number)) for number, moment in enumerate(times(NOW))]
    rows = hours(Curve("sensor.meter", True, "kWh", 2, points))
    assert [row["sum"] for row in rows[:3]] == [12.0, 24.0, 36.0]
    assert rows[-1]["start"] == "2026-11-29T13:00:00+00:00", "the present hour is the recorder's"
    assert rows[-1]["state"] == dict(points)[NOW.replace(minute=0, second=0)]


def test_an_hour_of_a_level_is_its_mean() -> None:
    points = [(moment, float(number % 12)) for number, moment in enumerate(times(NOW))]
    first = hours(Curve("sensor.level", False, "W", 0, points))[0]
    assert (first["mean"], first["min"], first["max"]) == (5.5, 0.0, 11.0)


def test_the_vans_water_leads_to_that_of_the_simulated_one() -> None:
    family = ROOT / "custom_components" / "hardwired" / "families" / "truma" / "__init__.py"
    begun = re.search(r"sim://\S+&water=(\d+)", family.read_text(encoding="utf-8"))
    assert begun is not None
    last = van(times(NOW)).rows[-1][1]["_heater_current_temp_water"]
    assert last == pytest.approx(float(begun[1]), abs=1)
