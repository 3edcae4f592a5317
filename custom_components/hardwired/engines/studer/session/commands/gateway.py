"""What the gateway does for the plant: LEDs, clock, restart flag, log files of its SD card."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ....device_clocks import require_right
from ....engine import (
    Command,
    CommandError,
    InvalidCommand,
    NotConfirmed,
    Refused,
)
from ...catalogue import CLEAR_RESTART_FLAG, CLOCK
from ...datapoints.limits import encode_checked
from ...plant.unit import Unit
from ...scom.errors import ErrorCode
from ...scom.exchange import ReplyKind
from ...scom.files import Transfer, file_names
from ...scom.frame import ParameterProperty
from ...scom.values import TEXT_ENCODING
from ..requester import BUSY_ATTEMPTS, BUSY_PAUSE
from ..session import Session
from .parameter import ParameterWriter
from .refusals import expect_written, gone, number_wanted, refused
from .targets import gateway_point

IDENTIFY_LASTS = 45.0
IDENTIFY_PARAMETER = 5119


class GatewayServices:
    """Commands that the gateway carries out itself."""

    def __init__(self, session: Session, parameters: ParameterWriter) -> None:
        self._session = session
        self._context = session.context
        self._plant = session.plant
        self._requester = session.requester
        self._parameters = parameters

    async def identify(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Let the LEDs of a device flash: option ``seconds`` (45; 0 stops)."""
        seconds = command.options.get("seconds", IDENTIFY_LASTS)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise number_wanted("seconds", 0, IDENTIFY_LASTS)
        if not 0 <= seconds <= IDENTIFY_LASTS:
            raise number_wanted("seconds", 0, IDENTIFY_LASTS)
        if unit.is_gateway:
            raise InvalidCommand(key="studer_no_leds")
        await self.flash_leds(unit, float(seconds))
        return {}

    async def flash_leds(self, unit: Unit, seconds: float) -> None:
        """Let the LEDs of a device flash for so many seconds; 0 stops them."""
        if unit.address is None:
            raise gone(self._plant.name(unit))
        await self._write_identify(unit.address if seconds else 0)
        if 0 < seconds < IDENTIFY_LASTS:
            self._session.timers.later(seconds, "identify", self._end_identify)

    async def _end_identify(self) -> None:
        """Stop the LEDs; where that fails they stop by themselves."""
        with contextlib.suppress(CommandError):
            await self._write_identify(0)

    async def _write_identify(self, address: int) -> None:
        gateway, point = gateway_point(self._plant, IDENTIFY_PARAMETER)
        assert gateway.address is not None
        data = encode_checked(point, float(address), point.limits)
        request = point.write(gateway.address, data, ParameterProperty.UNSAVED_VALUE)
        reply = await self._requester.ask_unit(gateway, request, None, urgent=True)
        if reply.error == ErrorCode.PROPERTY_NOT_SUPPORTED:
            request = point.write(gateway.address, data, ParameterProperty.VALUE)
            reply = await self._requester.ask_unit(gateway, request, None, urgent=True)
        expect_written(point, reply)

    async def sync_clock(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Set the plant's clock to ours, at most once a day; option ``force``.

        Refused while the system does not know that its own clock is right: a time of the owner's
        own is written as any other parameter.
        """
        simulated = self._context.settings.scheme == "sim"
        require_right(self._context.clock, trusted=simulated)
        gateway, point = gateway_point(self._plant, CLOCK)
        zone = self._context.zone
        now: datetime = self._context.clock.now().astimezone(zone)
        today = now.date().isoformat()
        if self._context.stored.clock_set == today and not command.options.get("force"):
            raise InvalidCommand(key="studer_clock_set")
        await self._parameters.write_clock(
            gateway, await self._parameters.prepare(gateway, point, now)
        )
        self._context.stored.clock_set = today
        return {"time": now.isoformat(timespec="seconds")}

    async def clear_restart(self, _unit: Unit, _command: Command) -> Mapping[str, Any]:
        """Clear the gateway's flag that it has restarted."""
        gateway, point = gateway_point(self._plant, CLEAR_RESTART_FLAG)
        await self._parameters.send_signal(gateway, point)
        return {}

    async def datalog(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read the directory of the SD card, or with option ``file`` one file of it."""
        name = command.options.get("file")
        try:
            transfer = Transfer(
                None if name is None else str(name), self._context.settings.source_address
            )
        except ValueError as error:
            raise InvalidCommand(key="studer_no_log_file", file=str(name)) from error
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
                    raise refused("SD", reply)
                elif not transfer.lost():
                    await ask(transfer.abort())
                    raise NotConfirmed("the gateway stopped sending", key="studer_file_broken")
