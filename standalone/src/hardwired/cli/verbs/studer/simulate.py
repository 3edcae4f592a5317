"""``hardwired simulate studer``: an Xcom with a whole plant behind it, for trying and testing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

from hardwired_engines.clock import SystemClock
from hardwired_engines.studer.moxa import PORT as SEARCH_PORT
from hardwired_engines.studer.simulator.faults import Damage, Incident, parse_faults
from hardwired_engines.studer.simulator.runners import (
    Moxa,
    answering_searches,
    on_tcp,
    on_terminal,
    on_udp,
)
from hardwired_engines.studer.simulator.truth import Event
from hardwired_engines.studer.simulator.world import World, make

from ...arguments import address_of, port_of, reading_arguments, terminal_of
from ...output import STOPPED, emit

DEFAULT_LINK = Path("/tmp/hardwired-studer")  # noqa: S108 - a name that is easy to type
DEFAULT_PORT = 4001
SEARCH_MAC = bytes.fromhex("0090e8123456")
TICK = 0.2
"""How often incidents are looked for while nobody talks."""
CHATTER = frozenset({"request", "answer", "struck"})
"""Told only when wanted: several a second."""

QUERY_OPTIONS: Mapping[str, str] = {
    "xtenders": "Xtenders, 0 to 9 (default: 6, on 3 phases)",
    "phases": "phases, 1 to 3",
    "variotracks": "VarioTracks, 0 to 15 (default: 2)",
    "variostrings": "VarioStrings, 0 to 15 (default: 1)",
    "battery": "nominal battery voltage: 12, 24 or 48",
    "ac": "nominal AC voltage: 120 or 230",
    "grid": "auto (used when the battery is low), always or never",
    "soc": "state of charge at midnight before the start, in %%",
    "baud": "of the line; 0: a line that takes no time (default: 38400, with --lan 115200)",
    "latency-ms": "of the gateway: 50 or 20-90; 0 answers at once (default: 20-90)",
    "hiccup-ms": "added to one answer every minute (default: 300, with --latency-ms 0 none)",
    "chunk": "bytes that arrive at once (default: the whole answer)",
    "seed": "of all that happens by chance (default: 1)",
    "start": "wall clock of the plant at the start, such as 2026-06-15T10:00 (default: now)",
    "time-scale": "how many times faster the plant lives (default: 1)",
    "portal": "seconds between two rounds of the portal, a second master (default: none)",
    "firmware": "of the devices (default: 1.6.54)",
    "xcom-firmware": "of the gateway (default: 1.6.76)",
    "missing": "what multi-info says of an absent device: zero, nan or omit",
    "messages": "how many old messages there are (default: 12)",
    "log-days": "how many old logs lie on the card (default: 3)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    where = parser.add_argument_group("where it is served (default: --pty)")
    where.add_argument(
        "--pty", nargs="?", type=terminal_of, const=DEFAULT_LINK, metavar="LINK",
        help=f"on a terminal with this name (default: {DEFAULT_LINK})",
    )  # fmt: skip
    where.add_argument("--strict", action="store_true", help="hear only the right baud rate")
    where.add_argument(
        "--listen", metavar="[HOST:]PORT", help="as a Moxa in TCP server mode; 0: any port"
    )
    where.add_argument(
        "--connect", metavar="HOST[:PORT]", help="as a Moxa in TCP client mode: dial HOST"
    )
    where.add_argument(
        "--udp", metavar="HOST:PORT", help="as a Moxa in UDP mode: send to HOST and PORT"
    )
    where.add_argument(
        "--udp-local", type=port_of, default=DEFAULT_PORT, metavar="PORT",
        help="the port that it listens on (default: %(default)s)",
    )  # fmt: skip
    where.add_argument(
        "--moxa-search", metavar="ADDRESS[:PORT]",
        help=f"answer the search for a Moxa, as one at this IPv4 address (port: {SEARCH_PORT})",
    )  # fmt: skip
    plant = parser.add_argument_group("what is simulated")
    for name, text in QUERY_OPTIONS.items():
        plant.add_argument(f"--{name}", metavar=name.upper(), help=text)
    battery = plant.add_mutually_exclusive_group()
    battery.add_argument("--bsp", action="store_true", help="a BSP (this is so anyway)")
    battery.add_argument(
        "--xcomcan", action="store_true", help="an Xcom-CAN with a lithium battery"
    )
    battery.add_argument("--no-monitor", action="store_true", help="neither")
    plant.add_argument("--lan", action="store_true", help="an Xcom-LAN instead of an Xcom-232i")
    plant.add_argument("--no-multi-info", action="store_true", help="a gateway without multi-info")
    faults = parser.add_argument_group("what goes wrong")
    faults.add_argument(
        "--fault", action="append", default=[], metavar="NAME[:KEY=VALUE...]",
        help="such as drop:address=103:at=60, late:p=0.01, random; may be given several times."
        f" Answers: {', '.join(Damage)}. The plant and the link: {', '.join(Incident)}",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="print every request and answer")


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    with reading_arguments():
        world = make(query_of(options)).world
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(world, options))
    emit({"event": "stopped", "counts": world.journal.counts})
    return STOPPED


def query_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the query of a ``sim://`` address that means the same."""
    query = {}
    for name in QUERY_OPTIONS:
        key = name.replace("-", "_")
        if (value := getattr(options, key)) is not None:
            query[key] = value
    if options.xcomcan:
        query["xcomcan"] = "1"
    if options.no_monitor:
        query["bsp"] = "0"
    if options.lan:
        query["lan"] = "1"
        if _on_a_terminal(options):
            # The module without its Moxa: nobody strips what it puts behind its answers.
            query["strip"] = "0"
    if options.no_multi_info:
        query["multi_info"] = "0"
    if options.fault:
        parse_faults(",".join(options.fault))
        query["faults"] = ",".join(options.fault)
    return query


def _on_a_terminal(options: argparse.Namespace) -> bool:
    return options.pty is not None or options.listen is options.connect is options.udp is None


async def _serve(world: World, options: argparse.Namespace) -> None:
    world.journal.listen(lambda event: _print(event, verbose=options.verbose))
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with contextlib.AsyncExitStack() as stack:
        _say({
            "event": "devices",
            "devices": [
                {"address": device.address, "family": device.family.value, "fid": device.fid}
                for device in world.devices
            ],
        })  # fmt: skip
        if options.moxa_search:
            address, port = address_of(options.moxa_search, port=SEARCH_PORT)
            transport = await answering_searches(address, SEARCH_MAC, port=port)
            stack.callback(transport.close)
        if options.listen is not None:
            host, port = address_of(options.listen, port=DEFAULT_PORT)
            port = await stack.enter_async_context(on_tcp(world, host, port))
            _say({"event": "ready", "connect_to": f"socket://{host}:{port}"})
        servers = _servers(world, options)
        async with asyncio.TaskGroup() as group:
            for server in servers:
                group.create_task(_forever(server))
            group.create_task(_live(world))
            group.create_task(_obey(world))


async def _forever(server: Awaitable[None]) -> None:
    await server


def _servers(world: World, options: argparse.Namespace) -> list[Awaitable[None]]:
    servers: list[Awaitable[None]] = []
    if options.connect is not None:
        host, port = address_of(options.connect, port=DEFAULT_PORT)
        _say({"event": "ready", "dialling": f"{host}:{port}"})
        servers.append(Moxa(world, host, port).run())
    if options.udp is not None:
        host, port = address_of(options.udp, port=DEFAULT_PORT)
        here = f"udp://HOST:{options.udp_local}?local_port={port}"
        _say({"event": "ready", "connect_to": here})
        servers.append(on_udp(world, host, port, options.udp_local))
    if _on_a_terminal(options):
        link = options.pty or DEFAULT_LINK
        settings = world.settings.serial
        ready = {
            "event": "ready",
            "connect_to": str(link),
            "serial": None if settings is None else str(settings),
        }
        servers.append(on_terminal(world, link, strict=options.strict, on_plug=lambda: _say(ready)))
    return servers


async def _live(world: World) -> None:
    """Let incidents happen while nobody talks."""
    clock = SystemClock()
    while True:
        world.advance(clock.monotonic())
        await asyncio.sleep(TICK)


async def _obey(world: World) -> None:
    """Take orders, one JSON object a line, from standard input until it ends."""
    if not _gives_orders():
        return
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    clock = SystemClock()
    while line := await reader.readline():
        if not line.strip():
            continue
        try:
            order = json.loads(line)
            if not isinstance(order, dict):
                raise ValueError("an order is one JSON object a line")
            world.command(order, clock.monotonic())
        except ValueError as error:
            _say({"event": "refused", "why": str(error)})


def _gives_orders() -> bool:
    """Return whether standard input is something that lines come from in time."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()


def _print(event: Event, *, verbose: bool) -> None:
    if verbose or event.kind not in CHATTER:
        _say(event.as_dict())


def _say(record: Mapping[str, Any]) -> None:
    emit(record)
    sys.stdout.flush()
