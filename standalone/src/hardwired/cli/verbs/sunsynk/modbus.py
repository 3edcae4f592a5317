"""The Modbus half of the verbs of Sunsynk: ask an inverter who it is, or play one."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardwired_engines.clock import SystemClock, load_zone
from hardwired_engines.engine import Reason
from hardwired_engines.factory import Surroundings
from hardwired_engines.masking import masked
from hardwired_engines.simulating import on_pty, on_tcp_port
from hardwired_engines.sunsynk import FACTORY
from hardwired_engines.sunsynk.simulator.modbus import ModbusFaults, ModbusSimulator, ModbusWorld

from ...advice import with_advice
from ...arguments import address_of, reading_arguments, strengths_of
from ...output import STOPPED, emit, tell
from .. import NOTHING_HEARD

MODBUS_PORT = 1502
"""Where a simulated gateway listens by default: 502 needs rights."""
LOOK_EVERY = 0.2
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^/:\s\[\]]+):[0-9]{1,5}")


def is_modbus_target(target: str) -> bool:
    """Whether what is to be probed is a port or an address, not a file or an interface."""
    if "://" in target or target.startswith("/dev/") or _HOST_PORT.fullmatch(target):
        return True
    return Path(target).is_char_device()


def configure_probe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for a Modbus line."""
    modbus = parser.add_argument_group("over Modbus (a port, host:port, or an address)")
    modbus.add_argument("--units", default="1", metavar="N[,N]", help="unit ids (default: 1)")
    modbus.add_argument("--serial", default="9600 8N1", help="of a port (default: 9600 8N1)")
    modbus.add_argument("--framing", default="auto", choices=["auto", "rtu", "tcp"])


def probe(options: argparse.Namespace) -> int:
    """Ask the inverters who they are: exit code 0 when one answers, 3 when none does."""
    link = options.target
    if _HOST_PORT.fullmatch(link):
        link = f"socket://{link}"
    unit, *units = [part for part in options.units.replace(",", " ").split() if part] or ["1"]
    settings = FACTORY.read(
        {
            "source": "modbus",
            "link": link,
            "unit": int(unit) if unit.isascii() and unit.isdigit() else 0,
            "units": units,
            "serial": options.serial,
            "framing": options.framing,
            "time_zone": options.timezone,
        }
    )
    tell(f"asking who answers, for {options.asking_seconds:.0f} s at most")
    result = asyncio.run(FACTORY.probe(settings, Surroundings(), seconds=options.asking_seconds))
    emit(
        {
            "target": masked(link),
            "inverters": [
                {"serial": one.serial_number, "model": one.model} for one in result.devices
            ],
            "settings": dict(result.settings),
            "counters": result.counters,
        }
    )
    if result.devices and result.reason is None:
        return 0
    reason = result.reason or Reason.NO_ANSWER
    tell("hardwired: " + with_advice(f"{reason.value}: {result.detail or ''}".rstrip(": "), reason))
    return NOTHING_HEARD


def simulate(options: argparse.Namespace) -> int:
    """Play inverters on a serial line or behind a gateway until stopped."""
    with reading_arguments():
        zone = load_zone(options.timezone)
        clock = SystemClock()
        world = ModbusWorld(
            lambda: clock.now().astimezone(zone).replace(tzinfo=None),
            units=range(1, options.inverters + 1),
            seed=options.seed,
            faults=ModbusFaults.from_mapping(strengths_of(options.fault)),
            device_type=options.type,
        )
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(world, options))
    return STOPPED


async def _serve(world: ModbusWorld, options: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.TaskGroup() as group:
        group.create_task(_tell_writes(world))
        if options.pty is not None:
            _say({"event": "ready", "connect_to": str(options.pty)})
            await on_pty(lambda: ModbusSimulator(world), options.pty)
            return
        host, port = address_of(options.tcp)

        def make() -> ModbusSimulator:
            return ModbusSimulator(world, tcp=not options.rtu)

        async with on_tcp_port(make, host, port) as bound:
            _say({"event": "ready", "connect_to": f"socket://{host}:{bound}"})
            await asyncio.Event().wait()


async def _tell_writes(world: ModbusWorld) -> None:
    """Say what is written to the inverters."""
    told = dict.fromkeys(world.inverters, 0)
    while True:
        for unit, inverter in world.inverters.items():
            for register, word in inverter.written[told[unit] :]:
                _say({"event": "written", "unit": unit, "register": register, "word": word})
            told[unit] = len(inverter.written)
        await asyncio.sleep(LOOK_EVERY)


def _say(record: Mapping[str, Any]) -> None:
    emit(record)
    sys.stdout.flush()
