"""Simulated dongles in this process, as a source (spec a.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...clock import Clock
from ...engine import LinkError, Reason
from ..dongle.layouts import read_layouts
from ..pipeline.report_pipeline import ReportPipeline
from ..settings import SunsynkSettings
from .base import Batch, OnBatch, OnTrouble, Room, no_wait

WEEKS = 2
"""That the houses have lived before the simulation begins."""


class SimulatedSource:
    """Simulated dongles in this process; their time begins now and may run faster."""

    def __init__(
        self,
        settings: SunsynkSettings,
        pipeline: ReportPipeline,
        clock: Clock,
        room: Room = no_wait,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._clock = clock
        self._room = room
        self._frames = 0

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Simulate until cancelled."""
        from ..simulator.world import Simulation, frames  # noqa: PLC0415 - only when asked for

        settings = self._settings
        try:
            simulation = Simulation(
                zone=self._pipeline.zone,
                inverters=settings.inverters,
                layouts=read_layouts(settings.layout),
                interval=settings.every,
                seed=settings.seed,
                start=self._clock.now(),
                weeks=WEEKS,
            )
        except ValueError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        on_trouble(None)
        async for frame in frames(simulation, self._clock, warp=settings.warp):
            if settings.warp > 1:
                await self._room()
            self._frames += 1
            received = self._pipeline.take(
                frame.data,
                frame.time,
                flow=frame.flow,
                reverse_flow=frame.reverse_flow,
                arrival=self.arrival_now(),
            )
            reports = () if received is None else (received,)
            on_batch(Batch([(frame.data, frame.time)], reports))

    def counters(self) -> Mapping[str, Any]:
        """Return the counters; a frame counts as a packet."""
        return {"packets": self._frames, **self._pipeline.summary()}

    def arrival_now(self) -> float:
        """Return the simulation's own time."""
        return self._clock.monotonic() * self._settings.warp
