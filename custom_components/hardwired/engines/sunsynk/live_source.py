"""An interface of this host as a source (spec c.5, g.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import Clock
from .bpf import tcp_program
from .capture import Capture, Frame
from .decoder import Decoder
from .file_source import in_thread, read_filter
from .live import CookedPacket, LiveCapture, LiveSettings
from .reception import Reception
from .settings import SunsynkSettings
from .sighting import OnSighting, OnTrouble, Sighting

_LOGGER = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at what waits in the streams."""
DROP_WARNING_EVERY = 3600.0


class LiveSource:
    """Listens on an interface and decodes what passes."""

    def __init__(self, settings: SunsynkSettings, reception: Reception, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._decoder = Decoder(reception.zone, reception=reception)
        self._live: LiveCapture | None = None
        self._on_sighting: OnSighting | None = None
        self._warned_of_drops: float | None = None
        self._told_drops = 0

    async def run(self, on_sighting: OnSighting, on_trouble: OnTrouble) -> None:
        """Listen until cancelled. Raises :class:`LinkError` when trying again is no use."""
        self._on_sighting = on_sighting
        wanted = await in_thread(lambda: read_filter(self._settings.filter))
        if self._settings.filter:
            self._decoder.capture = Capture(wanted)
        self._live = LiveCapture(
            LiveSettings(
                self._settings.interface,
                tcp_program(wanted.host, wanted.port),
                self._settings.promiscuous,
                self._settings.snaplen,
            ),
            self._clock,
            on_packets=self._packets,
            on_trouble=on_trouble,
            on_restart=self._restart,
        )
        ticking = asyncio.ensure_future(self._tick())
        try:
            await self._live.run()
        finally:
            ticking.cancel()
            await asyncio.wait([ticking])

    def _packets(self, packets: Sequence[CookedPacket]) -> None:
        now = self._now_ns()
        self._tell(self._decoder.capture.take_network(now, packets))

    def _restart(self) -> None:
        self._decoder.capture.finish()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            self._tell(self._decoder.capture.expire(self._now_ns()))
            self._warn_of_drops()

    def _tell(self, frames: Sequence[Frame]) -> None:
        if frames and self._on_sighting is not None:
            reports = self._decoder.frames(frames, self.arrival_now())
            seen = [(frame.data, frame.time) for frame in frames]
            self._on_sighting(Sighting(seen, reports))

    def _warn_of_drops(self) -> None:
        drops, now = self._kernel_drops(), self._clock.monotonic()
        before = self._warned_of_drops
        if drops > self._told_drops and (before is None or now - before >= DROP_WARNING_EVERY):
            self._warned_of_drops, self._told_drops = now, drops
            _LOGGER.warning(
                "the system has dropped %d packets so far: set a filter such as 'port 51100'", drops
            )

    def _now_ns(self) -> int:
        return round(self._clock.now().timestamp() * 1e9)

    def _kernel_drops(self) -> int:
        return 0 if self._live is None else self._live.kernel_drops

    def counters(self) -> Mapping[str, Any]:
        """Return all counters of spec f.3, and what the kernel has dropped."""
        return {**self._decoder.summary(), "kernel_drops": self._kernel_drops()}

    def arrival_now(self) -> float:
        """Return the monotonic clock."""
        return self._clock.monotonic()
