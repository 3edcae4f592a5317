"""Listens on a network interface, for the verbs that do."""

from __future__ import annotations

import argparse
from typing import Any

from hardwired_engines.clock import SystemClock, load_zone
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.sunsynk.capture.live import interfaces
from hardwired_engines.sunsynk.pipeline.report_pipeline import ReportPipeline
from hardwired_engines.sunsynk.settings import SunsynkSettings
from hardwired_engines.sunsynk.sources.live import LiveSource

from ...output import tell
from ...recording import until_stopped


def check_interface(name: str, what: str) -> None:
    """Raise :class:`LinkError` for an interface that is not there; *what* it is then."""
    if name not in interfaces():
        raise LinkError(
            Reason.NOT_FOUND, f"{name} is {what} of this host ({', '.join(interfaces())})"
        )


def live_source(interface: str, options: argparse.Namespace) -> LiveSource:
    """Return what listens on an interface."""
    settings = SunsynkSettings.from_mapping(
        {
            "source": "live",
            "interface": interface,
            "time_zone": options.timezone,
            "filter": options.filter,
        }
    )
    return LiveSource(settings, ReportPipeline(load_zone(options.timezone)), SystemClock())


async def listen(source: LiveSource, seen: Any, seconds: float | None) -> bool:
    """Listen until the time is up or the user stops it; says whether it was the user."""

    def trouble(error: LinkError | None) -> None:
        tell("listening" if error is None else f"nothing can be heard: {error}")

    async with until_stopped(seconds) as ending:
        await source.run(seen, trouble)
    return ending.stopped
