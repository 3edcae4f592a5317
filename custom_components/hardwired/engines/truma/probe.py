"""Listens to a bus for a while and reports what is received (spec h, the config flow's test)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from ..clock import Clock, SystemClock
from ..engine import LinkError, Reason, Snapshot
from .engine import TrumaEngine
from .settings import TrumaSettings

PROGRESS_EVERY = 0.25

HARD = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.BUSY,
        Reason.NO_PERMISSION,
        Reason.BAD_ADDRESS,
        Reason.REFUSED,
        Reason.UNREACHABLE,
    }
)
"""Waiting longer changes nothing."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was received so far.

    ``reason`` is the likely cause when nothing was; ``None``: all is well.
    """

    seconds: float
    headers: int = 0
    calls: int = 0
    registered: bool = False
    reason: Reason | None = None
    detail: str | None = None


async def probe(
    settings: TrumaSettings,
    seconds: float = 5.0,
    on_progress: Callable[[Heard], None] | None = None,
    *,
    clock: Clock | None = None,
) -> Heard:
    """Take part in the bus for *seconds* and return what was received; ends early when all is well.

    Raises :class:`LinkError` when the port can't be had.
    """
    clock = clock or SystemClock()
    engine = TrumaEngine(settings, clock)
    started = clock.monotonic()
    task = asyncio.ensure_future(engine.run(_ignore))
    try:
        while True:
            await clock.sleep(PROGRESS_EVERY)
            passed = clock.monotonic() - started
            now = engine.snapshot
            if now.reason in HARD:
                raise LinkError(now.reason, now.detail or "")
            heard = _heard(engine, passed)
            if on_progress is not None:
                on_progress(heard)
            if passed >= seconds or (heard.headers and now.connected):
                return heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _ignore(_snapshot: Snapshot) -> None:
    """The engine's state is asked for."""


def _heard(engine: TrumaEngine, passed: float) -> Heard:
    facts = engine.responder_facts
    now = engine.snapshot
    headers = int(facts.get("headers", 0))
    reason = now.reason
    if reason is Reason.STARTING:
        if headers:
            reason = Reason.NOT_REGISTERED
        else:
            reason = Reason.NOISE if facts.get("bytes") else Reason.SILENT
    return Heard(
        round(passed, 2),
        headers,
        int(facts.get("headers_for_us", 0)),
        bool(facts.get("registered")),
        reason,
        now.detail,
    )
