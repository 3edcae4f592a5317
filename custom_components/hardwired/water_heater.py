"""Water heaters: boilers made of several fields, thin over the engines' composites."""

from __future__ import annotations

from typing import Any

from homeassistant.components.water_heater import (  # type: ignore[attr-defined]
    WaterHeaterEntity,
    WaterHeaterEntityFeature,
)
from homeassistant.const import ATTR_TEMPERATURE, Platform

from .engines.composite import Part
from .entity import CompositeEntity, platform_setup
from .temperatures import NativeTemperatures, number

PARALLEL_UPDATES = 0

SHOWN_FROM, SHOWN_TO = 0, 80
"""The scale of a boiler without a set-point, in °C."""


class HardwiredWaterHeater(NativeTemperatures, CompositeEntity, WaterHeaterEntity):
    """A boiler."""

    @property
    def supported_features(self) -> WaterHeaterEntityFeature:
        """What this boiler can do now."""
        features = WaterHeaterEntityFeature.ON_OFF
        if self.about.modes:
            features |= WaterHeaterEntityFeature.OPERATION_MODE
        if Part.TARGET in self.parts:
            features |= WaterHeaterEntityFeature.TARGET_TEMPERATURE
        return features

    @property
    def min_temp(self) -> float:
        """The lowest temperature of the scale."""
        return SHOWN_FROM if self.about.minimum is None else self.about.minimum

    @property
    def max_temp(self) -> float:
        """The highest temperature of the scale."""
        return SHOWN_TO if self.about.maximum is None else self.about.maximum

    @property
    def native_current_temperature(self) -> float | None:
        """The water temperature."""
        return number(self.part(Part.CURRENT))

    @property
    def native_target_temperature(self) -> float | None:
        """The set-point, where there is one."""
        return number(self.part(Part.TARGET))

    @property
    def operation_list(self) -> list[str]:
        """The levels that this boiler has."""
        return list(self.about.modes)

    @property
    def current_operation(self) -> str | None:
        """The level that the device has confirmed."""
        return self.text(Part.MODE)

    async def async_set_operation_mode(self, operation_mode: str) -> None:
        """Change the level."""
        await self.async_wish((Part.MODE, operation_mode))

    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Change the set-point."""
        if (target := kwargs.get(ATTR_TEMPERATURE)) is not None:
            await self.async_wish((Part.TARGET, f"{target:g}"))

    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch on; what is on stays as it is."""
        await self.async_wish((Part.POWER, "ON"))

    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch off."""
        await self.async_wish((Part.POWER, "OFF"))


async_setup_entry = platform_setup(Platform.WATER_HEATER, composite_class=HardwiredWaterHeater)
