"""``purge``: remove all settings of our devices, for ``uninstall.sh --purge`` (spec G.3)."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Sequence

from .bus import Bus, BusError, BusLost, from_variant
from .names import instance_path
from .settings import ITEM, SERVICE, NoSettings, Settings

_NODE = "/Settings/MqttDevices"


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
        try:
            reply = await bus.call(SERVICE, _NODE, ITEM, "GetValue")
        except BusError:
            return 0
        kept = from_variant(reply[0]) if reply else None
        if not isinstance(kept, dict):
            return 0
        names = {path.split("/")[0] for path in kept}
        paths = [f"{_NODE}/{path}" for path in kept]
        paths.extend(instance_path(name) for name in names if name.startswith("mqtt_"))
        await Settings(bus).remove(paths)
        return len(paths)
    finally:
        bus.close()
