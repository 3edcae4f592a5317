"""The bridge for ``BENCH_HOURS`` (24) of virtual time, with outages, faults and wishes every hour.

A real Mosquitto that comes and goes, an InfluxDB stand-in that refuses, four simulated families
with faults, one process. Each hour prints what the process holds; the last line what went through
it, and whatever was not as it must be. Fails when something was not, or when the memory after the
second hour has grown by more than ``BENCH_MB`` (1).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.standalone.mqtt.broker import MOSQUITTO

from . import Unavailable
from ._soak import Soak

HOURS = int(os.environ.get("BENCH_HOURS", "24"))
SEED = int(os.environ.get("BENCH_SEED", "1"))
MOST = float(os.environ.get("BENCH_MB", "1"))
PLANT = "xtenders=1&variotracks=0&variostrings=0"
WARM = 2
"""Hours after which every ring is full."""


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures of each hour, then the sums. Raises :class:`AssertionError`."""
    if MOSQUITTO is None:
        raise Unavailable("mosquitto is not installed")
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        soak = Soak(Path(folder), SEED, PLANT)
        living = soak.living()
        runner.run(living.__aenter__())
        try:
            for number in range(1, HOURS + 1):
                began, used = time.monotonic(), time.process_time()
                runner.run(soak.hour())
                held = soak.holdings[-1]
                yield {
                    "hour": number,
                    "seconds": round(time.monotonic() - began, 1),
                    "cpu_s": round(time.process_time() - used, 1),
                    "rss_mb": round(held.rss, 2),
                    "descriptors": held.descriptors,
                    "tasks": held.tasks,
                    "state_folder_mb": round(sum(held.files.values()) / 1e6, 2),
                }
            faults = soak.faults()
            grown = 0.0
            if HOURS > WARM:
                grown = soak.holdings[-1].rss - soak.holdings[WARM - 1].rss
                if grown > MOST:
                    faults.append(f"{grown:.1f} MB more than after hour {WARM}")
            yield {**soak.figures(), "grown_mb": round(grown, 2), "faults": faults}
        finally:
            runner.run(living.__aexit__(None, None, None))
    assert not faults, faults
