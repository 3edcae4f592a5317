"""Of several wishes for the same thing, the newest is carried out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Superseded(Exception):
    """A newer wish for the same thing came while this one waited."""


class LatestOnly:
    """One at a time per key; whoever waits is superseded by the next who comes."""

    def __init__(self) -> None:
        self._busy: set[Hashable] = set()
        self._waiting: dict[Hashable, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the turn of *key* and hold it for a block. Raises :class:`Superseded`."""
        await self._acquire(key)
        try:
            yield
        finally:
            self._release(key)

    async def _acquire(self, key: Hashable) -> None:
        if key not in self._busy:
            self._busy.add(key)
            return
        older = self._waiting.pop(key, None)
        if older is not None and not older.done():
            older.set_exception(Superseded())
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = mine
        try:
            await mine
        except asyncio.CancelledError:
            if self._waiting.get(key) is mine:
                del self._waiting[key]
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                # It was given the turn in the same moment.
                self._release(key)
            raise

    def _release(self, key: Hashable) -> None:
        following = self._waiting.pop(key, None)
        if following is not None and not following.done():
            following.set_result(None)
        else:
            self._busy.discard(key)
