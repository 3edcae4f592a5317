"""Tries a source for a while and reports what is received (spec h, f.1 row 13)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..clock import Clock
from ..engine import LinkError, Reason, Snapshot
from ..factory import OnProgress, ProbeResult, SettingsError, running
from ..link.errors import CAN_NOT_OPEN
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
    Source.MODBUS: "link",
}


async def probe(
    engine: SunsynkEngine,
    clock: Clock,
    seconds: float,
    on_progress: OnProgress | None = None,
) -> ProbeResult:
    """Listen for *seconds*, or until a file is read or each inverter asked has answered.

    Too early to tell is no reason while it listens. ``counters`` are those of spec f.3.
    *on_progress* is called about twice a second. Raises :class:`SettingsError` when a setting
    can't be used: bad filter, no such file or interface, not a capture, no permission.
    """
    started = clock.monotonic()

    def result() -> ProbeResult:
        now = engine.snapshot
        at_end = engine.finished or now.reason not in _LISTENING
        counters = engine.counters()
        return ProbeResult(
            reason=now.reason if at_end else None,
            detail=now.detail,
            devices=tuple(
                state.device for state in now.devices.values() if state.device.kind == "inverter"
            ),
            counters=counters,
            settings=_found_out(engine, counters),
            unique_id=engine.settings.unique_id,
            fraction=1.0 if engine.finished else min(1.0, (clock.monotonic() - started) / seconds),
        )

    deadline = started + seconds
    async with running(engine) as changed:
        while (left := deadline - clock.monotonic()) > 0 and not _is_done(engine):
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


def _is_done(engine: SunsynkEngine) -> bool:
    """Whether nothing more can be found out: a file has ended, each inverter asked has answered."""
    if engine.settings.source is not Source.MODBUS:
        return engine.finished
    now = engine.snapshot
    answered = sum(state.available for state in now.devices.values()) - 1
    return now.reason is Reason.WRONG_DEVICE or answered >= len(engine.settings.all_units)


def _found_out(engine: SunsynkEngine, counters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that were found out: how a Modbus gateway frames."""
    if engine.settings.source is Source.MODBUS and engine.snapshot.connected:
        return MappingProxyType({"framing": counters["framing"]})
    return MappingProxyType({})


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
    if reason in SETTINGS_REASONS | CAN_NOT_OPEN:
        field = _FIELDS_BY_REASON.get(reason, _FIELDS_BY_SOURCE[source])
        raise SettingsError(field, reason, snapshot.detail or reason.value)
