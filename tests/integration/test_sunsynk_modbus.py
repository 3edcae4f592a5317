"""An inverter on Modbus in Home Assistant: a real terminal, a real socket, a simulated inverter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import async_get_config_entry_diagnostics
from custom_components.hardwired.engines.simulating import PtyPort, PtyStream, on_tcp_port, serve
from custom_components.hardwired.engines.sunsynk.simulator.modbus import (
    ModbusFaults,
    ModbusSimulator,
    ModbusWorld,
)

from .helpers import entity_ids, go_on, make_entry, state_of, until, walk

SERIAL = "2200000001"
NOON = datetime(2026, 6, 14, 12)  # noqa: DTZ001 - the inverter's wall clock
START = ({"next_step_id": "sunsynk"}, {"next_step_id": "sunsynk_modbus"})
MORE = {"serial": "9600 8N1", "framing": "auto", "max_block": 66, "time_zone": "Europe/London"}


def a_world(**settings: Any) -> ModbusWorld:
    return ModbusWorld(lambda: NOON, **settings)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[tuple[ModbusWorld, str]]:
    """A simulated inverter on a terminal."""
    world, port = a_world(), PtyPort(tmp_path / "inverter")
    line = asyncio.ensure_future(serve(ModbusSimulator(world), PtyStream(port.plug())))
    yield world, str(port.link)
    line.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await line
    port.unplug()


async def set_up(hass: HomeAssistant, link: str, **options: Any) -> Any:
    """Return an entry that is loaded and shows the inverter."""
    data = {"source": "modbus", "link": link, "unit": 1, "time_zone": "UTC"}
    entry = make_entry(hass, "sunsynk", data, {"interval": 1, **options})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_battery_soc"))
    return entry


async def test_the_flow_asks_the_inverter_and_makes_an_entry(
    hass: HomeAssistant, world: tuple[ModbusWorld, str]
) -> None:
    _, link = world
    result = await walk(hass, *START, {"link": link, "units": "1", "more": MORE})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Sunsynk (Modbus inverter)"
    entry = result["result"]
    assert entry.data["unit"] == 1
    assert entry.data["framing"] == "rtu"
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_battery_soc"))
    assert state_of(hass, entry, f"{SERIAL}_inverter_program_time_2") == "05:00"
    assert {one.split(".")[0] for one in entity_ids(hass, entry).values()} == {
        "sensor", "binary_sensor",
    }  # fmt: skip
    again = await walk(hass, *START, {"link": link, "units": "2", "more": MORE})
    assert again["errors"] == {"link": "link_in_use"}
    again = await go_on(hass, again, {"link": "x:y:z", "units": "2", "more": MORE})
    assert again["type"] is FlowResultType.FORM
    hass.config_entries.flow.async_abort(again["flow_id"])
    changed = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    changed = await go_on(
        hass, changed, START[1], {"link": link, "units": "1", "more": {**MORE, "max_block": 8}}
    )
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["max_block"] == 8
    await hass.async_block_till_done()
    diagnostics = str(await async_get_config_entry_diagnostics(hass, entry))
    assert SERIAL not in diagnostics
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_gateway_is_asked_over_the_network(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    world = a_world(units=(1, 5))
    async with on_tcp_port(lambda: ModbusSimulator(world, tcp=True)) as port:
        typed = {"link": f"127.0.0.1:{port}", "units": "1, 5", "more": MORE}
        result = await walk(hass, *START, typed)
        assert result["type"] is FlowResultType.CREATE_ENTRY, result
        entry = result["result"]
        assert entry.data["link"] == f"socket://127.0.0.1:{port}"
        assert (entry.data["unit"], entry.data["units"]) == (1, [5])
        await until(hass, lambda: state_of(hass, entry, "2200000002_battery_soc"))
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"link": "sim://?type=5"}, {"base": "sunsynk_three_phase"}),
        ({"link": "sim://", "units": "0"}, {"units": "bad_address"}),
        ({"link": "sim://", "units": "one"}, {"units": "bad_address"}),
        ({"link": "/dev/none"}, {"link": "not_found"}),
        ({"link": "socket://"}, {"link": "bad_address"}),
        ({"more": {**MORE, "serial": "fast"}}, {"base": "bad_address"}),
        ({"more": {**MORE, "time_zone": "Mars/Olympus"}}, {"time_zone": "bad_timezone"}),
    ],
)
async def test_what_is_wrong_is_said_and_can_be_mended(
    hass: HomeAssistant, change: dict[str, Any], errors: dict[str, str]
) -> None:
    good = {"link": "sim://?seed=2", "units": "1", "more": MORE}
    result = await walk(hass, *START, {**good, **change})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == errors
    result = await go_on(hass, result, good)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_settings_become_controls_when_writing_is_allowed(
    hass: HomeAssistant, world: tuple[ModbusWorld, str]
) -> None:
    simulated, link = world
    entry = await set_up(hass, link)
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"interval": 1, "write_enabled": True, "grid_power_by_ten": []}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: entity_ids(hass, entry).get(f"{SERIAL}_use_timer"))
    registry = er.async_get(hass)
    found = {
        one.unique_id: one for one in er.async_entries_for_config_entry(registry, entry.entry_id)
    }
    for key, platform in {
        "inverter_program_time_1": "time",
        "inverter_program_power_1": "number",
        "inverter_program_soc_1": "number",
        "inverter_program_voltage_1": "number",
        "inverter_program_charge_1": "select",
        "inverter_program_sell_1": "switch",
        "load_limit": "select",
        "battery_float_voltage": "number",
    }.items():
        one = found[f"{SERIAL}_{key}"]
        assert one.domain == platform
        assert one.entity_category == "config"
    assert found[f"{SERIAL}_battery_float_voltage"].disabled_by is not None
    power = found[f"{SERIAL}_inverter_program_power_1"].entity_id
    await until(hass, lambda: hass.states.get(power))
    state = hass.states.get(power)
    assert state is not None
    assert (state.state, state.attributes["max"]) == ("3000", 5000)
    await hass.services.async_call(
        "number", "set_value", {"entity_id": power, "value": 2500}, blocking=True
    )
    assert simulated.inverters[1].settings[256] == 2500
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_inverter_program_power_1") == "2500")
    # Back to reading only: the sensors are there again, the controls are gone.
    hass.config_entries.async_update_entry(entry, options={"interval": 1})
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(
        hass, lambda: entity_ids(hass, entry)[f"{SERIAL}_inverter_program_power_1"][:6] == "sensor"
    )
    assert f"{SERIAL}_use_timer" not in entity_ids(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_actions(hass: HomeAssistant, world: tuple[ModbusWorld, str]) -> None:
    simulated, link = world
    entry = await set_up(hass, link, write_enabled=True)
    inverter = simulated.inverters[1]

    async def call(name: str, **data: Any) -> Any:
        answers = name != "set_clock"
        return await hass.services.async_call(
            DOMAIN, f"sunsynk_{name}", {"config_entry_id": entry.entry_id, **data},
            blocking=True, return_response=answers,
        )  # fmt: skip

    slots = [
        {"slot": 1, "time": "01:30", "soc": 90, "charge": "both", "sell": True},
        {"slot": 2, "power": 1000},
    ]
    result = await call("set_programs", slots=slots)
    assert result == {"written": 4, "unchanged": 0}
    assert [inverter.settings[one] for one in (250, 257, 268, 274)] == [130, 1000, 90, 0x43]
    written = len(inverter.written)
    for wrong in (
        [{"slot": 1, "time": "06:00"}],
        [{"slot": 1, "soc": 20}, {"slot": 2, "power": 9000}],
    ):
        with pytest.raises(ServiceValidationError):
            await call("set_programs", slots=wrong)
    assert len(inverter.written) == written
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, SERIAL), entry.entry_id)
    assert device is not None
    await call("write_setting", device_id=device.id, setting="use_timer", value="off")
    assert inverter.settings[248] == 0
    await call("write_setting", setting="inverter_program_time_2", value="04:15")
    assert inverter.settings[251] == 415
    for setting, value in (("battery_soc", 5), ("use_timer", "maybe"), ("nothing", "x")):
        with pytest.raises(ServiceValidationError):
            await call("write_setting", setting=setting, value=value)
    with pytest.raises(ServiceValidationError):
        await call("write_setting", device_id="none", setting="use_timer", value="on")
    await call("set_clock", time="2026-06-14 15:00:00")
    assert inverter.clock_offset.total_seconds() == pytest.approx(3 * 3600, abs=5)
    simulated.faults = ModbusFaults(ignore_writes=1.0)
    with pytest.raises(HomeAssistantError) as caught:
        await call("write_setting", setting="use_timer", value="on")
    assert caught.value.translation_key == "sunsynk_kept_old"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_several_inverters_must_be_named(hass: HomeAssistant) -> None:
    entry = await set_up(hass, "sim://?units=1,2", units=[2])
    await until(hass, lambda: state_of(hass, entry, "2200000002_battery_soc"))
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            DOMAIN, "sunsynk_set_clock", {"config_entry_id": entry.entry_id}, blocking=True
        )
    assert caught.value.translation_key == "sunsynk_which_inverter"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_service_device_of_before_gets_the_ids_of_its_entry(hass: HomeAssistant) -> None:
    data = {"source": "modbus", "link": "sim://", "unit": 1, "time_zone": "UTC"}
    entry = make_entry(hass, "sunsynk", data)
    old = "sunsynk_modbus_modbus_sim_"
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, old)}, name="Mine"
    )
    kept = er.async_get(hass).async_get_or_create(
        "sensor", DOMAIN, f"{old}_reports", config_entry=entry, device_id=device.id
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_battery_soc"))
    assert entity_ids(hass, entry)[f"{entry.entry_id}_{old}_reports"] == kept.entity_id
    found = dr.async_get(hass).async_get(device.id)
    assert found is not None
    assert found.identifiers == {(DOMAIN, f"{entry.entry_id}_{old}")}
    assert await hass.config_entries.async_unload(entry.entry_id)
