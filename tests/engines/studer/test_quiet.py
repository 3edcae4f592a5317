"""Values that move within their noise are not shown, for a minute at most (13.11)."""

from __future__ import annotations

import asyncio
from datetime import UTC
from itertools import pairwise

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import DeviceState, InvalidCommand, Snapshot
from hardwired_engines.fields import Accumulation, Field, Quantity, Role
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.catalogue import CATALOGUES, NEAR_REALTIME
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator.world import make

from .double import Running, plant, running
from .judge import trial

ROWS_AT_MOST = 10_000


def test_noise_is_known_of_measurements_only() -> None:
    """Totals, settings and states are exact."""
    for kind, fields in CATALOGUES.items():
        for field in fields.values():
            exact = (
                field.accumulation is not Accumulation.MEASUREMENT
                or field.role is Role.SETTING
                or not field.numeric
            )
            if exact:
                assert not field.noise, f"{kind} {field.key}"
    power = CATALOGUES["xt"]["output_active_power"]
    assert power.is_noise(2.0, 2.09)
    assert not power.is_noise(2.0, 2.11)
    assert not power.is_noise(0.01, 0.0), "nothing flows: that is no noise"
    assert not power.is_noise(None, 0.0)
    assert not Field(key="x", name="x", quantity=Quantity.POWER).is_noise(1.0, 1.0001)


def shown(run: Running, key: str) -> list[float]:
    """Return the values of the first Xtender that were shown, one after the other."""
    unit, found = run.id(101), []
    for snapshot in run.snapshots:
        value = snapshot.value(unit, key)
        if isinstance(value, float) and value not in found[-1:]:
            found.append(value)
    return found


async def test_noise_is_hidden_for_a_minute_at_most_and_a_change_never() -> None:
    double = plant(1)
    values = double.units[101].values
    async with running(double) as run:
        await run.pass_(10)
        assert run.value(101, "output_active_power") == 1.0
        values[3136] = 1.0234375
        await run.pass_(30)
        assert run.value(101, "output_active_power") == 1.0
        took = await run.until(lambda: run.value(101, "output_active_power") == 1.0234375)
        assert took <= 40
        values[3136] = 1.25
        assert await run.until(lambda: run.value(101, "output_active_power") == 1.25) <= 6
        values[3136] = 0.0
        assert await run.until(lambda: run.value(101, "output_active_power") == 0.0) <= 6
        assert shown(run, "output_active_power") == [1.0, 1.0234375, 1.25, 0.0]


async def test_a_value_that_creeps_is_never_far_from_what_is_shown() -> None:
    """Small steps add up: the difference is to what is shown, not to the last reading."""
    double = plant(1)
    async with running(double) as run:
        await run.pass_(10)
        for step in range(60):
            true = 1.0 + step * 0.015625
            double.units[101].values[3136] = true
            await run.pass_(5.1)
            found = run.value(101, "output_active_power")
            assert abs(found - true) <= 0.05 * found + 0.02
        assert len(shown(run, "output_active_power")) < 30


async def test_the_sums_are_made_of_readings_not_of_what_is_shown() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        system = f"{run.id(501)}_system"
        assert run.last.value(system, "output_active_power") == 6.0
        for address in (101, 102, 103):
            double.units[address].values[3136] += 0.125 / 2 - 0.015625
        await run.pass_(90)
        assert run.last.value(system, "output_active_power") == pytest.approx(6.140625)


async def test_near_realtime_shows_every_value_for_ten_minutes() -> None:
    """As a button, and as a command that says for how long."""
    double = plant(1)
    async with running(double) as run:
        await run.pass_(12)
        await run.do(run.id(501), {NEAR_REALTIME: True})
        await run.pass_(3)
        for step in range(1, 9):
            double.units[101].values[3136] = 1.0 + step / 1024
            await run.pass_(2)
            assert run.value(101, "output_active_power") == pytest.approx(1.0 + step / 1024)
        await run.pass_(600)
        double.units[101].values[3136] = 1.0 + 20 / 1024
        await run.pass_(8)
        hidden = run.value(101, "output_active_power")
        assert hidden == pytest.approx(1.0 + 8 / 1024), "noise is hidden again"
        await run.do(run.id(501), name="fast", options={"minutes": 5})
        await run.pass_(3)
        assert run.value(101, "output_active_power") == pytest.approx(1.0 + 20 / 1024)
        await run.do(run.id(501), name="fast", options={"minutes": 0})
        with pytest.raises(InvalidCommand):
            await run.do(run.id(101), {NEAR_REALTIME: True})


def changes(before: DeviceState | None, after: DeviceState) -> int:
    """Return how many of a device's usual entities have changed."""
    if before is None or before is after:
        return 0
    return sum(
        after.fields[key].offer == "default" and before.values.get(key) != value
        for key, value in after.values.items()
        if key in after.fields
    )


@pytest.mark.slow
async def test_six_xtenders_make_less_than_ten_thousand_rows_an_hour() -> None:
    """A changed value of an entity that is switched on is a row of Home Assistant's recorder."""
    async with trial(xtenders=6, start="2026-06-15T11:00:00") as run:
        await run.run_until_started()
        await run.run(60)
        rows, last = 0, run.engine.snapshot
        heard = run.engine._on_snapshot

        def count(snapshot: Snapshot) -> None:
            nonlocal rows, last
            for key, state in snapshot.devices.items():
                rows += changes(last.devices.get(key), state)
            last = snapshot
            assert heard is not None
            heard(snapshot)

        run.engine._on_snapshot = count
        await run.run(360)
        assert run.judge.wrong == []
    assert 0 < rows * 10 <= ROWS_AT_MOST


async def find(**query: str) -> tuple[float, StuderEngine, list[float]]:
    """Find a simulated plant as the set-up does; how long it took, and the progress."""

    clock, fractions = ManualClock(), list[float]()
    engine = StuderEngine(
        StuderSettings.from_mapping({"link": "sim://"}),
        clock,
        zone=UTC,
        storage=MemoryStorage(),
        world=make(query),
    )

    task = asyncio.ensure_future(engine.find(lambda now: fractions.append(now.fraction)))
    while not task.done():
        await clock.advance(0.05)
    task.result()
    return clock.monotonic(), engine, fractions


@pytest.mark.parametrize(("multi_info", "at_most"), [("1", 8.0), ("0", 10.0)])
async def test_the_set_up_finds_a_plant_of_ten_devices_in_a_few_seconds(
    multi_info: str, at_most: float
) -> None:
    """13.12: with progress that is seen to move, up to the end."""
    took, engine, fractions = await find(multi_info=multi_info)
    assert took <= at_most
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(set(fractions)) > 40
    assert max(b - a for a, b in pairwise(fractions)) < 0.1
    units = [one.device for one in engine.snapshot.devices.values() if one.device.serial_number]
    assert len(units) == 10
    assert all(one.model and one.sw_version for one in units)
    world = engine._world.simulator.world  # type: ignore[union-attr,attr-defined]
    assert {one.serial_number for one in units} == {one.fid for one in world.devices}
