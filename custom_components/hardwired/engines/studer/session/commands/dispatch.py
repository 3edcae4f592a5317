"""Gives each command to the room that carries it out, while the plant can (spec e)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ....engine import Command, CommandError, InvalidCommand, LinkError, NotConfirmed, NotConnected
from ...plant.unit import Unit
from ..discovery import Unanswered
from ..latest import Superseded
from ..session import Session
from .gateway import GatewayServices
from .parameter import ParameterWriter
from .read import Reader
from .refusals import gone
from .safeguards import Safeguards
from .write import Writer

MAX_WAITING = 64
"""Commands that may wait at once; more are refused."""


class Commander:
    """Carries out commands on a running session. Raises :class:`CommandError` only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        self._plant = session.plant
        self._waiting = 0
        safeguards = Safeguards(session)
        parameters = ParameterWriter(session, safeguards)
        gateway = GatewayServices(session, parameters)
        writer = Writer(session, safeguards, parameters, gateway)
        reader = Reader(session)
        self._verbs: dict[str, Callable[[Unit, Command], Awaitable[Mapping[str, Any]]]] = {
            "set": writer.set,
            "read": reader.read,
            "write": writer.write,
            "signal": writer.signal,
            "messages": reader.messages,
            "identify": gateway.identify,
            "datalog": gateway.datalog,
            "clear_restart": gateway.clear_restart,
            "sync_clock": gateway.sync_clock,
            "refresh": reader.refresh,
            "fast": reader.fast,
            "revert": writer.revert,
        }

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out *command*; return when the device has confirmed."""
        verb = self._verbs.get(command.name)
        if verb is None:
            raise InvalidCommand(key="studer_no_command", command=command.name)
        unit = self._plant.units.get(command.device)
        if not command.device and command.name in ("refresh", "fast"):
            unit = self._plant.gateway
        if unit is None:
            raise InvalidCommand(
                f"there is no device {command.device!r} to command", key="device_not_found"
            )
        if self._session.transfer:
            raise InvalidCommand(key="studer_file_under_way")
        membership = self._session.membership
        if not unit.available and not membership.unchecked:
            raise gone(self._plant.name(unit))
        if self._waiting >= MAX_WAITING:
            raise CommandError(key="studer_too_many", count=str(self._waiting))
        self._waiting += 1
        try:
            await self._find(unit)
            if unit.address is None or not unit.available:
                raise gone(self._plant.name(unit))
            return await verb(unit, command)
        except LinkError as error:
            raise NotConfirmed(f"the link was lost: {error}", key="studer_link_lost") from error
        except Unanswered as error:
            raise NotConfirmed(
                str(error), key="studer_no_reply", device=self._plant.name(unit)
            ) from error
        except Superseded as error:
            raise CommandError(key="studer_superseded") from error
        finally:
            self._waiting -= 1
            # What the checks have found out is told at once.
            self._context.emit()
            self._session.wake()

    async def _find(self, unit: Unit) -> None:
        """See to it that a device is where it is thought to be; nothing was sent to it yet."""
        try:
            await self._session.membership.make_sure(unit)
        except LinkError as error:
            raise NotConnected(f"the link was lost before: {error}") from error
        except Unanswered as error:
            raise NotConnected(
                str(error), key="studer_no_reply", device=self._plant.name(unit)
            ) from error
