"""Keeps a session running on a link: back-off, reconnection, one warning a loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import traceback
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from typing import Generic, TypeVar

from ..clock import Clock, SystemClock
from ..engine import LinkError, Reason, Statistics
from ..masking import masked_text

_LOGGER = logging.getLogger(__name__)


class Backoff:
    """Growing pauses with jitter: 1, 2, 4 ... seconds up to *maximum*, each ±20 %."""

    def __init__(
        self,
        initial: float = 1.0,
        maximum: float = 60.0,
        *,
        jitter: float = 0.2,
        source: random.Random | None = None,
    ) -> None:
        self._initial = initial
        self._maximum = maximum
        self._jitter = jitter
        self._random = source or random.Random()  # noqa: S311
        self._next = initial

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause = self._next
        self._next = min(self._next * 2, self._maximum)
        return pause * self._random.uniform(1 - self._jitter, 1 + self._jitter)

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._next = self._initial


class LinkState(StrEnum):
    """What the supervisor is doing."""

    OPENING = "opening"
    HANDSHAKING = "handshaking"
    """The link is open; the device has not proved yet that it is alive."""
    UP = "up"
    WAITING = "waiting"
    CLOSED = "closed"


class Ended(Exception):
    """Raised by a session that has ended well and need not come again: a file was read."""


Resource = TypeVar("Resource")


OnLinkChange = Callable[[LinkState, Reason | None, str | None], None]


class Supervisor(Generic[Resource]):
    """Keeps a session running on a link: opens, runs, and on loss backs off and tries again.

    *open_link* returns the resource (a :class:`Stream`, a process, a socket) or raises
    :class:`LinkError`; the session works on it until it raises or returns, and closes it.
    One warning is logged when the link is lost, one info when it is :meth:`proven` again.
    After a loss for one of the *permanent* reasons it waits for :meth:`wake` alone.
    :meth:`run` returns when the session raises :class:`Ended`. What *address*, that of the link,
    keeps secret is in no log and no detail.
    """

    def __init__(
        self,
        name: str,
        open_link: Callable[[], Awaitable[Resource]],
        session: Callable[[Resource], Awaitable[None]],
        *,
        on_change: OnLinkChange,
        clock: Clock | None = None,
        statistics: Statistics | None = None,
        backoff: Backoff | None = None,
        permanent: Collection[Reason] = (),
        address: str = "",
    ) -> None:
        self._name = masked_text(name, address)
        self._address = address
        self._open = open_link
        self._session = session
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._statistics = statistics or Statistics()
        self._backoff = backoff or Backoff()
        self._permanent = permanent
        self.pause = 0.0
        """How long it waits before it opens again, in seconds; infinite until :meth:`wake`."""
        self._wake = asyncio.Event()
        self._proven = False
        self._lost = False
        self.state = LinkState.CLOSED

    def wake(self) -> None:
        """End the present pause: something was plugged in."""
        self._wake.set()

    def proven(self) -> None:
        """Report that the device on the link is alive; the next loss starts with a short pause."""
        self._backoff.reset()
        if not self._proven:
            self._proven = True
            if self.state is LinkState.HANDSHAKING:
                self._change(LinkState.UP, None, None)
            if self._lost:
                self._lost = False
                self._statistics.reconnects += 1
                _LOGGER.info("%s is back", self._name)

    async def run(self) -> None:
        """Live until cancelled, or until the session has ended well."""
        try:
            while True:
                try:
                    reason, detail = await self._once()
                except Ended:
                    return
                self._statistics.last_error = f"{reason.value}: {detail}"
                if not self._lost:
                    self._lost = True
                    _LOGGER.warning("%s is lost: %s (%s)", self._name, reason.value, detail)
                self.pause = math.inf if reason in self._permanent else self._backoff.next()
                self._change(LinkState.WAITING, reason, detail)
                await self._wait()
        finally:
            self.state = LinkState.CLOSED

    async def _once(self) -> tuple[Reason, str]:
        self._proven = False
        self._change(LinkState.OPENING, None, None)
        try:
            resource = await self._open()
            self._statistics.connects += 1
            self._change(LinkState.HANDSHAKING, None, None)
            await self._session(resource)
        except Ended:
            raise
        except LinkError as error:
            return error.reason, self._shown(str(error))
        except Exception as error:  # noqa: BLE001 - logged
            stack = self._shown(traceback.format_exc().rstrip())
            _LOGGER.error("%s: unforeseen error\n%s", self._name, stack)
            return Reason.FAILED, self._shown(f"{type(error).__name__}: {error}")
        return Reason.DISCONNECTED, "the session has ended"

    def _shown(self, text: str) -> str:
        return masked_text(text, self._address)

    async def _wait(self) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(None if math.isinf(self.pause) else self.pause):
                await self._wake.wait()

    def _change(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        self.state = state
        self._on_change(state, reason, detail)
