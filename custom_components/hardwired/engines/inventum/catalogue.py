"""What people see: the fixed values, and the logger's columns of one unit (spec d.5, d.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from ..fields import Accumulation, Catalogue, Field, Offer, Quantity, Role
from .dialogue.wishes import LONGEST_MINUTES
from .names import UNITS, words_of
from .profile import Kind, LoggedColumn, Meaning, Profile

KIND = "ecolution"
POSITIONS = ("off", "low", "medium", "high")
LOGIN_STATES = (
    "offline",
    "searching",
    "logging_in",
    "wrong_code",
    "menu",
    "command",
    "starting_logger",
    "logging",
)
FAN_EVENTS = ("boost_started", "boost_ended", "boost_lost", "still_high")

_HUMID_WORDS = frozenset({"rv", "vocht", "vochtigheid", "humidity"})
_TOTAL = Accumulation.TOTAL_INCREASING
_DIAGNOSTIC, _EXTRA = Role.DIAGNOSTIC, Offer.EXTRA

FIXED = Catalogue(
    KIND,
    (
        Field(
            key="fan_position",
            name="Fan position",
            quantity=Quantity.OPTION,
            options=POSITIONS,
            offer=_EXTRA,
        ),
        Field(key="boost", name="Boost", quantity=Quantity.BOOLEAN, writable=True),
        Field(
            key="boost_duration",
            name="Boost duration",
            quantity=Quantity.DURATION,
            unit="min",
            role=Role.SETTING,
            writable=True,
            minimum=1,
            maximum=LONGEST_MINUTES,
            step=1,
            lasting=True,
        ),
        Field(
            key="boost_remaining",
            name="Boost remaining",
            quantity=Quantity.DURATION,
            unit="min",
            lasting=True,
        ),
        Field(
            key="boost_end",
            name="Boost end",
            quantity=Quantity.TIMESTAMP,
            offer=_EXTRA,
            lasting=True,
        ),
        Field(
            key="data_logger",
            name="Data logger",
            quantity=Quantity.BOOLEAN,
            role=Role.SETTING,
            offer=_EXTRA,
            writable=True,
            lasting=True,
        ),
        Field(
            key="login_state",
            name="Login state",
            quantity=Quantity.OPTION,
            options=LOGIN_STATES,
            role=_DIAGNOSTIC,
            lasting=True,
        ),
        Field(
            key="connectivity",
            name="Connectivity",
            quantity=Quantity.CONNECTIVITY,
            role=_DIAGNOSTIC,
            lasting=True,
        ),
        Field(
            key="challenges",
            name="Login tries",
            quantity=Quantity.NUMBER,
            accumulation=_TOTAL,
            role=_DIAGNOSTIC,
            offer=_EXTRA,
            lasting=True,
        ),
        Field(
            key="row_interval",
            name="Row interval",
            quantity=Quantity.DURATION,
            unit="s",
            precision=0,
            role=_DIAGNOSTIC,
            offer=_EXTRA,
        ),
        Field(
            key="last_row",
            name="Last row",
            quantity=Quantity.TIMESTAMP,
            role=_DIAGNOSTIC,
            offer=_EXTRA,
            lasting=True,
        ),
        Field(
            key="fan_event",
            name="Fan event",
            quantity=Quantity.EVENT,
            options=FAN_EVENTS,
            lasting=True,
        ),
    ),
)
CATALOGUES: Mapping[str, Catalogue] = MappingProxyType({KIND: FIXED})


def catalogue_of(profile: Profile, *, other_positions: bool = False) -> Catalogue:
    """Return the fields of one unit: the fixed ones, then its logger's columns."""
    fixed = [
        Field(
            key=item.key,
            name=item.name,
            quantity=item.quantity,
            options=item.options,
            offer=item.offer,
            writable=True,
        )
        if other_positions and item.key == "fan_position"
        else item
        for item in FIXED.values()
    ]
    return Catalogue(KIND, (*fixed, *_logged(profile)))


def _logged(profile: Profile) -> Iterator[Field]:
    for column in profile.columns:
        if column.meaning is None:
            continue
        if column.meaning.kind is not Kind.FAN_POSITION:
            yield _field(column, column.meaning)
        yield Field(
            key=column.status_key,
            name=f"{column.title} status",
            quantity=Quantity.TEXT,
            role=_DIAGNOSTIC,
            offer=_EXTRA,
            own_name=True,
        )


def _field(column: LoggedColumn, meaning: Meaning) -> Field:
    quantity, accumulation = _quantity(column, meaning)
    return Field(
        key=column.key,
        name=column.title,
        quantity=quantity,
        unit=meaning.unit if meaning.kind is Kind.NUMBER else None,
        accumulation=accumulation,
        offer=meaning.offer,
        own_name=True,
    )


def _quantity(column: LoggedColumn, meaning: Meaning) -> tuple[Quantity, Accumulation]:
    match meaning.kind:
        case Kind.FLAG:
            return Quantity.BOOLEAN, Accumulation.NONE
        case Kind.TEXT:
            return Quantity.TEXT, Accumulation.NONE
    unit = UNITS.get(meaning.unit or "")
    if unit is None:
        return Quantity.NUMBER, Accumulation.MEASUREMENT
    words = words_of(column.name)
    if unit.text == "%" and words & _HUMID_WORDS:
        return Quantity.HUMIDITY, Accumulation.MEASUREMENT
    if unit.text == "ppm" and "co2" in words:
        return Quantity.CARBON_DIOXIDE, Accumulation.MEASUREMENT
    rises = unit.quantity in (Quantity.ENERGY, Quantity.VOLUME) or unit.text == "h"
    return unit.quantity, _TOTAL if rises else Accumulation.MEASUREMENT
