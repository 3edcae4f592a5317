"""Carries out the owner's commands; everything is checked before anything is sent (spec e)."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...engine import (
    Command,
    CommandError,
    InvalidCommand,
    LinkError,
    NotConfirmed,
    NotConnected,
    Refused,
)
from ...fields import Value
from ..catalogue import CLEAR_RESTART_FLAG, CLOCK, IDENTIFY, options_of, point_of, to_field, to_wire
from ..datapoints.datapoint import AccessLevel, Datapoint, Limits, by_id, by_key
from ..datapoints.limits import LimitError, Refusal, encode_checked, reads_back, same_value
from ..datapoints.plausibility import check
from ..plant.plant import LEAST_RAM_WRITE, Unit
from ..scom import messages
from ..scom.errors import ErrorCode, error_name
from ..scom.exchange import Reply, ReplyKind
from ..scom.families import FAMILIES, Family
from ..scom.files import Transfer, file_names
from ..scom.frame import Level, ObjectType, ParameterProperty, Request, Service
from ..scom.values import (
    TEXT_ENCODING,
    Format,
    FormatError,
    WireValue,
    decode,
    plant_seconds,
    plant_time,
)
from .discovery import Unanswered
from .latest import LatestOnly, Superseded
from .requester import BUSY_ATTEMPTS, BUSY_PAUSE
from .session import Session

_LOGGER = logging.getLogger(__name__)

FLASH_WARN = 100
FLASH_REFUSE = 900
FLASH_LIMITS = (5, 20)
"""Flash writes of one parameter of a device in a minute and in a day."""
FORCED_LIMITS = (10, 60)
WATCHDOG_FRESH = 300.0
IDENTIFY_LASTS = 45.0
IDENTIFY_PARAMETER = 5119
WRITE_ATTEMPTS = 2
MAX_MESSAGES = 500
EARLIEST_CLOCK = plant_seconds(datetime(2025, 1, 1, tzinfo=UTC))
LATEST_CLOCK = plant_seconds(datetime(2038, 1, 1, tzinfo=UTC))
"""What a plant's clock may be set to: a computer that has just started may be in 1970."""
FAST_AT_MOST = 60
MAX_WAITING = 64
"""Commands that may wait at once; more are refused."""

_PROPERTIES = {
    "value": ParameterProperty.VALUE,
    "ram": ParameterProperty.UNSAVED_VALUE,
    "min": ParameterProperty.MIN,
    "max": ParameterProperty.MAX,
    "level": ParameterProperty.LEVEL,
}


@dataclass(frozen=True, slots=True)
class _Write:
    """A parameter write that passed every check."""

    point: Datapoint
    number: float
    data: bytes
    limits: Limits


class Commander:
    """Carries out commands on a running session. Raises :class:`CommandError` only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        self._plant = session.plant
        self._requester = session.requester
        self._ram = session.ram
        self._latest = LatestOnly()
        self._waiting = 0
        self._verbs: dict[str, Callable[[Unit, Command], Awaitable[Mapping[str, Any]]]] = {
            "set": self._set,
            "read": self._read,
            "write": self._write,
            "signal": self._signal,
            "messages": self._messages,
            "identify": self._identify,
            "datalog": self._datalog,
            "clear_restart": self._clear_restart,
            "sync_clock": self._sync_clock,
            "refresh": self._refresh,
            "fast": self._fast,
            "revert": self._revert,
        }

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out *command*; return when the device has confirmed."""
        verb = self._verbs.get(command.name)
        if verb is None:
            raise InvalidCommand(
                f"there is no command {command.name!r}",
                key="studer_no_command", command=command.name,
            )  # fmt: skip
        unit = self._plant.units.get(command.device)
        if not command.device and command.name in ("refresh", "fast"):
            unit = self._plant.gateway
        if unit is None:
            raise InvalidCommand(
                f"there is no device {command.device!r} to command", key="device_not_found"
            )
        if self._session.transfer:
            raise InvalidCommand(
                "a file is being read from the gateway; try again when it is done",
                key="studer_file_under_way",
            )
        if not unit.available:
            raise NotConnected(f"{self._plant.name(unit)} is not there now")
        if self._waiting >= MAX_WAITING:
            raise CommandError(
                f"{self._waiting} commands wait already; nothing was sent",
                key="studer_too_many", count=str(self._waiting),
            )  # fmt: skip
        self._waiting += 1
        try:
            await self._session.membership.check()
            if unit.address is None or not unit.available:
                raise NotConnected(f"{self._plant.name(unit)} is not there now")
            return await verb(unit, command)
        except LinkError as error:
            raise NotConfirmed(f"the link was lost: {error}", key="studer_link_lost") from error
        except Unanswered as error:
            raise NotConfirmed(
                str(error), key="studer_no_reply", device=self._plant.name(unit)
            ) from error
        except Superseded as error:
            raise CommandError(
                "a newer value came before this one was sent", key="studer_superseded"
            ) from error
        finally:
            self._waiting -= 1
            # What the checks have found out is told at once.
            self._context.emit()
            self._session.wake()

    # ------------------------------------------------------------------ finding

    def _point(self, unit: Unit, options: Mapping[str, Value]) -> Datapoint:
        number, key = options.get("id"), options.get("key")
        point: Datapoint | None = None
        if isinstance(number, (int, str)) and str(number).isdecimal():
            point = by_id(unit.family, int(number))
        elif isinstance(key, str):
            point = by_key(unit.family, key)
        if point is None:
            kind = FAMILIES[unit.family].name
            wanted = str(number if key is None else key)
            raise InvalidCommand(
                f"a {kind} has no datapoint {wanted}",
                key="studer_no_datapoint", kind=kind, datapoint=wanted,
            )  # fmt: skip
        return point

    def _permit(self, point: Datapoint) -> None:
        if not self._plant.permits(point):
            raise InvalidCommand(
                f"{{{point.id}}} {point.name} is for the level {point.level.value};"
                f" the level chosen is {self._context.settings.level.value}",
                key="studer_above_level", datapoint=_title(point),
                level=point.level.value, chosen=self._context.settings.level.value,
            )  # fmt: skip

    # ------------------------------------------------------------------ set and write

    async def _set(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Write fields of one device: all are checked before the first is sent."""
        persistent = bool(command.options.get("persistent", self._context.settings.flash_writes))
        force = bool(command.options.get("force"))
        steps: list[Callable[[], Awaitable[object]]] = []
        if not command.values:
            raise InvalidCommand("nothing is to be set", key="studer_nothing_to_set")
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
            return lambda: self._flash_leds(unit, IDENTIFY_LASTS)
        point = point_of(unit.kind, key)
        if point is None:
            kind = FAMILIES[unit.family].name
            raise InvalidCommand(
                f"a {kind} has no {key!r} to set",
                key="studer_no_datapoint", kind=kind, datapoint=key,
            )  # fmt: skip
        if point.signal:
            if point.guarded:
                raise _guarded(point)
            if unit.family is not Family.RCC or point.id != CLEAR_RESTART_FLAG:
                self._permit(point)
            return lambda: self._send_signal(unit, point)
        self._permit(point)
        write = await self._prepare(unit, point, value)
        if point.wall_clock:
            return lambda: self._write_clock(unit, write)
        if persistent:
            return lambda: self._store(unit, write, force=force)
        await self._check_ram(unit, point)
        return lambda: self._write_ram(unit, write)

    async def _write(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Write any parameter.

        Options: ``id`` or ``key``, ``value``, ``persistent``, ``confirm`` (the id, for guarded
        ones), ``force``, ``all_units``.
        """
        options = command.options
        point = self._point(unit, options)
        self._permit(point)
        if point.guarded and str(options.get("confirm")) != str(point.id):
            raise _guarded(point)
        persistent = bool(options.get("persistent"))
        force = bool(options.get("force"))
        if options.get("all_units"):
            return await self._write_all(unit.family, point, options)
        if point.signal:
            await self._prepare(unit, point, options.get("value", 1), allow_guarded=True)
            await self._send_signal(unit, point)
            return {"signal": point.id}
        if "value" not in options:
            raise _missing_value(point)
        async with self._latest.turn((unit.id, point.key)):
            write = await self._prepare(unit, point, options["value"], allow_guarded=True)
            if point.wall_clock:
                await self._write_clock(unit, write)
                return {}
            skipped = False
            if persistent:
                origin = options.get("origin")
                skipped = await self._store(
                    unit, write, force=force, origin=None if origin is None else str(origin)
                )
            else:
                await self._check_ram(unit, point)
                await self._write_ram(unit, write)
        return {
            "value": write.number,
            "persistent": persistent,
            "flash_writes": self._context.stored.flash_writes(unit.id, point.id),
            **({"skipped": True} if skipped else {}),
        }

    async def _store(
        self, unit: Unit, write: _Write, *, force: bool, origin: str | None = None
    ) -> bool:
        """Write into flash what it does not hold yet; returns whether nothing had to be written.

        Each write wears the flash (spec e.2).
        """
        point = write.point
        same, held = await self._held(unit, write)
        if not same:
            await self._check_flash([unit], point, force=force, origin=origin)
            await self._write_flash(unit, write)
            return False
        _LOGGER.info("{%d} of %s stands in flash already", point.id, self._plant.name(unit))
        shadow = unit.shadows.get(point.id)
        if shadow is not None and shadow.number != write.number:
            await self._check_ram(unit, point)
            await self._write_ram(unit, write)
        if unit.watchdog is not True:
            self._ram.show_flash(unit, point, held)
        return True

    async def _all_hold(self, units: list[Unit], writes: list[_Write]) -> bool:
        """Return whether a value stands in the flash of all devices, and nothing else in RAM."""
        for unit, write in zip(units, writes, strict=True):
            if write.point.id in unit.shadows or not (await self._held(unit, write))[0]:
                return False
        return True

    async def _held(self, unit: Unit, write: _Write) -> tuple[bool, float]:
        """Return whether the flash of a device holds a value already, and what it holds."""
        point = write.point
        assert unit.address is not None
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
            raise InvalidCommand(
                f"a {kind} stands alone: there is no address for all",
                key="studer_no_multicast", kind=kind,
            )  # fmt: skip
        units = self._plant.of_family(family)
        lost = [self._plant.name(unit) for unit in units if not unit.available]
        if lost:
            names = ", ".join(lost)
            raise NotConnected(f"{names} would not hear it", key="studer_units_lost", device=names)
        value = options.get("value", 1 if point.signal else None)
        if value is None:
            raise _missing_value(point)
        writes = [await self._prepare(unit, point, value, allow_guarded=True) for unit in units]
        persistent = bool(options.get("persistent")) and not point.signal
        if persistent:
            if await self._all_hold(units, writes):
                return {
                    "value": writes[0].number,
                    "units": len(units),
                    "persistent": True,
                    "skipped": True,
                }
            await self._check_flash(units, point, force=bool(options.get("force")))
        elif not point.signal:
            for unit in units:
                await self._check_ram(unit, point)
        stored = persistent or point.signal
        request = point.write(
            multicast,
            writes[0].data,
            ParameterProperty.VALUE if stored else ParameterProperty.UNSAVED_VALUE,
        )
        reply = await self._multicast(request, units if persistent else [], point)
        self._expect_written(point, reply)
        for unit, write in zip(units, writes, strict=True):
            if persistent:
                await self._read_back(unit, write)
            elif not point.signal:
                self._ram.remember(unit, point, write.number)
        return {"value": writes[0].number, "units": len(units), "persistent": persistent}

    async def _multicast(self, request: Request, counted: list[Unit], point: Datapoint) -> Reply:
        attempts = 1 if point.signal else WRITE_ATTEMPTS
        while True:
            attempts -= 1
            for unit in counted:
                self._count_flash(unit, point)
            reply = await self._requester.ask(
                request, urgent=True, busy_attempts=1 if point.signal else BUSY_ATTEMPTS
            )
            if reply.kind is not ReplyKind.TIMEOUT or not attempts:
                return reply

    async def _prepare(
        self, unit: Unit, point: Datapoint, value: Value, *, allow_guarded: bool = False
    ) -> _Write:
        """Check a value against everything known. Raises :class:`InvalidCommand`."""
        if not point.writable or not point.is_parameter:
            raise InvalidCommand(
                f"{{{point.id}}} {point.name} can't be written",
                key="studer_not_writable", datapoint=_title(point),
            )  # fmt: skip
        if point.has_bounds and point.id not in unit.asked_limits:
            await self._session.poller.read_limits_of(unit, point, urgent=True)
        limits = self._plant.limits(unit, point)
        try:
            wire = to_wire(point, value, self._context.zone)
            data = encode_checked(point, wire, limits, allow_guarded=allow_guarded)
        except LimitError as error:
            raise _refusal(point, value, limits, error) from error
        except (ValueError, OverflowError) as error:
            raise _bad_value(point, value, str(error)) from error
        assert isinstance(wire, (bool, int, float))
        assert point.wire_format is not None
        number = decode(point.wire_format, data)
        assert isinstance(number, (bool, int, float))
        return _Write(point, float(number), data, limits)

    async def _check_ram(self, unit: Unit, point: Datapoint) -> None:
        """Check that this device may be written to in RAM now (spec e.1, e.4)."""
        await self._session.membership.look_at_software(unit)
        least = LEAST_RAM_WRITE.get(unit.family)
        if least is not None and not unit.software_at_least(least):
            wanted = ".".join(map(str, least))
            raise InvalidCommand(
                f"firmware {unit.identity.software} does not know values in RAM, {wanted} does."
                " Update it, write into flash deliberately, or let the device keep changes in RAM"
                " with its parameter “Parameters saved in flash memory”",
                key="studer_firmware_old", found=str(unit.identity.software), wanted=wanted,
            )  # fmt: skip
        await self._look_at_watchdog(unit)
        if unit.watchdog and not self._context.settings.feed_watchdogs:
            raise _watchdog(self._plant.name(unit), unit.watchdog_delay)

    async def _look_at_watchdog(self, unit: Unit) -> None:
        age = self._context.clock.monotonic() - unit.watchdog_seen
        if unit.watchdog is None or (age > WATCHDOG_FRESH and not unit.shadows):
            await self._ram.look_at_watchdog(unit, urgent=True)

    async def _check_flash(
        self, units: list[Unit], point: Datapoint, *, force: bool, origin: str | None = None
    ) -> None:
        """Check that a flash write is allowed (spec e.2); it must not start a watchdog, either.

        *origin* is what asked for it, to be named to the owner. Forced writes have limits, too:
        an automation that forces would wear the flash out in a day.
        """
        minute, day = FORCED_LIMITS if force else FLASH_LIMITS
        for unit in units:
            stored, now = self._context.stored, self._context.clock.now().timestamp()
            lately = (
                stored.flash_writes_since(unit.id, point.id, now, 60.0),
                stored.flash_writes_since(unit.id, point.id, now, 86_400.0),
            )
            if lately[0] >= minute or lately[1] >= day:
                raise InvalidCommand(
                    f"{{{point.id}}} was written into flash {lately[0]} times in a minute and"
                    f" {lately[1]} times in a day; {minute} and {day} are the limits",
                    key="studer_flash_too_often", datapoint=f"{{{point.id}}}",
                    device=self._plant.name(unit), minute=str(minute), day=str(day),
                )  # fmt: skip
            if origin is not None:
                stored.flash_origin = origin
            count = self._context.stored.flash_writes(unit.id, point.id)
            name = self._plant.name(unit)
            if count >= FLASH_REFUSE and not force:
                raise InvalidCommand(
                    f"{{{point.id}}} of {name} was written into flash {count} times;"
                    " 1000 are guaranteed. Force it if it must be",
                    key="studer_flash_worn", datapoint=f"{{{point.id}}}", device=name,
                    count=str(count),
                )  # fmt: skip
            if count + 1 >= FLASH_WARN:
                _LOGGER.warning(
                    "{%d} of %s was written into flash %d times; 1000 are guaranteed",
                    point.id, name, count + 1,
                )  # fmt: skip
            await self._look_at_watchdog(unit)
            armed = unit.watchdog and unit.saves_to_flash is False
            if armed and not self._context.settings.feed_watchdogs:
                raise _watchdog(name, unit.watchdog_delay)

    async def _write_ram(self, unit: Unit, write: _Write) -> None:
        reply = await self._ram.write(unit, write.point, write.number, urgent=True)
        if reply is None:
            raise NotConnected(f"{self._plant.name(unit)} is not there now")
        await self._explain_limits(unit, write, reply)
        self._expect_written(write.point, reply)
        self._note_watchdog_write(unit, write)

    async def _write_flash(self, unit: Unit, write: _Write) -> None:
        assert unit.address is not None
        request = write.point.write(unit.address, write.data, ParameterProperty.VALUE)
        attempts = WRITE_ATTEMPTS
        while True:
            attempts -= 1
            self._count_flash(unit, write.point)
            reply = await self._requester.ask_unit(unit, request, None, attempts=1, urgent=True)
            retry = reply.kind is ReplyKind.TIMEOUT or reply.error in (
                ErrorCode.RESPONSE_TIMEOUT,
                ErrorCode.WRITE_PROPERTY_FAILED,
                ErrorCode.INVALID_FRAME,
            )
            if not retry or not attempts:
                break
        await self._explain_limits(unit, write, reply)
        self._expect_written(write.point, reply)
        await self._read_back(unit, write)
        self._note_watchdog_write(unit, write)

    def _count_flash(self, unit: Unit, point: Datapoint) -> None:
        now = self._context.clock.now().timestamp()
        self._context.stored.count_flash_write(unit.id, point.id, now)

    def _note_watchdog_write(self, unit: Unit, write: _Write) -> None:
        """A watchdog's parameter was written: what is known of it is outdated."""
        if "watchdog" in write.point.key:
            unit.watchdog = None

    async def _read_back(self, unit: Unit, write: _Write) -> None:
        point = write.point
        assert unit.address is not None
        reply = await self._requester.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=True
        )
        if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, (int, float)):
            raise NotConfirmed(
                f"{{{point.id}}} was accepted, but can't be read back: {reply}",
                key="studer_not_read_back", datapoint=_title(point),
            )  # fmt: skip
        found = float(reply.value)
        self._ram.show_flash(unit, point, found)
        if not reads_back(point, write.number, found, write.limits):
            raise NotConfirmed(
                f"{{{point.id}}} shows {found:g} after {write.number:g} was written",
                key="studer_reads_back", datapoint=_title(point),
                found=f"{found:g}", written=f"{write.number:g}",
            )  # fmt: skip

    async def _write_clock(self, unit: Unit, write: _Write) -> None:
        if not EARLIEST_CLOCK <= write.number < LATEST_CLOCK:
            moment = plant_time(int(write.number))
            raise InvalidCommand(
                f"{moment:%Y-%m-%d} can't be the date: 2025 to 2037 are taken",
                key="studer_no_date", date=f"{moment:%Y-%m-%d}",
            )  # fmt: skip
        assert unit.address is not None
        request = write.point.write(unit.address, write.data, ParameterProperty.VALUE)
        reply = await self._requester.ask_unit(unit, request, None, urgent=True)
        self._expect_written(write.point, reply)
        await self._read_back(unit, write)

    async def _explain_limits(self, unit: Unit, write: _Write, reply: Reply) -> None:
        """Ask for the bounds when a device refuses a value: it knows them best."""
        if reply.error not in (ErrorCode.DATA_TOO_SMALL, ErrorCode.DATA_TOO_BIG):
            return
        if write.point.has_bounds:
            await self._session.poller.read_limits_of(unit, write.point, urgent=True)
        limits = self._plant.limits(unit, write.point)
        if limits.minimum is None or limits.maximum is None:
            raise _refused(_title(write.point), reply)
        low, high = f"{limits.minimum:g}", f"{limits.maximum:g}"
        raise Refused(
            f"{{{write.point.id}}} takes {low} to {high} now, not {write.number:g}",
            key="studer_out_of_range", datapoint=_title(write.point), low=low, high=high,
            value=f"{write.number:g}", unit=write.point.unit or "",
        )  # fmt: skip

    @staticmethod
    def _expect_written(point: Datapoint, reply: Reply) -> None:
        unheard = point.signal and reply.error == ErrorCode.RESPONSE_TIMEOUT
        match ReplyKind.TIMEOUT if unheard else reply.kind:
            case ReplyKind.WRITTEN:
                return
            case ReplyKind.TIMEOUT:
                raise NotConfirmed(
                    f"no answer to the write of {{{point.id}}}: outcome unknown",
                    key="studer_write_unanswered", datapoint=_title(point),
                )  # fmt: skip
            case ReplyKind.ERROR:
                raise _refused(_title(point), reply)
        raise NotConfirmed(
            f"{{{point.id}}}: an answer of the wrong length",
            key="studer_write_unclear", datapoint=_title(point),
        )  # fmt: skip

    # ------------------------------------------------------------------ signals

    async def _signal(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Trigger a signal: options ``id`` or ``key``; guarded ones go through ``write``."""
        point = self._point(unit, command.options)
        if not point.signal:
            raise InvalidCommand(
                f"{_title(point)} is no signal", key="studer_no_signal", datapoint=_title(point)
            )
        if point.guarded:
            raise _guarded(point)
        self._permit(point)
        await self._send_signal(unit, point)
        return {}

    async def _send_signal(self, unit: Unit, point: Datapoint) -> None:
        """Send it once: after a time-out nobody knows whether it was received (spec e.5)."""
        assert unit.address is not None
        request = point.write(unit.address, (1).to_bytes(4, "little"), ParameterProperty.VALUE)
        reply = await self._requester.ask_unit(
            unit, request, None, attempts=1, urgent=True, busy_attempts=1
        )
        self._expect_written(point, reply)

    async def _clear_restart(self, _unit: Unit, _command: Command) -> Mapping[str, Any]:
        """Clear the gateway's flag that it has restarted."""
        gateway, point = self._gateway_point(CLEAR_RESTART_FLAG)
        await self._send_signal(gateway, point)
        return {}

    def _gateway_point(self, number: int) -> tuple[Unit, Datapoint]:
        gateway, point = self._plant.gateway, by_id(Family.RCC, number)
        assert gateway is not None
        assert point is not None
        return gateway, point

    # ------------------------------------------------------------------ reading

    async def _read(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read anything.

        Options: ``id`` or ``key``, ``property`` (value, min, max, level, ram), and ``format``
        for numbers that are in no table.
        """
        options = command.options
        name = str(options.get("property", "value"))
        if name not in _PROPERTIES:
            raise InvalidCommand(
                f"there is no property {name!r}", key="studer_no_property", property=name
            )
        number = str(options.get("id"))
        known = by_id(unit.family, int(number)) if number.isdecimal() else None
        if known is None and "key" not in options:
            return await self._read_unknown(unit, options)
        point = self._point(unit, options)
        if not point.is_parameter and name != "value":
            raise InvalidCommand(
                f"{_title(point)} is an info: it has a value and nothing else",
                key="studer_only_value", datapoint=_title(point),
            )  # fmt: skip
        if point.wire_format is None or (point.signal and name == "value"):
            raise InvalidCommand(
                f"{_title(point)} can't be read", key="studer_not_readable", datapoint=_title(point)
            )
        assert unit.address is not None
        wire_format = Format.BYTE_STREAM if name == "level" else point.wire_format
        request = point.read(unit.address, _PROPERTIES[name] if point.is_parameter else None)
        reply = await self._requester.ask_unit(unit, request, wire_format, urgent=True)
        result: dict[str, Any] = {
            "id": point.id, "key": point.key, "name": point.name, "unit": point.unit,
            "property": name,
        }  # fmt: skip
        wire = self._expect_value(point.id, reply)
        if name == "level":
            return {**result, "unit": None, "value": _level(point, wire)}
        absence = None
        if not point.is_parameter:
            absence = check(point, wire, self._plant.nominal_battery)
        value = None if absence else to_field(point, wire, self._context.zone)
        result["value"] = value
        if absence is not None:
            result["absent"] = absence.value
        if options_of(point) and not isinstance(wire, (str, bytes)):
            result["number"] = int(wire)
            result["label"] = next((c.label for c in point.choices if c.wire == wire), None)
        shadow = unit.shadows.get(point.id)
        if shadow is not None and name == "value":
            result["ram_value"] = shadow.number
        return result

    async def _read_unknown(self, unit: Unit, options: Mapping[str, Value]) -> Mapping[str, Any]:
        number = options.get("id")
        if not str(number).isdecimal():
            raise InvalidCommand("which datapoint? Give its number", key="studer_which_datapoint")
        try:
            wire_format = Format(str(options.get("format", "FLOAT")).upper())
        except ValueError as error:
            named = str(options.get("format"))
            raise InvalidCommand(
                f"there is no format {named!r}", key="studer_no_format", format=named
            ) from error
        wanted = int(str(number))
        info = FAMILIES[unit.family]
        assert unit.address is not None
        if info.infos is not None and info.infos[0] <= wanted <= info.infos[1]:
            request = Request(unit.address, Service.READ, ObjectType.INFO, wanted, 1)
        elif info.parameters[0] <= wanted <= info.parameters[1]:
            name = str(options.get("property", "value"))
            request = Request(
                unit.address, Service.READ, ObjectType.PARAMETER, wanted, _PROPERTIES[name]
            )
        else:
            raise InvalidCommand(
                f"{wanted} is no number of a {info.name}",
                key="studer_no_datapoint", kind=info.name, datapoint=str(wanted),
            )  # fmt: skip
        reply = await self._requester.ask_unit(unit, request, wire_format, urgent=True)
        wire = self._expect_value(wanted, reply)
        finite = not isinstance(wire, float) or math.isfinite(wire)
        shown = wire.hex() if isinstance(wire, bytes) else wire
        return {"id": wanted, "value": shown if finite else None}

    @staticmethod
    def _expect_value(number: int, reply: Reply) -> WireValue:
        match reply.kind:
            case ReplyKind.VALUE:
                assert reply.value is not None
                return reply.value
            case ReplyKind.TIMEOUT:
                raise NotConfirmed(
                    f"no answer about {{{number}}}",
                    key="studer_read_unanswered", datapoint=f"{{{number}}}",
                )  # fmt: skip
            case ReplyKind.ERROR:
                raise _refused(f"{{{number}}}", reply)
        raise Refused(
            f"{{{number}}} answers {len(reply.data)} bytes, which is not its format",
            key="studer_bad_answer", datapoint=f"{{{number}}}", count=str(len(reply.data)),
        )  # fmt: skip

    async def _messages(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read the newest messages: option ``count`` (10)."""
        count = command.options.get("count", 10)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_MESSAGES:
            raise _number_wanted("count", 1, MAX_MESSAGES)
        found = await self._session.notifications.read(count, urgent=True)
        return {"messages": [self._message(message) for message in found]}

    def _message(self, message: messages.PlantMessage) -> dict[str, Any]:
        source = self._plant.at(message.source)
        return {
            "number": message.number,
            "severity": message.meaning.severity.value,
            "text": message.meaning.text,
            "address": message.source,
            "device": self._plant.name(source) if source else None,
            "time": message.time.isoformat(),
        }

    # ------------------------------------------------------------------ the gateway's services

    async def _identify(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Let the LEDs of a device flash: option ``seconds`` (45; 0 stops)."""
        seconds = command.options.get("seconds", IDENTIFY_LASTS)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise _number_wanted("seconds", 0, IDENTIFY_LASTS)
        if not 0 <= seconds <= IDENTIFY_LASTS:
            raise _number_wanted("seconds", 0, IDENTIFY_LASTS)
        if unit.is_gateway:
            raise InvalidCommand("the gateway has no LEDs to flash", key="studer_no_leds")
        await self._flash_leds(unit, float(seconds))
        return {}

    async def _flash_leds(self, unit: Unit, seconds: float) -> None:
        assert unit.address is not None
        await self._write_identify(unit.address if seconds else 0)
        if 0 < seconds < IDENTIFY_LASTS:
            self._session.timers.later(seconds, "identify", lambda: self._write_identify(0))

    async def _write_identify(self, address: int) -> None:
        gateway, point = self._gateway_point(IDENTIFY_PARAMETER)
        assert gateway.address is not None
        data = encode_checked(point, float(address), point.limits)
        request = point.write(gateway.address, data, ParameterProperty.UNSAVED_VALUE)
        reply = await self._requester.ask_unit(gateway, request, None, urgent=True)
        if reply.error == ErrorCode.PROPERTY_NOT_SUPPORTED:
            request = point.write(gateway.address, data, ParameterProperty.VALUE)
            reply = await self._requester.ask_unit(gateway, request, None, urgent=True)
        self._expect_written(point, reply)

    async def _sync_clock(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Set the plant's clock to ours, at most once a day; option ``force``."""
        gateway, point = self._gateway_point(CLOCK)
        zone = self._context.zone
        now: datetime = self._context.clock.now().astimezone(zone)
        today = now.date().isoformat()
        if self._context.stored.clock_set == today and not command.options.get("force"):
            raise InvalidCommand(
                "the clock was set today already; force it if it must be", key="studer_clock_set"
            )
        await self._write_clock(gateway, await self._prepare(gateway, point, now))
        self._context.stored.clock_set = today
        return {"time": now.isoformat(timespec="seconds")}

    async def _datalog(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read the directory of the SD card, or with option ``file`` one file of it."""
        name = command.options.get("file")
        try:
            transfer = Transfer(
                None if name is None else str(name), self._context.settings.source_address
            )
        except ValueError as error:
            raise InvalidCommand(str(error), key="studer_no_log_file", file=str(name)) from error
        self._session.transfer = True
        try:
            await self._transfer(transfer)
        finally:
            self._session.transfer = False
        if name is None:
            return {"files": list(file_names(transfer.content))}
        return {
            "file": str(name).upper(),
            "content": transfer.content.decode(TEXT_ENCODING),
        }

    async def _transfer(self, transfer: Transfer) -> None:
        async with self._session.line.exclusively() as ask:
            busy = 0
            while not transfer.done:
                reply = await ask(transfer.request)
                busy = busy + 1 if reply.error == ErrorCode.GATEWAY_BUSY else 0
                if 0 < busy < BUSY_ATTEMPTS:
                    await self._context.clock.sleep(BUSY_PAUSE)
                elif reply.kind is ReplyKind.VALUE and reply.body is not None:
                    try:
                        transfer.receive(reply.body)
                    except ValueError as error:
                        await ask(transfer.abort())
                        raise Refused(str(error), key="studer_file_broken") from error
                elif reply.kind is ReplyKind.ERROR and reply.error is not None:
                    if reply.error == ErrorCode.OBJECT_PROPERTY_INVALID:
                        await ask(transfer.abort())
                    raise _refused("SD", reply)
                elif not transfer.lost():
                    await ask(transfer.abort())
                    raise NotConfirmed("the gateway stopped sending", key="studer_file_broken")

    async def _refresh(self, _unit: Unit, _command: Command) -> Mapping[str, Any]:
        """Read all values anew, soon."""
        self._context.scheduler.refresh_all(self._context.now)
        return {}

    async def _fast(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read the fast values near real time for a while: option ``minutes`` (10; 0 ends it)."""
        minutes = command.options.get("minutes", 10)
        if isinstance(minutes, bool) or not isinstance(minutes, (int, float)):
            raise _number_wanted("minutes", 0, FAST_AT_MOST)
        if not 0 <= minutes <= FAST_AT_MOST:
            raise _number_wanted("minutes", 0, FAST_AT_MOST)
        self._context.fast_until = self._context.now + 60.0 * minutes
        return {}

    async def _revert(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Put the flash value back into RAM: option ``id`` or ``key``."""
        point = self._point(unit, command.options)
        self._permit(point)
        if not point.is_parameter or point.signal or not point.writable or point.guarded:
            raise _nothing_to_revert(point)
        await self._check_ram(unit, point)
        assert unit.address is not None
        reply = await self._requester.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=True
        )
        wire = self._expect_value(point.id, reply)
        if isinstance(wire, (str, bytes)):
            raise _nothing_to_revert(point)
        written = await self._ram.write(unit, point, float(wire), urgent=True)
        if written is None:
            raise NotConnected("the device is not there now")
        self._expect_written(point, written)
        if unit.watchdog is not True:
            self._ram.show_flash(unit, point, float(wire))
        return {"value": to_field(point, wire, self._context.zone)}


def _title(point: Datapoint) -> str:
    """Return number and name of a datapoint, as the manuals write them."""
    return f"{{{point.id}}} {point.name}"


def _guarded(point: Datapoint) -> InvalidCommand:
    return InvalidCommand(
        f"{_title(point)} is guarded: confirm it with its number, {point.id}",
        key="studer_guarded", datapoint=_title(point), number=str(point.id),
    )  # fmt: skip


def _missing_value(point: Datapoint) -> InvalidCommand:
    return InvalidCommand(
        "the value is missing", key="studer_value_missing", datapoint=_title(point)
    )


def _nothing_to_revert(point: Datapoint) -> InvalidCommand:
    return InvalidCommand(
        f"{_title(point)} has nothing to revert",
        key="studer_nothing_to_revert", datapoint=_title(point),
    )  # fmt: skip


def _watchdog(device: str, delay: float) -> InvalidCommand:
    return InvalidCommand(
        f"the watchdog of {device} is on: after a write it would stop the device when no other"
        f" follows within {delay:g} s. Switch the watchdog off, or choose to keep watchdogs fed",
        key="studer_watchdog", device=device, seconds=f"{delay:g}",
    )  # fmt: skip


def _number_wanted(name: str, low: float, high: float) -> InvalidCommand:
    return InvalidCommand(
        f"{name} is a number from {low:g} to {high:g}",
        key="studer_number_wanted", field=name, low=f"{low:g}", high=f"{high:g}",
    )  # fmt: skip


def _bad_value(point: Datapoint, value: Value, message: str) -> InvalidCommand:
    choices = ", ".join(options_of(point)) or ", ".join(str(one.wire) for one in point.choices)
    if choices:
        return InvalidCommand(
            message, key="studer_no_option", datapoint=_title(point), value=str(value),
            options=choices,
        )  # fmt: skip
    return InvalidCommand(
        message, key="studer_bad_value", datapoint=_title(point), value=str(value)
    )


def _refused(what: str, reply: Reply) -> Refused:
    """Return the error that a device or the gateway gave, by its name in the manual."""
    assert reply.error is not None
    error = f"{error_name(reply.error)} ({reply.error:#06x})"
    return Refused(f"{what}: {error}", key="studer_refused", datapoint=what, error=error)


def _refusal(point: Datapoint, value: Value, limits: Limits, error: LimitError) -> InvalidCommand:
    """Return in an owner's words why a value may not be written."""
    if error.key not in (Refusal.TOO_SMALL, Refusal.TOO_BIG):
        return _bad_value(point, value, str(error))
    bounds = [None if one is None else f"{one:g}" for one in (limits.minimum, limits.maximum)]
    return InvalidCommand(
        str(error),
        key="studer_out_of_range",
        datapoint=_title(point),
        value=str(value),
        low=bounds[0] or "-",
        high=bounds[1] or "-",
        unit=point.unit or "",
    )


def _level(point: Datapoint, wire: WireValue) -> str:
    """Return the name of a level as a device answers it."""
    data = wire if isinstance(wire, bytes) else b""
    try:
        number = decode(Format.SHORT_ENUM, data)
        assert isinstance(number, int)
        return AccessLevel(Level(number).name.lower()).value
    except (FormatError, ValueError) as error:
        raise Refused(
            f"that is no level: {data.hex()}",
            key="studer_bad_answer", datapoint=_title(point), count=str(len(data)),
        ) from error  # fmt: skip
