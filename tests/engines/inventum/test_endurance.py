"""Faults, restarts, pulled plugs and long lives in virtual time, by the benches' own means."""

from __future__ import annotations

from random import Random

import pytest

from bench import inventum_faults, inventum_year
from bench._inventum import SimulatorSettings, World
from bench.inventum_boost import measure
from hardwired_engines.inventum.simulator.faults import Fault, Trouble


@pytest.mark.parametrize("seed", range(20))
def test_faults_and_back_to_the_logger(seed: int) -> None:
    outcome = inventum_faults.play(seed)
    assert {name: outcome[name] for name in inventum_faults.COUNTED} == dict.fromkeys(
        inventum_faults.COUNTED, 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 300, 50))
def test_many_more_faults(first: int) -> None:
    for seed in range(first, first + 50):
        outcome = inventum_faults.play(seed)
        assert not any(outcome[name] for name in inventum_faults.COUNTED), outcome


def test_a_fortnight_with_everything() -> None:
    life = inventum_year.play(seed=7, days=14)
    assert life["longest_unwanted_s"] <= life["bound_s"]
    assert life["longest_missing_s"] <= life["bound_s"]
    assert life["wrong_positions"] == life["other_rows_written"] == 0
    assert life["restart"] > 5


@pytest.mark.parametrize("restore", [False, True], ids=["", "from the first row"])
@pytest.mark.parametrize("interval, most", [(1, 2.4), (10, 11.4)])
def test_how_long_a_boost_takes(interval: int, most: float, restore: bool) -> None:
    figures = measure({"interval": interval, "restore": restore})
    assert figures["boost_median"] <= most


def test_killed_at_any_moment_of_a_boost_it_ends_in_time() -> None:
    """``kill -9`` at 100 random moments, a minute's pause: back to auto at the stored time."""
    dice = Random(9)
    for number in range(100):
        world = World(SimulatorSettings.read({"odds": 1, "interval": 10, "refresh": 0}))
        world.until_logging()
        world.run(11)
        asked = world.now
        world.boost(3)
        world.run(dice.uniform(0, 200) if number % 2 else dice.uniform(0, 2))
        stored = world.kill()
        world.clock.elapsed += dice.uniform(1, 60)
        world.start(stored)
        end = asked + 180
        while world.now < end - 1:
            world.run(1)
        world.run(max(0.0, end + 10 + 30 - world.now))
        assert world.device.override is None, number
        assert world.dialogue.wishes.boost is None


def test_unplugged_at_any_moment_nothing_is_begun_anew() -> None:
    """100 pulled plugs: no restart is needed, and no new login where the unit kept the session."""
    dice = Random(5)
    world = World(SimulatorSettings.read({"odds": 1, "interval": 2}))
    world.until_logging()
    world.run(10)
    challenges = world.device.challenges
    for _ in range(100):
        world.run(dice.uniform(0, 12))
        match dice.randrange(3):
            case 0:
                world.boost()
            case 1:
                world.auto()
        world.run(dice.uniform(0, 3))
        world.device.inflict(Trouble(Fault.UNPLUG), world.now)
        world.run(5)
        world.until_logging(120)
    assert world.device.challenges == challenges
    assert not world.other_rows_written


def test_two_hundred_refused_challenges() -> None:
    world = World(SimulatorSettings.read({"odds": 1000, "interval": 1}))
    while world.device.challenges < 200:
        world.run(10)
    world.device.settings = SimulatorSettings.read({"odds": 1, "interval": 1})
    world.until_logging(60)


def test_the_wall_clock_is_set_back_during_a_boost() -> None:
    world = World(SimulatorSettings.read({"odds": 1, "interval": 2}))
    world.until_logging()
    world.outcome(world.boost(10))
    world.clock._start = world.clock._start.replace(year=2025)
    world.run(120)
    boost = world.dialogue.wishes.boost
    assert boost is not None
    assert 7 <= boost.remaining(world.clock.now()) <= 10
    world.run(620)
    assert world.device.override is None
