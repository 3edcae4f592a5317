"""Tasks of the bridge that are kept alive, and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from hardwired_engines.clock import Clock

_LOGGER = logging.getLogger(__name__)

RESTART_AFTER = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
ENDS_WITHIN = 4.0


class Restarts:
    """How long to wait before what has failed is begun anew: longer each time, until it held."""

    def __init__(self) -> None:
        self._fails = 0

    def forget(self) -> None:
        """Begin with the shortest wait again."""
        self._fails = 0

    def wait(self, lived: float = 0.0) -> float:
        """Return the seconds to wait after it has lived for *lived* seconds."""
        if lived > RESTART_AFTER[-1]:
            self._fails = 0
        wait = RESTART_AFTER[min(self._fails, len(RESTART_AFTER) - 1)]
        self._fails += 1
        return wait


async def keep_alive(clock: Clock, name: str, live: Callable[[], Awaitable[None]]) -> None:
    """Run something that never ends; what is unforeseen is told and it is begun anew."""
    restarts = Restarts()
    while True:
        try:
            await live()
        except Exception:
            _LOGGER.exception("%s failed", name)
        await clock.sleep(restarts.wait())


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait a little for their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=ENDS_WITHIN)
