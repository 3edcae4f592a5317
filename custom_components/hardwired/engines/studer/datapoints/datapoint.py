"""The datapoints as objects, one table per family (spec d.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from ..scom.families import Family
from ..scom.frame import ObjectType, Request, Service, read_info, read_parameter
from ..scom.values import Format


class EnumKind(StrEnum):
    """What a LONG_ENUM means."""

    PLAIN = "plain"
    ONE_BIT = "one_bit"
    """One of the listed values."""
    BITS = "bits"
    """Any combination of the listed bits."""


class Poll(StrEnum):
    """How fast a value changes."""

    FAST = "fast"
    NORMAL = "normal"
    SLOW = "slow"
    CONFIG = "config"
    STATIC = "static"


class AccessLevel(StrEnum):
    """Who may see or change a datapoint."""

    INFO = "info"
    VIEW_ONLY = "view_only"
    BASIC = "basic"
    EXPERT = "expert"
    INSTALLER = "installer"
    QSP = "qsp"

    @property
    def rank(self) -> int:
        """The level as a number; a higher one may do more."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(AccessLevel)}


class Tier(StrEnum):
    """How readily a datapoint becomes an entity."""

    CORE = "core"
    EXTRA = "extra"
    ON_REQUEST = "on_request"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Default and bounds of a parameter, in its unit; ``None`` where the table has none."""

    default: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an enum; ``option`` is its key, ``None`` when it means "no value"."""

    wire: int
    label: str
    option: str | None


@dataclass(frozen=True, slots=True)
class Presentation:
    """How the datapoint is to be shown."""

    platform: str | None
    device_class: str | None
    state_class: str | None
    unit: str | None
    precision: int | None
    category: str | None
    tier: Tier


@dataclass(frozen=True, slots=True, eq=False)
class Datapoint:
    """One user info or parameter of one family; there is one object for each.

    ``wire_format`` is ``None`` when it can't be read over SCOM. ``guarded``: only the confirmed
    action may write it. ``signal``: writing 1 triggers something, reading means nothing.
    ``time_of_day``: minutes since 00:00. ``wall_clock``: seconds since 1970 of the local wall
    clock. The two ``dc_scaled`` scale with the nominal battery voltage.
    """

    family: Family
    id: int
    is_parameter: bool
    key: str
    name: str
    unit: str | None
    wire_format: Format | None
    level: AccessLevel
    poll: Poll
    writable: bool
    signal: bool
    guarded: bool
    dc_scaled: bool
    time_of_day: bool
    wall_clock: bool
    nan_ok: bool
    no_sensor: bool
    plausible_dc_scaled: bool
    limits: Limits
    plausible: tuple[float, float] | None
    choices: tuple[Choice, ...]
    enum_kind: EnumKind
    enum_absent: frozenset[int]
    bits: tuple[tuple[int, str], ...]
    limits_120v: Limits | None
    menus: tuple[int, ...]
    shown: Presentation

    @property
    def has_bounds(self) -> bool:
        """Whether a device can be asked for minimum and maximum."""
        return (
            self.is_parameter
            and self.writable
            and not (self.choices or self.wall_clock or self.signal)
            and self.wire_format in (Format.FLOAT, Format.INT32)
        )

    @property
    def total_increasing(self) -> bool:
        """Whether the value only rises, except for a reset."""
        return self.shown.state_class == "total_increasing"

    @property
    def readable(self) -> bool:
        """Whether reading it gives a value."""
        return self.wire_format is not None and not self.signal

    @property
    def object_type(self) -> ObjectType:
        """The object type on the wire."""
        return ObjectType.PARAMETER if self.is_parameter else ObjectType.INFO

    def read(self, address: int, property_id: int | None = None) -> Request:
        """Return the request that reads it."""
        if not self.is_parameter:
            return read_info(address, self.id)
        if property_id is None:
            return read_parameter(address, self.id)
        return read_parameter(address, self.id, property_id)

    def write(self, address: int, data: bytes, property_id: int) -> Request:
        """Return the request that writes it."""
        return Request(address, Service.WRITE, ObjectType.PARAMETER, self.id, property_id, data)


@dataclass(frozen=True, slots=True)
class Menu:
    """A heading on the remote control, for lists to choose from; never read."""

    family: Family
    id: int
    name: str
    level: AccessLevel
    menus: tuple[int, ...]


class _Table:
    """The datapoints of one family, made when first asked for."""

    def __init__(self, family: Family) -> None:
        from . import table  # noqa: PLC0415 - half a megabyte; not for the codecs

        rows = getattr(table, family.upper())
        self.by_id = {row[0]: _datapoint(family, row) for row in rows}
        self.by_key = {point.key: point for point in self.by_id.values()}


@cache
def _table(family: Family) -> _Table:
    return _Table(family)


def datapoints(family: Family) -> Iterator[Datapoint]:
    """Return all datapoints of a family, in the order of the table."""
    return iter(_table(family).by_id.values())


def by_id(family: Family, number: int) -> Datapoint | None:
    """Return the datapoint with this number."""
    return _table(family).by_id.get(number)


def by_key(family: Family, key: str) -> Datapoint | None:
    """Return the datapoint with this key."""
    return _table(family).by_key.get(key)


def menus(family: Family) -> tuple[Menu, ...]:
    """Return the menu headings of a family."""
    from . import table  # noqa: PLC0415

    return tuple(
        Menu(family, row[1], row[2], AccessLevel(row[3]), row[4])
        for row in table.MENUS
        if row[0] == family
    )


_ENUM_KINDS = (EnumKind.PLAIN, EnumKind.ONE_BIT, EnumKind.BITS)
_NO_LIMITS = Limits()
_NOTHING: frozenset[int] = frozenset()
_FORMATS = {item.value: item for item in Format}
_LEVELS = {item.value: item for item in AccessLevel}
_POLLS = {item.value: item for item in Poll}
_TIERS = {item.value: item for item in Tier}


def _datapoint(family: Family, row: tuple[Any, ...]) -> Datapoint:
    (
        number, is_parameter, key, name, unit, wire_format, level, poll, flags, limits,
        plausible, enum, enum_kind, absent, bits, limits_120v, menu_ids, shown,
    ) = row  # fmt: skip
    return Datapoint(
        family,
        number,
        is_parameter,
        key,
        name,
        unit,
        None if wire_format is None else _FORMATS[wire_format],
        _LEVELS[level],
        _POLLS[poll],
        bool(flags & 1),
        bool(flags & 2),
        bool(flags & 4),
        bool(flags & 8),
        bool(flags & 16),
        bool(flags & 32),
        bool(flags & 64),
        bool(flags & 128),
        bool(flags & 256),
        _NO_LIMITS if limits is None else Limits(*limits),
        plausible,
        () if enum is None else tuple(Choice(*entry) for entry in enum),
        _ENUM_KINDS[enum_kind],
        frozenset(absent) if absent else _NOTHING,
        bits or (),
        None if limits_120v is None else Limits(*limits_120v),
        menu_ids,
        Presentation(shown[0], shown[1], shown[2], shown[3], shown[4], shown[5], _TIERS[shown[6]]),
    )
