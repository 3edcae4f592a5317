"""Reads a plant with our engine; run as ``python hardwired_reader.py PORT SECONDS ORDER``.

The order is the engine's own. It shows every value, also one that moves by noise only.
"""

from __future__ import annotations

import asyncio
import sys

from line import Reader

from hardwired_engines.engine import Snapshot
from hardwired_engines.studer.catalogue import point_of
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.settings import StuderSettings

XT = "xt"


async def main() -> None:
    reader = Reader.from_arguments(sys.argv)
    engine = StuderEngine(
        StuderSettings(f"listen://127.0.0.1:{reader.port}", hide_noise=False, shared_line=False)
    )
    before: dict[str, dict[str, object]] = {}

    def look(snapshot: Snapshot) -> None:
        for state in snapshot.devices.values():
            if state.device.kind != XT or state.device.address is None:
                continue
            known = before.setdefault(state.device.id, {})
            for key, value in state.values.items():
                point = point_of(XT, key)
                if isinstance(value, float) and point is not None and known.get(key) != value:
                    reader.shown(int(state.device.address), point.id, value)
                known[key] = value

    task = asyncio.ensure_future(engine.run(look))
    await asyncio.sleep(reader.seconds)
    task.cancel()
    await asyncio.wait([task])
    reader.failures = engine.statistics.timeouts
    reader.end()


asyncio.run(main())
