"""Inventum: a thousand runs with faults of every kind, each 200 s of them and 200 s without.

In the end the logger must run again and the override be set exactly when a boost runs. At no
moment may a wrong position be shown, another row be written, or its prompt be opened.
"""

from __future__ import annotations

import os
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from random import Random
from time import perf_counter
from typing import Any

from hardwired_engines.inventum.simulator.faults import Fault, random_trouble

from ._inventum import SimulatorSettings, World

RUNS = int(os.environ.get("BENCH_RUNS", "1000"))
FAULTY = CLEAN = 200.0
LONGEST_WAIT = 330.0
"""A power cut between the logger's first line and its first row is noticed after 300 s only: the
interval is the device's own and may have been set to minutes (spec f.2)."""

AFTERWARDS = 90.0
"""Three rows tell that an override is gone; then it is set again, or taken back."""


def settings_of(dice: Random) -> SimulatorSettings:
    """Any unit that the specification allows."""
    return SimulatorSettings.read(
        {
            "seed": dice.randrange(10000),
            "rate": dice.choice((0, 0, 960)),
            "interval": dice.choice((1, 2, 5, 10)),
            "header": dice.choice(("solo", "short", "combi")),
            "refresh": dice.choice((0, 0.1, 0.5)),
            "refresh_clears": dice.choice((0, 1)),
            "marker": dice.choice("[(>*"),
            "scrolling": dice.choice((0, 0, 1)),
            "title_goes": dice.choice((0, 1)),
            "prefilled": dice.choice((0, 1)),
            "refused_to": dice.choice(("login", "challenge")),
            "waking": dice.choice(("any", "enter")),
            "escape_logs_out": dice.choice((0, 1)),
            "selected_row": dice.randrange(1, 31),
            "wall_switch": dice.choice((1, 2)),
            "odds": 5,
        }
    )


def play(seed: int) -> dict[str, Any]:
    """One run; returns what went wrong, and what struck."""
    dice = Random(seed)
    world = World(settings_of(dice))
    world.until_logging()
    end = world.now + FAULTY
    while world.now < end:
        match dice.random():
            case chance if chance < 0.10:
                world.boost(dice.choice((1, 2, 5)))
            case chance if chance < 0.18:
                world.auto()
            case chance if chance < 0.20:
                world.dialogue.pause()
            case chance if chance < 0.22:
                world.dialogue.resume()
            case _:
                world.device.inflict(random_trouble(dice), world.now)
        world.run(min(dice.uniform(0.2, 10.0), end - world.now))
    world.device.heal()
    world.dialogue.resume()
    world.run(CLEAN)
    back_late = not world.logging
    if back_late:
        world.run(LONGEST_WAIT)
    back = world.logging
    world.run(AFTERWARDS)
    doubled = world.device.faults.struck[Fault.DOUBLE_KEYS]
    boost = world.dialogue.wishes.boost
    settled = world.dialogue.wishes.current is None
    return {
        "seed": seed,
        "back_late": back_late,
        "not_logging": not back,
        "state": world.dialogue.state_name,
        "override_wrong": settled and (world.device.override == 3) != (boost is not None),
        "wish_open": not settled,
        "wrong_positions": world.wrong_positions,
        "digits_damaged_on_the_line": world.damaged_positions,
        "other_rows_written": len(world.other_rows_written),
        "other_rows_entered": world.entered_by_command,
        "other_rows_entered_without_double": 0 if doubled else world.entered_by_command,
        "other_rows_entered_by_waking": world.entered_by_waking,
        "other_digits": len(world.device.other_digits),
        "struck": dict(world.device.faults.struck),
        "outcomes": dict(Counter(result.outcome.value for result in world.results)),
        "rows": world.records,
    }


COUNTED = (
    "not_logging",
    "override_wrong",
    "wrong_positions",
    "other_rows_written",
    "other_rows_entered_without_double",
    "other_digits",
)


def memory() -> dict[str, int]:
    """Bytes that one dialogue holds after 10 and after 200 runs' worth of faults."""
    tracemalloc.start()
    world = World(SimulatorSettings.read({"odds": 5, "interval": 1}))
    world.until_logging()
    dice = Random(1)
    sizes = []
    for count in range(200):
        world.device.inflict(random_trouble(dice), world.now)
        world.run(20)
        world.results.clear()
        world.ended.clear()
        world.device.writes.clear()
        world.device.entered_rows.clear()
        if count in (20, 199):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return {"after_400_s": sizes[0], "after_4000_s": sizes[1]}


def run() -> Iterator[dict[str, Any]]:
    started = perf_counter()
    workers = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers) as pool:
        runs = list(pool.map(play, range(RUNS), chunksize=10))
    struck: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for one in runs:
        struck.update(one["struck"])
        outcomes.update(one["outcomes"])
    yield {
        "runs": RUNS,
        "virtual_hours": round(RUNS * (FAULTY + CLEAN) / 3600, 1),
        "seconds": round(perf_counter() - started, 1),
        **{name: sum(int(one[name]) for one in runs) for name in COUNTED},
        "digits_damaged_on_the_line": sum(one["digits_damaged_on_the_line"] for one in runs),
        "bad_seeds": [one["seed"] for one in runs if any(one[name] for name in COUNTED)][:20],
        "back_after_200_s": sum(not one["back_late"] for one in runs),
        "other_rows_entered": sum(one["other_rows_entered"] for one in runs),
        "other_rows_entered_by_waking": sum(one["other_rows_entered_by_waking"] for one in runs),
        "rows": sum(one["rows"] for one in runs),
        "faults_struck": sum(struck.values()),
        "outcomes": dict(outcomes),
        "memory": memory(),
    }
