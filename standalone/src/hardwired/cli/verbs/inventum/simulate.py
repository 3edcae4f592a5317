"""``hardwired simulate inventum``: an Ecolution's terminal, for trying and testing."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hardwired_engines.clock import SystemClock
from hardwired_engines.inventum.simulator.device import SimulatedEcolution
from hardwired_engines.inventum.simulator.faults import Fault, Trouble
from hardwired_engines.inventum.simulator.settings import SimulatorSettings
from hardwired_engines.simulating import on_pty, on_tcp_port

from ...arguments import address_of, pairs_of, reading_arguments, terminal_of
from ...output import STOPPED, emit

DEFAULT_LINK = Path("/tmp/hardwired-inventum")  # noqa: S108 - a name that is easy to type
TICK = 0.1
"""How often what the device has done is looked at."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    names = ", ".join(item.name for item in fields(SimulatorSettings))
    parser.add_argument(
        "settings", nargs="*", metavar="NAME=VALUE", help=f"how the unit behaves: {names}"
    )
    parser.add_argument(
        "--pty",
        type=terminal_of,
        default=DEFAULT_LINK,
        metavar="LINK",
        help=f"on a terminal with this name (default: {DEFAULT_LINK})",
    )
    parser.add_argument(
        "--listen", metavar="[HOST:]PORT", help="as a serial server on TCP; 0: any port"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:SECONDS[:STRENGTH]]",
        help=f"from the start: {', '.join(Fault)}",
    )


def run(options: argparse.Namespace) -> int:
    """Play the unit until it is stopped.

    Standard output tells what happens to it, one JSON object a line; standard input takes
    ``{"fault": "reboot"}``, ``{"heal": true}`` and ``{"wall_switch": 3}``.
    """
    with reading_arguments():
        device = SimulatedEcolution(SimulatorSettings.read(pairs_of(options.settings)))
        troubles = [Trouble.read(text) for text in options.fault]
        listen = None
        if options.listen is not None:
            listen = address_of(options.listen, form="[HOST:]PORT")
    try:
        asyncio.run(_serve(device, options.pty, listen, troubles))
    except asyncio.CancelledError:
        return STOPPED
    return 0


async def _serve(
    device: SimulatedEcolution,
    link: Path,
    listen: tuple[str, int] | None,
    troubles: list[Trouble],
) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    for trouble in troubles:
        device.inflict(trouble, SystemClock().monotonic())
    async with asyncio.TaskGroup() as group:
        group.create_task(_tell(device))
        group.create_task(_obey(device))
        if listen is None:
            _say({"event": "ready", "connect_to": str(link)})
            group.create_task(on_pty(lambda: device, link))
        else:
            async with on_tcp_port(lambda: device, *listen) as bound:
                _say({"event": "ready", "connect_to": f"socket://{listen[0]}:{bound}"})
                await asyncio.Event().wait()


async def _tell(device: SimulatedEcolution) -> None:
    """Say what happens to the unit: pages, overrides, where the fan stands."""
    clock = SystemClock()
    told, page, position = 0, None, None
    while True:
        for write in device.writes[told:]:
            _say({"event": "override", "row": write.number, "value": write.value})
        told = len(device.writes)
        if device.page is not page:
            page = device.page
            _say({"event": "page", "page": page.name.lower(), "challenges": device.challenges})
        if (now := device.position(clock.monotonic())) != position:
            position = now
            _say({"event": "fan", "position": position})
        await asyncio.sleep(TICK)


async def _obey(device: SimulatedEcolution) -> None:
    """Take orders, one JSON object a line, from standard input until it ends."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()):
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip():
            try:
                _do(device, json.loads(line))
            except ValueError as error:
                _say({"event": "refused", "why": str(error)})


def _do(device: SimulatedEcolution, order: Any) -> None:
    match order:
        case {"fault": str(text)}:
            device.inflict(Trouble.read(text), SystemClock().monotonic())
        case {"heal": True}:
            device.heal()
        case {"wall_switch": int(position)} if 0 <= position <= 3:
            device.wall_switch = position
        case _:
            raise ValueError('an order is {"fault": NAME}, {"heal": true} or {"wall_switch": N}')


def _say(record: Mapping[str, Any]) -> None:
    emit(record)
    sys.stdout.flush()
