"""The units of the field catalogues in Home Assistant's enums."""

from __future__ import annotations

from homeassistant.const import (
    REVOLUTIONS_PER_MINUTE,
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    UnitOfApparentPower,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfPower,
    UnitOfRatio,
    UnitOfReactivePower,
    UnitOfTemperature,
    UnitOfTime,
    UnitOfVolumeFlowRate,
)

_ENUMS = (
    UnitOfApparentPower,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfPower,
    UnitOfRatio,
    UnitOfReactivePower,
    UnitOfTemperature,
    UnitOfTime,
    UnitOfVolumeFlowRate,
)

_KNOWN: dict[str, str] = {str(unit.value): unit for enum in _ENUMS for unit in enum}
_KNOWN |= {unit: unit for unit in (REVOLUTIONS_PER_MINUTE, SIGNAL_STRENGTH_DECIBELS_MILLIWATT)}


def unit_of(unit: str | None) -> str | None:
    """Return Home Assistant's name of a unit; a unit that it does not know stays as it is."""
    return None if unit is None else _KNOWN.get(unit, unit)
