"""The physics of the simulated plant: values move plausibly and agree with each other."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.studer.datapoints.datapoint import datapoints
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.simulator.infos import modelled
from hardwired_engines.studer.simulator.plant import DAY, Sky
from hardwired_engines.studer.simulator.settings import settings_from
from hardwired_engines.studer.simulator.world import World

from ..simulated import START, Host

pytestmark = pytest.mark.slow

PLANTS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "xtenders": st.integers(1, 9),
        "variotracks": st.integers(0, 4),
        "variostrings": st.integers(0, 3),
        "xcomcan": st.sampled_from([0, 1]),
        "grid": st.sampled_from(["auto", "always", "never"]),
        "battery": st.sampled_from([12, 24, 48]),
        "hour": st.integers(0, 23),
        "soc": st.integers(5, 100),
    }
)


def make_world(plant: dict[str, object]) -> World:
    query = {name: str(value) for name, value in plant.items() if name != "hour"}
    return World(settings_from({**query, "start": f"2026-06-15T{plant['hour']:02}:30:00"}))


@settings(max_examples=60, deadline=None)
@given(plant=PLANTS)
def test_values_agree(plant: dict[str, object]) -> None:
    world = make_world(plant)
    nominal = world.plant.layout.nominal
    for _ in range(5):
        world.plant.advance(world.plant.moment + 60)
        volts = [machine.volts for machine in world.plant.machines]
        assert max(volts) - min(volts) < 0.3
        assert 0.85 * nominal < min(volts) < max(volts) < 1.35 * nominal
        parts = sum(m.amps for m in (*world.plant.xtenders, *world.plant.solars))
        assert parts == pytest.approx(world.plant.amps, abs=0.01)
        for unit in world.plant.xtenders:
            assert unit.s_out == pytest.approx(unit.u_out * unit.i_out, abs=1)
            assert unit.s_in == pytest.approx(abs(unit.u_in * unit.i_in), abs=1)
            assert unit.p_out <= unit.s_out
            # What goes in comes out, but for losses.
            dc = unit.amps * world.plant.volts
            losses = unit.p_in - unit.p_out - dc
            assert -1 < losses < 60 + 0.1 * (abs(dc) + unit.p_out), unit
        for solar in world.plant.solars:
            assert sum(solar.pv_watts) == pytest.approx(
                solar.amps * world.plant.volts / 0.97, abs=1
            )
            for watts, pv_volts, amps in zip(
                solar.pv_watts, solar.pv_volts, solar.pv_amps, strict=True
            ):
                assert watts == pytest.approx(pv_volts * amps, abs=0.5) or pv_volts == 0
        assert 0 < world.plant.battery.soc <= 1


@settings(max_examples=15, deadline=None)
@given(plant=PLANTS)
def test_counters_rise_and_are_reset_at_midnight(plant: dict[str, object]) -> None:
    world = make_world({**plant, "hour": 22})
    seen: list[dict[tuple[int, str], float]] = []
    midnights = 0
    moment = world.plant.moment
    while world.plant.moment < moment + 4 * 3600:
        before = world.plant.moment
        world.plant.advance(world.plant.moment + 600)
        new_day = world.plant.moment // DAY != before // DAY
        midnights += new_day
        today = {
            (place, name): counter.today
            for place, machine in enumerate(world.plant.machines)
            for name, counter in machine.counters.items()
        }
        if seen and not new_day:
            assert all(today[key] >= value for key, value in seen[-1].items())
        if seen and new_day:
            for (place, name), value in seen[-1].items():
                counter = world.plant.machines[place].counters[name]
                assert counter.yesterday >= value
                assert counter.today <= 0.2 * max(1.0, counter.yesterday)
        seen.append(today)
    assert midnights == 1


def test_energy_is_power_over_time() -> None:
    host = Host(latency_ms=0, baud=0)
    first = host.number(101, 3083)
    powers = []
    for _ in range(60):
        powers.append(host.number(101, 3136))
        host.wait(10)
    used = host.number(101, 3083) - first
    assert used == pytest.approx(sum(powers) / len(powers) * 600 / 3600, rel=0.05)


def test_monitor_and_units_tell_the_same() -> None:
    host = Host(latency_ms=0, baud=0)
    for _ in range(20):
        host.wait(30)
        volts, amps = host.number(601, 7000), host.number(601, 7001)
        assert host.number(601, 7003) == pytest.approx(volts * amps, rel=1e-3)
        solar = host.number(301, 11001) + host.number(302, 11001) + host.number(701, 15001)
        xtenders = sum(host.number(address, 3005) for address in range(101, 107))
        assert amps == pytest.approx(solar + xtenders, abs=2)
        for address in range(101, 107):
            watts = host.number(address, 3136) * 1000
            assert watts == pytest.approx(host.number(address, 3087), abs=0.1)
            apparent = host.number(address, 3139) * 1000
            assert apparent == pytest.approx(
                host.number(address, 3021) * host.number(address, 3022), rel=1e-3
            )
        assert host.number(301, 11004) * 1000 == pytest.approx(
            host.number(301, 11002) * host.number(301, 11003), rel=1e-3, abs=0.1
        )


def test_no_two_devices_say_the_very_same() -> None:
    """Else a value that went to the wrong device could not be told from a right one."""
    host = Host(grid="always", latency_ms=0, baud=0)
    for number in (3000, 3005, 3011, 3012, 3021, 3022, 3084, 3136, 3137, 3104):
        values = {host.number(address, number) for address in range(101, 107)}
        assert len(values) == 6, number
    everything = [
        host.number(address, number)
        for address in range(101, 107)
        for number in (3000, 3005, 3011, 3012, 3021, 3022, 3084, 3136, 3137)
    ]
    assert len(set(everything)) == len(everything)


def test_a_day_of_sun() -> None:
    world = World(settings_from({"start": "2026-06-15T00:00:00", "seed": "3"}))
    nights, cycles, volts = 0, set(), []
    for _ in range(48):
        world.plant.advance(world.plant.moment + 1800)
        nights += world.plant.solars[0].night
        cycles.add(world.plant.cycle.name)
        volts.append(world.plant.volts)
    assert 10 < nights < 24
    assert {"BULK", "ABSORPTION"} <= cycles
    assert max(volts) - min(volts) > 4
    jumps = [abs(later - earlier) for earlier, later in pairwise(volts)]
    assert max(jumps) < 5


def test_it_charges_and_discharges() -> None:
    world = World(settings_from({"start": "2026-06-15T00:00:00", "grid": "never"}))
    socs = []
    for _ in range(96):
        world.plant.advance(world.plant.moment + 1800)
        socs.append(world.plant.battery.soc)
    assert max(socs) > 0.9
    assert min(socs) < 0.6


def test_the_grid_charges_an_empty_battery() -> None:
    host = Host(start="2026-06-15T00:20:00", soc=20)
    host.wait(5)
    assert host.info(101, 3028) == 2
    assert host.info(101, 3020) == 1
    assert host.number(101, 3005) > 5
    assert host.number(101, 3137) > host.number(101, 3136)
    # What may be drawn, and what may be charged, are settings.
    host.write(101, 1138, 3.0)
    host.wait(2)
    assert host.number(101, 3005) == pytest.approx(3, abs=0.2)
    host.write(101, 1125, False)
    host.wait(2)
    assert host.number(101, 3005) == pytest.approx(0, abs=0.2)


def test_boost_when_the_source_is_too_small() -> None:
    host = Host(start="2026-06-15T19:30:00", grid="always")
    host.write(101, 1107, 2.0)
    host.wait(2)
    assert host.info(101, 3028) == 3
    assert host.info(101, 3019) == 1
    assert host.number(101, 3012) == pytest.approx(2.0, rel=0.03)
    assert host.number(101, 3005) < 0


def test_feeding_the_grid() -> None:
    host = Host(start="2026-06-15T13:00:00", grid="always", soc=100)
    host.write(100, 1127, True)
    host.wait(3)
    modes = {host.info(address, 3028) for address in range(101, 107)}
    assert 4 in modes
    feeding = [a for a in range(101, 107) if host.info(a, 3028) == 4]
    assert host.number(feeding[0], 3012) < host.number(feeding[0], 3022)


def test_a_blackout() -> None:
    host = Host(grid="always")
    assert host.info(102, 3020) == 1
    host.world.inject("blackout", host.now, **{"for": 10})
    host.wait(3)
    assert host.info(102, 3020) == 0
    assert host.number(102, 3011) == 0
    assert host.number(102, 3021) == pytest.approx(230, abs=2)
    host.wait(10)
    assert host.info(102, 3020) == 1


def test_minutes_are_summed_up() -> None:
    host = Host(latency_ms=0, baud=0)
    host.wait(61)
    for first in (3090, 3093, 3099, 3111):
        low, high, mean = (host.number(103, first + n) for n in range(3))
        assert low <= mean <= high
        assert math.isfinite(low)
        assert math.isfinite(high)
    assert host.number(103, 3090) < host.number(103, 3091)


def test_the_sun_rises_and_sets_and_is_lower_in_winter() -> None:
    sky = Sky(1)
    june, december = 20_620 * DAY, 20_803 * DAY

    def day(start: float) -> list[float]:
        return [sky.sun(start + hour * 3600) for hour in range(24)]

    assert day(june)[0] == day(june)[23] == 0
    assert max(day(june)) > 0.5
    assert sum(day(december)) < 0.6 * sum(day(june))


@pytest.mark.parametrize(
    ("family", "quiet"), [(Family.XT, 11), (Family.VT, 9), (Family.VS, 6), (Family.BSP, 4),
                          (Family.BMS, 4)]
)  # fmt: skip
def test_nearly_every_info_is_modelled(family: Family, quiet: int) -> None:
    host = Host(xcomcan=int(family is Family.BMS))
    device = next(device for device in host.world.devices if device.family is family)
    infos = {one.id for one in datapoints(family) if not one.is_parameter}
    left = infos - modelled(family) - device._fixed.keys()
    assert len(left) <= quiet, sorted(left)


def test_time_runs_as_fast_as_wanted() -> None:
    host = Host(time_scale=3600, start=START)
    before = host.world.plant.moment
    host.number(101, 3000)
    host.wait(10)
    host.number(101, 3000)
    assert host.world.plant.moment - before == pytest.approx(36_000, rel=0.02)
