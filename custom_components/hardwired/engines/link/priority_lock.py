"""A lock with two priorities, for lines with one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PriorityLock:
    """A lock whose urgent waiters go before all others; first come, first served among each.

    *fair*: while others wait, urgent waiters get every other turn at most.
    """

    def __init__(self, *, fair: bool = False) -> None:
        self._fair = fair
        self._was_urgent = False
        self._locked = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()

    async def acquire(self, *, urgent: bool = False) -> None:
        """Wait for the lock. A cancelled waiter passes on what it was given in the meantime."""
        if self.take(urgent=urgent):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._urgent if urgent else self._patient
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release()
            else:
                # Whoever released in the meantime has thrown the waiter away already.
                with contextlib.suppress(ValueError):
                    queue.remove(waiter)
            raise

    def release(self) -> None:
        """Pass the lock on to the next."""
        queues = (self._urgent, self._patient)
        if self._fair and self._was_urgent:
            queues = (self._patient, self._urgent)
        for queue in queues:
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    self._was_urgent = queue is self._urgent
                    waiter.set_result(None)
                    return
        self._locked = False

    def take(self, *, urgent: bool = False) -> bool:
        """Take the lock if it is free, without waiting; returns whether it was."""
        if self._locked:
            return False
        self._locked = True
        self._was_urgent = urgent
        return True

    @asynccontextmanager
    async def held(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """Hold the lock for a block."""
        await self.acquire(urgent=urgent)
        try:
            yield
        finally:
            self.release()
