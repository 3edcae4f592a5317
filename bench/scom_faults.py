"""Studer: what a late or split answer, a lost Xtender and a thousand mixtures do to the values.

The plant keeps a journal of what each device held; every value that the engine publishes is held
against it. Time is simulated.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from random import Random
from time import perf_counter
from typing import Any

from ._scom import Trial

VARIANTS = int(os.environ.get("BENCH_VARIANTS", "1000"))
FAST = 5.0
TIMEOUT = 3.0

SCENARIOS = {
    "late answer, 1.4 s": "late:least=1.4:most=1.4:n=1",
    "late answer, 3.3 s": "late:least=3.3:most=3.3:n=1",
    "split answer": "split:n=1",
    "answer stalled in the middle": "stall:n=1",
    "duplicate answers": "duplicate:p=0.5",
    "frames of other devices": "stray:p=0.5",
    "nonsense values": "nonsense:p=0.2",
    "noise on the line": "noise:p=0.3",
}
"""One fault each, after a clean start."""


async def _one_fault(text: str) -> dict[str, Any]:
    trial = Trial.begin({"xtenders": "6", "multi_info": "0"})
    try:
        await trial.until(lambda: trial.everybody(6))
        await trial.pass_(10)
        name, *pairs = text.split(":")
        options = dict(pair.split("=") for pair in pairs)
        trial.world.inject(name, trial.clock.monotonic(), **options)
        await trial.pass_(120)
        statistics = trial.engine.statistics
        return {
            "published": trial.auditor.published,
            "wrong": len(trial.auditor.wrong),
            "timeouts": statistics.timeouts,
            "rejected": sum(statistics.drops.values()),
            "all_units_shown": trial.everybody(6),
        }
    finally:
        await trial.end()


async def _lost_unit(seed: int, *, silent: float) -> dict[str, Any]:
    """One of six Xtenders drops out and comes back: the fault that users restart for."""
    trial = Trial.begin({"xtenders": "6", "seed": str(seed)})
    try:
        await trial.until(lambda: trial.everybody(6))
        await trial.pass_(10)
        lost = trial.unit(103)
        trial.world.inject(
            "drop", trial.clock.monotonic(), address=103, silent=silent, timeout=10, away=60
        )
        suspected = await trial.until(lambda: trial.presence(103) != "online")
        shown = await trial.until(lambda: not trial.available(lost))
        others = all(trial.available(trial.unit(at)) for at in (101, 102, 104, 105, 106))
        back = await trial.until(lambda: trial.everybody(6))
        return {
            "suspected_s": suspected,
            "unavailable_s": None if shown is None or suspected is None else suspected + shown,
            "others_available": others,
            "back_s": back,
            "published": trial.auditor.published,
            "wrong": len(trial.auditor.wrong),
            "reconnects": trial.engine.statistics.reconnects,
        }
    finally:
        await trial.end()


async def _variant(seed: int) -> dict[str, Any]:
    """Everything at once, by the seed: line faults, a lost unit, a restart, with and without
    multi-info; then quiet, and all must be well again without a restart of ours."""
    source = Random(seed)
    query = {
        "xtenders": "6",
        "seed": str(seed),
        "variotracks": str(source.randint(0, 1)),
        "variostrings": "0",
        "bsp": str(source.randint(0, 1)),
        "multi_info": str(source.randint(0, 1)),
        "missing": source.choice(("zero", "nan", "omit")),
        "messages": "0",
    }
    trial = Trial.begin(query)
    try:
        started = await trial.until(lambda: trial.everybody(6))
        now = trial.clock.monotonic()
        victim = source.randint(101, 106)
        for fault, probability in (
            ("late", 0.05), ("split", 0.3), ("stall", 0.02), ("duplicate", 0.05), ("stray", 0.1),
            ("foreign", 0.05), ("nonsense", 0.05), ("flip", 0.05), ("gap", 0.03),
            ("noise", 0.1), ("crlf", 0.2), ("strip", 0.5), ("lose", 0.02), ("busy", 0.02),
        ):  # fmt: skip
            if source.random() < 0.5:
                trial.world.inject(fault, now, p=probability * source.random())
        incident = source.choice(("drop", "renumber", "restart", "cut", "mute", "none"))
        dropped = False
        match incident:
            case "drop":
                dropped = True
                away = source.uniform(15, 40)
                trial.world.inject("drop", now, address=victim, at=5, away=away)
            case "renumber":
                trial.world.inject("renumber", now, at=5, address=101, **{"with": 104})
            case "restart" | "cut" | "mute":
                trial.world.inject(incident, now, at=5)
        noticed: float | None = None
        asked = lost = 0
        if dropped:
            await trial.pass_(5)
            asked_before = trial.asked(victim)
            lost_before = trial.engine.statistics.timeouts
            noticed = await trial.until(lambda: trial.presence(victim) != "online", 60)
            asked = trial.asked(victim) - asked_before
            lost = trial.engine.statistics.timeouts - lost_before
        await trial.pass_(35)
        trial.world.damages.clear()
        recovered = await trial.until(lambda: trial.everybody(6), 200)
        await trial.pass_(10)
        return {
            "seed": seed,
            "incident": incident,
            "started": started is not None,
            "noticed": noticed,
            "asked": asked,
            "lost": lost,
            "dropped": dropped,
            "recovered": recovered,
            "published": trial.auditor.published,
            "wrong": trial.auditor.wrong[:3],
            "timeouts": trial.engine.statistics.timeouts,
        }
    finally:
        await trial.end()


def play_variant(seed: int) -> dict[str, Any]:
    """Play one variant."""
    return asyncio.run(_variant(seed))


def _be_quiet() -> None:
    logging.disable(logging.CRITICAL)


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    _be_quiet()
    for name, text in SCENARIOS.items():
        yield {"fault": name, **asyncio.run(_one_fault(text))}
    for silent, name in ((10.0, "silent, then given up"), (0.0, "given up by the gateway")):
        yield {"fault": f"lost Xtender, {name}", **asyncio.run(_lost_unit(1, silent=silent))}
    began = perf_counter()
    with ProcessPoolExecutor(max_workers=2, initializer=_be_quiet) as pool:
        results = list(pool.map(play_variant, range(VARIANTS), chunksize=10))
    # With faults on the line the cycle itself is longer: each lost answer costs its time-out. So
    # it is also counted how often the lost unit was asked before it was under suspicion.
    noticed = [result["noticed"] for result in results if result["dropped"]]
    known = sorted(seconds for seconds in noticed if seconds is not None)
    recovered = sorted(r["recovered"] for r in results if r["recovered"] is not None)
    yield {
        "fault": f"{len(results)} seeded mixtures",
        "incidents": dict(Counter(result["incident"] for result in results)),
        "published": sum(result["published"] for result in results),
        "wrong": sum(len(result["wrong"]) for result in results),
        "wrong_seeds": [result["seed"] for result in results if result["wrong"]][:10],
        "timeouts": sum(result["timeouts"] for result in results),
        "lost_units": len(noticed),
        "lost_units_noticed": len(known),
        "lost_unit_asked_until_noticed_at_most": max(result["asked"] for result in results),
        "noticed_median_s": known[len(known) // 2] if known else None,
        "noticed_at_most_s": known[-1] if known else None,
        "one_cycle_and_one_timeout_s": FAST + TIMEOUT,
        "not_recovered": sum(1 for result in results if result["recovered"] is None),
        "not_recovered_seeds": [r["seed"] for r in results if r["recovered"] is None][:10],
        "recovered_at_most_s": recovered[-1] if recovered else None,
        "wall_s": round(perf_counter() - began, 1),
    }
