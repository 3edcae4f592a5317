"""Fans: ventilation made of several fields, thin over the engines' composites."""

from __future__ import annotations

import math
from typing import Any

from homeassistant.components.fan import (  # type: ignore[attr-defined]
    FanEntity,
    FanEntityFeature,
)
from homeassistant.const import Platform
from homeassistant.util.percentage import ranged_value_to_percentage

from .engines.composite import Part, Wish
from .entity import CompositeEntity, platform_setup

PARALLEL_UPDATES = 0


class HardwiredFan(CompositeEntity, FanEntity):
    """A fan with steps and presets."""

    @property
    def supported_features(self) -> FanEntityFeature:
        """What this fan can do now."""
        about = self.about
        features = FanEntityFeature.TURN_ON
        if about.switches_off:
            features |= FanEntityFeature.TURN_OFF
        if about.speeds:
            features |= FanEntityFeature.SET_SPEED
        if about.presets:
            features |= FanEntityFeature.PRESET_MODE
        return features

    @property
    def is_on(self) -> bool | None:
        """Whether it turns."""
        on = self.part(Part.ON)
        return on if isinstance(on, bool) else None

    @property
    def speed_count(self) -> int:
        """The number of steps."""
        return self.about.speeds or 100

    @property
    def percentage(self) -> int | None:
        """The step that the device has confirmed, as a percentage."""
        speed = self.part(Part.SPEED)
        if not isinstance(speed, int) or not self.about.speeds:
            return None
        return ranged_value_to_percentage((1, self.about.speeds), speed) if speed else 0

    @property
    def preset_modes(self) -> list[str] | None:
        """The presets that this fan has."""
        return list(self.about.presets) or None

    @property
    def preset_mode(self) -> str | None:
        """The preset that the device has confirmed."""
        return self.text(Part.PRESET, self.about.presets)

    def _speed(self, percentage: int) -> Wish:
        return Part.SPEED, str(math.ceil(percentage * self.about.speeds / 100))

    async def async_turn_on(
        self, percentage: int | None = None, preset_mode: str | None = None, **kwargs: Any
    ) -> None:
        """Switch on, with a step or a preset when one is named."""
        wishes: list[Wish] = [(Part.ON, "ON")]
        if percentage is not None:
            wishes.append(self._speed(percentage))
        if preset_mode is not None:
            wishes.append((Part.PRESET, preset_mode))
        await self.async_wish(*wishes)

    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch off."""
        await self.async_wish((Part.ON, "OFF"))

    async def async_set_percentage(self, percentage: int) -> None:
        """Change the step."""
        await self.async_wish(self._speed(percentage))

    async def async_set_preset_mode(self, preset_mode: str) -> None:
        """Change the preset."""
        await self.async_wish((Part.PRESET, preset_mode))


async_setup_entry = platform_setup(Platform.FAN, composite_class=HardwiredFan)
