"""One simulated year for each family, in virtual time, against the product's own simulators.

:mod:`.contract` is what a family brings, :mod:`.driver` lets it live, :mod:`.household` is what
all engines have in common. ``BENCH_DAYS`` (365), ``BENCH_FAMILY`` (all) and ``BENCH_SEED`` (1)
choose what is run; a family a line.
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
