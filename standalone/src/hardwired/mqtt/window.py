"""The messages in flight to a broker: handed over and not acknowledged yet (spec c.4)."""

from __future__ import annotations

import asyncio
from collections import deque

IN_FLIGHT, BYTES_IN_FLIGHT = 20, 256 * 1024


class Window:
    """The messages in flight: at most so many, at most so many bytes (one may be larger)."""

    def __init__(self) -> None:
        self._flying: deque[tuple[asyncio.Task[None], int]] = deque()
        self._bytes = 0

    def add(self, task: asyncio.Task[None], size: int) -> None:
        """Take note of a message that was handed over; *size* in bytes."""
        self._flying.append((task, size))
        self._bytes += size

    async def empty(self) -> None:
        """Wait until nothing is in flight. Raises what a message in flight has met."""
        self._clear()
        while self._flying:
            await asyncio.wait([task for task, _ in self._flying])
            self._clear()

    async def room(self, size: int) -> None:
        """Wait for room. Raises what a message in flight has met."""
        self._clear()
        while self._flying and (
            len(self._flying) >= IN_FLIGHT or self._bytes + size > BYTES_IN_FLIGHT
        ):
            await asyncio.wait(
                [task for task, _ in self._flying], return_when=asyncio.FIRST_COMPLETED
            )
            self._clear()

    async def wait_or(self, event: asyncio.Event) -> None:
        """Wait for *event*, or for a message in flight to have failed."""
        waiting = asyncio.ensure_future(event.wait())
        try:
            while not waiting.done():
                self._clear()
                flying = [task for task, _ in self._flying]
                await asyncio.wait({waiting, *flying}, return_when=asyncio.FIRST_COMPLETED)
            self._clear()
        finally:
            waiting.cancel()

    def close(self) -> None:
        """Leave what flies to its fate."""
        for task, _ in self._flying:
            task.cancel()
            task.add_done_callback(_forget)

    def _clear(self) -> None:
        for _ in range(len(self._flying)):
            task, size = self._flying.popleft()
            if task.done():
                self._bytes -= size
                task.result()
            else:
                self._flying.append((task, size))


def _forget(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
