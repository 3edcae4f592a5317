"""The host of a benchmark on the LIN bus: an engine, the loads that trouble it, the driver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from hardwired_engines.engine import Snapshot
from hardwired_engines.truma.engine import TrumaEngine
from hardwired_engines.truma.settings import TrumaSettings

BURST, PAUSE = 0.2, 0.1


class Load(Enum):
    """What else goes on in the process of the engine."""

    IDLE = "host idle"
    BLOCKED = "event loop blocked in 200 ms bursts"
    THREAD = "CPU-bound Python thread"


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(200))


async def _block() -> None:
    while True:
        _spin(BURST)
        await asyncio.sleep(PAUSE)


def _compute(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(2000))


@asynccontextmanager
async def loaded(load: Load) -> AsyncIterator[None]:
    """Trouble this process."""
    stop = threading.Event()
    task: asyncio.Task[None] | None = None
    thread: threading.Thread | None = None
    if load is Load.BLOCKED:
        task = asyncio.ensure_future(_block())
    elif load is Load.THREAD:
        thread = threading.Thread(target=_compute, args=(stop,), daemon=True)
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if thread is not None:
            await asyncio.to_thread(thread.join)


@asynccontextmanager
async def terminal() -> AsyncIterator[tuple[int, str]]:
    """Give the bus's end of a terminal and the path of ours."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


@asynccontextmanager
async def engine_on(path: str) -> AsyncIterator[TrumaEngine]:
    """Give an engine whose responder has the port."""
    engine = TrumaEngine(TrumaSettings(link=path))
    started = asyncio.Event()

    def look(_snapshot: Snapshot) -> None:
        if engine.responder_pid is not None:
            started.set()

    task = asyncio.ensure_future(engine.run(look))
    try:
        async with asyncio.timeout(20):
            await started.wait()
        yield engine
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def drive(fd: int, what: str, *arguments: str) -> dict[str, Any]:
    """Let the driver's process do its work; returns what it found."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._lin_driver", what, str(fd), *arguments,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(fd,),
    )  # fmt: skip
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the driver ended with {process.returncode}")
    found: dict[str, Any] = json.loads(out)
    return found
