"""Where frames come from: a file, an interface, a relayed connection, a simulation (spec a.2)."""

from __future__ import annotations

from ...clock import Clock
from ..pipeline.reception import Reception
from ..settings import Source, SunsynkSettings
from .base import FrameSource
from .file import FileSource
from .live import LiveSource
from .relay import RelaySource
from .simulated import SimulatedSource


def make_source(settings: SunsynkSettings, reception: Reception, clock: Clock) -> FrameSource:
    """Return the source that the settings name."""
    match settings.source:
        case Source.FILE:
            return FileSource(settings.path, reception, clock, settings.filter)
        case Source.LIVE:
            return LiveSource(settings, reception, clock)
        case Source.RELAY:
            return RelaySource(settings, reception, clock)
        case Source.SIM:
            return SimulatedSource(settings, reception, clock)
