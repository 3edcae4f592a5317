"""One simulated year for each family, in virtual time, against the product's own simulators.

:mod:`.contract` is what a family brings, :mod:`.driver` lets it live, :mod:`.household` is what
all engines have in common. ``BENCH_DAYS`` (365), ``BENCH_FAMILY`` (all) and ``BENCH_SEED`` (1)
choose what is run; a family a line. Its figures:

``days``, ``seed``, ``wall_s``: what was run, and the real seconds that it took.
``happened``: how often each thing happened to the household.
``checked``, ``wrong``, ``examples``: values held against the truth; those that were shown and not
true, and errors that nobody has caught; the first of these, and of counters that fell, in words.
Aim: 0 wrong.
``stuck``: how often something was not right for longer than ``bound_s`` seconds after the last
trouble, so that only a restart might have helped. Aim: 0.
``longest_ill_s``, ``ill``: the longest time in seconds that something was not right though the last
trouble was over, and what it was: a value still absent, a device not back yet. Aim: below
``bound_s``.
``recovered_s``: seconds at the very end, from when nothing goes wrong any more until all is well;
``null``: it never was.
``counters``, ``counters_fallen``, ``counters_wrong``: energy and other counters that were followed
to the end; how often one went back; those that at the end show neither the truth nor the truth
less what is lost, as shown, true, lost. Aims: 0 and none.
``counters_lost``: the sum of what nobody can know, in the counters' own units, because the device
itself keeps it only for a time: what was counted between our last reading of a day and its
midnight while we were switched off. Not shown, and not guessed.
``objects``, ``resident_kib``, ``file_bytes``: Python's objects, the process's memory and the files
that are kept, each after the first quarter and at the end. Aim: the same.
``starts``, ``ended_by_itself``: how often the engine was started; how often it ended unasked.
Inventum: ``rows`` of its logger; ``longest_unwanted_s`` and ``longest_missing_s``, the longest
times that a boost was there unasked, and asked for and not there; ``boost_bound_s``, their bound.
Studer, Sunsynk over Modbus: ``wishes``, what became of settings.
Studer: ``in_doubt``, the share of the time for which a
setting was absent because nobody could know what stands in RAM.
Truma: ``commands``, what became of them; ``mornings`` that were lived, of ``seconds_a_day`` each;
``slots`` on the bus;
``panel_clock_off_s``, the most that its clock was ever wrong.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from .contract import Life
from .driver import Driver

FAMILIES = {
    "truma": "Truma",
    "victron_gx": "VictronGx",
    "inventum": "Inventum",
    "studer": "Studer",
    "sunsynk_live": "SunsynkLive",
    "sunsynk_modbus": "SunsynkModbus",
}
"""The modules of this package that are a family's life, and their classes."""
JANUARY = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 15, 6, 0, tzinfo=UTC)
"""A shorter life begins ten days before the night that has one hour more."""
SHORT = 90.0


def life_of(family: str, seed: int, start: datetime, pace: float) -> Life:
    """Return the life of a family."""
    module = import_module(f".{family}", __name__)
    life: Life = getattr(module, FAMILIES[family])(seed, start, pace)
    return life


def play(family: str, days: float, seed: int, pace: float = 1.0) -> dict[str, Any]:
    """Let a family's household live for some days; return the figures."""
    start = OCTOBER if days < SHORT else JANUARY

    async def live() -> dict[str, Any]:
        return await Driver(life_of(family, seed, start, pace)).live(days)

    return {**asyncio.run(live()), "seed": seed}


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures of each family."""
    days = float(os.environ.get("BENCH_DAYS", "365"))
    seed = int(os.environ.get("BENCH_SEED", "1"))
    wanted = os.environ.get("BENCH_FAMILY")
    for family in wanted.split(",") if wanted else FAMILIES:
        yield play(family, days, seed)
