"""Tasks of the bridge that are kept alive, and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from hardwired_engines.clock import Clock

_LOGGER = logging.getLogger(__name__)

RESTART_AFTER = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
ENDS_WITHIN = 4.0


def restart_after(fails: int) -> float:
    """Return the seconds to wait before something is begun anew."""
    return RESTART_AFTER[min(fails, len(RESTART_AFTER) - 1)]


async def keep_alive(clock: Clock, name: str, live: Callable[[], Awaitable[None]]) -> None:
    """Run something that never ends; what is unforeseen is told and it is begun anew."""
    fails = 0
    while True:
        try:
            await live()
        except Exception:
            _LOGGER.exception("%s failed", name)
        await clock.sleep(restart_after(fails))
        fails += 1


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait a little for their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=ENDS_WITHIN)
