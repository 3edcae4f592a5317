"""One parameter of one device: the value checked, sent, read back (spec e.1-e.3, e.5)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ....device_clocks import EARLIEST_YEAR, LATEST_YEAR
from ....engine import InvalidCommand, NotConfirmed, Refused
from ....fields import Value
from ...catalogue import to_wire
from ...datapoints.datapoint import Datapoint, Limits
from ...datapoints.limits import LimitError, encode_checked, reads_back
from ...plant.unit import Unit
from ...scom.errors import ErrorCode
from ...scom.exchange import Reply, ReplyKind
from ...scom.frame import ParameterProperty
from ...scom.values import decode, plant_seconds, plant_time
from ..discovery import NotAsked
from ..requester import outcome_of_write
from ..session import Session
from .refusals import bad_value, expect_written, gone, not_allowed, refused, title
from .safeguards import Safeguards

WRITE_ATTEMPTS = 2
_WRITTEN_AGAIN = frozenset(
    {ErrorCode.RESPONSE_TIMEOUT, ErrorCode.WRITE_PROPERTY_FAILED, ErrorCode.INVALID_FRAME}
)
"""Errors after which a write into flash may succeed a second time."""
EARLIEST_CLOCK = plant_seconds(datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC))
LATEST_CLOCK = plant_seconds(datetime(LATEST_YEAR + 1, 1, 1, tzinfo=UTC))
"""What a plant's clock may be set to: a computer that has just started may be in 1970."""


@dataclass(frozen=True, slots=True)
class ParameterWrite:
    """A parameter write that passed every check."""

    point: Datapoint
    number: float
    data: bytes
    limits: Limits


class ParameterWriter:
    """Writes one parameter or signal of one device, as often as is harmless."""

    def __init__(self, session: Session, safeguards: Safeguards) -> None:
        self._session = session
        self._context = session.context
        self._plant = session.plant
        self._requester = session.requester
        self._ram = session.ram
        self._safeguards = safeguards

    async def prepare(
        self, unit: Unit, point: Datapoint, value: Value, *, allow_guarded: bool = False
    ) -> ParameterWrite:
        """Check a value against everything known. Raises :class:`InvalidCommand`."""
        if not point.writable or not point.is_parameter:
            raise InvalidCommand(key="studer_not_writable", datapoint=title(point))
        if point.has_bounds and point.id not in unit.bounds.asked:
            await self._session.poller.read_limits_of(unit, point, urgent=True)
        limits = self._plant.limits(unit, point)
        if isinstance(value, datetime) and not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
            raise _no_date(value)
        try:
            wire = to_wire(point, value, self._context.zone)
            data = encode_checked(point, wire, limits, allow_guarded=allow_guarded)
        except LimitError as error:
            raise not_allowed(point, value, limits, error) from error
        except (ValueError, OverflowError) as error:
            raise bad_value(point, value, str(error)) from error
        assert isinstance(wire, (bool, int, float))
        assert point.wire_format is not None
        number = decode(point.wire_format, data)
        assert isinstance(number, (bool, int, float))
        return ParameterWrite(point, float(number), data, limits)

    async def write_ram(self, unit: Unit, write: ParameterWrite) -> None:
        """Write into RAM (spec e.1). Raises :class:`CommandError`."""
        reply = await self._ram.write(unit, write.point, write.number, urgent=True)
        if reply is None:
            raise gone(self._plant.name(unit))
        await self._explain_limits(unit, write, reply)
        expect_written(write.point, reply)
        for one in self._plant.reached(unit):
            self._note_watchdog_write(one, write)

    async def write_flash(self, unit: Unit, write: ParameterWrite) -> None:
        """Write into flash, count each attempt, read back (spec e.2)."""
        if unit.address is None:
            raise gone(self._plant.name(unit))
        request = write.point.write(unit.address, write.data, ParameterProperty.VALUE)

        async def attempt() -> Reply:
            self._safeguards.count_flash(unit, write.point)
            return await self._requester.ask_unit(unit, request, None, attempts=1, urgent=True)

        async def attempts() -> Reply:
            reply = await attempt()
            for _ in range(WRITE_ATTEMPTS - 1):
                if reply.kind is ReplyKind.TIMEOUT or reply.error in _WRITTEN_AGAIN:
                    with contextlib.suppress(NotAsked):
                        reply = outcome_of_write(reply, await attempt())
            return reply

        units = self._plant.reached(unit)
        reply = await self._ram.follow(attempts, units, write.point, write.number, stored=True)
        if reply is None:
            raise gone(self._plant.name(unit))
        await self._explain_limits(unit, write, reply)
        expect_written(write.point, reply)
        await self.read_all_back([(one, write) for one in units])
        for one in units:
            self._note_watchdog_write(one, write)

    async def write_clock(self, unit: Unit, write: ParameterWrite) -> None:
        """Set the clock of the plant, to the years 2025 to 2037 only."""
        if not EARLIEST_CLOCK <= write.number < LATEST_CLOCK:
            raise _no_date(plant_time(int(write.number)))
        assert unit.address is not None
        request = write.point.write(unit.address, write.data, ParameterProperty.VALUE)
        reply = await self._requester.ask_unit(unit, request, None, urgent=True)
        expect_written(write.point, reply)
        await self.read_back(unit, write)

    async def send_signal(self, unit: Unit, point: Datapoint) -> None:
        """Send it once: after a time-out nobody knows whether it was received (spec e.5)."""
        await self._ram.confirm(unit)
        if unit.address is None or not unit.available:
            raise gone(self._plant.name(unit))
        request = point.write(unit.address, (1).to_bytes(4, "little"), ParameterProperty.VALUE)
        reply = await self._requester.ask_unit(
            unit, request, None, attempts=1, urgent=True, busy_attempts=1
        )
        units = list(self._plant) if unit.is_gateway else self._plant.reached(unit)
        self.note_signal(units, point, reply)
        expect_written(point, reply)

    def note_signal(self, units: Iterable[Unit], point: Datapoint, reply: Reply) -> None:
        """Doubt what stands in RAM after a signal that sets all to other values, or restarts."""
        if point.guarded and (reply.is_unclear or reply.kind is ReplyKind.WRITTEN):
            self._ram.doubt_all(units, wanted=False)

    async def read_all_back(self, writes: Iterable[tuple[Unit, ParameterWrite]]) -> None:
        """Read every device back. Raises :class:`NotConfirmed` for the first that differs."""
        unconfirmed: list[NotConfirmed] = []
        for unit, write in writes:
            try:
                await self.read_back(unit, write)
            except NotConfirmed as error:
                unconfirmed.append(error)
        if unconfirmed:
            raise unconfirmed[0]

    async def read_back(self, unit: Unit, write: ParameterWrite) -> None:
        """Raise :class:`NotConfirmed` unless the device now holds what was written (spec e.1)."""
        point = write.point
        reply = None
        if unit.address is not None:
            reply = await self._requester.ask_unit(
                unit, point.read(unit.address), point.wire_format, urgent=True
            )
        if (
            reply is None
            or reply.kind is not ReplyKind.VALUE
            or not isinstance(reply.value, (int, float))
        ):
            if point.id in unit.memory.shadows:
                self._ram.doubt([unit], point)
            self._context.scheduler.refresh(unit.id)
            raise NotConfirmed(key="studer_not_read_back", datapoint=title(point))
        found = float(reply.value)
        self._ram.show_flash(unit, point, found)
        if not reads_back(point, write.number, found, write.limits):
            # A device may keep in RAM what is meant for flash (spec e.3).
            self._ram.doubt([unit], point)
            raise NotConfirmed(
                key="studer_reads_back",
                datapoint=title(point),
                found=f"{found:g}",
                written=f"{write.number:g}",
            )

    async def _explain_limits(self, unit: Unit, write: ParameterWrite, reply: Reply) -> None:
        """Ask for the bounds when a device refuses a value: it knows them best."""
        if reply.error not in (ErrorCode.DATA_TOO_SMALL, ErrorCode.DATA_TOO_BIG):
            return
        if write.point.has_bounds:
            await self._session.poller.read_limits_of(unit, write.point, urgent=True)
        limits = self._plant.limits(unit, write.point)
        if limits.minimum is None or limits.maximum is None:
            raise refused(title(write.point), reply)
        low, high = f"{limits.minimum:g}", f"{limits.maximum:g}"
        raise Refused(
            key="studer_out_of_range",
            datapoint=title(write.point),
            low=low,
            high=high,
            value=f"{write.number:g}",
            unit=f" {write.point.unit}" if write.point.unit else "",
        )

    def _note_watchdog_write(self, unit: Unit, write: ParameterWrite) -> None:
        """A watchdog's parameter was written: what is known of it is outdated."""
        if "watchdog" in write.point.key:
            unit.watchdog.armed = None


def _no_date(moment: datetime) -> InvalidCommand:
    return InvalidCommand(key="studer_no_date", date=f"{moment:%Y-%m-%d}")
