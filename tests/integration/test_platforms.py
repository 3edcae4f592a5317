"""The platforms, beyond what each family tries of them: clocks, times of day, switches, texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.components.number.const import DEVICE_CLASS_UNITS as NUMBER_UNITS
from homeassistant.components.sensor import SensorStateClass
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES as SENSOR_STATE_CLASSES,
    DEVICE_CLASS_UNITS as SENSOR_UNITS,
)
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.engines.engine import DeviceState
from custom_components.hardwired.engines.fields import Accumulation, Field, Quantity
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.family import Family
from custom_components.hardwired.number import HardwiredNumber
from custom_components.hardwired.sensor import HardwiredSensor, state_class

from .helpers import entity_ids, make_entry, state_of, until
from .test_studer import running, shown, unit

XCOM, XTENDER = 501, 101
CLOCK, INVERTER_ALLOWED, AUX_START = 5002, 1124, 1206
BUS = "sim://?personality=c3-combi6de&slot_ms=10&time_scale=5&seed=3&standby=0"


async def enable(hass: HomeAssistant, entry: Any, platform: str, unique_id: str) -> str:
    """Switch on an entity as its owner would, and return its id once it has a state."""
    registry = er.async_get(hass)

    def found() -> str | None:
        return registry.async_get_entity_id(platform, DOMAIN, unique_id)

    entity_id: str = await until(hass, found, within=60)
    registry.async_update_entity(entity_id, disabled_by=None)
    assert await hass.config_entries.async_reload(entry.entry_id)

    def told() -> bool:
        state = hass.states.get(entity_id)
        return state is not None and state.state not in ("unknown", "unavailable")

    await until(hass, told, within=60)
    return entity_id


def state(hass: HomeAssistant, entity_id: str) -> str:
    found = hass.states.get(entity_id)
    assert found is not None
    return found.state


async def test_the_clock_of_a_plant_is_read_and_set(hass: HomeAssistant) -> None:
    async with running(hass) as entry:
        clock = await enable(hass, entry, "datetime", f"{unit(entry, XCOM)}_{CLOCK}")
        one = er.async_get(hass).async_get(clock)
        assert one is not None
        assert one.entity_category is EntityCategory.CONFIG
        wish = (dt_util.utcnow() + timedelta(days=2, hours=3)).replace(microsecond=0)
        await hass.services.async_call(
            "datetime", "set_value", {"entity_id": clock, "datetime": wish}, blocking=True
        )
        told = dt_util.parse_datetime(state(hass, clock))
        assert told is not None
        assert abs(told - wish) < timedelta(minutes=1)


async def test_a_time_of_day_is_asked_for_by_number_and_set(hass: HomeAssistant) -> None:
    async with running(hass, datapoints=[f"xt.{AUX_START}"]) as entry:
        await until(hass, lambda: shown(hass, entry, XTENDER, AUX_START), within=60)
        start = entity_ids(hass, entry)[f"{unit(entry, XTENDER)}_{AUX_START}"]
        assert start.startswith("time.")
        for wish in ("06:30:00", "23:59:00"):
            await hass.services.async_call(
                "time", "set_value", {"entity_id": start, "time": wish}, blocking=True
            )
            assert state(hass, start) == wish
        found = hass.states.get(start)
        assert found is not None
        assert found.attributes["minutes"] == 1440


async def test_a_switch_is_thrown_both_ways(hass: HomeAssistant) -> None:
    async with running(hass) as entry:
        key = f"{unit(entry, XTENDER)}_{INVERTER_ALLOWED}"
        await until(hass, lambda: shown(hass, entry, XTENDER, INVERTER_ALLOWED) == "on", within=60)
        switch = entity_ids(hass, entry)[key]
        for service, shows in (("turn_off", "off"), ("turn_on", "on")):
            await hass.services.async_call("switch", service, {"entity_id": switch}, blocking=True)
            assert state(hass, switch) == shows


async def test_a_time_that_is_only_read_is_a_text(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "truma", {"link": BUS, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)
    clock = await enable(hass, entry, "sensor", f"{entry.entry_id}_panel_panel_clock")
    hours, minutes = map(int, state(hass, clock).split(":"))
    assert 0 <= hours < 24
    assert 0 <= minutes < 60
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_text_that_is_too_long_for_a_state_is_cut(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "sunsynk", {"source": "sim", "time_zone": "UTC"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data.coordinator

    def inverter() -> DeviceState | None:
        found = coordinator.data.devices.values()
        return next((one for one in found if "fault_codes" in one.values), None)

    told: DeviceState = await until(hass, inverter)
    every = ", ".join(f"F{number:02}" for number in range(1, 65))
    coordinator.async_receive(
        replace(
            coordinator.data,
            devices={
                **coordinator.data.devices,
                told.device.id: told.with_values(fault_codes=every),
            },
        )
    )
    shown = state_of(hass, entry, f"{told.device.id}_fault_codes")
    assert shown is not None
    assert len(shown) == MAX_LENGTH_STATE_STATE
    assert shown[:-1] == every[: MAX_LENGTH_STATE_STATE - 1]
    assert await hass.config_entries.async_unload(entry.entry_id)


def test_energy_that_is_no_meter_has_no_state_class() -> None:
    yesterday = Field(key="energy_yesterday", name="Energy", quantity=Quantity.ENERGY, unit="kWh")
    assert state_class(yesterday) is None
    meter = replace(yesterday, accumulation=Accumulation.TOTAL_INCREASING)
    assert state_class(meter) is SensorStateClass.TOTAL_INCREASING


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_units_and_classes_go_together(family: Family) -> None:
    for kind, catalogue in family.catalogues.items():
        for item in catalogue.values():
            if family.platform(kind, item) is Platform.SENSOR:
                sensor = HardwiredSensor.describe(item, "any")
                if (kind_of := sensor.device_class) is not None:
                    units = SENSOR_UNITS.get(kind_of, {None})
                    assert sensor.native_unit_of_measurement in units, item
                    assert sensor.state_class in (None, *SENSOR_STATE_CLASSES[kind_of]), item
            elif family.platform(kind, item) is Platform.NUMBER:
                number = HardwiredNumber.describe(item, "any")
                if number.device_class is not None:
                    assert number.native_unit_of_measurement in NUMBER_UNITS[number.device_class]
