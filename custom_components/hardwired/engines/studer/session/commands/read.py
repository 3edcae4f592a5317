"""The commands that only read: datapoints, messages, and how soon values are read anew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ....engine import Command, InvalidCommand, Refused
from ....fields import Value
from ...catalogue import options_of, to_field
from ...datapoints.datapoint import AccessLevel, Datapoint, by_id
from ...datapoints.plausibility import check
from ...plant.unit import Unit
from ...scom.families import FAMILIES
from ...scom.frame import Level, ObjectType, ParameterProperty, Request, Service
from ...scom.messages import PlantMessage
from ...scom.values import Format, FormatError, WireValue, decode, shortest
from ...settings import FAST_AT_MOST
from ..session import Session
from .refusals import expect_value, number_wanted, title
from .targets import point_named

MAX_MESSAGES = 500

_PROPERTIES = {
    "value": ParameterProperty.VALUE,
    "ram": ParameterProperty.UNSAVED_VALUE,
    "min": ParameterProperty.MIN,
    "max": ParameterProperty.MAX,
    "level": ParameterProperty.LEVEL,
}


class Reader:
    """Reads what is asked for once, beside the polling."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        self._plant = session.plant
        self._requester = session.requester

    async def read(self, unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read anything.

        Options: ``id`` or ``key``, ``property`` (value, min, max, level, ram), and ``format``
        for numbers that are in no table.
        """
        options = command.options
        name = str(options.get("property", "value"))
        if name not in _PROPERTIES:
            raise InvalidCommand(key="studer_no_property", property=name)
        number = str(options.get("id"))
        known = by_id(unit.family, int(number)) if number.isdecimal() else None
        if known is None and "key" not in options:
            return await self._read_unknown(unit, options)
        point = point_named(unit, options)
        if not point.is_parameter and name != "value":
            raise InvalidCommand(key="studer_only_value", datapoint=title(point))
        if point.wire_format is None or (point.signal and name == "value"):
            raise InvalidCommand(key="studer_not_readable", datapoint=title(point))
        assert unit.address is not None
        wire_format = Format.BYTE_STREAM if name == "level" else point.wire_format
        request = point.read(unit.address, _PROPERTIES[name] if point.is_parameter else None)
        reply = await self._requester.ask_unit(unit, request, wire_format, urgent=True)
        result: dict[str, Any] = {
            "id": point.id, "key": point.key, "name": point.name, "unit": point.unit,
            "property": name,
        }  # fmt: skip
        wire = expect_value(point.id, reply)
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
        shadow = unit.memory.shadows.get(point.id)
        if shadow is not None and name == "value":
            result["ram_value"] = shadow.number
        return result

    async def _read_unknown(self, unit: Unit, options: Mapping[str, Value]) -> Mapping[str, Any]:
        number = options.get("id")
        if not str(number).isdecimal():
            raise InvalidCommand(key="studer_which_datapoint")
        try:
            wire_format = Format(str(options.get("format", "FLOAT")).upper())
        except ValueError as error:
            named = str(options.get("format"))
            raise InvalidCommand(key="studer_no_format", format=named) from error
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
            raise InvalidCommand(key="studer_no_datapoint", kind=info.name, datapoint=str(wanted))
        reply = await self._requester.ask_unit(unit, request, wire_format, urgent=True)
        wire = expect_value(wanted, reply)
        if isinstance(wire, float):
            return {"id": wanted, "value": shortest(wire) if math.isfinite(wire) else None}
        return {"id": wanted, "value": wire.hex() if isinstance(wire, bytes) else wire}

    async def messages(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read the newest messages: option ``count`` (10)."""
        count = command.options.get("count", 10)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_MESSAGES:
            raise number_wanted("count", 1, MAX_MESSAGES)
        found = await self._session.notifications.read(count, urgent=True)
        return {"messages": [self._message(message) for message in found]}

    def _message(self, message: PlantMessage) -> dict[str, Any]:
        source = self._plant.at(message.source)
        return {
            "number": message.number,
            "severity": message.meaning.severity.value,
            "text": message.meaning.text,
            "address": message.source,
            "device": self._plant.name(source) if source else None,
            "time": message.time.isoformat(),
        }

    async def refresh(self, _unit: Unit, _command: Command) -> Mapping[str, Any]:
        """Read all values anew, soon."""
        self._context.scheduler.refresh_all(self._context.now)
        return {}

    async def fast(self, _unit: Unit, command: Command) -> Mapping[str, Any]:
        """Read the fast values near real time for a while: option ``minutes`` (10; 0 ends it)."""
        minutes = command.options.get("minutes", 10)
        if isinstance(minutes, bool) or not isinstance(minutes, (int, float)):
            raise number_wanted("minutes", 0, FAST_AT_MOST)
        if not 0 <= minutes <= FAST_AT_MOST:
            raise number_wanted("minutes", 0, FAST_AT_MOST)
        self._context.hurry(minutes)
        self._session.wake()
        return {}


def _level(point: Datapoint, wire: WireValue) -> str:
    """Return the name of a level as a device answers it."""
    data = wire if isinstance(wire, bytes) else b""
    try:
        number = decode(Format.SHORT_ENUM, data)
        assert isinstance(number, int)
        return AccessLevel(Level(number).name.lower()).value
    except (FormatError, ValueError) as error:
        raise Refused(
            key="studer_bad_answer", datapoint=title(point), count=str(len(data))
        ) from error
