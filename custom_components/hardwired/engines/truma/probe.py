"""Listen to a bus for a while and say what is heard (spec h, the config flow's test)."""

from __future__ import annotations

from ..engine import LinkError, Reason
from ..factory import OnProgress, ProbeResult, Surroundings, running
from ..link.errors import CAN_NOT_OPEN
from .engine import TrumaEngine
from .node.node import HELLO_WITHIN

PROGRESS_EVERY = 0.25
STARTS_WITHIN = HELLO_WITHIN
"""Seconds that are granted beside the time of listening: until the port is listened to."""


async def probe(
    engine: TrumaEngine,
    surroundings: Surroundings,
    seconds: float,
    on_progress: OnProgress | None = None,
) -> ProbeResult:
    """Take part in the bus for *seconds* and return what was heard; ends early when all is well.

    The time counts from when the port is listened to: on a busy machine that takes a while.
    Raises :class:`LinkError` when the port can't be had.
    """
    clock = surroundings.clock
    started = clock.monotonic()
    listening: float | None = None
    async with running(engine):
        while True:
            await clock.sleep(PROGRESS_EVERY)
            moment = clock.monotonic()
            if listening is None and engine.health.told:
                listening = moment
            passed = 0.0 if listening is None else moment - listening
            now = engine.snapshot
            if now.reason in CAN_NOT_OPEN:
                raise LinkError(now.reason, now.detail or "")
            heard = _heard(engine, passed, seconds)
            if on_progress is not None:
                on_progress(heard)
            if passed >= seconds or moment - started >= seconds + STARTS_WITHIN:
                return heard
            if heard.counters["headers"] and now.connected:
                return heard


def _heard(engine: TrumaEngine, passed: float, seconds: float) -> ProbeResult:
    facts = engine.responder_facts
    now = engine.snapshot
    headers = facts.headers
    reason = now.reason
    if reason is Reason.STARTING and engine.health.told:
        if headers:
            reason = Reason.NOT_REGISTERED
        else:
            reason = Reason.NOISE if facts.bytes else Reason.SILENT
    return ProbeResult(
        reason=reason,
        detail=now.detail,
        devices=tuple(state.device for state in now.devices.values()),
        counters={
            "seconds": round(passed, 2),
            "headers": headers,
            "calls": facts.headers_for_us,
            "registered": facts.registered,
        },
        fraction=min(1.0, passed / seconds),
    )
