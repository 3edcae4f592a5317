"""The bridge's health as JSON, and whether it counts as well (spec f.3, f.4)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from hardwired_engines.engine import Reason, Snapshot, Statistics
from hardwired_engines.plain import plain

from ..bridge.sink import SinkHealth, SinkState

OUTSIDE = frozenset(
    {
        Reason.STARTING,
        Reason.NOT_FOUND,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.DISCONNECTED,
        Reason.WAITING_FOR_PEER,
        Reason.SILENT,
        Reason.NO_ANSWER,
        Reason.NOT_REGISTERED,
        Reason.LOGGING_IN,
        Reason.INTERFACE_DOWN,
        Reason.NO_TRAFFIC,
        Reason.NO_REPORTS,
    }
)
"""Reasons that are a matter of the outside world: they pass by themselves."""
PATIENCE = 600.0


def link_health(
    snapshot: Snapshot, since: datetime, statistics: Statistics | None
) -> dict[str, Any]:
    """Return the health of one link."""
    told = statistics or Statistics()
    reason = snapshot.reason
    return {
        "connected": snapshot.connected,
        "reason": None if snapshot.connected or reason is None else reason.value,
        "since": plain(since),
        "devices": len(snapshot.devices),
        "frames_in": told.frames_in,
        "frames_out": told.frames_out,
        "errors": told.checksum_errors + told.timeouts,
        "reconnects": told.reconnects,
        "last_frame": plain(told.last_frame),
        "notices": [notice.key for notice in snapshot.notices],
    }


def link_is_well(snapshot: Snapshot, since: datetime, now: datetime) -> bool:
    """Return whether a link counts as well for ``/health``."""
    if snapshot.connected:
        return True
    return snapshot.reason in OUTSIDE and (now - since).total_seconds() < PATIENCE


def sink_health(health: SinkHealth) -> dict[str, Any]:
    """Return the health of one sink; counters that its type has not are left out."""
    told = {
        "type": health.type,
        "state": health.state.value,
        "why": health.why,
        "since": plain(health.since),
        "published": health.published,
        "coalesced": health.coalesced,
        "dropped": health.dropped,
        "waiting": health.waiting,
        "accepted": health.accepted,
        "delivered": health.delivered,
        "refused": health.refused,
        "set_aside": health.set_aside,
        "oldest": plain(health.oldest),
        "spool": health.spool,
        "notices": [notice.key for notice in health.notices] or None,
    }
    always = ("type", "state", "why", "since", "oldest")
    return {key: value for key, value in told.items() if value is not None or key in always}


def process_health(tasks: int, loop_lag_max: float) -> dict[str, Any]:
    """Return what the process itself takes: seconds, bytes, counts."""
    return {
        "cpu_seconds": round(time.process_time(), 3),
        "rss": resident_bytes(),
        "loop_lag_max": round(loop_lag_max, 4),
        "tasks": tasks,
        "threads": threading.active_count(),
    }


def resident_bytes() -> int:
    """Return the resident memory in bytes; 0 where it is not known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - each 10 s
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def overall(well: Iterable[bool], connected: Iterable[bool], sinks: Iterable[SinkState]) -> str:
    """Return ``ok``, ``degraded`` or ``error``; *well*: whether each link counts as such."""
    sinks = list(sinks)
    if not all(well) or SinkState.CONFIG_ERROR in sinks:
        return "error"
    if not all(connected) or SinkState.OUTAGE in sinks:
        return "degraded"
    return "ok"
