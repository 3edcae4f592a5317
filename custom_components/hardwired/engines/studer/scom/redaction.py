"""Frames without identities: for diagnostics, recordings and bug reports (spec h).

FIDs, serial numbers, the GUID and the custom text of the log are replaced and the checksums
computed again. The replacement is the address, so devices can still be told apart.
"""

from __future__ import annotations

from struct import Struct, pack

from . import multi_info
from .families import FAMILIES
from .frame import SERVICE_HEADER_SIZE, Body, Frame, ObjectType, Service

_SERIAL_INFOS = (3135, 11052, 15079, 7041)
_MSB = frozenset(info.fid[0] for info in FAMILIES.values() if info.fid)
_LSB = frozenset(info.fid[1] for info in FAMILIES.values() if info.fid).union(_SERIAL_INFOS)
_TELLING = _MSB | _LSB
_INFO = int(ObjectType.INFO)
_WHAT = Struct("<HI")
_TYPES = frozenset(
    {ObjectType.INFO, ObjectType.MULTI_INFO, ObjectType.GUID, ObjectType.DATALOG_FIELD}
)


def mask(frame: Frame) -> Frame:
    """Return *frame* with what identifies a plant replaced; most frames are returned as is."""
    if len(frame.data) >= SERVICE_HEADER_SIZE:
        kind, number = _WHAT.unpack_from(frame.data, 2)
        if kind == _INFO and number not in _TELLING:
            return frame
    body = frame.body()
    if body is None or body.object_type not in _TYPES or body.is_error or not body.data:
        return frame
    data = _masked(body, frame.source)
    return frame if data == body.data else frame._replace(data=body._replace(data=data).encode())


def _masked(body: Body, source: int) -> bytes:
    match body.object_type:
        case ObjectType.GUID:
            return bytes(len(body.data))
        case ObjectType.DATALOG_FIELD if body.service == Service.WRITE:
            return b"x" * len(body.data)
        case ObjectType.INFO if _told(body):
            known = len(body.data) == 4
            return pack("<f", _replacement(body.object_id, source)) if known else _hidden(body.data)
        case ObjectType.MULTI_INFO if body.is_response:
            return _masked_items(body.data)
    return body.data


def _hidden(data: bytes) -> bytes:
    """Return as many bytes: what is not understood may be an identity, too."""
    return bytes(len(data))


def _told(body: Body) -> bool:
    return body.object_id in _MSB or body.object_id in _LSB


def _replacement(info: int, device: int) -> float:
    return 0.0 if info in _MSB else float(device & 0xFFFF)


def _masked_items(data: bytes) -> bytes:
    try:
        answer = multi_info.decode(data)
    except ValueError:
        return _hidden(data)
    if not any(item.info in _MSB or item.info in _LSB for item, _ in answer.items):
        return data
    items = tuple(
        (item, _replacement(item.info, item.aggregation) if item.info in _MSB | _LSB else value)
        for item, value in answer.items
    )
    return multi_info.encode(multi_info.MultiInfo(answer.flags, answer.timestamp, items))
