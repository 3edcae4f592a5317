"""An Ecolution in Home Assistant: the real engine on the simulated unit."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components.usb.models import USBDevice
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.service_info.usb import UsbServiceInfo
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
)

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import async_get_config_entry_diagnostics
from custom_components.hardwired.engines.engine import Reason
from custom_components.hardwired.engines.inventum import FACTORY
from custom_components.hardwired.engines.inventum.simulator.device import SimulatedEcolution
from custom_components.hardwired.engines.inventum.simulator.settings import SimulatorSettings
from custom_components.hardwired.engines.masking import masked
from custom_components.hardwired.engines.simulating import PtyPort, PtyStream, on_pty

from .helpers import entity_ids, go_on, is_free, make_entry, put_away, until, walk

SIM = "sim://?odds=1&seed=3&interval=0.5&header=short"


def unit_of(entry: Any) -> SimulatedEcolution:
    unit = entry.runtime_data.engine._simulation._device
    assert isinstance(unit, SimulatedEcolution)
    return unit


def state(hass: HomeAssistant, entry: Any, key: str) -> Any:
    entity_id = entity_ids(hass, entry).get(f"{entry.entry_id}_ecolution_{key}")
    return hass.states.get(entity_id) if entity_id else None


def known(hass: HomeAssistant, entry: Any, key: str) -> bool:
    shown = state(hass, entry, key)
    return shown is not None and shown.state not in ("unknown", "unavailable")


@pytest.fixture
async def entry(hass: HomeAssistant) -> AsyncIterator[MockConfigEntry]:
    entry = make_entry(hass, "inventum", {"link": SIM}, title="Ecolution")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, "log_temp_boiler_c"))
    yield entry
    await put_away(hass, entry)


async def call(hass: HomeAssistant, entry: Any, key: str, action: str, **data: Any) -> None:
    entity_id = state(hass, entry, key).entity_id
    await hass.services.async_call(
        entity_id.partition(".")[0], action, {"entity_id": entity_id, **data}, blocking=True
    )


async def test_the_fan_is_boosted_and_put_back(hass: HomeAssistant, entry: Any) -> None:
    fan = state(hass, entry, "fan")
    assert fan.state == "on"
    assert fan.attributes["percentage"] == 66
    assert fan.attributes["preset_mode"] == "auto"
    assert fan.attributes["preset_modes"] == ["auto", "boost"]
    await call(hass, entry, "fan", "turn_on")
    assert unit_of(entry).override == 3
    fan = state(hass, entry, "fan")
    assert (fan.attributes["percentage"], fan.attributes["preset_mode"]) == (100, "boost")
    assert state(hass, entry, "boost").state == "on"
    assert state(hass, entry, "boost_remaining").state == "20"
    event = state(hass, entry, "fan_event")
    assert event.attributes["event_type"] == "boost_started"
    assert event.attributes["by"] == "user"
    await call(hass, entry, "fan", "set_preset_mode", preset_mode="auto")
    assert unit_of(entry).override is None
    assert state(hass, entry, "fan").attributes["percentage"] == 66
    await call(hass, entry, "boost", "turn_on")
    assert state(hass, entry, "fan").attributes["preset_mode"] == "boost"
    await call(hass, entry, "boost", "turn_off")
    assert state(hass, entry, "boost").state == "off"


@pytest.mark.parametrize("key", ["fan", "boost"])
async def test_the_newest_wish_supersedes_the_one_that_is_under_way(
    hass: HomeAssistant, entry: Any, key: str
) -> None:
    unit = unit_of(entry)
    boost = asyncio.create_task(call(hass, entry, key, "turn_on"))
    async with asyncio.timeout(90):
        while unit.override != 3:
            await asyncio.sleep(0.01)
    back = ("set_preset_mode", {"preset_mode": "auto"}) if key == "fan" else ("turn_off", {})
    later = asyncio.create_task(call(hass, entry, key, back[0], **back[1]))
    with pytest.raises(HomeAssistantError) as raised:
        await boost
    assert raised.value.translation_key == "superseded"
    await later
    assert unit.override is None
    assert [write.value for write in unit.writes] == ["3", None]


async def test_steps_that_can_not_be_set_are_refused(hass: HomeAssistant, entry: Any) -> None:
    await call(hass, entry, "fan", "set_percentage", percentage=66)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, entry, "fan", "set_percentage", percentage=33)
    assert raised.value.translation_key == "speed_not_supported"
    with pytest.raises(HomeAssistantError):
        await call(hass, entry, "fan", "turn_off")
    assert not unit_of(entry).writes
    await call(hass, entry, "fan", "set_percentage", percentage=100)
    assert unit_of(entry).override == 3
    await call(hass, entry, "fan", "set_percentage", percentage=0)
    assert unit_of(entry).override is None


async def test_the_action_boosts_for_its_own_time(hass: HomeAssistant, entry: Any) -> None:
    await call(hass, entry, "boost_duration", "set_value", value=30)
    await hass.services.async_call(
        DOMAIN,
        "inventum_boost",
        {"config_entry_id": entry.entry_id, "minutes": 45},
        blocking=True,
    )
    assert state(hass, entry, "boost_remaining").state == "45"
    assert state(hass, entry, "boost_duration").state == "30"
    await call(hass, entry, "fan", "set_preset_mode", preset_mode="boost")
    assert state(hass, entry, "boost_remaining").state == "30"


async def test_columns_are_proper_sensors_under_their_own_names(
    hass: HomeAssistant, entry: Any
) -> None:
    boiler = state(hass, entry, "log_temp_boiler_c")
    assert boiler.attributes["device_class"] == "temperature"
    assert boiler.attributes["unit_of_measurement"] == "°C"
    assert boiler.attributes["friendly_name"] == "Ecolution Temp. boiler (C)"
    assert state(hass, entry, "log_rv").attributes["device_class"] == "humidity"
    assert state(hass, entry, "log_compressor").state in ("on", "off")
    registry = er.async_get(hass)
    status = entity_ids(hass, entry)[f"{entry.entry_id}_ecolution_log_rv_status"]
    assert registry.async_get(status).disabled_by is er.RegistryEntryDisabler.INTEGRATION
    for key in ("fan_position", "challenges", "row_interval", "last_row", "data_logger"):
        found = entity_ids(hass, entry)[f"{entry.entry_id}_ecolution_{key}"]
        assert registry.async_get(found).disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert state(hass, entry, "login_state").state == "logging"
    assert state(hass, entry, "connectivity").state == "on"


async def test_entities_are_there_before_the_unit_is_reached(
    hass: HomeAssistant, entry: Any
) -> None:
    await until(hass, lambda: entry.runtime_data.engine._saved["profile"][0]["meaning"])
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "link": "sim://?odds=1&login_code=9999&interval=0.5"}
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state(hass, entry, "log_temp_boiler_c").state == "unavailable"
    assert state(hass, entry, "fan").state == "unavailable"
    await until(hass, lambda: state(hass, entry, "login_state").state == "logging_in")


async def test_a_refused_code_is_asked_for_again(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "inventum", {"link": f"{SIM}&login_code=90210"}, title="Ecolution")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, "login_state"))
    coordinator = entry.runtime_data.coordinator
    with patch.object(entry, "async_start_reauth", wraps=entry.async_start_reauth) as started:
        from dataclasses import replace

        coordinator.async_receive(
            replace(coordinator.data, connected=False, reason=Reason.WRONG_CODE)
        )
        await hass.async_block_till_done()
    assert started.called
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"login_code": "12x", "challenge_code": "19"}
    )
    assert result["errors"] == {"base": "inventum_code"}
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"login_code": "90210", "challenge_code": "19"}
    )
    assert result["reason"] == "reauth_successful"
    assert entry.data["login_code"] == "90210"
    assert "challenge_code" not in entry.data
    await until(hass, lambda: known(hass, entry, "log_rv"))
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_set_up_by_hand(hass: HomeAssistant) -> None:
    codes = {"login_code": "3845", "challenge_code": "19"}
    result = await walk(hass, {"next_step_id": "inventum"}, {"link": "no port", "codes": codes})
    assert result["errors"] == {"base": "not_found"}
    result = await go_on(hass, result, {"link": SIM, "codes": codes})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"family": "inventum", "link": SIM}
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await until(hass, lambda: known(hass, entry, "fan"))
    again = await walk(hass, {"next_step_id": "inventum"}, {"link": SIM, "codes": codes})
    assert again["reason"] == "already_configured"
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("link", ["sim://?odd=1", "sim://?interval=0", "loop://", "esphome://"])
async def test_a_port_that_fails_at_once_is_said(hass: HomeAssistant, link: str) -> None:
    codes = {"login_code": "3845", "challenge_code": "19"}
    async with asyncio.timeout(60):
        result = await walk(hass, {"next_step_id": "inventum"}, {"link": link, "codes": codes})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": "bad_address"}


async def test_the_port_is_changed(hass: HomeAssistant, entry: Any) -> None:
    result = await entry.start_reconfigure_flow(hass)
    other = SIM.replace("seed=3", "seed=4")
    result = await go_on(
        hass, result, {"link": other, "codes": {"login_code": "3845", "challenge_code": "19"}}
    )
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["link"] == other
    await until(hass, lambda: known(hass, entry, "log_temp_boiler_c"))


async def test_a_plugged_cable_is_discovered(hass: HomeAssistant) -> None:
    def discovered(device: str = "/dev/ttyACM7") -> UsbServiceInfo:
        return UsbServiceInfo(device, "0D59", "0007", "E123", "Inventum", "Ecolution")

    with patch(
        "homeassistant.components.usb.get_serial_by_id", return_value="/dev/serial/by-id/usb-e"
    ):
        result = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": "usb"}, data=discovered()
        )
        assert result["step_id"] == "inventum_confirm"
        assert result["description_placeholders"]["port"] == "/dev/serial/by-id/usb-e"
        result = await go_on(hass, result, {})
        assert result["errors"] == {"base": "not_found"}
    stranger = await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": "usb"},
        data=UsbServiceInfo("/dev/ttyACM8", "1234", "0007", None, None, None),
    )
    assert stranger["reason"] == "not_supported"


async def test_wrong_codes_are_said_and_can_be_mended(hass: HomeAssistant) -> None:
    wrong = {"link": SIM, "codes": {"login_code": "12x", "challenge_code": "19"}}
    result = await walk(hass, {"next_step_id": "inventum"}, wrong)
    assert result["step_id"] == "inventum"
    assert result["errors"] == {"base": "inventum_code"}
    assert result["description_placeholders"]["details"] == ""
    link = next(key for key in result["data_schema"].schema if key == "link")
    assert link.description == {"suggested_value": SIM}
    mended = {"link": SIM, "codes": {"login_code": "90210", "challenge_code": "19"}}
    result = await go_on(hass, result, mended)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"family": "inventum", "link": SIM, "login_code": "90210"}
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[PtyPort]:
    """A port with nothing behind it."""
    port = PtyPort(tmp_path / "usb-e")
    port.plug()
    yield port
    port.unplug()


async def test_a_silent_port_leads_back_to_the_form(
    hass: HomeAssistant, silent: PtyPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(FACTORY), "probe_seconds", 0.3)
    codes = {"login_code": "90210", "challenge_code": "19"}
    given = {"link": str(silent.link), "codes": codes}
    result = await walk(hass, {"next_step_id": "inventum"}, given)
    assert result["step_id"] == "inventum"
    assert result["errors"] == {"base": "silent"}
    suggested = {str(key): key.description for key in result["data_schema"].schema}
    assert suggested["link"] == {"suggested_value": str(silent.link)}
    assert is_free(silent)
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_a_port_that_is_taken_is_said_with_who_has_it(
    hass: HomeAssistant, silent: PtyPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, and where the cable was found: on the form that is shown again."""
    monkeypatch.setattr(type(FACTORY), "probe_seconds", 0.3)
    holder = os.open(silent.link, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    codes = {"login_code": "3845", "challenge_code": "19"}
    given = {"link": str(silent.link), "codes": codes}
    found = UsbServiceInfo(str(silent.link), "0D59", "0007", None, None, None)
    by_hand = await walk(hass, {"next_step_id": "inventum"}, given)
    hass.config_entries.flow.async_abort(by_hand["flow_id"])
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "usb"}, data=found)
    assert flow["description_placeholders"]["details"] == ""
    by_cable = await go_on(hass, flow, {})
    os.close(holder)
    for result in (by_hand, by_cable):
        assert result["type"] is FlowResultType.FORM
        assert result["errors"] == {"base": "busy"}
        assert "held by this program itself" in result["description_placeholders"]["details"]
    done = await go_on(hass, by_cable, {})
    assert done["errors"] == {"base": "silent"}


async def test_closing_the_dialog_frees_the_port(
    hass: HomeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(FACTORY), "probe_seconds", 3600.0)
    port = PtyPort(tmp_path / "usb-e")
    device = PtyStream(port.plug())
    codes = {"login_code": "3845", "challenge_code": "19"}
    result: Any = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
    for step in ({"next_step_id": "inventum"}, {"link": str(port.link), "codes": codes}):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], dict(step))
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert result["progress_action"] == "inventum_probe"
    assert await asyncio.wait_for(device.read(), 60), "the terminal is woken"
    assert not is_free(port)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await until(hass, lambda: is_free(port))
    port.unplug()


def plugged(serial_number: str | None) -> USBDevice:
    return USBDevice(
        device="/dev/ttyACM7",
        vid="0D59",
        pid="0007",
        serial_number=serial_number,
        manufacturer="Inventum",
        description="Ecolution",
    )


@pytest.mark.parametrize("serial_number", ["E123", None])
async def test_a_port_chosen_by_hand_is_the_one_that_discovery_knows(
    hass: HomeAssistant, silent: PtyPort, serial_number: str | None
) -> None:
    """The terminal answers at the stable path, to which the chosen one is changed."""
    unit = SimulatedEcolution(
        SimulatorSettings.read({"odds": 1, "interval": 0.5, "header": "short"})
    )
    path = silent.link.with_name("by-id")
    served = asyncio.ensure_future(on_pty(lambda: unit, path))
    await until(hass, path.exists)
    stable = "homeassistant.components.usb.get_serial_by_id"
    codes = {"login_code": "3845", "challenge_code": "19"}
    given = {"link": "/dev/ttyACM7", "codes": codes}
    with (
        patch(stable, return_value=str(path)),
        patch(
            "homeassistant.components.usb.usb_device_from_path",
            return_value=plugged(serial_number),
        ),
    ):
        result = await walk(hass, {"next_step_id": "inventum"}, given)
        assert result["type"] is FlowResultType.CREATE_ENTRY
        expected = {"family": "inventum", "link": str(path)}
        if serial_number:
            expected["serial_number"] = serial_number
        assert result["data"] == expected
        entry = result["result"]
        assert entry.unique_id == f"inventum_{serial_number or masked(str(path))}"
        found = await hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": "usb"},
            data=UsbServiceInfo(
                "/dev/ttyACM7", "0D59", "0007", serial_number, "Inventum", "Ecolution"
            ),
        )
        assert found["reason"] == "already_configured"
    assert await hass.config_entries.async_unload(entry.entry_id)
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)


async def test_a_cable_without_a_serial_number_is_known_by_its_port(hass: HomeAssistant) -> None:
    with patch(
        "homeassistant.components.usb.get_serial_by_id", return_value="/dev/serial/by-path/usb-1"
    ):
        result = await hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": "usb"},
            data=UsbServiceInfo("/dev/ttyACM7", "0D59", "0007", None, "Inventum", "Ecolution"),
        )
    assert result["step_id"] == "inventum_confirm"
    flow = hass.config_entries.flow.async_get(result["flow_id"])
    assert flow["context"]["unique_id"] == f"inventum_{masked('/dev/serial/by-path/usb-1')}"
    hass.config_entries.flow.async_abort(result["flow_id"])


async def test_only_the_fan_has_options_before_a_column_is_known(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "inventum", {"link": SIM})
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "inventum_fan"
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"other_positions": True, "release_on_stop": True}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {"other_positions": True, "release_on_stop": True}


async def test_a_corrected_column_goes_by_the_rules_again(hass: HomeAssistant, entry: Any) -> None:
    async def correct(**meaning: str) -> Any:
        steps: tuple[dict[str, Any], ...] = (
            {"next_step_id": "inventum_columns"},
            {"column": "rv"},
            meaning,
        )
        result: Any = await hass.config_entries.options.async_init(entry.entry_id)
        for step in steps:
            result = await hass.config_entries.options.async_configure(
                result["flow_id"], dict(step)
            )
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
        await until(hass, lambda: known(hass, entry, "log_rv"))
        return state(hass, entry, "log_rv").attributes

    by_the_rules = state(hass, entry, "log_rv").attributes["friendly_name"]
    assert (await correct(name="Vocht"))["friendly_name"] == "Ecolution Vocht"
    assert entry.options["columns"] == {"rv": {"name": "Vocht"}}
    assert (await correct())["friendly_name"] == by_the_rules
    assert entry.options["columns"] == {}


async def test_the_options(hass: HomeAssistant, entry: Any) -> None:
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.MENU
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "inventum_columns"}
    )
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"column": "compressor"}
    )
    assert result["description_placeholders"] == {"column": "Compressor"}
    bad = await hass.config_entries.options.async_configure(
        result["flow_id"], {"kind": "number", "factor": 0}
    )
    assert bad["errors"] == {"base": "wrong_column"}
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"kind": "text", "name": "Warmtepomp"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.options["columns"] == {"compressor": {"kind": "text", "name": "Warmtepomp"}}

    def renamed() -> bool:
        ids = entity_ids(hass, entry)
        found = hass.states.get(
            next(
                one
                for unique, one in ids.items()
                if unique.endswith("_log_compressor") and one.startswith("sensor.")
            )
            if any(
                unique.endswith("_log_compressor") and one.startswith("sensor.")
                for unique, one in ids.items()
            )
            else "sensor.none"
        )
        return found is not None and found.state in ("aan", "uit")

    await until(hass, renamed)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "inventum_fan"}
    )
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"other_positions": True, "release_on_stop": False}
    )
    assert entry.options["other_positions"] is True
    assert "compressor" in entry.options["columns"]
    await until(hass, lambda: known(hass, entry, "fan"))
    await call(hass, entry, "fan", "set_percentage", percentage=33)
    assert unit_of(entry).override == 1


async def mean(hass: HomeAssistant, entry: Any, column: str, **meaning: Any) -> Any:
    """Say what a column means; returns what the flow answers."""
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    steps = ({"next_step_id": "inventum_columns"}, {"column": column}, meaning)
    for step in steps:
        result = await hass.config_entries.options.async_configure(result["flow_id"], step)
    return result


@pytest.mark.parametrize(
    "meaning",
    [
        {"unit": "°C"},
        {"factor": 0.1, "name": "x"},
        {"kind": "flag", "unit": "°C"},
        {"kind": "text", "factor": 2},
        {"kind": "text", "unit": "%"},
    ],
)
async def test_unit_and_factor_belong_to_a_number(
    hass: HomeAssistant, entry: Any, meaning: dict[str, Any]
) -> None:
    result = await mean(hass, entry, "compressor", **meaning)
    assert result["errors"] == {"base": "wrong_column"}
    hass.config_entries.options.async_abort(result["flow_id"])


async def test_the_columns_that_are_offered_are_not_the_fans(
    hass: HomeAssistant, entry: Any
) -> None:
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "inventum_columns"}
    )
    offered = [one["value"] for one in result["data_schema"].schema["column"].config["options"]]
    assert offered == ["temp_boiler_c", "rv", "compressor"]
    hass.config_entries.options.async_abort(result["flow_id"])


async def test_a_column_has_one_entity_of_its_kind(hass: HomeAssistant) -> None:
    """What was raw is switched on with its meaning; of another kind, none stays behind."""
    registry = er.async_get(hass)
    link = SIM.replace("short", "solo")
    entry = make_entry(hass, "inventum", {"link": link}, title="Ecolution")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, "log_compressor"))

    def entities(key: str) -> dict[str, bool]:
        return {
            one.domain: one.disabled
            for one in er.async_entries_for_config_entry(registry, entry.entry_id)
            if one.unique_id == f"{entry.entry_id}_ecolution_{key}"
        }

    raw = "log_gewenste_temp_tapwater"
    assert entities(raw) == {"sensor": True}
    await mean(hass, entry, "gewenste_temp_tapwater", kind="number", unit="°C", factor=0.1)
    await until(hass, lambda: known(hass, entry, raw))
    assert entities(raw) == {"sensor": False}
    assert entities("log_compressor") == {"binary_sensor": False}
    await mean(hass, entry, "compressor", kind="text")
    await until(hass, lambda: known(hass, entry, "log_compressor"))
    assert entities("log_compressor") == {"sensor": False}
    await mean(hass, entry, "compressor")
    await until(hass, lambda: known(hass, entry, "log_compressor"))
    assert entities("log_compressor") == {"binary_sensor": False}
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_diagnostics_say_all_but_the_codes(hass: HomeAssistant) -> None:
    entry = make_entry(
        hass,
        "inventum",
        {"link": f"{SIM}&login_code=90210&challenge_code=77"}
        | {"login_code": "90210", "challenge_code": "77"},
        title="Ecolution",
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, "log_rv"))
    report = await async_get_config_entry_diagnostics(hass, entry)
    text = repr(report)
    assert "90210" not in text
    assert b"90210".hex() not in text
    assert report["engine"]["state"] == "logger"
    assert report["engine"]["header"][0] == ["St", "Temp. boiler (C)"]
    assert len(report["engine"]["accepted_challenges"]) == 1
    assert report["entry"]["data"]["challenge_code"] == "**REDACTED**"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_unit_without_a_fan_column_says_so(hass: HomeAssistant) -> None:
    from homeassistant.helpers import issue_registry as ir

    link = "sim://?odds=1&interval=0.5&header=no_fan"
    entry = make_entry(hass, "inventum", {"link": link}, title="Ecolution")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, "log_temp_boiler_c"))
    issues = [key for domain, key in ir.async_get(hass).issues if domain == DOMAIN]
    assert any(key.startswith(f"{entry.entry_id}_inventum_no_fan_column_") for key in issues)
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, entry, "fan", "turn_on")
    assert raised.value.translation_key == "no_fan_column"
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("how", ["disabled", "removed"])
async def test_a_boost_is_taken_back_when_the_entry_goes(
    hass: HomeAssistant, tmp_path: Path, how: str
) -> None:
    from homeassistant.config_entries import ConfigEntryDisabler

    unit = SimulatedEcolution(
        SimulatorSettings.read({"odds": 1, "interval": 0.5, "header": "short"})
    )
    port = tmp_path / "ecolution"
    served = asyncio.ensure_future(on_pty(lambda: unit, port))
    await until(hass, port.exists)
    entry = make_entry(hass, "inventum", {"link": str(port)}, title="Ecolution")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, "log_rv"))
    await call(hass, entry, "fan", "turn_on")
    assert unit.override == 3
    if how == "removed":
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert unit.override is None
    if how != "removed":  # switched on again, it does not come back
        await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
        await until(hass, lambda: known(hass, entry, "log_rv"))
        rows = entry.runtime_data.coordinator.engine.statistics.frames_in
        await until(
            hass, lambda: entry.runtime_data.coordinator.engine.statistics.frames_in > rows + 6
        )
        assert unit.override is None
        assert state(hass, entry, "boost").state == "off"
        await put_away(hass, entry)
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)
