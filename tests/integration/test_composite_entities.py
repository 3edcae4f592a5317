"""Fan, climate and water heater over composites that have everything such a thing can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from homeassistant.components.climate import (
    ClimateEntity,
    ClimateEntityFeature,
    HVACAction,
    HVACMode,
)
from homeassistant.components.fan import FanEntityFeature
from homeassistant.components.water_heater import WaterHeaterEntityFeature

from custom_components.hardwired.climate import HardwiredClimate
from custom_components.hardwired.engines.composite import (
    Abilities,
    Component,
    Composite,
    Part,
    Wish,
)
from custom_components.hardwired.engines.engine import Device, DeviceState, Snapshot
from custom_components.hardwired.engines.fields import Value
from custom_components.hardwired.entity import CompositeEntity
from custom_components.hardwired.fan import HardwiredFan
from custom_components.hardwired.temperatures import NativeTemperatures
from custom_components.hardwired.water_heater import HardwiredWaterHeater

DEVICE = Device(id="toy", kind="toy", name="Toy")


class Everything(Composite):
    """Shows what the state's values are, by the names of the parts."""

    component = Component.CLIMATE
    key = "everything"
    name = "Everything"
    main = True
    can: ClassVar[Abilities] = Abilities()

    def exists(self, state: DeviceState) -> bool:
        return True

    def about(self, state: DeviceState) -> Abilities:
        return self.can

    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        return {Part(key): value for key, value in state.values.items()}

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        return {}


@dataclass
class Desk:
    """Stands where the coordinator is: the state, and what was wished."""

    data: Snapshot
    wishes: list[tuple[Wish, ...]] = field(default_factory=list)
    config_entry: Any = None
    family: Any = field(
        default_factory=lambda: SimpleNamespace(
            unique_id=lambda _entry, device, key: f"{device.id}_{key}",
            composite_key=lambda composite: f"toy_{composite.key}",
        )
    )

    def async_device_id(self, device: Device) -> str:
        return device.id

    def identifier(self, device: Device) -> tuple[str, str]:
        return ("hardwired", device.id)

    async def async_wish(self, _device: str, _composite: Composite, *wishes: Wish) -> None:
        self.wishes.append(wishes)

    def show(self, entity: CompositeEntity, **values: Value | None) -> None:
        state = DeviceState(DEVICE, values)
        self.data = Snapshot({DEVICE.id: state}, connected=True, reason=None)
        entity.shown()


def made[E: CompositeEntity](
    kind: type[E], can: Abilities, *, unit: str = "°C", **values: Value | None
) -> tuple[E, Desk]:
    composite = Everything()
    composite.__class__.can = can
    state = DeviceState(DEVICE, values)
    desk = Desk(Snapshot({DEVICE.id: state}, connected=True, reason=None))
    entity: Any = kind(desk, state, composite)  # type: ignore[arg-type]
    units = SimpleNamespace(temperature_unit=unit)
    entity.hass = SimpleNamespace(config=SimpleNamespace(units=units))
    return entity, desk


FAN = Abilities(presets=("auto", "boost"), speeds=3)


@pytest.mark.parametrize("speed, percentage", [(0, 0), (1, 33), (2, 66), (3, 100), (None, None)])
def test_a_fan_shows_its_step_as_a_percentage(speed: int | None, percentage: int | None) -> None:
    fan, _ = made(HardwiredFan, FAN, on=speed is not None and speed > 0, speed=speed, preset="auto")
    assert fan.percentage == percentage
    assert fan.speed_count == 3
    assert (fan.preset_mode, fan.preset_modes) == ("auto", ["auto", "boost"])


async def test_what_is_asked_of_a_fan_is_one_wish() -> None:
    fan, desk = made(HardwiredFan, FAN, on=None, speed=2, preset="nonsense")
    assert fan.is_on is None
    assert fan.preset_mode is None, "a preset that it has not is none"
    await fan.async_turn_on(percentage=34)
    await fan.async_turn_on(preset_mode="boost")
    await fan.async_set_percentage(67)
    await fan.async_set_preset_mode("auto")
    await fan.async_turn_off()
    assert desk.wishes == [
        ((Part.ON, "ON"), (Part.SPEED, "2")),
        ((Part.ON, "ON"), (Part.PRESET, "boost")),
        ((Part.SPEED, "3"),),
        ((Part.PRESET, "auto"),),
        ((Part.ON, "OFF"),),
    ]


def test_a_fan_offers_what_it_can() -> None:
    fan, _ = made(HardwiredFan, replace(FAN, switches_off=False), on=True)
    everything = FanEntityFeature.SET_SPEED | FanEntityFeature.PRESET_MODE
    assert fan.supported_features == everything | FanEntityFeature.TURN_ON
    plain, _ = made(HardwiredFan, Abilities(), on=True)
    assert plain.supported_features == FanEntityFeature.TURN_ON | FanEntityFeature.TURN_OFF
    assert (plain.percentage, plain.preset_modes) == (None, None)


CLIMATE = Abilities(
    modes=("off", "heat"),
    fan_modes=("low", "high"),
    presets=("home", "away"),
    minimum=7,
    maximum=27,
    step=0.5,
    precision=0.5,
)


async def test_a_climate_shows_its_parts_and_passes_on_what_is_asked() -> None:
    climate, desk = made(
        HardwiredClimate,
        CLIMATE,
        mode="heat",
        action="heating",
        current=19.5,
        target=21,
        fan_mode="low",
        preset="away",
    )
    assert (climate.hvac_mode, climate.hvac_action) == (HVACMode.HEAT, HVACAction.HEATING)
    assert (climate.fan_mode, climate.preset_mode) == ("low", "away")
    assert (climate.fan_modes, climate.preset_modes) == (["low", "high"], ["home", "away"])
    assert climate.precision == 0.5
    assert climate.supported_features & ClimateEntityFeature.PRESET_MODE
    await climate.async_set_preset_mode("home")
    await climate.async_set_fan_mode("high")
    await climate.async_set_temperature(temperature=20.5, hvac_mode=HVACMode.HEAT)
    await climate.async_set_temperature(temperature=20.5)
    await climate.async_set_temperature(hvac_mode=HVACMode.OFF)
    assert desk.wishes[:2] == [((Part.PRESET, "home"),), ((Part.FAN_MODE, "high"),)]
    assert desk.wishes[2] == ((Part.MODE, "heat"), (Part.TARGET, "20.5"))
    assert desk.wishes[3] == ((Part.TARGET, "20.5"),)
    assert desk.wishes[4] == ((Part.MODE, "off"),)


def test_a_climate_without_a_set_point_offers_none() -> None:
    climate, desk = made(HardwiredClimate, Abilities(modes=("off", "heat")), mode=None)
    on_off = ClimateEntityFeature.TURN_ON | ClimateEntityFeature.TURN_OFF
    assert climate.supported_features == on_off
    assert (climate.fan_modes, climate.preset_modes) == (None, None)
    assert (climate.hvac_mode, climate.hvac_action, climate.fan_mode) == (None, None, None)
    desk.show(climate, mode="off", action="off", current="warm")
    assert (climate.hvac_mode, climate.hvac_action) == (HVACMode.OFF, HVACAction.OFF)
    assert climate.parts[Part.CURRENT] == "warm"


async def test_a_boiler_with_a_set_point() -> None:
    can = Abilities(modes=("off", "eco"), minimum=40, maximum=65)
    boiler, desk = made(HardwiredWaterHeater, can, mode="eco", target=55, current=48.5)
    assert boiler.supported_features & WaterHeaterEntityFeature.TARGET_TEMPERATURE
    assert (boiler.operation_list, boiler.current_operation) == (["off", "eco"], "eco")
    assert (boiler.min_temp, boiler.max_temp) == (40, 65)
    assert (boiler.current_temperature, boiler.target_temperature) == (48.5, 55)
    await boiler.async_set_temperature(temperature=60)
    await boiler.async_set_temperature()
    await boiler.async_set_operation_mode("off")
    await boiler.async_turn_on()
    await boiler.async_turn_off()
    assert desk.wishes == [
        ((Part.TARGET, "60"),),
        ((Part.MODE, "off"),),
        ((Part.POWER, "ON"),),
        ((Part.POWER, "OFF"),),
    ]


def test_a_boiler_without_levels_is_only_switched() -> None:
    boiler, _ = made(HardwiredWaterHeater, Abilities(), current=None)
    assert boiler.supported_features == WaterHeaterEntityFeature.ON_OFF
    assert boiler.current_temperature is None


async def test_a_set_point_in_fahrenheit_is_the_nearest_of_the_devices_scale() -> None:
    climate, desk = made(HardwiredClimate, CLIMATE, unit="°F", mode="heat")
    await climate.async_set_temperature(temperature=21.111)
    assert desk.wishes == [((Part.TARGET, "21"),)]


def test_a_newer_home_assistant_keeps_the_native_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(NativeTemperatures):
        native_min_temp = 5

    assert hasattr(Older, "min_temp") is not hasattr(ClimateEntity, "native_temperature_unit")
    monkeypatch.setattr(ClimateEntity, "native_temperature_unit", "°C", raising=False)

    class Newer(NativeTemperatures):
        native_min_temp = 5

    assert not hasattr(Newer, "min_temp")
