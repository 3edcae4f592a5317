"""Truma: from the last byte of a LIN header to the answer, over a pseudo-terminal.

The driver is a process of its own. ``BENCH_HEADERS`` headers (default: 10 000) for each load in
the engine's process, once answered by the responder's process, once, for comparison, by a thread
in the engine's process. ``late``: after more than the 3.75 ms that LIN allows. ``unanswered``:
the guards against late answers kept it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from hardwired_engines.truma.box import Box

from . import Unavailable
from ._lin_host import Load, drive, engine_on, loaded, terminal

HEADERS = int(os.environ.get("BENCH_HEADERS", "10000"))
DEADLINE_MS = 3.75


def _answer_in_thread(fd: int) -> None:
    box = Box(counter=0, init_request=False)
    now = 0.0
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            return
        if not data:
            return
        now += 0.01
        if answer := box.receive(data, now):
            os.write(fd, answer)
        box.events()


@asynccontextmanager
async def _thread_on(path: str) -> AsyncIterator[None]:
    """Answer by a thread of this process."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    thread = threading.Thread(target=_answer_in_thread, args=(fd,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        # The thread ends with its terminal.
        asyncio.get_running_loop().call_later(0.5, os.close, fd)


def _share(delays: list[float], part: float) -> float:
    return delays[min(len(delays) - 1, int(len(delays) * part))]


async def _measure(load: Load, *, own_process: bool) -> dict[str, Any]:
    async with terminal() as (master, path), contextlib.AsyncExitStack() as stack:
        engine = None
        if own_process:
            engine = await stack.enter_async_context(engine_on(path))
        else:
            await stack.enter_async_context(_thread_on(path))
        async with loaded(load):
            found = await drive(master, "latency", str(HEADERS))
        scheduling = None
        if engine is not None:
            scheduling = engine.diagnostics()["responder"].get("scheduling")
    delays = sorted(found["delays_ms"])
    return {
        "what": load.value,
        "responder": "process" if own_process else "thread of the engine's process",
        "scheduling": scheduling,
        "driver": found["driver"],
        "headers": HEADERS,
        "p50_ms": round(_share(delays, 0.5), 3),
        "p99_ms": round(_share(delays, 0.99), 3),
        "p999_ms": round(_share(delays, 0.999), 3),
        "max_ms": round(delays[-1], 3),
        "late": sum(delay > DEADLINE_MS for delay in delays),
        "unanswered": found["unanswered"],
    }


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    if sys.platform != "linux":
        raise Unavailable("the LIN responder needs Linux")
    for own_process in (True, False):
        for load in Load:
            yield asyncio.run(_measure(load, own_process=own_process))
