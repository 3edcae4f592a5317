"""A Truma heater in Home Assistant: the real engine, its responder, the simulated panel."""

from __future__ import annotations

from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr

from .helpers import entity_ids, make_entry, until, walk

SIM = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=1&standby=0"


@pytest.fixture
async def entry(hass: HomeAssistant) -> Any:
    entry = make_entry(hass, "truma", {"device": SIM, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)

    def ready() -> bool:
        found = entity_ids(hass, entry)
        room = found.get(f"{entry.entry_id}_heater_room")
        state = hass.states.get(room) if room else None
        return state is not None and state.state not in ("unknown", "unavailable")

    await until(hass, ready, within=60)
    yield entry
    if entry.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(entry.entry_id)


def entity(hass: HomeAssistant, entry: Any, key: str) -> str:
    return entity_ids(hass, entry)[f"{entry.entry_id}_{key}"]


async def test_setting_the_room_reaches_the_panel_and_comes_back(
    hass: HomeAssistant, entry: Any
) -> None:
    room = entity(hass, entry, "heater_room")
    await hass.services.async_call(
        "climate", "set_temperature", {"entity_id": room, "temperature": 19}, blocking=True
    )
    await until(hass, lambda: hass.states.get(room).attributes["temperature"] == 19)
    state = hass.states.get(room)
    assert state.state == "heat"
    assert state.attributes["fan_mode"] == "eco"
    await hass.services.async_call("climate", "turn_off", {"entity_id": room}, blocking=True)
    await until(hass, lambda: hass.states.get(room).state == "off")


async def test_one_action_sets_several_values_as_one(hass: HomeAssistant, entry: Any) -> None:
    await hass.services.async_call(
        "hardwired",
        "truma_set_heating",
        {
            "config_entry_id": entry.entry_id,
            "target_temperature": 21,
            "heating_mode": "high",
            "energy_source": "mix",
            "electric_power": "1800",
        },
        blocking=True,
    )
    room = entity(hass, entry, "heater_room")
    await until(hass, lambda: hass.states.get(room).attributes["temperature"] == 21)
    assert hass.states.get(entity(hass, entry, "heater_energy_mix")).state == "mix"
    assert hass.states.get(entity(hass, entry, "heater_el_power_level")).state == "1800"


async def test_the_devices_hang_behind_the_panel(hass: HomeAssistant, entry: Any) -> None:
    registry = dr.async_get(hass)
    devices = {
        next(iter(device.identifiers))[1].removeprefix(f"{entry.entry_id}_"): device
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
    }
    assert {"panel", "heater"} <= set(devices)
    assert devices["heater"].via_device_id == devices["panel"].id
    assert devices["panel"].sw_version.startswith("C")


async def test_an_action_without_a_loaded_entry_is_refused(hass: HomeAssistant, entry: Any) -> None:
    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            "hardwired",
            "truma_refresh",
            {"config_entry_id": entry.entry_id},
            blocking=True,
        )
    assert caught.value.translation_key == "entry_not_loaded"


async def test_the_flow_listens_and_makes_an_entry(hass: HomeAssistant) -> None:
    result = await walk(hass, {"next_step_id": "truma"}, {"device": SIM, "observer": False})
    if result["type"] is FlowResultType.MENU:
        pytest.fail(f"the simulated panel was not heard: {result}")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_a_missing_port_is_shown_in_the_form(hass: HomeAssistant) -> None:
    result = await walk(
        hass, {"next_step_id": "truma"}, {"device": "/dev/no-such-port", "observer": False}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": "not_found"}
