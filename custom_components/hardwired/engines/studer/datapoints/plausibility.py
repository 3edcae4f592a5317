"""The plausibility check that every info passes before it is shown (spec d.3, d.4).

:func:`check` is G1 to G5, which need nothing but the value. :class:`History` is G6 to G8, which
need to know what was before and what the other devices say.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from ..scom.families import Family
from ..scom.values import Format, WireValue
from .datapoint import Datapoint

REFERENCE_VOLTAGE = 48
NO_SENSOR = 32000
UNSETTLED_SECONDS = 30.0
"""For how long after a change in the plant a jump needs a second reading (G7)."""
BATTERY_VOLTAGES = {Family.XT: 3000, Family.VT: 11000, Family.VS: 15000, Family.BSP: 7000}
LEAST_VOLTAGES = 3


class Absence(StrEnum):
    """Why a value is not shown."""

    NO_VALUE = "no_value"
    NO_SENSOR = "no_sensor"
    NOT_FINITE = "not_finite"
    UNKNOWN_ENUM = "unknown_enum"
    OUT_OF_RANGE = "out_of_range"


def check(point: Datapoint, value: WireValue, nominal: float) -> Absence | None:
    """Return why *value* is absent, ``None`` when it is good.

    *nominal* is the battery's nominal voltage: 12, 24 or 48.
    """
    if point.wire_format is Format.FLOAT and isinstance(value, (int, float)):
        return _check_float(point, float(value), nominal)
    if point.wire_format is Format.SHORT_ENUM:
        if value in point.enum_absent:
            return Absence.NO_VALUE
        if point.choices and all(value != choice.wire for choice in point.choices):
            return Absence.UNKNOWN_ENUM
    return None


def _check_float(point: Datapoint, value: float, nominal: float) -> Absence | None:
    if not math.isfinite(value):
        if math.isnan(value) and point.nan_ok:
            return Absence.NO_VALUE
        return Absence.NOT_FINITE
    if value >= NO_SENSOR and point.no_sensor:
        return Absence.NO_SENSOR
    bounds = plausible(point, nominal)
    if bounds is not None and not bounds[0] <= value <= bounds[1]:
        return Absence.OUT_OF_RANGE
    return None


def plausible(point: Datapoint, nominal: float) -> tuple[float, float] | None:
    """Return the bounds of a plausible value, at this nominal battery voltage."""
    if point.plausible is None:
        return None
    low, high = point.plausible
    if point.plausible_dc_scaled:
        factor = nominal / REFERENCE_VOLTAGE
        return low * factor, high * factor
    return low, high


class Suspicion(StrEnum):
    """Why a value has to be read a second time at once."""

    FELL = "fell"
    """A counter that only rises has fallen (G6)."""
    JUMPED = "jumped"
    """It jumped while the plant is unsettled (G7)."""


@dataclass(frozen=True, slots=True)
class Voltage:
    """A battery voltage as one device reported it."""

    family: Family
    value: float


class History:
    """The plant's last values, for the rules that need them.

    Times are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[Hashable, int], float] = {}
        self._unsettled_until = -math.inf

    def unsettle(self, now: float) -> None:
        """Note that a device has changed its state, or that a message says so."""
        self._unsettled_until = now + UNSETTLED_SECONDS

    def forget(self, device: Hashable) -> None:
        """Forget the values of a device."""
        self._last = {key: value for key, value in self._last.items() if key[0] != device}

    def suspect(
        self, device: Hashable, point: Datapoint, value: float, now: float, nominal: float
    ) -> Suspicion | None:
        """Return why a value that passed :func:`check` needs a second reading."""
        last = self._last.get((device, point.id))
        if last is None:
            return None
        if point.total_increasing and value < last:
            return Suspicion.FELL
        span = _span(point, nominal)
        if now < self._unsettled_until and span is not None and abs(value - last) > span / 4:
            return Suspicion.JUMPED
        return None

    @staticmethod
    def confirms(
        doubt: Suspicion, point: Datapoint, first: float, second: float, nominal: float
    ) -> bool:
        """Return whether the second reading confirms the first."""
        match doubt:
            case Suspicion.FELL:
                return abs(second - first) <= max(0.05, 0.01 * abs(first))
            case Suspicion.JUMPED:
                span = _span(point, nominal)
                return span is None or abs(second - first) <= span / 4

    def accept(self, device: Hashable, point: Datapoint, value: float) -> None:
        """Remember a good value."""
        self._last[device, point.id] = value


def _span(point: Datapoint, nominal: float) -> float | None:
    bounds = plausible(point, nominal)
    return None if bounds is None else bounds[1] - bounds[0]


def voltage_disagrees(value: float, known: Iterable[float], nominal: float) -> bool:
    """Return whether an Xtender's battery voltage contradicts those of the others (G8).

    *known* are the voltages of all online devices, this one's included.
    """
    voltages = list(known)
    if len(voltages) < LEAST_VOLTAGES:
        return False
    return abs(value - median(voltages)) > 0.1 * nominal
