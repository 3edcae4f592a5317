"""An interface of this host as a source (spec c.5, g.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ...clock import Clock
from ...engine import LinkError
from ..capture.bpf import tcp_program
from ..capture.live import CookedPacket, LiveCapture, LiveSettings
from ..capture.stream import Frame
from ..pipeline.decoder import Decoder
from ..pipeline.report_pipeline import ReportPipeline
from ..settings import SunsynkSettings
from .base import Batch, OnBatch, OnTrouble
from .file import in_thread, read_filter

_LOGGER = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two checks of the time limits of the streams."""
DROP_WARNING_EVERY = 3600.0
BUSY = 2000
"""Packets a second above which a filter is advised."""


class LiveSource:
    """Listens on an interface and decodes what passes."""

    def __init__(self, settings: SunsynkSettings, pipeline: ReportPipeline, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._decoder = Decoder(pipeline.zone, pipeline=pipeline)
        self._live: LiveCapture | None = None
        self._on_batch: OnBatch | None = None
        self._warned_of_drops: float | None = None
        self._told_drops = 0
        self._passed = 0
        self._advised = False

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Listen until cancelled. Raises :class:`LinkError` when trying again is useless."""
        self._on_batch = on_batch
        self._live = LiveCapture(
            await self._look_up(),
            self._clock,
            on_packets=self._packets,
            on_trouble=on_trouble,
            on_restart=self._restart,
            renew=self._look_up_again,
        )
        ticking = asyncio.ensure_future(self._tick())
        try:
            await self._live.run()
        finally:
            ticking.cancel()
            await asyncio.wait([ticking])

    async def _look_up(self) -> LiveSettings:
        """Read the filter and look its names up. Raises :class:`LinkError` (BAD_FILTER)."""
        settings = self._settings
        wanted = await in_thread(lambda: read_filter(settings.filter, link_layer=False))
        if settings.filter:
            self._decoder.capture.filter_by(wanted)
        self._live_settings = LiveSettings(
            settings.interface,
            tcp_program(wanted.host, wanted.port, mirrors=True),
            settings.promiscuous,
            settings.snaplen,
        )
        return self._live_settings

    async def _look_up_again(self) -> LiveSettings:
        """Look the names up again; one that is not found now keeps its address."""
        try:
            return await self._look_up()
        except LinkError as error:
            _LOGGER.warning("the filter keeps the addresses that it had: %s", error)
            return self._live_settings

    def _packets(self, packets: Sequence[CookedPacket]) -> None:
        now = self._now_ns()
        self._passed += len(packets)
        self._tell(self._decoder.capture.take_network(now, packets))

    def _restart(self) -> None:
        self._decoder.capture.finish()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            self._tell(self._decoder.capture.expire(self._now_ns()))
            self._warn_of_drops()
            self._advise_a_filter()

    def _tell(self, frames: Sequence[Frame]) -> None:
        if frames and self._on_batch is not None:
            reports = self._decoder.frames(frames, self.arrival_now())
            seen = [(frame.data, frame.time) for frame in frames]
            flows = [(frame.flow, frame.reverse_flow) for frame in frames]
            self._on_batch(Batch(seen, reports, flows=flows))

    def _warn_of_drops(self) -> None:
        drops, now = self._kernel_drops(), self._clock.monotonic()
        before = self._warned_of_drops
        if drops > self._told_drops and (before is None or now - before >= DROP_WARNING_EVERY):
            self._warned_of_drops, self._told_drops = now, drops
            _LOGGER.warning(
                "the system has dropped %d packets so far: set a filter such as 'port 51100'", drops
            )

    def _advise_a_filter(self) -> None:
        passed, self._passed = self._passed, 0
        if passed > BUSY * TICK and not self._settings.filter and not self._advised:
            self._advised = True
            _LOGGER.warning(
                "more than %d packets a second pass: a filter such as 'port 51100' spares the"
                " processor",
                BUSY,
            )

    def _now_ns(self) -> int:
        return round(self._clock.now().timestamp() * 1e9)

    def _kernel_drops(self) -> int:
        return 0 if self._live is None else self._live.kernel_drops

    def counters(self) -> Mapping[str, Any]:
        """Return all counters of spec f.3, and what the kernel has dropped."""
        return {
            **self._decoder.summary(),
            "kernel_drops": self._kernel_drops(),
            "foreign": self._decoder.capture.foreign,
            "remarks": self._decoder.remarks(),
        }

    def arrival_now(self) -> float:
        """Return the monotonic clock."""
        return self._clock.monotonic()
