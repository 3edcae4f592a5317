"""Temperatures of climates and water heaters, under the names of every Home Assistant we run on.

Home Assistant 2026.11 calls the temperatures that it converts native: the current one, the
set-point and their unit. Limits and step keep the names that they had.
"""

from __future__ import annotations

from typing import Any

from homeassistant.components.climate import ClimateEntity
from homeassistant.const import UnitOfTemperature


class NativeTemperatures:
    """Temperatures under the names of Home Assistant 2026.11; an older one gets those it knows."""

    _attr_native_temperature_unit = UnitOfTemperature.CELSIUS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give an older Home Assistant the names that it knows."""
        super().__init_subclass__(**kwargs)
        if hasattr(ClimateEntity, "native_temperature_unit"):
            return
        for owner in (NativeTemperatures, cls):
            for name, value in tuple(vars(owner).items()):
                for prefix, older in (("_attr_native_", "_attr_"), ("native_", "")):
                    if name.startswith(prefix):
                        setattr(cls, older + name.removeprefix(prefix), value)


def number(value: object) -> float | None:
    """Return a temperature, or nothing when there is none."""
    return float(value) if isinstance(value, (int, float)) else None
