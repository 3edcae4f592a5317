"""The commands that change settings: set, write, signal, revert (spec e)."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from ....engine import Command, InvalidCommand, NotConnected
from ....fields import Value
from ...catalogue import CLEAR_RESTART_FLAG, IDENTIFY, NEAR_REALTIME, point_of, to_field
from ...datapoints.datapoint import Datapoint
from ...datapoints.limits import same_value
from ...plant.unit import Unit
from ...scom.exchange import Reply, ReplyKind
from ...scom.families import FAMILIES, Family
from ...scom.frame import ParameterProperty, Request
from ..latest import LatestOnly
from ..requester import BUSY_ATTEMPTS, outcome_of_write
from ..session import Session
from .gateway import IDENTIFY_LASTS, GatewayServices
from .parameter import WRITE_ATTEMPTS, ParameterWrite, ParameterWriter
from .refusals import (
    expect_value,
    expect_written,
    gone,
    guarded,
    missing_value,
    nothing_to_revert,
    title,
)
from .safeguards import Safeguards
from .targets import permit, point_named

_LOGGER = logging.getLogger(__name__)

NEAR_REALTIME_MINUTES = 10.0


class Writer:
    """Changes settings of one device or of all of a family; the newest wish for each counts."""

    def __init__(
        self,
        session: Session,
        safeguards: Safeguards,
        parameters: ParameterWriter,
        gateway: GatewayServices,
    ) -> None:
        self._context = session.context
        self._plant = session.plant
        self._requester = session.requester
        self._ram = session.ram
        self._safeguards = safeguards
        self._parameters = parameters
        self._gateway = gateway
        self._latest = LatestOnly()

    async def set(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Write fields of one device: all are checked before the first is sent."""
        persistent = bool(command.options.get("persistent", self._context.settings.flash_writes))
        force = bool(command.options.get("force"))
        steps: list[Callable[[], Awaitable[object]]] = []
        if not command.values:
            raise InvalidCommand(key="studer_nothing_to_set")
        async with AsyncExitStack() as turns:
            for key in sorted(command.values):
                await turns.enter_async_context(self._latest.turn((unit.id, key)))
            for key, value in command.values.items():
                step = await self._step(unit, key, value, persistent=persistent, force=force)
                steps.append(step)
            for step in steps:
                await step()
        return {}

    async def _step(
        self, unit: Unit, key: str, value: Value, *, persistent: bool, force: bool
    ) -> Callable[[], Awaitable[object]]:
        if key == IDENTIFY and not unit.is_gateway:
            return lambda: self._gateway.flash_leds(unit, IDENTIFY_LASTS)
        if key == NEAR_REALTIME and unit.is_gateway:
            return self._near_realtime
        point = point_of(unit.kind, key)
        if point is None:
            kind = FAMILIES[unit.family].name
            raise InvalidCommand(key="studer_no_datapoint", kind=kind, datapoint=key)
        if point.signal:
            if point.guarded:
                raise guarded(point)
            if unit.family is not Family.RCC or point.id != CLEAR_RESTART_FLAG:
                permit(self._context, point)
            return lambda: self._parameters.send_signal(unit, point)
        permit(self._context, point)
        write = await self._parameters.prepare(unit, point, value)
        if point.wall_clock:
            return lambda: self._parameters.write_clock(unit, write)
        if persistent:
            return lambda: self._store(unit, write, force=force)
        await self._safeguards.check_ram(unit, point)
        return lambda: self._parameters.write_ram(unit, write)

    async def _near_realtime(self) -> None:
        self._context.hurry(NEAR_REALTIME_MINUTES)

    async def write(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Write any parameter.

        Options: ``id`` or ``key``, ``value``, ``persistent``, ``confirm`` (the id, for guarded
        ones), ``force``, ``all_units``.
        """
        options = command.options
        point = point_named(unit, options)
        permit(self._context, point)
        if point.guarded and str(options.get("confirm")) != str(point.id):
            raise guarded(point)
        persistent = bool(options.get("persistent"))
        force = bool(options.get("force"))
        if options.get("all_units"):
            return await self._write_all(unit.family, point, options)
        if point.signal:
            await self._parameters.prepare(unit, point, options.get("value", 1), allow_guarded=True)
            await self._parameters.send_signal(unit, point)
            return {"signal": point.id}
        if "value" not in options:
            raise missing_value(point)
        async with self._latest.turn((unit.id, point.key)):
            write = await self._parameters.prepare(
                unit, point, options["value"], allow_guarded=True
            )
            if point.wall_clock:
                await self._parameters.write_clock(unit, write)
                return {}
            skipped = False
            if persistent:
                origin = options.get("origin")
                skipped = await self._store(
                    unit, write, force=force, origin=None if origin is None else str(origin)
                )
            else:
                await self._safeguards.check_ram(unit, point)
                await self._parameters.write_ram(unit, write)
        return {
            "value": write.number,
            "persistent": persistent,
            "flash_writes": self._context.stored.flash_writes(unit.id, point.id),
            **({"skipped": True} if skipped else {}),
        }

    async def _store(
        self, unit: Unit, write: ParameterWrite, *, force: bool, origin: str | None = None
    ) -> bool:
        """Write into flash what it does not hold yet; returns whether nothing had to be written.

        Each write wears the flash (spec e.2).
        """
        point = write.point
        same, held = await self._held(unit, write)
        if same and unit.virtual:
            units = self._plant.reached(unit)
            same = await self._all_hold(units, [write] * len(units))
        if not same:
            await self._safeguards.check_flash([unit], point, force=force, origin=origin)
            await self._parameters.write_flash(unit, write)
            return False
        _LOGGER.info("{%d} of %s stands in flash already", point.id, self._plant.name(unit))
        shadow = unit.memory.shadows.get(point.id)
        if shadow is not None and shadow.number != write.number:
            await self._safeguards.check_ram(unit, point)
            await self._parameters.write_ram(unit, write)
        if unit.watchdog.armed is not True:
            self._ram.show_flash(unit, point, held)
        return True

    async def _all_hold(self, units: list[Unit], writes: list[ParameterWrite]) -> bool:
        """Return whether a value stands in the flash of all devices, and nothing else in RAM."""
        for unit, write in zip(units, writes, strict=True):
            if write.point.id in unit.memory.shadows or not (await self._held(unit, write))[0]:
                return False
        return True

    async def _held(self, unit: Unit, write: ParameterWrite) -> tuple[bool, float]:
        """Return whether the flash of a device holds a value already, and what it holds."""
        point = write.point
        if unit.address is None:
            return False, math.nan
        reply = await self._requester.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=True
        )
        if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, (int, float)):
            return False, math.nan
        held = float(reply.value)
        return same_value(point, write.number, held, write.limits), held

    async def _write_all(
        self, family: Family, point: Datapoint, options: Mapping[str, Value]
    ) -> Mapping[str, Any]:
        """Write all units of a family with one frame."""
        multicast = FAMILIES[family].multicast
        if multicast is None:
            kind = FAMILIES[family].name
            raise InvalidCommand(key="studer_no_multicast", kind=kind)
        units = self._plant.of_family(family)
        lost = [self._plant.name(unit) for unit in units if not unit.available]
        if lost:
            names = ", ".join(lost)
            raise NotConnected(key="studer_units_lost", device=names)
        value = options.get("value", 1 if point.signal else None)
        if value is None:
            raise missing_value(point)
        writes = [
            await self._parameters.prepare(unit, point, value, allow_guarded=True) for unit in units
        ]
        persistent = bool(options.get("persistent")) and not point.signal
        if persistent:
            if await self._all_hold(units, writes):
                return {
                    "value": writes[0].number,
                    "units": len(units),
                    "persistent": True,
                    "skipped": True,
                }
            await self._safeguards.check_flash(units, point, force=bool(options.get("force")))
        elif not point.signal:
            for unit in units:
                await self._safeguards.check_ram(unit, point)
        stored = persistent or point.signal
        request = point.write(
            multicast,
            writes[0].data,
            ParameterProperty.VALUE if stored else ParameterProperty.UNSAVED_VALUE,
        )
        reply = await self._ram.follow(
            lambda: self._multicast(request, units if persistent else [], point),
            [] if point.signal else units,
            point,
            writes[0].number,
            stored=persistent,
        )
        if reply is None:
            raise NotConnected(key="studer_units_lost", device=self._plant.name(units[0]))
        self._parameters.note_signal(units if point.signal else [], point, reply)
        expect_written(point, reply)
        if persistent:
            await self._parameters.read_all_back(zip(units, writes, strict=True))
        elif not point.signal:
            for unit, write in zip(units, writes, strict=True):
                self._ram.remember(unit, point, write.number)
        return {"value": writes[0].number, "units": len(units), "persistent": persistent}

    async def _multicast(self, request: Request, counted: list[Unit], point: Datapoint) -> Reply:
        attempts = 1 if point.signal else WRITE_ATTEMPTS
        unclear: Reply | None = None
        while True:
            attempts -= 1
            for unit in counted:
                self._safeguards.count_flash(unit, point)
            reply = await self._requester.ask(
                request, urgent=True, busy_attempts=1 if point.signal else BUSY_ATTEMPTS
            )
            if reply.kind is not ReplyKind.TIMEOUT or not attempts:
                return outcome_of_write(unclear, reply)
            unclear = reply

    async def signal(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Trigger a signal: options ``id`` or ``key``; guarded ones go through ``write``."""
        point = point_named(unit, command.options)
        if not point.signal:
            raise InvalidCommand(key="studer_no_signal", datapoint=title(point))
        if point.guarded:
            raise guarded(point)
        permit(self._context, point)
        await self._parameters.send_signal(unit, point)
        return {}

    async def revert(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Put the flash value back into RAM: option ``id`` or ``key``."""
        point = point_named(unit, command.options)
        permit(self._context, point)
        if not point.is_parameter or point.signal or not point.writable or point.guarded:
            raise nothing_to_revert(point)
        await self._safeguards.check_ram(unit, point)
        if unit.address is None:
            raise gone(self._plant.name(unit))
        reply = await self._requester.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=True
        )
        wire = expect_value(point.id, reply)
        if isinstance(wire, (str, bytes)) or not math.isfinite(wire):
            raise nothing_to_revert(point)
        written = await self._ram.write(unit, point, float(wire), urgent=True)
        if written is None:
            raise NotConnected
        expect_written(point, written)
        if unit.watchdog.armed is not True:
            self._ram.show_flash(unit, point, float(wire))
        return {"value": to_field(point, wire, self._context.zone)}
