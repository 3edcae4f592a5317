"""How long a single turn of the event loop computes in each engine: at the start, in a life, after.

The engines live some days of their simulated year (:mod:`bench.year`), with faults and restarts;
``BENCH_DAYS`` (2) and ``BENCH_FAMILY`` choose. A large Studer plant and an Inventum terminal run at
their usual pace beside them, with every value wanted. ``BENCH_MS`` (5) is what counts as long. The
longest turns are told by what ran, with the place in which the thread was found most often.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Engine, Snapshot
from hardwired_engines.factory import EngineFactory, Surroundings
from hardwired_engines.inventum import FACTORY as INVENTUM
from hardwired_engines.inventum.simulator import runner as inventum_runner
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer import FACTORY as STUDER
from hardwired_engines.studer.simulator import world as studer_world

from . import year
from ._hold_meter import HoldMeter
from .year import household
from .year.contract import Life
from .year.driver import Driver

DAYS = float(os.environ.get("BENCH_DAYS", "2"))
LEAST = float(os.environ.get("BENCH_MS", "5")) / 1000
LIVES = tuple(family for family in year.FAMILIES if family != "inventum")
"""The Inventum's year runs without an event loop."""
HOUR = 3600.0
START = datetime(2026, 6, 15, 6, 0, tzinfo=UTC)
LARGE = "sim://?xtenders=9&variotracks=4&variostrings=2&seed=4&start=2026-06-15T08:00:00"
ENGINES: dict[str, tuple[EngineFactory[Any], dict[str, Any]]] = {
    "studer_large": (STUDER, {"link": LARGE}),
    "inventum": (INVENTUM, {"link": "sim://?odds=2&interval=3", "login_code": "1234"}),
}


OTHERS: tuple[tuple[Any, str], ...] = (
    (household.Disk, "save"),
    (studer_world, "make"),
    (inventum_runner, "Simulation"),
)
"""What an engine calls and is not its own: faces write in threads, and devices are real."""


def _figures(family: str, meter: HoldMeter) -> dict[str, Any]:
    longest = sorted(meter.seconds.items(), key=lambda item: -item[1])
    return {
        "family": family,
        "turns": meter.turns,
        "longest_ms": round(meter.longest * 1000, 2),
        "over_ms": LEAST * 1000,
        "over": sum(meter.holds.values()),
        "longest": [
            {
                "ms": round(seconds * 1000, 1),
                "times": meter.holds[what],
                "what": what,
                "where": [
                    f"{count} x {stack}" for stack, count in meter.stacks[what].most_common(3)
                ],
            }
            for what, seconds in longest[:8]
        ],
    }


def _run(family: str, live: Callable[[HoldMeter], Awaitable[None]]) -> dict[str, Any]:
    meter = HoldMeter(LEAST)

    async def measured() -> None:
        await live(meter)

    with ExitStack() as stack:
        for owner, name in OTHERS:
            replacement = meter.not_ours(getattr(owner, name))
            stack.enter_context(patch.object(owner, name, replacement))
        stack.enter_context(meter.measuring())
        asyncio.run(measured())
    return _figures(family, meter)


def _without_judges(life: Life, meter: HoldMeter) -> Life:
    for name in ("take", "take_occurrence"):
        if (judge := getattr(life, name, None)) is not None:
            setattr(life, name, meter.not_ours(judge))
    return life


def _life(family: str) -> Callable[[HoldMeter], Awaitable[None]]:
    async def live(meter: HoldMeter) -> None:
        life = year.life_of(family, 7, year.OCTOBER, 1.0)
        await Driver(_without_judges(life, meter)).live(DAYS)

    return live


def _engine(factory: EngineFactory[Any], values: dict[str, Any]) -> Any:
    """Two lives of an hour, the second with what the first has stored; every value is wanted."""

    async def live(meter: HoldMeter) -> None:
        clock, storage = ManualClock(START), MemoryStorage()
        for _ in range(2):
            engine = factory.make(
                factory.read(values), Surroundings(clock=clock, zone=UTC, storage=storage)
            )
            task = asyncio.ensure_future(engine.run(meter.not_ours(_nothing)))
            await clock.advance(60.0)
            _want_all(engine)
            await clock.advance(HOUR)
            task.cancel()
            await asyncio.wait([task])

    return live


def _nothing(_snapshot: Snapshot) -> None:
    """Nobody looks."""


def _want_all(engine: Engine) -> None:
    for device, state in engine.snapshot.devices.items():
        for key in state.values:
            engine.want(device, key)


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures of each engine."""
    wanted = os.environ.get("BENCH_FAMILY")
    chosen = wanted.split(",") if wanted else (*ENGINES, *LIVES)
    for family in chosen:
        live = _engine(*ENGINES[family]) if family in ENGINES else _life(family)
        yield _run(family, live)
