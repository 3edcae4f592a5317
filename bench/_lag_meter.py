"""A custom component of Home Assistant: how late its event loop is, and what its thread computes.

Copied into the folder of a Home Assistant that is measured. Every ``TICK`` seconds it is due; how
much later it runs is the lag. The processor time of the loop's thread from tick to tick is told as
well: what else runs on the machine makes a tick late, but does not compute in this thread. The
action ``lag_meter.take`` answers with the figures since the last one; ``lag_meter.glance`` with the
lag since the last glance.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from array import array
from collections import Counter
from typing import Any

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse

DOMAIN = "lag_meter"
TICK = 0.02
SLOW = 0.01
"""From so many seconds of lag on it is noted where the thread is, if ``stacks`` is configured."""
OURS = "custom_components/hardwired/"


class Meter:
    """Notes the lag and the processor time of each tick, in milliseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = loop.time() + TICK
        self._reset()
        self._handle = loop.call_at(self._due, self._tick)

    def _reset(self) -> None:
        self._told = 0
        self._lag = array("d")
        self._busy = array("d")
        self._began = time.monotonic()
        self._used = self._began_used = time.thread_time()
        self.stacks: Counter[str] = Counter()

    @property
    def late(self) -> float:
        """How many seconds the next tick is late by now."""
        return self._loop.time() - self._due

    def _tick(self) -> None:
        now = self._loop.time()
        used = time.thread_time()
        self._lag.append((now - self._due) * 1000)
        self._busy.append((used - self._used) * 1000)
        self._used = used
        self._due = now + TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def glance(self) -> dict[str, float]:
        """Return the lag of the recent past."""
        recent = sorted(self._lag[self._told :])
        self._told = len(self._lag)
        return {"p99_ms": recent[len(recent) * 99 // 100] if recent else 0.0}

    def take(self) -> dict[str, Any]:
        """Return the figures, and begin anew."""
        lag, busy = sorted(self._lag), sorted(self._busy)
        seconds = time.monotonic() - self._began
        figures = {
            "ticks": len(lag),
            **{f"lag_{name}_ms": value for name, value in _shares(lag)},
            **{f"busy_{name}_ms": value for name, value in _shares(busy)},
            "loop_cpu_percent": round(100 * (self._used - self._began_used) / seconds, 2),
            "stacks": [f"{count} x {where}" for where, count in self.stacks.most_common(20)],
        }
        self._reset()
        return figures


def _shares(values: list[float]) -> list[tuple[str, float]]:
    last = len(values) - 1
    places = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return [(name, round(values[int(last * part)], 2)) for name, part in places.items()]


def _watch(meter: Meter, thread: int) -> None:
    while True:
        time.sleep(0.005)
        if meter.late > SLOW:
            frame = sys._current_frames().get(thread)  # noqa: SLF001
            names = []
            while frame is not None:
                path = frame.f_code.co_filename
                if OURS in path:
                    names.append(f"{path.partition(OURS)[2]}:{frame.f_lineno}")
                frame = frame.f_back
            meter.stacks[" < ".join(names[:3]) or "not ours"] += 1


async def async_setup(hass: HomeAssistant, config: dict[str, Any]) -> bool:
    """Begin to measure."""
    meter = Meter(hass.loop)
    if (config[DOMAIN] or {}).get("stacks"):
        arguments = (meter, threading.get_ident())
        threading.Thread(target=_watch, args=arguments, daemon=True).start()

    async def take(_call: ServiceCall) -> ServiceResponse:
        return meter.take()

    async def glance(_call: ServiceCall) -> ServiceResponse:
        return meter.glance()

    for name, action in (("take", take), ("glance", glance)):
        hass.services.async_register(DOMAIN, name, action, supports_response=SupportsResponse.ONLY)
    return True
