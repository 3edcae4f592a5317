"""What a frame says, in words: for ``decode``, bug reports and tests."""

from __future__ import annotations

import math
from typing import Any

from .datapoints.datapoint import Datapoint, by_id
from .datapoints.plausibility import check
from .scom import messages, multi_info
from .scom.errors import error_name
from .scom.families import FAMILIES, PHASES, Family, families_at
from .scom.frame import (
    GATEWAY_ADDRESS,
    Body,
    Frame,
    FrameFlags,
    Level,
    ObjectType,
    ParameterProperty,
    Service,
)
from .scom.values import TEXT_ENCODING, Format, FormatError, WireValue, decode, shortest

_PROPERTY_NAMES: dict[int, str] = {
    ParameterProperty.VALUE: "value",
    ParameterProperty.MIN: "min",
    ParameterProperty.MAX: "max",
    ParameterProperty.LEVEL: "level",
    ParameterProperty.UNSAVED_VALUE: "unsaved_value",
}


class Explainer:
    """Explains frames; *battery* tells whether 601 is a BSP or the BMS of an Xcom-CAN."""

    def __init__(self, battery: Family = Family.BSP, nominal: float = 48) -> None:
        self._battery = battery
        self._nominal = nominal

    def explain(self, frame: Frame) -> dict[str, Any]:
        """Return the parts of a frame by name, plain types only."""
        result: dict[str, Any] = {
            "source": frame.source,
            "destination": frame.destination,
        }
        body = frame.body()
        if body is None:
            return {**result, "kind": "short", "data": frame.data.hex()}
        device = frame.source if body.is_response else frame.destination
        result["kind"] = _kind(body)
        if body.is_response:
            result["flags"] = [
                name.lower() for name, flag in FrameFlags.__members__.items() if frame.flags & flag
            ]
        result["device"] = self._device(device)
        result["service"] = _name(Service, body.service)
        result["object_type"] = _name(ObjectType, body.object_type)
        result["object_id"] = body.object_id
        result["property_id"] = body.property_id
        if body.is_error:
            code = body.error_code
            if code is None:
                return {**result, "data": body.data.hex(), "problem": "bad_length"}
            return {**result, "error": code, "error_name": error_name(code)}
        if body.is_response and body.service == Service.WRITE and body.data:
            return {**result, "data": body.data.hex(), "problem": "bad_length"}
        return result | self._content(device, body)

    def _device(self, address: int) -> str:
        if address in PHASES:
            return f"Xtenders {PHASES[address]}"
        if address == GATEWAY_ADDRESS:
            return "Xcom"
        for family in families_at(address):
            info = FAMILIES[self._battery if family in (Family.BSP, Family.BMS) else family]
            if address == info.multicast:
                return f"all {info.name}"
            if info.first == info.last:
                return info.name
            return f"{info.name} {address - info.first + 1}"
        return str(address)

    def _content(self, device: int, body: Body) -> dict[str, Any]:
        match body.object_type:
            case ObjectType.INFO | ObjectType.PARAMETER:
                return self._datapoint(device, body)
            case ObjectType.MULTI_INFO:
                return self._multi_info(body)
            case ObjectType.MESSAGE if body.is_response:
                return _message(body.data)
            case ObjectType.GUID if len(body.data) == 16:
                return {"value": decode(Format.GUID, body.data)}
            case ObjectType.FILE_TRANSFER | ObjectType.DATALOG_FIELD if body.data:
                return {"text": body.data.decode(TEXT_ENCODING)}
        return {"data": body.data.hex()} if body.data else {}

    def point(self, device: int, number: int) -> Datapoint | None:
        """Return the datapoint with a number at an address."""
        families = families_at(device)
        if Family.BSP in families:
            families = (self._battery,)
        return next((point for one in families if (point := by_id(one, number))), None)

    def _datapoint(self, device: int, body: Body) -> dict[str, Any]:
        point = self.point(device, body.object_id)
        result: dict[str, Any] = {}
        if body.object_type == ObjectType.PARAMETER:
            result["property"] = _PROPERTY_NAMES.get(body.property_id)
        if point is not None:
            result |= {"key": point.key, "name": point.name, "unit": point.unit}
        if not body.data:
            return result
        if result.get("property") == "level" and len(body.data) == 2:
            number = int.from_bytes(body.data, "little")
            return result | {"value": _name(Level, number)}
        if point is None or point.wire_format is None:
            return result | {"data": body.data.hex()}
        try:
            wire = decode(point.wire_format, body.data)
        except FormatError as error:
            return result | {"data": body.data.hex(), "problem": error.key}
        return result | self._value(point, wire)

    def _value(self, point: Datapoint, wire: WireValue) -> dict[str, Any]:
        result: dict[str, Any] = {"value": _plain(wire)}
        if point.choices:
            result["label"] = next((c.label for c in point.choices if c.wire == wire), None)
        if not point.is_parameter:
            absence = check(point, wire, self._nominal)
            if absence is not None:
                result["absent"] = absence.value
        return result

    def _multi_info(self, body: Body) -> dict[str, Any]:
        try:
            if not body.is_response:
                asked = multi_info.decode_request(body.data)
                return {"items": [item._asdict() for item in asked]}
            answer = multi_info.decode(body.data)
        except ValueError:
            return {"data": body.data.hex(), "problem": "bad_length"}
        return {
            "items": [{**item._asdict(), "value": _plain(value)} for item, value in answer.items],
            "flags_of_plant": answer.flags,
            "timestamp": answer.timestamp,
        }


def _kind(body: Body) -> str:
    if not body.is_response:
        return "request"
    return "error" if body.is_error else "answer"


def _name(names: type[Service] | type[ObjectType] | type[Level], number: int) -> str:
    try:
        return names(number).name.lower()
    except ValueError:
        return f"{number:#06x}"


def _plain(wire: WireValue) -> Any:
    if isinstance(wire, float):
        return shortest(wire) if math.isfinite(wire) else str(wire)
    return wire.hex() if isinstance(wire, bytes) else wire


def _message(data: bytes) -> dict[str, Any]:
    try:
        message = messages.decode(data)
    except ValueError:
        return {"data": data.hex(), "problem": "bad_length"}
    return {
        "total": message.total,
        "message": message.number,
        "severity": message.meaning.severity.value,
        "text": message.meaning.text,
        "from": message.source,
        "local_time": message.time.isoformat(),
    }
