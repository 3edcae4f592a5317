"""``--check``: try everything the driver needs, and say what is wrong (spec G.1)."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Sequence

from .bus import Bus, BusError, BusLost, from_variant
from .config import Config
from .mqtt.client import Client, Unreachable
from .settings import ITEM, SERVICE as SETTINGS
from .system import OURS, System
from .tables import BadTable, load
from .visible import hidden


async def check(config: Config, problems: Sequence[str]) -> int:
    """Print what is wrong, and what no screen would show; returns 0 when all is well, else 1."""
    lines: list[str] = [f"configuration: {problem}" for problem in problems]
    notes: list[str] = []
    lines.extend(_tables(config))
    portal_id = "check"
    try:
        bus = await Bus.connect(config.dbus or os.environ.get("DBUS_SESSION_BUS_ADDRESS"))
    except BusLost as error:
        lines.append(str(error))
    else:
        try:
            portal_id = await _bus(bus, lines)
            notes = await _hidden(bus)
        except (BusError, BusLost) as error:
            lines.append(f"D-Bus: {error}")
        bus.close()
    try:
        client = await Client.connect(
            config.mqtt, f"mqtt-devices-check-{portal_id}", lambda message: None
        )
        await client.close()
    except Unreachable as error:
        lines.append(f"broker {config.mqtt.host}:{config.mqtt.port}: {error}")
    for line in [*notes, *(lines or ["all is well"])]:
        sys.stdout.write(line + "\n")
    return 1 if lines else 0


def _tables(config: Config) -> list[str]:
    try:
        tables = load(Path(config.types_file) if config.types_file is not None else None)
    except (OSError, BadTable) as error:
        return [f"types_file: {error}"]
    return [f"types_file: {warning}" for warning in tables.warnings]


async def _hidden(bus: Bus) -> list[str]:
    """Return what is not shown of the services of devices, as the screen's rules have it."""
    notes: list[str] = []
    for name in sorted(await bus.names()):
        if OURS.fullmatch(name):
            items = (await bus.call(name, "/", ITEM, "GetItems"))[0]
            values = {path: from_variant(item["Value"]) for path, item in items.items()}
            notes.extend(f"{name.rpartition('.')[2]}: {text}" for text in hidden(values))
    return notes


async def _bus(bus: Bus, lines: list[str]) -> str:
    system = System(bus, lambda name, there: None, lambda path, value: None)
    await system.start()
    try:
        found = await asyncio.wait_for(system.portal_id(), 5.0)
    except asyncio.TimeoutError:
        found = None
    if found is None:
        lines.append("com.victronenergy.system does not say its /Serial")
    if not system.is_there(SETTINGS):
        lines.append(f"{SETTINGS} is not there")
    return found or "check"
