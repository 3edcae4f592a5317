"""Room heating and air conditioner as climates."""

from __future__ import annotations

from typing import Any, ClassVar

from homeassistant.components.climate import (  # type: ignore[attr-defined]
    ClimateEntity,
    ClimateEntityFeature,
    HVACAction,
    HVACMode,
)
from homeassistant.const import ATTR_TEMPERATURE
from homeassistant.core import callback
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity

from ...coordinator import HardwiredCoordinator
from ...engines.engine import DeviceState
from ...engines.fields import Value
from ...engines.truma.catalogue import VENTS
from ...engines.truma.engine import TrumaEngine
from ...engines.truma.rules import (
    AIRCON_HIGHEST,
    AIRCON_LOWEST,
    MODES_OF,
    ROOM_HIGHEST,
    ROOM_LOWEST,
    HeatingMode,
)
from ...entity import HardwiredEntity
from ...temperatures import NativeTemperatures, number


class Thermostat(NativeTemperatures, HardwiredEntity, RestoreEntity, ClimateEntity):
    """What room heating and air conditioner have in common: whole degrees and a fan.

    Both are switched on again as they were last; the panel does not tell that while they are off.
    """

    _attr_name = None
    _attr_target_temperature_step = 1
    _attr_supported_features = (
        ClimateEntityFeature.TARGET_TEMPERATURE
        | ClimateEntityFeature.FAN_MODE
        | ClimateEntityFeature.TURN_ON
        | ClimateEntityFeature.TURN_OFF
    )
    current_key: ClassVar[str]
    target_key: ClassVar[str]
    fan_key: ClassVar[str]
    last_key: ClassVar[str]
    """The value with which it is switched on again."""
    _last: Value

    @staticmethod
    def switches_on(value: Any) -> bool:
        """Whether this value, sent to the panel, switches it on."""
        raise NotImplementedError

    async def async_added_to_hass(self) -> None:
        """Remember how it was on before the restart."""
        await super().async_added_to_hass()
        if (stored := await self.async_get_last_extra_data()) is not None:
            self._remember(stored.as_dict().get("last"))
        self._remember(self.reading(self.last_key))

    @property
    def extra_restore_state_data(self) -> ExtraStoredData:
        """What a restart would forget."""
        return RestoredExtraData({"last": self._last})

    def _remember(self, value: Any) -> None:
        if self.switches_on(value):
            self._last = value

    @callback
    def _handle_coordinator_update(self) -> None:
        self._remember(self.reading(self.last_key))
        super()._handle_coordinator_update()

    @property
    def native_current_temperature(self) -> float | None:
        """The measured temperature."""
        return number(self.reading(self.current_key))

    @property
    def native_target_temperature(self) -> float | None:
        """The set-point; none while it is off."""
        return number(self.reading(self.target_key))

    @property
    def fan_mode(self) -> str | None:
        """The fan that the panel shows."""
        mode = self.reading(self.fan_key)
        return mode if isinstance(mode, str) and mode in (self.fan_modes or ()) else None

    async def async_turn_off(self) -> None:
        """Switch off."""
        await self.async_set_hvac_mode(HVACMode.OFF)


class RoomClimate(Thermostat):
    """Room heating. Its fan modes are the heater's heating modes."""

    _attr_translation_key = "truma_room"
    _attr_hvac_modes = [HVACMode.OFF, HVACMode.HEAT]  # noqa: RUF012 - Home Assistant's own way
    _attr_min_temp = ROOM_LOWEST
    _attr_max_temp = ROOM_HIGHEST
    current_key = "current_temp_room"
    target_key = "target_temp_room"
    fan_key = "heating_mode"
    last_key = target_key
    watched = (current_key, target_key, fan_key, "heating_demand", "working", "heater_state")

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState) -> None:
        """Tie the entity to the heater."""
        super().__init__(coordinator, device, "room")
        self._last = float(ROOM_LOWEST)

    @staticmethod
    def switches_on(value: Any) -> bool:
        """Whether this is a set-point that heats."""
        return isinstance(value, (int, float)) and ROOM_LOWEST <= value <= ROOM_HIGHEST

    @property
    def fan_modes(self) -> list[str]:
        """The heating modes that this heater has."""
        kind = engine_of(self.coordinator).installation.heater_kind
        return [mode.name.lower() for mode in MODES_OF[kind]]

    @property
    def hvac_mode(self) -> HVACMode | None:
        """Whether the room is to be heated."""
        mode = self.reading("heating_mode")
        if mode is None:
            return None
        return HVACMode.OFF if mode == "off" else HVACMode.HEAT

    @property
    def hvac_action(self) -> HVACAction | None:
        """What the heater does now."""
        match self.hvac_mode:
            case None:
                return None
            case HVACMode.OFF:
                return HVACAction.OFF
        if self.reading("heater_state") == "powering_up":
            return HVACAction.PREHEATING
        demand, working = self.reading("heating_demand"), self.reading("working")
        if demand is None and working is None:
            return None
        busy = bool(demand) if working is None else bool(working) and demand is not False
        return HVACAction.HEATING if busy else HVACAction.IDLE

    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Switch the room heating on, with the last set-point, or off."""
        if hvac_mode is HVACMode.OFF:
            await self.async_send({"heating_mode": HeatingMode.OFF.name.lower()})
        elif self.hvac_mode is not HVACMode.HEAT:
            await self.async_send({"target_temp_room": self._last})

    async def async_turn_on(self) -> None:
        """Switch the room heating on."""
        await self.async_set_hvac_mode(HVACMode.HEAT)

    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Change the set-point."""
        if kwargs.get("hvac_mode") is HVACMode.OFF:
            await self.async_turn_off()
        elif (target := kwargs.get(ATTR_TEMPERATURE)) is not None:
            await self.async_send({"target_temp_room": float(target)})

    async def async_set_fan_mode(self, fan_mode: str) -> None:
        """Change the heating mode."""
        wish: dict[str, Any] = {"heating_mode": fan_mode}
        if self.hvac_mode is not HVACMode.HEAT:
            wish["target_temp_room"] = self._last
        await self.async_send(wish)


AIRCON_HVAC = {
    "off": HVACMode.OFF,
    "ventilation": HVACMode.FAN_ONLY,
    "cooling": HVACMode.COOL,
    "heating": HVACMode.HEAT,
    "automatic": HVACMode.AUTO,
}
AIRCON_BY_HVAC = {mode: key for key, mode in AIRCON_HVAC.items()}


class AirConditioner(Thermostat):
    """The air conditioner."""

    _attr_translation_key = "truma_aircon"
    _attr_hvac_modes = list(AIRCON_BY_HVAC)  # noqa: RUF012
    _attr_fan_modes = list(VENTS)  # noqa: RUF012
    _attr_min_temp = AIRCON_LOWEST
    _attr_max_temp = AIRCON_HIGHEST
    current_key = "current_temp"
    target_key = "target_temp"
    fan_key = "vent"
    last_key = "mode"
    watched = (current_key, target_key, fan_key, "mode")

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState) -> None:
        """Tie the entity to the air conditioner."""
        super().__init__(coordinator, device, "aircon")
        self._last = "automatic"

    @staticmethod
    def switches_on(value: Any) -> bool:
        """Whether this is a mode other than off."""
        return isinstance(value, str) and value != "off" and value in AIRCON_HVAC

    @property
    def hvac_mode(self) -> HVACMode | None:
        """The mode that the panel shows."""
        mode = self.reading("mode")
        return AIRCON_HVAC.get(mode) if isinstance(mode, str) else None

    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Change the mode."""
        await self.async_send({"mode": AIRCON_BY_HVAC[hvac_mode]})

    async def async_turn_on(self) -> None:
        """Switch on in the last mode."""
        await self.async_send({"mode": self._last})

    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Change the set-point, and the mode when it comes along."""
        wish: dict[str, Any] = {}
        if (target := kwargs.get(ATTR_TEMPERATURE)) is not None:
            wish["target_temp"] = float(target)
        if (mode := kwargs.get("hvac_mode")) is not None:
            wish["mode"] = AIRCON_BY_HVAC[HVACMode(mode)]
        if wish:
            await self.async_send(wish)

    async def async_set_fan_mode(self, fan_mode: str) -> None:
        """Change the fan."""
        await self.async_send({"vent": fan_mode})


def engine_of(coordinator: HardwiredCoordinator) -> TrumaEngine:
    """Return the coordinator's engine."""
    engine = coordinator.engine
    assert isinstance(engine, TrumaEngine)
    return engine
