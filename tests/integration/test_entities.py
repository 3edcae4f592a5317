"""What the entities of every family withstand: an update on demand, an error, another unit."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM

from custom_components.hardwired.engines.engine import Command, Device, Message
from custom_components.hardwired.scales import nearest
from custom_components.hardwired.sensor import HardwiredSensor

from .helpers import entity_ids, make_entry, state_of, until
from .test_core import BUS, loaded


async def test_an_update_on_demand_shows_what_is_known(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    entry = await loaded(hass, BUS)
    key = f"{entry.entry_id}_heater_voltage"
    await until(hass, lambda: state_of(hass, entry, key) not in (None, "unavailable", "unknown"))
    voltage = entity_ids(hass, entry)[key]
    await hass.services.async_call(
        "homeassistant", "update_entity", {"entity_id": voltage}, blocking=True
    )
    assert "fails" not in caplog.text
    assert entry.runtime_data.coordinator.last_update_success
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entity_that_fails_costs_neither_the_link_nor_the_others(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    entry = await loaded(hass, BUS)
    mode, voltage = (f"{entry.entry_id}_heater_{key}" for key in ("energy_mix", "voltage"))
    await until(hass, lambda: state_of(hass, entry, voltage) not in (None, "unknown"))
    coordinator = entry.runtime_data.coordinator
    await coordinator.async_stop()
    heard: list[object] = []
    stop_failing = coordinator.async_listen(lambda _occurrence: 1 / 0)
    stop = coordinator.async_listen(heard.append)
    caplog.clear()

    def tell(energy: str, volts: float) -> None:
        data = coordinator.data
        heater = data.devices["heater"].with_values(energy_mix=energy, voltage=volts)
        coordinator.async_receive(type(data)({**data.devices, "heater": heater}, connected=True))

    with patch.object(HardwiredSensor, "native_value", property(lambda _sensor: 1 / 0)):
        tell("mix", 12.3)
        told = caplog.text.count("unforeseen error")
        tell("electricity", 12.4)
        assert state_of(hass, entry, mode) == "electricity"
    assert caplog.text.count("unforeseen error") == told > 0, "told once for each entity"
    tell("fuel", 12.5)
    assert state_of(hass, entry, voltage) == "12.5"
    coordinator.async_occur(Message(Device("heater", "heater", "Heater"), "any", "kind"))
    assert len(heard) == 1
    stop_failing()
    stop()
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_what_is_under_way_ends_when_the_entry_is_unloaded(hass: HomeAssistant) -> None:
    entry = await loaded(hass, BUS)
    key = f"{entry.entry_id}_heater_room"
    await until(hass, lambda: state_of(hass, entry, key) not in (None, "unavailable", "unknown"))
    target = {"entity_id": entity_ids(hass, entry)[key], "temperature": 21}
    coordinator = entry.runtime_data.coordinator
    wish = hass.async_create_task(
        hass.services.async_call("climate", "set_temperature", target, blocking=True)
    )
    assert await hass.config_entries.async_unload(entry.entry_id)
    async with asyncio.timeout(5):
        with pytest.raises(HomeAssistantError) as raised:
            await wish
    assert raised.value.translation_key == "unloaded_meanwhile"
    with pytest.raises(HomeAssistantError) as raised:
        await coordinator.async_execute(Command("panel", name="refresh"))
    assert raised.value.translation_key == "not_connected"


async def test_a_setting_in_another_unit_is_on_the_scale_of_the_device(
    hass: HomeAssistant,
) -> None:
    """The owner shows minutes as hours: 2.3 of them are 137.99999999999997 minutes."""
    entry = make_entry(hass, "inventum", {"link": "sim://?odds=2&interval=3"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    key = f"{entry.entry_id}_ecolution_boost_duration"
    duration = await until(hass, lambda: entity_ids(hass, entry).get(key))
    er.async_get(hass).async_update_entity_options(duration, "number", {"unit_of_measurement": "h"})
    for hours, minutes in ((2.3, 138), (0.51, 31)):
        await hass.services.async_call(
            "number", "set_value", {"entity_id": duration, "value": hours}, blocking=True
        )
        assert entry.runtime_data.coordinator.data.value("ecolution", "boost_duration") == minutes
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("value", "step", "low", "high", "expected"),
    [
        (21.111, 1, -10, 50, 21),
        (21.111, 0.5, 7, 27, 21),
        (0.30000000000000004, 0.1, None, None, 0.3),
        (26.9, 1, 0.5, 26.5, 26.5),
        (50.4, 1, 0, 50, 50),
        (-10.4, 1, -10, 50, -10),
    ],
)
def test_the_nearest_of_a_scale(
    value: float, step: float, low: float | None, high: float | None, expected: float
) -> None:
    assert nearest(value, step, low, high) == expected


async def test_what_is_no_number_is_refused_in_any_unit(hass: HomeAssistant) -> None:
    """Home Assistant's own limits let NaN pass: it is neither too low nor too high."""
    entry = make_entry(hass, "inventum", {"link": "sim://?odds=2&interval=3"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    key = f"{entry.entry_id}_ecolution_boost_duration"
    duration = await until(hass, lambda: entity_ids(hass, entry).get(key))
    for unit in ("min", "h"):
        options = {"unit_of_measurement": unit}
        er.async_get(hass).async_update_entity_options(duration, "number", options)
        with pytest.raises(ServiceValidationError):
            await hass.services.async_call(
                "number", "set_value", {"entity_id": duration, "value": "nan"}, blocking=True
            )
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_house_in_fahrenheit_has_the_limits_of_the_devices(hass: HomeAssistant) -> None:
    hass.config.units = US_CUSTOMARY_SYSTEM
    entry = await loaded(hass, BUS)
    key = f"{entry.entry_id}_heater_room"
    await until(hass, lambda: state_of(hass, entry, key) not in (None, "unavailable", "unknown"))
    room = entity_ids(hass, entry)[key]
    found = hass.states.get(room)
    assert found is not None
    assert (found.attributes["min_temp"], found.attributes["max_temp"]) == (41, 86)
    await hass.services.async_call(
        "climate", "set_temperature", {"entity_id": room, "temperature": 70}, blocking=True
    )

    def target() -> float | None:
        found = hass.states.get(room)
        return None if found is None else found.attributes["temperature"]

    await until(hass, lambda: target() == 69.8)
    assert await hass.config_entries.async_unload(entry.entry_id)
