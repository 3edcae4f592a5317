"""From Home Assistant's units to the GX's, and back (spec H.4). All rounding is half up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from .home import EntityState


class Kind(StrEnum):
    """What a number measures; the GX has one unit for each."""

    TEMPERATURE = "temperature"
    ENERGY = "energy"
    POWER = "power"
    CURRENT = "current"
    VOLTAGE = "voltage"
    PRESSURE = "pressure"
    VOLUME = "volume"
    LENGTH = "length"
    SPEED = "speed"
    SHARE = "share"
    ANGLE = "angle"
    IRRADIANCE = "irradiance"


FACTORS: Mapping[Kind, Mapping[str, float]] = {
    Kind.TEMPERATURE: {"°C": 1.0, "°F": 5 / 9, "K": 1.0},
    Kind.ENERGY: {
        "kWh": 1.0,
        "Wh": 0.001,
        "MWh": 1000.0,
        "GWh": 1e6,
        "MJ": 1 / 3.6,
        "kJ": 1 / 3600,
    },
    Kind.POWER: {"W": 1.0, "kW": 1000.0, "MW": 1e6, "mW": 0.001},
    Kind.CURRENT: {"A": 1.0, "mA": 0.001},
    Kind.VOLTAGE: {"V": 1.0, "mV": 0.001, "kV": 1000.0},
    Kind.PRESSURE: {
        "hPa": 1.0,
        "mbar": 1.0,
        "Pa": 0.01,
        "kPa": 10.0,
        "bar": 1000.0,
        "mmHg": 1.33322,
        "inHg": 33.8639,
        "psi": 68.9476,
    },
    Kind.VOLUME: {
        "m³": 1.0,
        "L": 0.001,
        "gal": 0.00378541,
        "ft³": 0.0283168,
        "mL": 1e-6,
    },
    Kind.LENGTH: {"km": 1.0, "mi": 1.60934, "m": 0.001},
    Kind.SPEED: {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 0.514444, "ft/s": 0.3048},
    Kind.SHARE: {"%": 1.0},
    Kind.ANGLE: {"°": 1.0},
    Kind.IRRADIANCE: {"W/m²": 1.0},
}
_OFFSETS: Mapping[str, float] = {"°F": -32 * 5 / 9, "K": -273.15}


def half_up(value: float, decimals: int = 0) -> float:
    """Return a number rounded half up."""
    scale = 10.0**decimals
    scaled = value * scale
    near = math.floor(scaled + 0.5)
    if math.isclose(scaled + 0.5, near + 1, rel_tol=0, abs_tol=1e-9):
        near += 1  # 1.005 is a little less than that in binary
    return near / scale


def whole(value: float) -> int:
    """Return the nearest whole number, half up."""
    return int(half_up(value))


def decimals_of(kind: Kind) -> int:
    """Return how many decimals the GX gets."""
    return 2 if kind is Kind.TEMPERATURE else 6


def factor(kind: Kind, unit: str | None) -> float | None:
    """Return what a difference is multiplied with; ``None`` for a unit of something else."""
    table = FACTORS[kind]
    return 1.0 if unit is None else table.get(unit)


def to_gx(value: float, kind: Kind, unit: str | None) -> float | None:
    """Return a value in the GX's unit, rounded; ``None`` when the unit is of something else."""
    by = factor(kind, unit)
    if by is None:
        return None
    return half_up(value * by + _OFFSETS.get(unit or "", 0.0), decimals_of(kind))


def from_gx(value: float, kind: Kind, unit: str | None) -> float:
    """Return a value of the GX in an entity's unit, not rounded."""
    by = factor(kind, unit) or 1.0
    return (value - _OFFSETS.get(unit or "", 0.0)) / by


def reading(state: EntityState, kind: Kind) -> float | None:
    """Return what an entity reads in the GX's unit; ``None`` when it reads nothing usable."""
    found = state.number
    return None if found is None else to_gx(found, kind, state.unit)


CHANNEL_KINDS: Mapping[str, tuple[Kind, str]] = {
    **dict.fromkeys(("°C", "°F", "K"), (Kind.TEMPERATURE, "/Temperature")),
    **dict.fromkeys(("m/s", "km/h", "mph", "kn"), (Kind.SPEED, "/Speed")),
    **dict.fromkeys(("m³", "L"), (Kind.VOLUME, "/Volume")),
}
"""Units of outputs and inputs that the GX converts to what its user prefers."""
LONGEST_UNIT = 16


class ChannelUnit:
    """The unit of an output or input: converted to the GX's own, or shown as it is."""

    def __init__(self, unit: str | None) -> None:
        self.unit = unit
        found = CHANNEL_KINDS.get(unit or "")
        self.kind: Kind | None = None if found is None else found[0]
        self.text = (unit or "")[:LONGEST_UNIT] if found is None else found[1]

    def value(self, number: float) -> float:
        """Return a value for the GX."""
        if self.kind is None:
            return number
        found = to_gx(number, self.kind, self.unit)
        assert found is not None
        return found

    def step(self, number: float) -> float:
        """Return a difference for the GX."""
        if self.kind is None:
            return number
        return half_up(number * (factor(self.kind, self.unit) or 1.0), 6)

    def back(self, number: float) -> float:
        """Return a value of the GX in the entity's unit."""
        return number if self.kind is None else from_gx(number, self.kind, self.unit)

    @property
    def slack(self) -> float:
        """How far a limit may be missed, in the entity's unit, since it was rounded for the GX."""
        if self.kind is None:
            return 1e-9
        rounding = 0.5 * 10.0 ** -decimals_of(self.kind)
        return 1.02 * rounding / (factor(self.kind, self.unit) or 1.0)


SMALLEST_STEP = 1e-9


def nearest(value: float, step: float | None, origin: float = 0.0, decimals: int = 6) -> float:
    """Return the nearest multiple of a step from an origin."""
    if step is None or step < SMALLEST_STEP:
        return half_up(value, decimals)
    return half_up(origin + half_up((value - origin) / step) * step, decimals)
