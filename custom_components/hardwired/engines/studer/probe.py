"""Find out the link's settings and all devices, for a set-up (spec c.3)."""

from __future__ import annotations

from types import MappingProxyType

from ..clock import Clock
from ..engine import LinkError, Reason
from ..factory import OnProgress, ProbeResult
from .catalogue import SYSTEM, XCOM
from .engine import StuderEngine
from .session.discovery import Progress


async def probe(
    engine: StuderEngine, clock: Clock, seconds: float, on_progress: OnProgress | None = None
) -> ProbeResult:
    """Return all devices; the port is free when this returns.

    For ``listen://`` it waits until the Moxa connects. Raises :class:`LinkError` with the reason.
    """

    def told(now: Progress) -> None:
        if on_progress is not None:
            on_progress(
                ProbeResult(
                    counters=MappingProxyType(
                        {"asked": now.done, "addresses": now.total, "found": len(now.found)}
                    ),
                    fraction=now.fraction,
                )
            )

    try:
        async with clock.timeout(seconds):
            await engine.find(told)
    except TimeoutError as error:
        listens = engine.settings.scheme == "listen"
        reason = Reason.WAITING_FOR_PEER if listens else Reason.NO_ANSWER
        raise LinkError(reason, f"nobody answered within {seconds:g} s") from error
    devices = tuple(
        state.device for state in engine.snapshot.devices.values() if state.device.kind != SYSTEM
    )
    fids = sorted(
        device.serial_number for device in devices if device.serial_number and device.kind != XCOM
    )
    gateway = next(device for device in devices if device.kind == XCOM)
    serial = engine.serial_settings
    return ProbeResult(
        devices=devices,
        counters=MappingProxyType(
            {
                "guid": engine.guid,
                "multi_info": bool(engine.statistics.extra.get("multi_info")),
                "latency_ms": round(engine.latency * 1000, 1),
            }
        ),
        settings=MappingProxyType({} if serial is None else {"serial": str(serial)}),
        unique_id=engine.guid or (fids[0] if fids else gateway.id),
        fraction=1.0,
    )
