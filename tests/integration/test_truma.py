"""A Truma heater in Home Assistant: the real engine, its responder, the simulated panel."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import probatio as vol
import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.engines.engine import LinkError, Notice, Reason
from custom_components.hardwired.engines.factory import ProbeResult
from custom_components.hardwired.engines.simulating import PtyPort
from custom_components.hardwired.engines.truma import TrumaFactory
from custom_components.hardwired.engines.truma.engine import TrumaEngine
from custom_components.hardwired.engines.truma.inet.buffers import MessageId
from custom_components.hardwired.engines.truma.simulator.runner import launch

from .helpers import entity_ids, go_on, make_entry, put_away, until, walk

SIM = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=1&standby=0"


@pytest.fixture
async def entry(hass: HomeAssistant) -> Any:
    entry = make_entry(hass, "truma", {"link": SIM, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)

    def ready() -> bool:
        found = entity_ids(hass, entry)
        room = found.get(f"{entry.entry_id}_heater_room")
        state = hass.states.get(room) if room else None
        return state is not None and state.state not in ("unknown", "unavailable")

    await until(hass, ready, within=60)
    yield entry
    await put_away(hass, entry)


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


async def test_a_template_may_say_the_power_as_a_number(hass: HomeAssistant, entry: Any) -> None:
    await hass.services.async_call(
        "hardwired",
        "truma_set_heating",
        {
            "config_entry_id": entry.entry_id,
            "target_temperature": 21,
            "energy_source": "mix",
            "electric_power": 900,
        },
        blocking=True,
    )
    power = entity(hass, entry, "heater_el_power_level")
    await until(hass, lambda: hass.states.get(power).state == "900")
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call(
            "hardwired", "truma_set_heating", {"config_entry_id": entry.entry_id}, blocking=True
        )


async def test_the_devices_hang_behind_the_panel(hass: HomeAssistant, entry: Any) -> None:
    registry = dr.async_get(hass)

    def devices() -> dict[str, dr.DeviceEntry]:
        return {
            next(iter(device.identifiers))[1].removeprefix(f"{entry.entry_id}_"): device
            for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        }

    await until(hass, lambda: {"panel", "heater"} <= set(devices()))
    assert devices()["heater"].via_device_id == devices()["panel"].id
    version = await until(hass, lambda: devices()["panel"].sw_version)
    assert version.startswith("C")


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
    result = await walk(hass, {"next_step_id": "truma"}, {"link": SIM, "observer": False})
    if result["type"] is FlowResultType.MENU:
        pytest.fail(f"the simulated panel was not heard: {result}")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_a_missing_port_is_shown_in_the_form(hass: HomeAssistant) -> None:
    result = await walk(
        hass, {"next_step_id": "truma"}, {"link": "/dev/no-such-port", "observer": False}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": "not_found"}


async def test_a_port_without_a_name_is_asked_for_again(hass: HomeAssistant) -> None:
    result = await walk(hass, {"next_step_id": "truma"}, {"link": "", "observer": False})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"link": "bad_address"}


def responders_on(port: Path) -> list[str]:
    """Return the processes that were started with this port."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(port).encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


async def test_closing_the_dialog_stops_listening(hass: HomeAssistant, tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "ttyLIN")
    port.plug()
    result: Any = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
    for step in ({"next_step_id": "truma"}, {"link": str(port.link), "observer": False}):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], dict(step))
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    async with asyncio.timeout(20):  # the dialog's own task is not to be waited for
        while not responders_on(port.link):
            await asyncio.sleep(0.02)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await until(hass, lambda: not responders_on(port.link))
    port.unplug()


async def test_the_room_is_switched_off_and_on_again(hass: HomeAssistant, entry: Any) -> None:
    room = entity(hass, entry, "heater_room")
    for action, data, mode in (
        ("set_temperature", {"temperature": 21}, "heat"),
        ("set_hvac_mode", {"hvac_mode": "heat"}, "heat"),
        ("set_temperature", {"temperature": 18, "hvac_mode": "off"}, "off"),
        ("turn_on", {}, "heat"),
        ("turn_off", {}, "off"),
        ("set_fan_mode", {"fan_mode": "high"}, "heat"),
    ):
        await hass.services.async_call(
            "climate", action, {"entity_id": room, **data}, blocking=True
        )
        await until(hass, lambda mode=mode: hass.states.get(room).state == mode)
        if mode == "heat":
            assert hass.states.get(room).attributes["temperature"] == 21, "the last set-point"


async def test_hot_water_and_its_switching(hass: HomeAssistant, entry: Any) -> None:
    water = entity(hass, entry, "heater_water")
    for action, data, shown in (
        ("turn_on", {}, "eco"),
        ("set_operation_mode", {"operation_mode": "high"}, "high"),
        ("turn_on", {}, "high"),
        ("turn_off", {}, "off"),
    ):
        await hass.services.async_call(
            "water_heater", action, {"entity_id": water, **data}, blocking=True
        )
        await until(hass, lambda shown=shown: hass.states.get(water).state == shown)


async def test_the_heating_mode_is_the_thermostats_fan(hass: HomeAssistant, entry: Any) -> None:
    room = entity(hass, entry, "heater_room")
    assert hass.states.get(room).attributes["fan_modes"] == ["eco", "high", "boost"]
    await hass.services.async_call(
        "climate", "set_fan_mode", {"entity_id": room, "fan_mode": "high"}, blocking=True
    )
    await until(hass, lambda: hass.states.get(room).attributes["fan_mode"] == "high")
    assert hass.states.get(room).state == "heat"
    assert hass.states.get(room).attributes["temperature"] == 5
    await until(hass, lambda: hass.states.get(room).attributes["hvac_action"] is not None)
    await hass.services.async_call(
        "climate",
        "set_temperature",
        {"entity_id": room, "temperature": 20, "hvac_mode": "off"},
        blocking=True,
    )
    await until(hass, lambda: hass.states.get(room).state == "off")


async def test_the_air_conditioner(hass: HomeAssistant, entry: Any) -> None:
    await until(
        hass, lambda: f"{entry.entry_id}_aircon_aircon" in entity_ids(hass, entry), within=60
    )
    aircon = entity(hass, entry, "aircon_aircon")
    await until(hass, lambda: hass.states.get(aircon) is not None)
    await hass.services.async_call(
        "climate",
        "set_temperature",
        {"entity_id": aircon, "temperature": 21, "hvac_mode": "cool"},
        blocking=True,
    )
    await until(hass, lambda: hass.states.get(aircon).state == "cool")
    assert hass.states.get(aircon).attributes["temperature"] == 21
    await hass.services.async_call(
        "climate", "set_fan_mode", {"entity_id": aircon, "fan_mode": "high"}, blocking=True
    )
    await until(hass, lambda: hass.states.get(aircon).attributes["fan_mode"] == "high")
    await hass.services.async_call("climate", "turn_off", {"entity_id": aircon}, blocking=True)
    await until(hass, lambda: hass.states.get(aircon).state == "off")
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call(
            "climate", "set_fan_mode", {"entity_id": aircon, "fan_mode": "gale"}, blocking=True
        )


async def test_what_was_off_before_a_restart_is_switched_on_as_it_was(
    hass: HomeAssistant, entry: Any
) -> None:
    def off() -> bool:
        found = entity_ids(hass, entry)
        names = [found.get(f"{entry.entry_id}_{key}") for key in ("heater_room", "aircon_aircon")]
        return all(name and (one := hass.states.get(name)) and one.state == "off" for name in names)

    async def climate(action: str, key: str, **data: Any) -> None:
        target = {"entity_id": entity(hass, entry, key), **data}
        await hass.services.async_call("climate", action, target, blocking=True)

    await until(hass, off, within=60)
    await climate("set_temperature", "heater_room", temperature=22)
    await climate("turn_off", "heater_room")
    await climate("set_hvac_mode", "aircon_aircon", hvac_mode="cool")
    await climate("turn_off", "aircon_aircon")
    await until(hass, off)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(hass, off, within=60)
    await climate("turn_on", "heater_room")
    await climate("turn_on", "aircon_aircon")
    room, aircon = entity(hass, entry, "heater_room"), entity(hass, entry, "aircon_aircon")
    await until(hass, lambda: hass.states.get(aircon).state == "cool")
    await until(hass, lambda: hass.states.get(room).attributes["temperature"] == 22)


async def test_what_the_thermostats_show_can_be_had_as_sensors(
    hass: HomeAssistant, entry: Any
) -> None:
    keys = {"heater_target_temp_room", "heater_target_temp_water", "aircon_mode", "aircon_vent"}
    keys.add("aircon_target_temp")

    def registered() -> dict[str, er.RegistryEntry]:
        return {
            one.unique_id.removeprefix(f"{entry.entry_id}_"): one
            for one in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        }

    await until(hass, lambda: keys <= registered().keys(), within=60)
    for key in keys:
        one = registered()[key]
        assert one.domain == "sensor"
        assert one.entity_category is EntityCategory.DIAGNOSTIC
        assert one.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_an_error_shows_its_two_numbers(hass: HomeAssistant) -> None:
    panel = await launch({"slot_ms": "10", "time_scale": "10", "standby": "off"})
    entry = make_entry(hass, "truma", {"link": panel.port, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)
    key = f"{entry.entry_id}_heater_error"
    await until(hass, lambda: key in entity_ids(hass, entry), within=60)
    error = entity_ids(hass, entry)[key]
    await panel.order("error 621")
    await until(
        hass,
        lambda: (
            hass.states.get(error) is not None
            and hass.states.get(error).attributes.get("error_class") == 6
        ),
        within=60,
    )
    assert hass.states.get(error).attributes["error_code"] == 21
    assert hass.states.get(error).state == "see_manual"
    assert await hass.config_entries.async_unload(entry.entry_id)
    await panel.stop()


async def test_selects_and_buttons_write_through_the_panel(hass: HomeAssistant, entry: Any) -> None:
    energy = entity(hass, entry, "heater_energy_mix")
    await hass.services.async_call(
        "select", "select_option", {"entity_id": energy, "option": "electricity"}, blocking=True
    )
    await until(hass, lambda: hass.states.get(energy).state == "electricity")
    power = entity(hass, entry, "heater_el_power_level")
    assert hass.states.get(power).state == "900", "electricity needs power"
    await hass.services.async_call(
        "button", "press", {"entity_id": entity(hass, entry, "panel_refresh")}, blocking=True
    )
    for action in ("truma_refresh", "truma_set_clock"):
        await hass.services.async_call(
            "hardwired", action, {"config_entry_id": entry.entry_id}, blocking=True
        )


async def test_the_clock_is_set_to_a_time(hass: HomeAssistant, entry: Any) -> None:
    """The simulated panel's clock runs five times as fast; a few seconds are a minute."""
    installation = entry.runtime_data.engine.installation
    await until(hass, lambda: MessageId.CLOCK in installation.status, within=60)
    await hass.services.async_call(
        "hardwired",
        "truma_set_clock",
        {"config_entry_id": entry.entry_id, "time": "03:30:00"},
        blocking=True,
    )

    def shown() -> int:
        clock = installation.status[MessageId.CLOCK]
        return int(clock["hours"] * 60 + clock["minutes"])

    await until(hass, lambda: 3 * 60 + 30 <= shown() < 4 * 60)
    with pytest.raises(vol.Invalid):
        await hass.services.async_call(
            "hardwired",
            "truma_set_clock",
            {"config_entry_id": entry.entry_id, "time": "25:00"},
            blocking=True,
        )


async def look_for_issues(hass: HomeAssistant, minutes: int) -> set[str]:
    """Let the minutes pass after which the repair issues are looked at; return their keys."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=minutes, seconds=1))
    await hass.async_block_till_done()
    return issues(hass)


def issues(hass: HomeAssistant) -> set[str]:
    """Return the keys of our repair issues."""
    return {
        issue.translation_key or ""
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    }


async def test_damaged_frames_are_an_issue_that_goes_by_itself(hass: HomeAssistant) -> None:
    panel = await launch({"slot_ms": "10", "standby": "off", "faults": "flip_bit=0.6"})
    with patch("custom_components.hardwired.engines.truma.bus_health.BAD_FRAMES", (2.0, 0.2, 50)):
        entry = make_entry(hass, "truma", {"link": panel.port, "observer": False})
        assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: issues(hass) == {"truma_bus_quality"}, within=60)
    await panel.order("clear")
    await until(hass, lambda: not issues(hass), within=60)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await panel.stop()


@pytest.mark.parametrize(
    "notice",
    [Notice("low_latency"), Notice("too_slow", {"late": "12", "answered": "700"})],
    ids=lambda notice: notice.key,
)
async def test_what_the_user_has_to_put_right(
    hass: HomeAssistant, entry: Any, notice: Notice
) -> None:
    assert await look_for_issues(hass, 1) == set(), "a terminal has no latency to set"
    with patch.object(TrumaEngine, "_notices", return_value=[notice]):
        await until(hass, lambda: issues(hass) == {f"truma_{notice.key}"})
    await until(hass, lambda: issues(hass) == set())


async def test_what_no_panel_takes_is_refused_before_it_is_sent(
    hass: HomeAssistant, entry: Any
) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            "hardwired",
            "truma_set_heating",
            {"config_entry_id": entry.entry_id, "heating_mode": "night"},
            blocking=True,
        )
    assert caught.value.translation_key == "no_heating_mode"


async def test_an_observer_shows_values_and_refuses_wishes(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "truma", {"link": SIM, "observer": True})
    assert await hass.config_entries.async_setup(entry.entry_id)
    room = f"{entry.entry_id}_heater_room"
    await until(hass, lambda: room in entity_ids(hass, entry), within=60)
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            "climate",
            "set_temperature",
            {"entity_id": entity_ids(hass, entry)[room], "temperature": 20},
            blocking=True,
        )
    assert caught.value.translation_key == "observer"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_options_and_reconfiguration(hass: HomeAssistant, entry: Any) -> None:
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["step_id"] == "truma"
    for nowhere in ("Mars/Olympus", "../Mars", ""):
        result = await hass.config_entries.options.async_configure(
            result["flow_id"],
            {"clock_sync": True, "time_zone": nowhere, "identity": "emulator"},
        )
        assert result["errors"] == {"time_zone": "bad_timezone"}
    result = await hass.config_entries.options.async_configure(
        result["flow_id"],
        {"clock_sync": True, "time_zone": "Europe/Berlin", "identity": "emulator"},
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.runtime_data.engine.settings.clock_sync
    result = await go_on(
        hass, await entry.start_reconfigure_flow(hass), {"link": SIM, "observer": True}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.data["observer"] is True
    assert entry.options["clock_sync"] is True
    assert await hass.config_entries.async_unload(entry.entry_id)
    result = await go_on(
        hass, await entry.start_reconfigure_flow(hass), {"link": SIM, "observer": False}
    )
    assert result["reason"] == "reconfigure_successful"
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.data["observer"] is False


async def test_an_entry_that_waits_for_its_port_leaves_it_to_the_dialog(
    hass: HomeAssistant,
) -> None:
    entry = make_entry(hass, "truma", {"link": "/dev/no-such-port", "observer": False})
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    seen: list[ConfigEntryState] = []

    async def probe(*_: Any, **__: Any) -> ProbeResult:
        seen.append(entry.state)
        raise LinkError(Reason.SILENT)

    with patch.object(TrumaFactory, "probe", probe):
        result = await go_on(
            hass, await entry.start_reconfigure_flow(hass), {"link": SIM, "observer": False}
        )
    assert result["errors"] == {"base": "silent"}
    assert seen == [ConfigEntryState.NOT_LOADED]
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_two_entries_do_not_share_a_port(hass: HomeAssistant) -> None:
    make_entry(hass, "truma", {"link": SIM, "observer": False})
    other = make_entry(hass, "truma", {"link": "/dev/no-such-port", "observer": False})
    result = await go_on(
        hass, await other.start_reconfigure_flow(hass), {"link": SIM, "observer": False}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_a_silent_bus_is_explained_and_can_be_kept(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    port = PtyPort(tmp_path / "ttyLIN")
    port.plug()
    with patch.object(TrumaFactory, "probe_seconds", 1.0):
        result = await walk(
            hass, {"next_step_id": "truma"}, {"link": str(port.link), "observer": False}
        )
    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "truma_silent"
    result = await go_on(hass, result, {"next_step_id": "truma_finish"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    again = await walk(hass, {"next_step_id": "truma"}, {"link": str(port.link), "observer": False})
    assert again["reason"] == "already_configured"
    assert await hass.config_entries.async_unload(result["result"].entry_id)
    port.unplug()
