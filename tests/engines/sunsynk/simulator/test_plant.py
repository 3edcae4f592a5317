"""The simulated house: its energies add up, and its past is the same whoever looks (spec i.2)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random

import pytest

from hardwired_engines.sunsynk.catalogue import DAILY_COUNTERS, LIFETIME_COUNTERS
from hardwired_engines.sunsynk.simulator.plant import (
    CONVERSION_LOSSES,
    EFFICIENCY,
    IDLE_LOSSES,
    Plant,
    PlantSettings,
)

NOW = datetime(2026, 11, 29, 15, 2, 30)  # noqa: DTZ001 - the plant's wall clock
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
FIVE_MINUTES = timedelta(minutes=5)
SIZES = [
    PlantSettings(rated_power=3600, pv_peak=3240.0),
    PlantSettings(),
    PlantSettings(rated_power=8000, pv_peak=7200.0),
    PlantSettings(pv_peak=500.0, battery_wh=2000.0),
]


def plant(settings: PlantSettings = SIZES[1], weeks: int = 0) -> Plant:
    """Return a plant of one seed."""
    return Plant(settings, Random(3), weeks=weeks)


@pytest.mark.parametrize("weeks", [0, 2])
@pytest.mark.parametrize("settings", SIZES)
def test_lifetime_counters_obey_the_balance(settings: PlantSettings, weeks: int) -> None:
    """What came in went out again, but for the losses; a battery gives back less than it got."""
    house = plant(settings, weeks)
    house.advance(NOW)
    total = {key.removesuffix("_total"): house.energy[key] for key in LIFETIME_COUNTERS}
    came = total["pv_production"] + total["grid_import"]
    went = total["load_consumption"] + total["grid_export"]
    kept = total["battery_charge"] - total["battery_discharge"]
    losses = came - went - kept
    sunny = CONVERSION_LOSSES * total["pv_production"]
    days = (losses - sunny) / IDLE_LOSSES / 24
    assert 200 < days < 2000
    assert kept > 0
    returned = total["battery_discharge"] / total["battery_charge"]
    assert returned == pytest.approx(EFFICIENCY**2, abs=0.01)


@pytest.mark.parametrize("settings", SIZES[:3])
def test_the_days_before_were_like_those_after(settings: PlantSettings) -> None:
    house = plant(settings)
    house.advance(MIDNIGHT)
    before = dict(house.energy)
    house.advance(MIDNIGHT + timedelta(days=90))
    for energy, usual in house._usual_day().items():
        key = f"{energy}_total"
        lived = (house.energy[key] - before[key]) / 90
        assert lived == pytest.approx(usual, rel=0.25, abs=1500), key


def test_daily_counters_are_what_the_lifetime_ones_gained_since_midnight() -> None:
    house = plant(weeks=2)
    house.begin(NOW)
    house.advance(MIDNIGHT)
    before = dict(house.energy)
    house.advance(NOW)
    for key in DAILY_COUNTERS:
        total = f"{key.removesuffix('_daily')}_total"
        if total in before:
            gained = house.energy[total] - before[total]
            assert house.energy[key] == pytest.approx(gained, abs=0.01), key
    assert house.energy["pv_production_daily"] > 1000


def test_two_of_one_seed_live_the_same_weeks() -> None:
    """However often they are looked at: the demonstration's history is that of the live one."""
    once, often = plant(weeks=2), plant(weeks=2)
    once.advance(NOW)
    often.begin(NOW)
    moment = NOW - timedelta(days=14)
    assert often.now is not None
    assert often.now <= moment
    moment = often.now
    while moment <= NOW:
        often.advance(moment)
        moment += FIVE_MINUTES
    often.advance(NOW)
    assert (often.soc, often.flows, often.energy) == (once.soc, once.flows, once.energy)


def test_looking_every_ten_seconds_makes_no_other_weather() -> None:
    seldom, often = plant(), plant()
    seldom.advance(NOW)
    moment = MIDNIGHT
    while moment < NOW:
        moment += timedelta(seconds=10)
        often.advance(min(moment, NOW))
    assert often.flows.pv == pytest.approx(seldom.flows.pv, rel=0.01)
    for key in ("pv_production_daily", "load_consumption_daily"):
        assert often.energy[key] == pytest.approx(seldom.energy[key], rel=0.03), key


def test_a_plant_made_anew_goes_on_where_it_was() -> None:
    """A restart within the week: no lifetime counter falls by more than the load's flicker."""
    before = plant(weeks=2)
    before.advance(NOW)
    moment = NOW
    for _ in range(6 * 60):
        moment += timedelta(seconds=10)
        before.advance(moment)
    anew = plant(weeks=2)
    anew.advance(moment)
    for key in LIFETIME_COUNTERS:
        assert anew.energy[key] == pytest.approx(before.energy[key], abs=150), key
    assert anew.soc == pytest.approx(before.soc, abs=1.5)


@pytest.mark.parametrize("year", [2000, 2099])
def test_any_year_fits_the_registers(year: int) -> None:
    house = plant(SIZES[2], weeks=2)
    house.advance(datetime.combine(date(year, 12, 31), NOW.time()))
    house.registers()
    assert min(house.energy.values()) >= 0
