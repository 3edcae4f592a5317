"""The boiler as a water heater."""

from __future__ import annotations

from typing import Any

from homeassistant.components.water_heater import (  # type: ignore[attr-defined]
    WaterHeaterEntity,
    WaterHeaterEntityFeature,
)

from ...coordinator import HardwiredCoordinator
from ...engines.engine import DeviceState
from ...engines.truma.catalogue import WATER_MODES
from ...engines.truma.devices import HeaterKind
from ...entity import HardwiredEntity
from ...temperatures import NativeTemperatures, number
from .climate import engine_of


class HotWater(NativeTemperatures, HardwiredEntity, WaterHeaterEntity):
    """The boiler."""

    _attr_translation_key = "truma_water"
    _attr_min_temp = 0
    _attr_max_temp = 80
    _attr_supported_features = (
        WaterHeaterEntityFeature.OPERATION_MODE | WaterHeaterEntityFeature.ON_OFF
    )
    watched = ("current_temp_water", "water_mode")

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState) -> None:
        """Tie the entity to the heater."""
        super().__init__(coordinator, device, "water")

    @property
    def native_current_temperature(self) -> float | None:
        """The water temperature."""
        return number(self.reading("current_temp_water"))

    @property
    def operation_list(self) -> list[str]:
        """The levels that this heater has."""
        vario = engine_of(self.coordinator).installation.heater_kind is HeaterKind.VARIO
        return [level for level in WATER_MODES if not (vario and level == "boost")]

    @property
    def current_operation(self) -> str | None:
        """The level that the panel shows."""
        mode = self.reading("water_mode")
        return mode if isinstance(mode, str) else None

    async def async_set_operation_mode(self, operation_mode: str) -> None:
        """Change the level."""
        await self.async_send({"water_mode": operation_mode})

    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch the boiler to eco, when it is off."""
        if self.current_operation in (None, "off"):
            await self.async_send({"water_mode": "eco"})

    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch the boiler off."""
        await self.async_send({"water_mode": "off"})
