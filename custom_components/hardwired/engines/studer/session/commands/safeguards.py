"""What forbids a write now: old firmware, a watchdog, worn flash (spec e.1, e.2, e.4)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ....engine import InvalidCommand, NotConnected
from ...datapoints.datapoint import Datapoint
from ...plant.unit import LEAST_RAM_WRITE, Unit
from ..session import Session
from .refusals import watchdog_on

_LOGGER = logging.getLogger(__name__)

FLASH_WARN = 100
FLASH_REFUSE = 900
FLASH_LIMITS = (5, 20)
"""Flash writes of one parameter of a device in a minute and in a day."""
FORCED_LIMITS = (10, 60)
WATCHDOG_FRESH = 300.0


class Safeguards:
    """Asks a device what must be known before a write. Raises :class:`InvalidCommand`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        self._plant = session.plant
        self._watchdogs = session.watchdogs

    async def check_ram(self, unit: Unit, point: Datapoint) -> None:
        """Check that this device may be written to in RAM now (spec e.1, e.4).

        Of a phase, every device that the write would reach.
        """
        for one in self._reached([unit]):
            await self._check_ram(one)

    def _reached(self, units: Iterable[Unit]) -> list[Unit]:
        """Return the devices that are written. Raises :class:`NotConnected` when one is lost."""
        reached = [one for unit in units for one in self._plant.reached(unit)]
        lost = [self._plant.name(unit) for unit in reached if not unit.available]
        if lost:
            raise NotConnected(key="studer_units_lost", device=", ".join(lost))
        return reached

    async def _check_ram(self, unit: Unit) -> None:
        await self._session.membership.look_at_software(unit)
        least = LEAST_RAM_WRITE.get(unit.family)
        if least is not None and not unit.software_at_least(least):
            wanted = ".".join(map(str, least))
            raise InvalidCommand(
                key="studer_firmware_old", found=str(unit.identity.software), wanted=wanted
            )
        await self._look_at_watchdog(unit)
        if unit.watchdog.armed and not self._context.settings.feed_watchdogs:
            raise watchdog_on(self._plant.name(unit), unit.watchdog.delay)

    async def _look_at_watchdog(self, unit: Unit) -> None:
        age = self._context.clock.monotonic() - unit.watchdog.seen
        if unit.watchdog.armed is None or (age > WATCHDOG_FRESH and not unit.memory.shadows):
            await self._watchdogs.look(unit, urgent=True)

    async def check_flash(
        self, units: list[Unit], point: Datapoint, *, force: bool, origin: str | None = None
    ) -> None:
        """Check that a flash write is allowed (spec e.2); it must not start a watchdog, either.

        *origin* is what asked for it, to be named to the owner. Forced writes have limits, too:
        an automation that forces would wear the flash out in a day.
        """
        minute, day = FORCED_LIMITS if force else FLASH_LIMITS
        for unit in self._reached(units):
            stored, now = self._context.stored, self._context.clock.now().timestamp()
            lately = (
                stored.flash_writes_since(unit.id, point.id, now, 60.0),
                stored.flash_writes_since(unit.id, point.id, now, 86_400.0),
            )
            if lately[0] >= minute or lately[1] >= day:
                raise InvalidCommand(
                    key="studer_flash_too_often",
                    datapoint=f"{{{point.id}}}",
                    device=self._plant.name(unit),
                    minute=str(minute),
                    day=str(day),
                )
            if origin is not None:
                stored.flash_origin = origin
            count = self._context.stored.flash_writes(unit.id, point.id)
            name = self._plant.name(unit)
            if count >= FLASH_REFUSE and not force:
                raise InvalidCommand(
                    key="studer_flash_worn",
                    datapoint=f"{{{point.id}}}",
                    device=name,
                    count=str(count),
                )
            if count + 1 >= FLASH_WARN:
                _LOGGER.warning(
                    "{%d} of %s was written into flash %d times; 1000 are guaranteed",
                    point.id, name, count + 1,
                )  # fmt: skip
            await self._look_at_watchdog(unit)
            armed = unit.watchdog.armed and unit.watchdog.saves_to_flash is False
            if armed and not self._context.settings.feed_watchdogs:
                raise watchdog_on(name, unit.watchdog.delay)

    def count_flash(self, unit: Unit, point: Datapoint) -> None:
        """Count a flash write of a parameter before it is sent."""
        now = self._context.clock.now().timestamp()
        for one in self._plant.reached(unit):
            self._context.stored.count_flash_write(one.id, point.id, now)
