"""Truma: what the responder costs at full bus traffic, real 50 ms slots with frames.

``bytes one by one`` is a UART without a FIFO, which wakes the reader for each; ``frames at once``
is what USB adapters do. ``BENCH_SECONDS`` (at least 30 counts) of each.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import Unavailable
from ._lin_host import drive, engine_on, terminal

SECONDS = max(30.0, float(os.environ.get("BENCH_SECONDS", "30")))
WARM_UP = 3.0


def _used(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / float(os.sysconf("SC_CLK_TCK"))


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * float(os.sysconf("SC_PAGE_SIZE")) / 2**20


async def _measure(what: str, pace: str) -> dict[str, Any]:
    async with terminal() as (master, path), engine_on(path) as engine:
        pid = engine.responder_pid
        assert pid is not None
        driving = asyncio.ensure_future(drive(master, "traffic", str(SECONDS + WARM_UP), pace))
        await asyncio.sleep(WARM_UP)
        began, before = time.monotonic(), _used(pid)
        await asyncio.sleep(SECONDS - 1)
        seconds, used = time.monotonic() - began, _used(pid) - before
        resident = _resident(pid)
        found = await driving
    return {
        "what": what,
        "seconds": round(seconds, 1),
        "frames_per_s": round(found["frames"] / (SECONDS + WARM_UP), 1),
        "cpu_percent": round(100 * used / seconds, 2),
        "rss_mib": round(resident, 1),
    }


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    if sys.platform != "linux":
        raise Unavailable("the LIN responder needs Linux")
    yield asyncio.run(_measure("bytes one by one", "paced"))
    yield asyncio.run(_measure("frames at once", "lumped"))
