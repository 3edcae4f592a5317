"""How a process that we started is ended, so that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import contextlib

PIPES_WITHIN = 1.0
"""Seconds until its pipes are given up: somebody else may hold their other end."""
AT_ONCE = 65536


async def end_process(process: asyncio.subprocess.Process, within: float) -> None:
    """Close its input, wait for its end, and kill it after *within* seconds or when cancelled.

    Returns when its output is closed too: the event loop may be closed next.
    """
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(within):
            await process.wait()
    except TimeoutError:
        await kill_process(process)
    except asyncio.CancelledError:
        await kill_process(process)
        raise
    else:
        await _pipes_closed(process)


async def kill_process(process: asyncio.subprocess.Process) -> None:
    """Kill it and wait until nothing of it is left."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    await _pipes_closed(process)


async def _pipes_closed(process: asyncio.subprocess.Process) -> None:
    if process.stdout is None:
        return
    with contextlib.suppress(TimeoutError, RuntimeError):  # somebody reads: they see the end
        async with asyncio.timeout(PIPES_WITHIN):
            while await process.stdout.read(AT_ONCE):
                pass
