"""Where readings come from: file, interface, relay, Modbus, simulation (spec a.2, a.3)."""

from __future__ import annotations

from ...clock import Clock
from ...engine import Statistics
from ..modbus.line import OnFrame
from ..pipeline.report_pipeline import ReportPipeline
from ..settings import Source, SunsynkSettings
from .base import FrameSource, Room, no_wait
from .file import FileSource
from .live import LiveSource
from .modbus import ModbusSource
from .relay import RelaySource
from .simulated import SimulatedSource


def make_source(
    settings: SunsynkSettings,
    pipeline: ReportPipeline,
    clock: Clock,
    room: Room = no_wait,
    *,
    statistics: Statistics | None = None,
    on_frame: OnFrame | None = None,
) -> FrameSource:
    """Return the source that the settings name.

    *statistics* and *on_frame* serve one that asks questions.
    """
    match settings.source:
        case Source.FILE:
            return FileSource(settings.path, pipeline, clock, settings.filter, room=room)
        case Source.LIVE:
            return LiveSource(settings, pipeline, clock)
        case Source.RELAY:
            return RelaySource(settings, pipeline, clock)
        case Source.MODBUS:
            return ModbusSource(settings, pipeline, clock, statistics=statistics, on_frame=on_frame)
        case Source.SIM:
            return SimulatedSource(settings, pipeline, clock, room)
