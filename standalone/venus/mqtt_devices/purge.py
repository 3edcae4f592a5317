"""``purge``: remove all settings of our devices, for ``uninstall.sh --purge`` (spec G.3)."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Sequence

from .bus import Bus, BusLost
from .settings import NoSettings, Settings


def command(arguments: Sequence[str]) -> int:
    """Remove the settings below ``MqttDevices``, and the instances that belong to them."""
    address = arguments[0] if arguments else os.environ.get("DBUS_SESSION_BUS_ADDRESS")
    try:
        removed = asyncio.run(_purge(address))
    except (BusLost, NoSettings) as error:
        sys.stderr.write(f"settings are not removed: {error}\n")
        return 1
    sys.stdout.write(f"{removed} settings are removed\n")
    return 0


async def _purge(address: str | None) -> int:
    bus = await Bus.connect(address)
    try:
        settings = Settings(bus)
        paths = [path for found in (await settings.device_paths()).values() for path in found]
        if paths:
            await settings.remove(paths)
        return len(paths)
    finally:
        bus.close()
