"""``hardwired simulate sunsynk``: play dongles, or inverters on Modbus."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.capture.packet_builder import Wrapping
from hardwired_engines.sunsynk.dongle.layouts import read_layouts
from hardwired_engines.sunsynk.simulator.capture import LINK_NAMES, Medium, write_capture
from hardwired_engines.sunsynk.simulator.modbus import SINGLE_PHASE, ModbusFaults
from hardwired_engines.sunsynk.simulator.world import (
    SERVER_PORT,
    Faults,
    ServerStub,
    Simulation,
    talk,
)

from ...arguments import (
    WrongArguments,
    address_of,
    count_of,
    factor_of,
    reading_arguments,
    seconds_of,
    strengths_of,
    terminal_of,
)
from ...output import tell, trouble_teller
from . import modbus


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``simulate``."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=["dongle", "modbus"],
        default="dongle",
        help="dongles that report (default), or inverters that are asked over Modbus",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--pty", type=terminal_of, metavar="LINK", help="modbus: RTU on a terminal with this name"
    )
    where.add_argument("--file", metavar="FILE", help="write a capture file; - is stdout")
    where.add_argument(
        "--tcp",
        metavar="HOST:PORT",
        nargs="?",
        const=f"127.0.0.1:{SERVER_PORT}",
        help=f"report over TCP (default: 127.0.0.1:{SERVER_PORT}); modbus: a gateway that speaks"
        f" Modbus TCP (default: 127.0.0.1:{modbus.MODBUS_PORT})",
    )
    parser.add_argument(
        "--no-server",
        action="store_true",
        help="with --tcp: connect to a server that is there, do not play it as well",
    )
    parser.add_argument("--inverters", type=count_of, default=1)
    parser.add_argument(
        "--layout", default="302", help="292, 302, 306, mixed, learned or blocks: 59x66,150x50"
    )
    parser.add_argument("--interval", type=seconds_of, default=300.0, help="between reports")
    parser.add_argument("--warp", type=factor_of, default=1.0, help="with --tcp: time runs so fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="of the plant (default: UTC, as decode)"
    )
    parser.add_argument(
        "--start", type=datetime.fromisoformat, help="in UTC (default: midnight today, or now)"
    )
    parser.add_argument("--duration", type=seconds_of, default=86400.0, help="of a file")
    parser.add_argument("--reports", type=count_of, help="with --tcp: stop after so many each")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a probability per report, hours or 1: split, reorder, retransmit, recut, lose, glue, "
        "heartbeat, reset, finish, reboot, same_port, wrap, outage_hours, clock_jump, "
        "wrong_zone_hours, zero, implausible, unknown_size, three_phase, solarman, noise, twice;"
        " modbus, per request: " + ", ".join(item.name for item in fields(ModbusFaults)),
    )
    parser.add_argument(
        "--rtu", action="store_true", help="modbus with --tcp: the gateway passes raw RTU on"
    )
    parser.add_argument(
        "--type",
        type=lambda text: int(text, 0),
        default=SINGLE_PHASE,
        help="modbus: the device type in register 0 (default: 3; 0x200: 16 kW; 5: three-phase)",
    )
    parser.add_argument("--link", choices=sorted(LINK_NAMES), default="ethernet")
    parser.add_argument(
        "--wrapping", choices=[one.value for one in Wrapping], default=Wrapping.PLAIN.value
    )
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--snaplen", type=int, default=0, help="cut longer packets")


def run(options: argparse.Namespace) -> int:
    """Play one or several dongles, into a capture file or over TCP."""
    if options.what == "modbus":
        if options.file is not None:
            raise WrongArguments("Modbus is played on --pty or --tcp, not in a file")
        if options.tcp == f"127.0.0.1:{SERVER_PORT}":
            options.tcp = f"127.0.0.1:{modbus.MODBUS_PORT}"
        return modbus.simulate(options)
    if options.pty is not None:
        raise WrongArguments("a dongle reports over --tcp or into a --file")
    with reading_arguments():
        simulation = _simulation(options)
    if options.file is None:
        return asyncio.run(_simulate_tcp(options, simulation))
    with reading_arguments():
        medium = Medium(
            link_type=LINK_NAMES[options.link],
            wrapping=Wrapping(options.wrapping),
            ipv6=options.ipv6,
            snaplen=options.snaplen,
        )
    duration = timedelta(seconds=options.duration)
    with contextlib.ExitStack() as stack:
        if options.file == "-":
            file: BinaryIO = sys.stdout.buffer
        else:
            file = stack.enter_context(Path(options.file).open("wb"))
        with reading_arguments():
            count = write_capture(file, simulation, duration, medium)
    tell(f"{count} packets written")
    return 0


def _simulation(options: argparse.Namespace) -> Simulation:
    start = options.start
    if start is None:
        start = datetime.now(UTC)
        if options.file is not None:
            start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return Simulation(
        zone=load_zone(options.timezone),
        inverters=options.inverters,
        layouts=read_layouts(options.layout),
        interval=options.interval,
        seed=options.seed,
        start=start if start.tzinfo else start.replace(tzinfo=UTC),
        faults=Faults.from_mapping(strengths_of(options.fault)),
    )


async def _simulate_tcp(options: argparse.Namespace, simulation: Simulation) -> int:
    host, port = address_of(options.tcp)
    async with _server(host, port, simulation, play=not options.no_server) as actual:
        tell(f"{simulation.inverters} dongles report to {host}:{actual}")
        on_trouble = trouble_teller(f"{host}:{actual}")
        sent = await asyncio.gather(
            *(
                talk(
                    dongle,
                    simulation,
                    host,
                    actual,
                    warp=options.warp,
                    reports=options.reports,
                    on_trouble=on_trouble,
                )
                for dongle in simulation.dongles()
            )
        )
    tell(f"{sum(sent)} reports sent")
    return 0


@asynccontextmanager
async def _server(
    host: str, port: int, simulation: Simulation, *, play: bool
) -> AsyncIterator[int]:
    if not play:
        yield port
        return
    server = ServerStub(simulation.zone, simulation.layouts[0])
    try:
        yield await server.start(host, port)
    finally:
        await server.stop()
