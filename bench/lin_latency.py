"""Truma: from the last byte of a LIN header to the answer, over a pseudo-terminal.

The driver is a process of its own. ``BENCH_HEADERS`` headers (default: 10 000) for each load in
the engine's process, answered by the responder's process; then, for comparison, by a process that
does nothing else (the jitter of the machine and its terminals), and by a thread in the engine's
process. ``late``: after more than the 3.75 ms that LIN allows. ``unanswered``:
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
from enum import Enum
from typing import Any

from hardwired_engines.truma.inet.box import Box

from . import Unavailable
from ._lin_host import Load, drive, engine_on, loaded, terminal

HEADERS = int(os.environ.get("BENCH_HEADERS", "10000"))
DEADLINE_MS = 3.75


class Who(Enum):
    """Who answers."""

    PROCESS = "process"
    BARE = "nothing but an answer, in a process: the machine's own jitter"
    THREAD = "thread of the engine's process"


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


BARE = """
import os, sys
fd = int(sys.argv[1])
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))
except OSError:
    pass
answer = bytes((254, 255, 255, 255, 255, 255, 255, 255, 40))
while True:
    try:
        if len(os.read(fd, 64)) == 3:
            os.write(fd, answer)
    except OSError:
        break
"""


@asynccontextmanager
async def _bare_on(path: str) -> AsyncIterator[None]:
    """Answer blindly by the smallest process there can be."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", BARE, str(fd), pass_fds=(fd,)
    )
    os.close(fd)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def _share(delays: list[float], part: float) -> float:
    return delays[min(len(delays) - 1, int(len(delays) * part))]


async def _measure(load: Load, who: Who) -> dict[str, Any]:
    async with terminal() as (master, path), contextlib.AsyncExitStack() as stack:
        engine = None
        match who:
            case Who.PROCESS:
                engine = await stack.enter_async_context(engine_on(path))
            case Who.BARE:
                await stack.enter_async_context(_bare_on(path))
            case Who.THREAD:
                await stack.enter_async_context(_thread_on(path))
        async with loaded(load):
            found = await drive(master, "latency", str(HEADERS))
        scheduling = None
        if engine is not None:
            scheduling = engine.diagnostics()["responder"].get("scheduling")
    delays = sorted(found["delays_ms"])
    return {
        "what": load.value,
        "responder": who.value,
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
    for who in Who:
        for load in Load:
            yield asyncio.run(_measure(load, who))
