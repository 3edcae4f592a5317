"""Tries a source for a while and reports what is received (spec h, f.1 row 13)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..clock import Clock, SystemClock
from ..engine import Occurrence, Reading, Reason, Snapshot
from .engine import SETTINGS_REASONS, SunsynkEngine
from .settings import SettingsError, SunsynkSettings

PROGRESS_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was received so far. ``reason`` says why nothing was; ``None``: listening works."""

    packets: int = 0
    reports: int = 0
    serials: tuple[str, ...] = ()
    reason: Reason | None = None
    detail: str | None = None
    counters: Mapping[str, Any] = field(default_factory=dict)
    """All counters of spec f.3."""
    finished: bool = False
    """Whether a file was read to its end."""


OnProgress = Callable[[ProbeResult], None]

_LISTENING = frozenset(
    {Reason.STARTING, Reason.NO_TRAFFIC, Reason.NO_REPORTS, Reason.WAITING_FOR_PEER}
)
_FIELDS_BY_REASON = {
    Reason.BAD_TIMEZONE: "timezone",
    Reason.BAD_FILTER: "filter",
    Reason.NOT_A_CAPTURE: "path",
}


async def probe(
    settings: SunsynkSettings,
    seconds: float = 10.0,
    on_progress: OnProgress | None = None,
    *,
    clock: Clock | None = None,
) -> ProbeResult:
    """Listen for *seconds*, or until a file is read, and return what was received.

    *on_progress* is called about twice a second. Raises :class:`SettingsError` when a setting
    can't be used: bad filter, unknown time zone, no such file or interface, not a capture, no
    permission.
    """
    clock = clock or SystemClock()
    engine = SunsynkEngine(settings, clock)
    serials: dict[str, None] = {}
    changed = asyncio.Event()

    def heard(occurrence: Occurrence) -> None:
        if isinstance(occurrence, Reading):
            serials[occurrence.device.id] = None

    def seen(_snapshot: Snapshot) -> None:
        changed.set()

    def result() -> ProbeResult:
        counters, now = engine.counters(), engine.snapshot
        reason = None if now.reason in _LISTENING else now.reason
        return ProbeResult(
            packets=int(counters.get("packets", 0)),
            reports=int(counters.get("reports", 0)),
            serials=tuple(serials),
            reason=reason,
            detail=now.detail,
            counters=counters,
            finished=engine.finished,
        )

    task = asyncio.ensure_future(engine.run(seen, heard))
    deadline = clock.monotonic() + seconds
    try:
        while (left := deadline - clock.monotonic()) > 0 and not engine.finished:
            with contextlib.suppress(TimeoutError):
                async with clock.timeout(min(PROGRESS_EVERY, left)):
                    await changed.wait()
            changed.clear()
            _refuse(engine.snapshot)
            if on_progress is not None:
                on_progress(result())
        return result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _refuse(snapshot: Snapshot) -> None:
    """Raise the error that the user has to fix."""
    reason = snapshot.reason
    if reason in SETTINGS_REASONS or reason in (Reason.NOT_FOUND, Reason.BUSY):
        field_name = _FIELDS_BY_REASON.get(reason, "source")
        raise SettingsError(reason, snapshot.detail or reason.value, field_name)
