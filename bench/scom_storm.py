"""Studer: 1000 writes a minute to one parameter, and to many, on a plant that is being polled.

What is read meanwhile, whether anything shown is wrong or out of date, how the callers are
answered. Time is simulated: 20 to 90 ms an exchange.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hardwired_engines.engine import Command, CommandError
from hardwired_engines.studer.datapoints.datapoint import datapoints
from hardwired_engines.studer.scom.families import Family

from ._scom import Trial

PAUSE = 0.06
SECONDS = 120


async def _storm(numbers: tuple[int, ...]) -> dict[str, Any]:
    trial = Trial.begin({"xtenders": "6", "multi_info": "0"}, level="qsp")
    answered: Counter[str] = Counter()
    waiting: set[asyncio.Task[None]] = set()

    async def write(turn: int) -> None:
        options = {"id": numbers[turn % len(numbers)], "value": 10.0 + turn % 7}
        try:
            await trial.engine.execute(Command(trial.unit(101), name="write", options=options))
            answered["done"] += 1
        except CommandError as error:
            answered[error.key] += 1

    def missing() -> int:
        devices = trial.engine.snapshot.devices.values()
        return sum(
            value is None
            for state in devices
            if state.device.kind == "xt"
            for key, value in state.values.items()
            if key in wanted
        )

    try:
        await trial.until(lambda: trial.everybody(6))
        await trial.pass_(90)
        xtender = trial.engine.snapshot.devices[trial.unit(101)]
        wanted = {key for key, value in xtender.values.items() if value is not None}
        before_frames, before_missing = trial.engine.statistics.frames_in, missing()
        queue = 0
        for turn in range(int(SECONDS / PAUSE)):
            task = asyncio.ensure_future(write(turn))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
            await trial.clock.advance(PAUSE, settle=12)
            queue = max(queue, len(waiting))
        exchanges = trial.engine.statistics.frames_in - before_frames
        lost = missing()
        await trial.until(lambda: not waiting, 60)
        return {
            "writes_asked": sum(answered.values()),
            "answered": dict(answered),
            "exchanges_s": round(exchanges / SECONDS, 1),
            "reads_s": round((exchanges - answered["done"]) / SECONDS, 1),
            "queue_at_most": queue,
            "values_missing_before": before_missing,
            "values_missing": lost,
            "published": trial.auditor.published,
            "wrong": len(trial.auditor.wrong),
            "connected": trial.engine.snapshot.connected,
        }
    finally:
        await trial.end()


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    logging.disable(logging.CRITICAL)
    many = tuple(
        point.id
        for point in datapoints(Family.XT)
        if point.has_bounds and point.writable and not point.guarded
    )[:100]
    for name, numbers in (("one parameter", (1107,)), (f"{len(many)} parameters", many)):
        yield {"storm": f"1000 writes a minute to {name}", **asyncio.run(_storm(numbers))}
