"""``hardwired probe sunsynk``: whether reports are heard, or who answers over Modbus."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.sources.base import Batch

from ...arguments import seconds_of
from ...output import STOPPED, tell
from . import modbus
from .capture import add_zone_and_filter
from .check import probe_file
from .courses import Courses
from .listening import check_interface, listen, live_source

LISTENING_SECONDS, ASKING_SECONDS = 600.0, 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    parser.add_argument(
        "target",
        metavar="FILE|INTERFACE|PORT",
        help="a capture file; br0, any, ...; or for Modbus /dev/ttyUSB0 or 192.168.1.9:502",
    )
    add_zone_and_filter(parser)
    modbus.configure_probe(parser)
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        help="how long to listen on an interface (default: 10m; ends earlier by Ctrl-C), or to ask"
        " over Modbus (default: 30s)",
    )


def run(options: argparse.Namespace) -> int:
    """Say whether reports are there: exit code 0 when there is one, 3 when there is none."""
    load_zone(options.timezone)
    if modbus.is_modbus_target(options.target):
        options.asking_seconds = options.seconds or ASKING_SECONDS
        return modbus.probe(options)
    options.seconds = options.seconds or LISTENING_SECONDS
    if options.target == "-" or Path(options.target).exists():
        return probe_file(options)
    check_interface(options.target, "neither a file nor an interface")
    return asyncio.run(_probe_interface(options))


async def _probe_interface(options: argparse.Namespace) -> int:
    courses = Courses()
    source = live_source(options.target, options)

    def seen(batch: Batch) -> None:
        for received in batch.reports:
            courses.add(received)
            tell(f"report of inverter {received.serial}, reading of {received.report.local_time}")

    stopped = await listen(source, seen, options.seconds)
    for remark in source.counters()["remarks"]:
        tell(f"hardwired: {remark}")
    code = courses.verdict(options.target, source.counters())
    return STOPPED if stopped else code
