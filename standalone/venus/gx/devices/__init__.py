"""Simulated Wi-Fi devices: one of every service type, and some with bad habits (spec I.1).

``device`` is what they share: connect, register, repeat, have a will, obey. ``curves`` makes
plausible numbers. ``sensors``, ``meters``, ``power``, ``vehicles`` and ``panels`` are the kinds;
``habits`` are firmwares that do it another way. ``KINDS`` names them all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Callable, Iterable

from ..words import Say, renamed
from . import habits, meters, panels, power, sensors, vehicles
from .device import Device

if TYPE_CHECKING:
    from mqtt_devices.mqtt.client import Broker

Maker = Callable[[str], Device]

KINDS: dict[str, Maker] = {
    **sensors.KINDS,
    **meters.KINDS,
    **power.KINDS,
    **vehicles.KINDS,
    **panels.KINDS,
    **habits.KINDS,
}
DEFAULT = ("boat", "panel")


class NoSuchKind(ValueError):
    """There is no kind of device with this name."""


def make(words: Iterable[str], say: Say = str) -> list[Device]:
    """Return a device for each kind named; a kind may be named more than once.

    *say* gives the names of what it has.

    Raises NoSuchKind.
    """
    made: list[Device] = []
    count: dict[str, int] = {}
    for word in words:
        if word not in KINDS:
            raise NoSuchKind(f"there is no device {word!r}; there are: {', '.join(sorted(KINDS))}")
        count[word] = count.get(word, 0) + 1
        number = "" if count[word] == 1 else str(count[word])
        device = KINDS[word]("sim_" + word.replace("-", "_") + number)
        device.status = renamed(device.status, say)
        made.append(device)
    return made


async def live(devices: Iterable[Device], broker: Broker) -> None:
    """Run devices until cancelled."""
    await asyncio.gather(*(device.live(broker) for device in devices))
