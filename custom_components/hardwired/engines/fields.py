"""What a value is: one :class:`Field` per value, one :class:`Catalogue` per device family.

The catalogue drives decoding, entities, MQTT topics, the simulator and the entity tables of the
documentation. It knows nothing of Home Assistant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = bool | int | float | str | datetime | date | time
"""A value as engines report it. Absent values are ``None``."""


class Quantity(StrEnum):
    """The kind of a value: a physical quantity, or how else it is to be read."""

    APPARENT_POWER = "apparent_power"
    CARBON_DIOXIDE = "carbon_dioxide"
    CHARGE = "charge"
    CURRENT = "current"
    DATA_RATE = "data_rate"
    DURATION = "duration"
    ENERGY = "energy"
    FLOW = "flow"
    FREQUENCY = "frequency"
    HUMIDITY = "humidity"
    NUMBER = "number"
    PERCENTAGE = "percentage"
    POWER = "power"
    POWER_FACTOR = "power_factor"
    PRESSURE = "pressure"
    REACTIVE_POWER = "reactive_power"
    ROTATION = "rotation"
    SIGNAL_STRENGTH = "signal_strength"
    STATE_OF_CHARGE = "state_of_charge"
    TEMPERATURE = "temperature"
    TEMPERATURE_DELTA = "temperature_delta"
    VOLTAGE = "voltage"
    VOLUME = "volume"

    BOOLEAN = "boolean"
    CONNECTIVITY = "connectivity"
    HEAT = "heat"
    PLUGGED = "plugged"
    POWERED = "powered"
    PROBLEM = "problem"
    RUNNING = "running"
    WINDOW = "window"

    CLOCK_TIME = "clock_time"
    EVENT = "event"
    """Sent once, as a ``Message`` with the field's ``key`` and an option as its ``type``.

    In a snapshot its value is ``None``.
    """
    OPTION = "option"
    SIGNAL = "signal"
    TEXT = "text"
    TIMESTAMP = "timestamp"


BINARY_QUANTITIES = frozenset(
    {
        Quantity.BOOLEAN,
        Quantity.CONNECTIVITY,
        Quantity.HEAT,
        Quantity.PLUGGED,
        Quantity.POWERED,
        Quantity.PROBLEM,
        Quantity.RUNNING,
        Quantity.WINDOW,
    }
)

NUMERIC_QUANTITIES = frozenset(
    {
        Quantity.APPARENT_POWER,
        Quantity.CARBON_DIOXIDE,
        Quantity.CHARGE,
        Quantity.CURRENT,
        Quantity.DATA_RATE,
        Quantity.DURATION,
        Quantity.ENERGY,
        Quantity.FLOW,
        Quantity.FREQUENCY,
        Quantity.HUMIDITY,
        Quantity.NUMBER,
        Quantity.PERCENTAGE,
        Quantity.POWER,
        Quantity.POWER_FACTOR,
        Quantity.PRESSURE,
        Quantity.REACTIVE_POWER,
        Quantity.ROTATION,
        Quantity.SIGNAL_STRENGTH,
        Quantity.STATE_OF_CHARGE,
        Quantity.TEMPERATURE,
        Quantity.TEMPERATURE_DELTA,
        Quantity.VOLTAGE,
        Quantity.VOLUME,
    }
)


class Accumulation(StrEnum):
    """How a number behaves over time."""

    MEASUREMENT = "measurement"
    """The state of the moment."""
    TOTAL = "total"
    """A meter that may also fall."""
    TOTAL_INCREASING = "total_increasing"
    """A meter that only rises; a fall is a reset."""
    NONE = "none"
    """Neither: yesterday's total, a rating."""


class Role(StrEnum):
    """The purpose of a value."""

    LIFE = "life"
    """A value of daily use."""
    DIAGNOSTIC = "diagnostic"
    """A technical reading."""
    SETTING = "setting"
    """A setting of the device."""


class Offer(StrEnum):
    """How readily a value is offered to the user."""

    DEFAULT = "default"
    """Shown from the start."""
    EXTRA = "extra"
    """There, switched off until the user wants it."""
    ON_REQUEST = "on_request"
    """Made only when the user asks for it by name."""
    NEVER = "never"
    """Never an entity: raw, dangerous, or shown by another entity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value of one kind of device.

    ``key`` is snake_case and frozen from the first release. ``unit`` is written as people write
    it (``"kWh"``, ``"°C"``, ``"%"``) or ``None``. ``minimum``, ``maximum`` and ``step`` bound
    what may be written, in ``unit``; plausibility of readings is the codec's affair. ``options``
    are the keys of an OPTION. ``precision`` is the number of decimals worth showing. ``lasting``:
    the engine itself knows the value, also while the device is silent. ``own_name``: ``name`` is
    what the device calls it, the same in every language. ``noise``, in ``unit``, and
    ``noise_share``, of the value: by how much a reading moves while nothing happens.
    """

    key: str
    name: str
    quantity: Quantity
    unit: str | None = None
    precision: int | None = None
    accumulation: Accumulation = Accumulation.MEASUREMENT
    role: Role = Role.LIFE
    offer: Offer = Offer.DEFAULT
    readable: bool = True
    writable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    options: tuple[str, ...] = ()
    lasting: bool = False
    own_name: bool = False
    noise: float = 0.0
    noise_share: float = 0.0

    @property
    def binary(self) -> bool:
        """Whether the value is true or false."""
        return self.quantity in BINARY_QUANTITIES

    @property
    def numeric(self) -> bool:
        """Whether the value is a number."""
        return self.quantity in NUMERIC_QUANTITIES

    def is_noise(self, shown: Value | None, value: Value | None) -> bool:
        """Whether *value* differs from *shown* by noise only; that nothing flows is no noise."""
        if not self.noise or isinstance(shown, bool) or isinstance(value, bool):
            return False
        if not isinstance(shown, (int, float)) or not isinstance(value, (int, float)):
            return False
        if not shown or not value:
            return False
        return abs(value - shown) <= max(self.noise, self.noise_share * abs(shown))

    def check(self, value: Value) -> Value:
        """Return *value* as this field takes it for writing.

        Raises :class:`ValueError` with a plain reason when the type, the range or the option
        does not fit.
        """
        if not self.writable:
            raise ValueError(f"{self.key} can't be written")
        if self.numeric:
            return self._check_number(value)
        if self.binary and not isinstance(value, bool):
            raise ValueError(f"{self.key} takes true or false, not {value!r}")
        if self.quantity is Quantity.OPTION and value not in self.options:
            raise ValueError(f"{self.key} takes one of {', '.join(self.options)}, not {value!r}")
        if self.quantity is Quantity.CLOCK_TIME and not isinstance(value, time):
            raise ValueError(f"{self.key} takes a time of day, not {value!r}")
        if self.quantity is Quantity.TIMESTAMP and not isinstance(value, datetime):
            raise ValueError(f"{self.key} takes a date and time, not {value!r}")
        if self.quantity is Quantity.TEXT and not isinstance(value, str):
            raise ValueError(f"{self.key} takes a text, not {value!r}")
        return value

    def _check_number(self, value: Value) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{self.key} takes a number, not {value!r}")
        try:
            finite = math.isfinite(value)
        except OverflowError:
            raise ValueError(f"{self.key} takes no number as long as this") from None
        if not finite:
            raise ValueError(f"{self.key} takes a finite number, not {value!r}")
        if self.minimum is not None and value < self.minimum - _slack(self.minimum):
            raise ValueError(f"{self.key} is at least {self.minimum:g}, not {value:g}")
        if self.maximum is not None and value > self.maximum + _slack(self.maximum):
            raise ValueError(f"{self.key} is at most {self.maximum:g}, not {value:g}")
        return value


def _slack(limit: float) -> float:
    return 1e-6 * max(1.0, abs(limit))


class Catalogue(Mapping[str, Field]):
    """The fields of one kind of device, by key, in the order of the table.

    Two catalogues are equal when they are the same object, so that snapshots compare quickly.
    """

    __slots__ = ("_fields", "kind")

    def __init__(self, kind: str, fields: Iterable[Field]) -> None:
        self.kind = kind
        self._fields: dict[str, Field] = {}
        for field in fields:
            if field.key in self._fields:
                raise ValueError(f"{kind}: {field.key} stands twice in the table")
            self._fields[field.key] = field

    def __getitem__(self, key: str) -> Field:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def with_fields(self, fields: Iterable[Field]) -> Catalogue:
        """Return a catalogue in which *fields* replace those with the same keys.

        Returns the same object when nothing changes; a new key goes to the end.
        """
        changed = {item.key: item for item in fields if self._fields.get(item.key) != item}
        return Catalogue(self.kind, {**self._fields, **changed}.values()) if changed else self


NO_FIELDS = Catalogue("", ())
