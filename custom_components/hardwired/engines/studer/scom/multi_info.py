"""Many user infos in one answer of the gateway (spec c.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from struct import Struct
from typing import NamedTuple

from .frame import GATEWAY_ADDRESS, OUR_ADDRESS, ObjectType, Request, Service

MAX_ITEMS = 76
MASTER = 0
AVERAGE = 0xFD
SUM = 0xFE
OBJECT_ID = 1

_ITEM = Struct("<HB")
_VALUE = Struct("<HBf")
_HEAD = Struct("<II")


class Item(NamedTuple):
    """Which info, and of which device: 0 the master, 1..15 a unit, ``AVERAGE``, ``SUM``."""

    info: int
    aggregation: int


class PlantFlags(IntFlag):
    """What the gateway says of the plant; bits 0 to 3 are a version."""

    GSM = 0x10
    XT_PRESENT = 0x20
    BSP_PRESENT = 0x40
    VT_PRESENT = 0x80
    VS_PRESENT = 0x100


@dataclass(frozen=True, slots=True)
class MultiInfo:
    """An answer. ``timestamp`` is seconds of the plant's local wall clock."""

    flags: int
    timestamp: int
    items: tuple[tuple[Item, float], ...]

    @property
    def version(self) -> int:
        """The version of the layout."""
        return self.flags & 0x0F

    def values(self) -> dict[Item, float]:
        """Return the values by item; one that came twice with two values is left out."""
        found: dict[Item, float] = {}
        doubtful = set()
        for item, value in self.items:
            if item in found and found[item] != value:
                doubtful.add(item)
            found[item] = value
        return {item: value for item, value in found.items() if item not in doubtful}


def request(items: Sequence[Item], number: int, source: int = OUR_ADDRESS) -> Request:
    """Return the request for 1 to 76 items. *number* is echoed and tells answers apart."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise ValueError(f"a request asks for 1 to {MAX_ITEMS} infos, not {len(items)}")
    return Request(
        GATEWAY_ADDRESS,
        Service.READ,
        ObjectType.MULTI_INFO,
        OBJECT_ID,
        number,
        b"".join(_ITEM.pack(*item) for item in items),
        source,
    )


def decode_request(data: bytes) -> tuple[Item, ...]:
    """Return the items of a request. Raises :class:`ValueError` for a wrong length."""
    if not data or len(data) % _ITEM.size:
        raise ValueError(f"{len(data)} bytes are no list of infos")
    return tuple(Item(*fields) for fields in _ITEM.iter_unpack(data))


def decode(data: bytes) -> MultiInfo:
    """Return an answer. Raises :class:`ValueError` when its length is not 8 + 7n."""
    if len(data) < _HEAD.size or (len(data) - _HEAD.size) % _VALUE.size:
        raise ValueError(f"{len(data)} bytes are no answer to a multi-info request")
    flags, timestamp = _HEAD.unpack_from(data)
    items = tuple(
        (Item(info, aggregation), value)
        for info, aggregation, value in _VALUE.iter_unpack(data[_HEAD.size :])
    )
    return MultiInfo(flags, timestamp, items)


def encode(answer: MultiInfo) -> bytes:
    """Return the property data of an answer."""
    head = _HEAD.pack(answer.flags, answer.timestamp)
    return head + b"".join(_VALUE.pack(*item, value) for item, value in answer.items)
