"""Where frames come from: a file, an interface, a relayed connection, a simulation (spec a.2)."""

from __future__ import annotations

from ...clock import Clock
from ..pipeline.report_pipeline import ReportPipeline
from ..settings import Source, SunsynkSettings
from .base import FrameSource, Room, no_wait
from .file import FileSource
from .live import LiveSource
from .relay import RelaySource
from .simulated import SimulatedSource


def make_source(
    settings: SunsynkSettings, pipeline: ReportPipeline, clock: Clock, room: Room = no_wait
) -> FrameSource:
    """Return the source that the settings name."""
    match settings.source:
        case Source.FILE:
            return FileSource(settings.path, pipeline, clock, settings.filter, room=room)
        case Source.LIVE:
            return LiveSource(settings, pipeline, clock)
        case Source.RELAY:
            return RelaySource(settings, pipeline, clock)
        case Source.SIM:
            return SimulatedSource(settings, pipeline, clock, room)
