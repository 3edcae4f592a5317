"""Tries a source for a while and reports what is received (spec h, f.1 row 13)."""

from __future__ import annotations

import asyncio
import contextlib

from ..clock import Clock
from ..engine import Device, LinkError, Occurrence, Reading, Reason, Snapshot
from ..factory import OnProgress, ProbeResult, SettingsError
from .engine import SETTINGS_REASONS, SunsynkEngine
from .settings import Source
from .sources.relay import RelaySource, check_server

PROGRESS_EVERY = 0.5

_LISTENING = frozenset(
    {Reason.STARTING, Reason.NO_TRAFFIC, Reason.NO_REPORTS, Reason.WAITING_FOR_PEER}
)
_FIELDS_BY_REASON = {
    Reason.BAD_FILTER: "filter",
    Reason.NOT_A_CAPTURE: "path",
}
_FIELDS_BY_SOURCE = {
    Source.FILE: "path",
    Source.LIVE: "interface",
    Source.RELAY: "listen",
    Source.SIM: "source",
}


async def probe(
    engine: SunsynkEngine,
    clock: Clock,
    seconds: float,
    on_progress: OnProgress | None = None,
) -> ProbeResult:
    """Listen for *seconds*, or until a file is read, and return what was received.

    Too early to tell is no reason while it listens. ``counters`` are those of spec f.3.
    *on_progress* is called about twice a second. Raises :class:`SettingsError` when a setting
    can't be used: bad filter, no such file or interface, not a capture, no permission.
    """
    heard: dict[str, Device] = {}
    changed = asyncio.Event()
    started = clock.monotonic()

    def note(occurrence: Occurrence) -> None:
        if isinstance(occurrence, Reading):
            heard[occurrence.device.id] = occurrence.device

    def result() -> ProbeResult:
        now = engine.snapshot
        at_end = engine.finished or now.reason not in _LISTENING
        return ProbeResult(
            reason=now.reason if at_end else None,
            detail=now.detail,
            devices=tuple(heard.values()),
            counters=engine.counters(),
            unique_id=engine.settings.unique_id,
            fraction=1.0 if engine.finished else min(1.0, (clock.monotonic() - started) / seconds),
        )

    task = asyncio.ensure_future(engine.run(lambda _snapshot: changed.set(), note))
    deadline = started + seconds
    try:
        while (left := deadline - clock.monotonic()) > 0 and not engine.finished:
            with contextlib.suppress(TimeoutError):
                async with clock.timeout(min(PROGRESS_EVERY, left)):
                    await changed.wait()
            changed.clear()
            _refuse(engine.snapshot, engine.settings.source)
            if on_progress is not None:
                on_progress(result())
        if isinstance(relay := engine.source, RelaySource):
            await _check_server(engine, relay, clock)
        return result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _check_server(engine: SunsynkEngine, source: RelaySource, clock: Clock) -> None:
    try:
        await check_server(engine.settings, clock, source.relay.port)
    except LinkError as error:
        raise SettingsError("server", error.reason, str(error)) from error


def _refuse(snapshot: Snapshot, source: Source) -> None:
    """Raise the error that the user has to fix."""
    reason = snapshot.reason
    if reason is None:
        return
    if reason in SETTINGS_REASONS or reason in (Reason.NOT_FOUND, Reason.BUSY):
        field = _FIELDS_BY_REASON.get(reason, _FIELDS_BY_SOURCE[source])
        raise SettingsError(field, reason, snapshot.detail or reason.value)
