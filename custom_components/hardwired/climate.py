"""Climates: thermostats made of several fields, thin over the engines' composites."""

from __future__ import annotations

from typing import Any

from homeassistant.components.climate import (  # type: ignore[attr-defined]
    ATTR_HVAC_MODE,
    ClimateEntity,
    ClimateEntityFeature,
    HVACAction,
    HVACMode,
)
from homeassistant.const import ATTR_TEMPERATURE, Platform, UnitOfTemperature

from .engines.composite import Part
from .entity import CompositeEntity, platform_setup
from .scales import nearest
from .temperatures import NativeTemperatures, number

PARALLEL_UPDATES = 0


class HardwiredClimate(NativeTemperatures, CompositeEntity, ClimateEntity):
    """A thermostat."""

    @property
    def supported_features(self) -> ClimateEntityFeature:
        """What this thermostat can do now."""
        about = self.about
        features = ClimateEntityFeature.TURN_ON | ClimateEntityFeature.TURN_OFF
        if about.minimum is not None:
            features |= ClimateEntityFeature.TARGET_TEMPERATURE
        if about.fan_modes:
            features |= ClimateEntityFeature.FAN_MODE
        if about.presets:
            features |= ClimateEntityFeature.PRESET_MODE
        return features

    @property
    def min_temp(self) -> float:
        """The lowest set-point."""
        return _or(self.about.minimum, 5.0)

    @property
    def max_temp(self) -> float:
        """The highest set-point."""
        return _or(self.about.maximum, 30.0)

    @property
    def target_temperature_step(self) -> float | None:
        """The step of the set-point."""
        return self.about.step

    @property
    def precision(self) -> float:
        """How finely temperatures are shown."""
        return _or(self.about.precision, 0.1)

    @property
    def hvac_modes(self) -> list[HVACMode]:
        """The modes that this device has."""
        return [HVACMode(mode) for mode in self.about.modes]

    @property
    def fan_modes(self) -> list[str] | None:
        """The fan modes that this device has."""
        return list(self.about.fan_modes) or None

    @property
    def preset_modes(self) -> list[str] | None:
        """The presets that this device has."""
        return list(self.about.presets) or None

    @property
    def native_current_temperature(self) -> float | None:
        """The measured temperature."""
        return number(self.part(Part.CURRENT))

    @property
    def native_target_temperature(self) -> float | None:
        """The set-point; none while it is off."""
        return number(self.part(Part.TARGET))

    @property
    def hvac_mode(self) -> HVACMode | None:
        """The mode that the device has confirmed."""
        mode = self.text(Part.MODE)
        return None if mode is None else HVACMode(mode)

    @property
    def hvac_action(self) -> HVACAction | None:
        """What the device does now."""
        action = self.text(Part.ACTION)
        return None if action is None else HVACAction(action)

    @property
    def fan_mode(self) -> str | None:
        """The fan mode that the device has confirmed."""
        return self.text(Part.FAN_MODE, self.about.fan_modes)

    @property
    def preset_mode(self) -> str | None:
        """The preset that the device has confirmed."""
        return self.text(Part.PRESET, self.about.presets)

    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Change the mode."""
        await self.async_wish((Part.MODE, hvac_mode))

    async def async_turn_on(self) -> None:
        """Switch on, as it was last."""
        await self.async_wish((Part.POWER, "ON"))

    async def async_turn_off(self) -> None:
        """Switch off."""
        await self.async_wish((Part.POWER, "OFF"))

    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Change the set-point, and the mode when it comes along."""
        wishes = []
        if (mode := kwargs.get(ATTR_HVAC_MODE)) is not None:
            wishes.append((Part.MODE, str(mode)))
        if (target := kwargs.get(ATTR_TEMPERATURE)) is not None:
            wishes.append((Part.TARGET, f"{self._of_scale(target):g}"))
        await self.async_wish(*wishes)

    def _of_scale(self, target: float) -> float:
        """Return a set-point as the device takes it, also where it was chosen in another unit."""
        step = self.about.step
        if step is None or self.hass.config.units.temperature_unit == UnitOfTemperature.CELSIUS:
            return target
        return nearest(target, step, self.about.minimum, self.about.maximum)

    async def async_set_fan_mode(self, fan_mode: str) -> None:
        """Change the fan mode."""
        await self.async_wish((Part.FAN_MODE, fan_mode))

    async def async_set_preset_mode(self, preset_mode: str) -> None:
        """Change the preset."""
        await self.async_wish((Part.PRESET, preset_mode))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


async_setup_entry = platform_setup(Platform.CLIMATE, composite_class=HardwiredClimate)
