"""What arrives on a stream, read ahead, so that other things can be awaited beside it."""

from __future__ import annotations

import asyncio
import contextlib

from ..clock import Clock
from ..engine import LinkError
from .stream import Stream


class ReadAhead:
    """Reads a stream. ``reading`` is done when something has arrived, or the link is lost."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.reading = asyncio.ensure_future(stream.read())

    def take(self) -> bytes:
        """Return what has arrived; empty when nothing has. Raises :class:`LinkError`."""
        if not self.reading.done():
            return b""
        data = self.reading.result()
        self.reading = asyncio.ensure_future(self._stream.read())
        return data

    async def within(self, seconds: float | None, clock: Clock) -> bytes:
        """Return what arrives within *seconds* (``None``: however long that takes), else nothing.

        Raises :class:`LinkError`.
        """
        with contextlib.suppress(TimeoutError):
            async with clock.timeout(seconds):
                await asyncio.wait([self.reading])
        return self.take()

    async def stop(self) -> None:
        """Read no more."""
        self.reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkError):
            await self.reading
