"""The plant as a whole: what fills the Energy dashboard's battery, grid and sun (12.8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hardwired_engines.fields import Accumulation, Quantity
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.catalogue import CATALOGUES, SYSTEM
from hardwired_engines.studer.plant.totals import RunningTotal
from hardwired_engines.studer.scom.families import Family

from .double import Double, Running, plant, running
from .judge import trial

ENERGIES = (
    "consumers_energy", "ac_in_energy", "ac_in_export_energy", "battery_charge_energy",
    "battery_discharge_energy", "pv_energy",
)  # fmt: skip


def system(run: Running, key: str) -> float | None:
    found = run.last.value(f"{run.id(501)}_system", key)
    assert found is None or isinstance(found, (int, float))
    return found


def with_monitor(double: Double) -> Double:
    double.add(
        601, Family.BSP, i7000=50.0, i7001=20.0, i7002=80.0, i7003=1000.0, i7007=5.0, i7008=3.0
    )
    return double


def test_the_fields_say_what_the_energy_dashboard_needs() -> None:
    fields = CATALOGUES[SYSTEM]
    for key in ENERGIES:
        assert fields[key].quantity is Quantity.ENERGY, key
        assert fields[key].accumulation is Accumulation.TOTAL_INCREASING, key
        assert not fields[key].noise, "a total is exact"
    assert fields["battery_power"].accumulation is Accumulation.MEASUREMENT
    assert fields["state_of_charge"].quantity is Quantity.STATE_OF_CHARGE


async def test_a_battery_monitor_tells_what_goes_into_the_battery() -> None:
    """12.8: not what an Xtender takes, which may come from the sun."""
    double = with_monitor(plant(2))
    async with running(double, intervals={"slow": 5}) as run:
        await run.pass_(12)
        assert system(run, "battery_power") == -1.0, "positive is discharging"
        assert system(run, "state_of_charge") == 80.0
        assert system(run, "battery_charge_energy") == 0.0
        double.units[601].values |= {7007: 9.0, 7008: 4.0}
        double.units[101].values |= {3078: 6.0, 3079: 6.0}
        await run.pass_(70)
        assert system(run, "battery_charge_energy") == pytest.approx(4.0 * 50.0 / 1000)
        assert system(run, "battery_discharge_energy") == pytest.approx(1.0 * 50.0 / 1000)
        double.units[601].dead = 2
        await run.pass_(30)
        assert system(run, "battery_power") is None
        assert system(run, "state_of_charge") is None
        assert system(run, "battery_charge_energy") == pytest.approx(0.2)


async def test_without_a_monitor_sun_that_passes_the_battery_by_is_not_counted() -> None:
    """12.8: an Xtender's and a charger's counters would both count it."""
    double = plant(1)
    double.units[101].values |= {3000: 50.0, 3005: -20.0}
    double.add(301, Family.VT, i11000=50.0, i11001=20.0, i11004=1.0, i11007=1.0)
    async with running(double, intervals={"normal": 2, "fast": 2}) as run:
        await run.pass_(10)
        assert system(run, "battery_power") == 0.0
        await run.pass_(600)
        assert system(run, "battery_charge_energy") == 0.0
        assert system(run, "battery_discharge_energy") == 0.0
        double.units[301].values[11001] = 80.0
        await run.pass_(10)
        assert system(run, "battery_power") == pytest.approx(-3.0)
        before = system(run, "battery_charge_energy")
        assert before is not None
        await run.pass_(1200)
        after = system(run, "battery_charge_energy")
        assert after == pytest.approx(before + 1.0, abs=0.06)
        assert system(run, "battery_discharge_energy") == 0.0
        double.units[301].dead = 0
        await run.pass_(310)  # what is stored is shown, and that is all
        lost = system(run, "battery_charge_energy")
        await run.pass_(600)
        assert system(run, "battery_power") is None
        assert system(run, "battery_charge_energy") == lost, "nothing is guessed"


async def test_what_is_fed_into_the_grid_is_added_up_and_outlives_a_restart() -> None:
    """12.8: no counter of an Xtender tells it."""
    double, storage = plant(2), MemoryStorage()
    double.units[101].values[3137] = -3.0
    double.units[102].values[3137] = 1.0
    async with running(double, storage) as run:
        await run.pass_(1200)
        exported = system(run, "ac_in_export_energy")
        assert exported == pytest.approx(1.0, abs=0.07)
        assert system(run, "ac_in_energy") == 0.0, "the import is what the counters say"
    async with running(double, storage) as run:
        await run.pass_(5)
        again = system(run, "ac_in_export_energy")
        assert exported is not None
        assert again is not None
        assert exported <= again < exported + 0.07


async def test_an_xtender_tells_the_state_of_charge_only_where_it_knows_it() -> None:
    """12.8: one without a battery monitor says 0, or nothing."""
    double = plant(1)
    double.units[101].values[3007] = 0.0
    async with running(double, datapoints=("xt.3007",)) as run:
        await run.pass_(30)
        assert "state_of_charge" not in run.last.devices[f"{run.id(501)}_system"].values
        double.units[101].values[3007] = 64.0
        await run.pass_(30)
        assert system(run, "state_of_charge") == 64.0


@pytest.mark.parametrize("monitored", [True, False])
async def test_the_battery_s_energies_fit_what_flowed(monitored: bool) -> None:
    """12.8: an hour of a simulated plant, held against its physics."""
    flowed = [0.0, 0.0]
    async with trial(
        {"intervals": {"slow": 10}}, xtenders=2, variotracks=2, variostrings=0, messages=0,
        bsp=int(monitored), start="2026-06-15T16:00:00",
    ) as run:  # fmt: skip
        await run.run_until_started()
        gateway = next(key for key in run.engine.snapshot.devices if key.endswith("_system"))

        def told() -> list[float]:
            found = run.engine.snapshot.devices[gateway].values
            keys = ("battery_charge_energy", "battery_discharge_energy")
            return [float(found[key] or 0.0) for key in keys]  # type: ignore[arg-type]

        await run.run(60)
        before = told()
        for _ in range(360):
            await run.run(10)
            power = run.world.plant.amps * run.world.plant.volts / 1000
            flowed[power < 0] += abs(power) * 10 / 3600
        after = told()
    counted = [now - then for now, then in zip(after, before, strict=True)]
    for mine, theirs in zip(counted, flowed, strict=True):
        assert mine == pytest.approx(theirs, rel=0.05, abs=0.1)
    assert sum(flowed) > 0.3, "something has flowed"


def test_a_counter_that_counts_backwards_is_no_reset() -> None:
    """12.8: one of the grid may do so while power is fed into it."""
    total, moment = RunningTotal(), datetime(2026, 6, 1, 12, tzinfo=UTC)
    for value in (5.0, 5.5, 5.2, 4.9, 5.1):
        total.update("one", value, moment)
        moment += timedelta(minutes=1)
    assert total.total == pytest.approx(0.5 + 0.2)
    total.update("one", 0.1, moment)
    assert total.total == pytest.approx(0.8), "nearly zero: a device that has restarted"
    total.update("one", 0.05, moment + timedelta(hours=13))
    assert total.total == pytest.approx(0.85), "another day"


def test_what_is_shown_of_a_total_is_what_is_stored() -> None:
    """Found by the simulated year: after a power cut a total was lower than it was shown."""
    total = RunningTotal()
    total.update("a", 1.0)
    total.update("a", 1.03)
    assert total.kept == 0.0
    kept = total.as_dict()
    total.stored()
    assert total.kept == RunningTotal.restore(kept).kept == pytest.approx(0.03)
    total.update("a", 1.09)
    assert total.consequential
    assert RunningTotal.restore(kept).kept >= total.kept
