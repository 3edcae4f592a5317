"""Time as a parameter: the system's clock, and one that tests and simulators set by hand.

Engines take the time from a :class:`Clock` and sleep on it. Only code that waits for something real
(a child process, a socket, a thread) sleeps on the event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from .system_time import is_synchronised


class Clock(Protocol):
    """What an engine may know of time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""

    def synchronised(self) -> bool | None:
        """Return whether :meth:`now` is known to be right; ``None``: nobody can say."""

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of this clock."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Bound a block: raises :class:`TimeoutError` after *seconds* of this clock."""


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def synchronised(self) -> bool | None:
        """Return whether the system says that its clock is right; ``None``: it does not say."""
        return is_synchronised()

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Bound a block by *seconds*."""
        return asyncio.timeout(seconds)


class ManualClock:
    """A clock that moves only when :meth:`advance` is called.

    Sleepers and time-outs fire in the order of their deadlines, each at its own instant, so a
    dialogue of hours runs in milliseconds and always in the same order.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._origin = start.timestamp()
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.is_synchronised: bool | None = True
        """What :meth:`synchronised` returns."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.fromtimestamp(self._origin + self._elapsed, UTC)

    def monotonic(self) -> float:
        """Return the seconds that the clock has been moved so far."""
        return self._elapsed

    def synchronised(self) -> bool | None:
        """Return what was set."""
        return self.is_synchronised

    def set_wall(self, moment: datetime) -> None:
        """Let the wall clock jump to *moment*; monotonic time goes on undisturbed."""
        self._origin = moment.timestamp() - self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until :meth:`advance` has moved the clock by *seconds*."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._at(self._elapsed + seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Bound a block by *seconds* of this clock."""
        return _ManualTimeout(self, seconds)

    async def advance(self, seconds: float, *, settle: int = 25) -> None:
        """Move the clock by *seconds* and wake every sleeper that is due.

        Between two deadlines the event loop gets *settle* turns at most, for the woken tasks to
        run.
        """
        target = self._elapsed + seconds
        await self._settle(settle)
        while self._sleepers and self._sleepers[0][0] <= target:
            moment, _, waiter = heapq.heappop(self._sleepers)
            if waiter.done():
                continue
            self._elapsed = max(self._elapsed, moment)
            waiter.set_result(None)
            await self._settle(settle)
        self._elapsed = target
        await self._settle(settle)

    def _at(self, moment: float) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment, next(self._order), waiter))
        return waiter

    @staticmethod
    async def _settle(turns: int) -> None:
        """Give the event loop *turns*, or fewer when nothing is left to run.

        A turn that leaves nothing ready may still have let a socket in, hence two of them.
        """
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        idle = 0
        for _ in range(turns):
            await asyncio.sleep(0)
            idle = idle + 1 if ready is not None and not ready else 0
            if idle == 2:
                return


class _ManualTimeout:
    """``asyncio.timeout`` whose deadline is a :class:`ManualClock`'s."""

    def __init__(self, clock: ManualClock, seconds: float | None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._inner = asyncio.timeout(None)
        self._waiter: asyncio.Future[None] | None = None
        self._over = False

    async def __aenter__(self) -> asyncio.Timeout:
        timeout = await self._inner.__aenter__()
        if self._seconds is not None:
            self._waiter = self._clock._at(self._clock.monotonic() + self._seconds)  # noqa: SLF001
            self._waiter.add_done_callback(self._expire)
        return timeout

    async def __aexit__(self, *details: object) -> None:
        self._over = True  # a callback that is on its way can't be called back
        if self._waiter is not None:
            self._waiter.remove_done_callback(self._expire)
            self._waiter.cancel()
        await self._inner.__aexit__(*details)  # type: ignore[arg-type]

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.cancelled() and not self._over:
            self._inner.reschedule(asyncio.get_running_loop().time())


NO_PLACES = ("Factory", "localtime", "posix", "right/")
"""How names begin that lie among the zones and are no place, or count leap seconds."""


def load_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Reads a file. Raises :class:`ValueError`."""
    try:
        if name.startswith(NO_PLACES):
            raise LookupError(name)
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ValueError(f"there is no time zone {name[:60]!r}") from error
