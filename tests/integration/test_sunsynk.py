"""Sunsynk inverters in Home Assistant, from captures, an interface, a relay and a simulation."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir

from custom_components.hardwired import async_remove_config_entry_device
from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import async_get_config_entry_diagnostics
from custom_components.hardwired.engines.sunsynk.sources.base import Batch
from custom_components.hardwired.families.sunsynk import FAMILY

from .helpers import entity_ids, go_on, make_entry, put_away, settled, state_of, until, walk

VECTORS = Path(__file__).parents[1] / "vectors" / "sunsynk"
CAPTURES = VECTORS / "captures"
SERIAL = "1235687108"
FILE = {"next_step_id": "sunsynk_file"}
ZONE = "Africa/Johannesburg"


def file_data(name: str = "real_292.pcap", timezone: str = ZONE) -> dict[str, Any]:
    return {"source": "file", "path": str(CAPTURES / name), "time_zone": timezone}


@pytest.fixture(autouse=True)
def captures_allowed(hass: HomeAssistant, tmp_path: Path) -> None:
    hass.config.allowlist_external_dirs = {str(CAPTURES), str(tmp_path)}


@pytest.fixture
async def entry(hass: HomeAssistant) -> Any:
    entry = make_entry(hass, "sunsynk", file_data(), unique_id="sunsynk_file_x")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage"))
    yield entry
    await put_away(hass, entry)


async def test_no_two_entries_share_a_title(hass: HomeAssistant) -> None:
    """Issue 12.15: nobody could tell them apart, in a list or in an action."""
    for number, title in enumerate(("Sunsynk (real_292.pcap)", "Sunsynk (real_292.pcap) 2")):
        make_entry(hass, "sunsynk", {"path": f"/x{number}"}, unique_id=f"x{number}", title=title)
    result = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_file"},
        {"path": str(CAPTURES / "real_292.pcap"), "time_zone": ZONE, "more": {}},
    )
    assert result["title"] == "Sunsynk (real_292.pcap) 3"
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_the_flow_makes_an_entry_from_a_file(hass: HomeAssistant) -> None:
    result = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_file"},
        {"path": str(CAPTURES / "real_292.pcap"), "time_zone": ZONE, "more": {}},
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Sunsynk (real_292.pcap)"
    entry = result["result"]
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage"))
    assert state_of(hass, entry, f"{SERIAL}_grid_voltage") == "233.3"
    assert await hass.config_entries.async_unload(entry.entry_id)
    again = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_file"},
        {"path": str(CAPTURES / "real_292.pcap"), "time_zone": ZONE, "more": {}},
    )
    assert again["type"] is FlowResultType.ABORT
    assert again["reason"] == "already_configured"


@pytest.mark.parametrize(
    "change, errors",
    [
        ({"path": "/etc/passwd"}, {"path": "path_not_allowed"}),
        ({"path": str(CAPTURES / "not_there.pcap")}, {"base": "not_found"}),
        ({"path": str(CAPTURES / "not_a_capture.pcap")}, {"path": "not_a_capture"}),
        ({"path": str(CAPTURES / "zero_bytes.pcap")}, {"path": "not_a_capture"}),
        ({"time_zone": "Mars/Olympus"}, {"time_zone": "bad_timezone"}),
        ({"time_zone": "../Mars"}, {"time_zone": "bad_timezone"}),
        ({"more": {"filter": "host"}}, {"base": "bad_filter"}),
        ({"more": {"filter": "tcp[13] & 2 != 0"}}, {"base": "bad_filter"}),
    ],
)
async def test_what_is_wrong_is_said_and_can_be_mended(
    hass: HomeAssistant, change: dict[str, Any], errors: dict[str, str]
) -> None:
    good = {"path": str(CAPTURES / "real_292.pcap"), "time_zone": ZONE, "more": {}}
    result = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_file"},
        {**good, **change},
    )
    assert result["type"] is FlowResultType.FORM
    assert list(result["errors"].values()) == list(errors.values())
    result = await go_on(hass, result, good)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_a_live_interface_is_listened_to_first(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    if os.geteuid() != 0:
        pytest.skip("capturing needs CAP_NET_RAW, and this user is not root")
    with patch("custom_components.hardwired.families.sunsynk.config_flow.LISTEN_SECONDS", 1.0):
        result = await walk(
            hass,
            {"next_step_id": "sunsynk"},
            {"next_step_id": "sunsynk_live"},
            {
                "interface": "lo",
                "time_zone": ZONE,
                "more": {"filter": "port 51100", "promiscuous": True},
            },
        )
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "sunsynk_heard"
    assert result["description_placeholders"]["reports"] == "0"
    result = await go_on(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_an_interface_that_is_not_there_leads_back_to_the_form(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    if os.geteuid() != 0:
        pytest.skip("capturing needs CAP_NET_RAW, and this user is not root")
    result = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_live"},
        {"interface": "nope0", "time_zone": ZONE, "more": {"promiscuous": True}},
    )
    result = await settled(hass, result)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "sunsynk_live"
    assert list(result["errors"].values()) == ["not_found"]


async def test_the_relay_passes_bytes_on_and_reads_along(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    received = bytearray()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            received.extend(data)
        writer.close()

    maker = await asyncio.start_server(server, "127.0.0.1", 0)
    port = unused_tcp_port_factory()
    result = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_relay"},
        {
            "listen_port": port,
            "server": f"127.0.0.1:{maker.sockets[0].getsockname()[1]}",
            "time_zone": ZONE,
        },
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    report = bytes.fromhex(json.loads((VECTORS / "real_292.json").read_text())["cases"][0]["hex"])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(report)
    await writer.drain()
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage") == "233.3")
    await until(hass, lambda: bytes(received) == report)
    writer.close()
    assert await hass.config_entries.async_unload(entry.entry_id)
    taken = await asyncio.start_server(server, "127.0.0.1", port)
    taken.close()
    maker.close()


async def test_a_simulation_needs_no_hardware(hass: HomeAssistant) -> None:
    inverters = (
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_sim"},
        {"time_zone": ZONE, "inverters": 2, "warp": 600},
    )
    result = await walk(hass, *inverters)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert (await walk(hass, *inverters))["reason"] == "already_simulated"

    def both() -> bool:
        found = entity_ids(hass, entry)
        return sum(key.endswith("_battery_soc") for key in found) == 2

    await until(hass, both, within=30)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_reconfigure_to_the_same_and_to_another_file(
    hass: HomeAssistant, entry: Any, tmp_path: Path
) -> None:
    result = await go_on(hass, await entry.start_reconfigure_flow(hass), FILE)
    result = await go_on(
        hass,
        result,
        {"path": str(CAPTURES / "real_292.pcap"), "time_zone": "Europe/London", "more": {}},
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["time_zone"] == "Europe/London"
    other = tmp_path / "other.pcap"
    shutil.copy(CAPTURES / "real_292.pcap", other)
    result = await go_on(hass, await entry.start_reconfigure_flow(hass), FILE)
    result = await go_on(hass, result, {"path": str(other), "time_zone": ZONE, "more": {}})
    assert result["reason"] == "reconfigure_successful"
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage") == "233.3")
    start = ({"next_step_id": "sunsynk"}, {"next_step_id": "sunsynk_file"})
    again = await walk(hass, *start, {"path": str(other), "time_zone": ZONE, "more": {}})
    assert again["reason"] == "already_configured"
    left = {"path": str(CAPTURES / "real_292.pcap"), "time_zone": ZONE, "more": {}}
    second = (await walk(hass, *start, left))["result"]
    result = await go_on(hass, await entry.start_reconfigure_flow(hass), FILE)
    result = await go_on(hass, result, left)
    assert result["reason"] == "already_configured"
    assert await hass.config_entries.async_unload(second.entry_id)


async def test_options_change_how_an_inverter_is_read(hass: HomeAssistant, entry: Any) -> None:
    before = float(state_of(hass, entry, f"{SERIAL}_grid_power_ct") or "nan")
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["step_id"] == "sunsynk"
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"expire_after": 0, "grid_power_by_ten": [SERIAL]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {"grid_power_by_ten": [SERIAL]}
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_power_ct") is not None)
    await until(
        hass,
        lambda: state_of(hass, entry, f"{SERIAL}_grid_power_ct") not in ("unavailable", "unknown"),
    )
    assert float(state_of(hass, entry, f"{SERIAL}_grid_power_ct") or "nan") == before * 10


async def test_options_of_an_entry_that_was_never_set_up(hass: HomeAssistant) -> None:
    """No inverter has been heard: only those chosen before are offered, and none is lost."""
    entry = make_entry(hass, "sunsynk", file_data(), {"grid_power_by_ten": [SERIAL]})
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    key = next(one for one in result["data_schema"].schema if one == "grid_power_by_ten")
    assert result["data_schema"].schema[key].config["options"] == [SERIAL]
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"expire_after": 900, "grid_power_by_ten": [SERIAL]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {"expire_after": 900, "grid_power_by_ten": [SERIAL]}


async def test_the_entities_are_those_of_the_specification(hass: HomeAssistant, entry: Any) -> None:
    registry = er.async_get(hass)
    entities = {
        one.unique_id.removeprefix(f"{SERIAL}_"): one
        for one in er.async_entries_for_config_entry(registry, entry.entry_id)
    }
    compared = 0
    for field in json.loads((VECTORS / "fields.json").read_text())["fields"]:
        one = entities.get(field["id"])
        if one is None or one.domain != "sensor":
            continue
        shown = {
            "device_class": one.original_device_class,
            "state_class": (one.capabilities or {}).get("state_class"),
            "category": one.entity_category or "",
            "enabled": one.disabled_by is None,
        }
        assert shown == {key: field[key] for key in shown}, field["id"]
        compared += 1
    assert compared > 60
    state = hass.states.get(entities["pv_production_total"].entity_id)
    assert state is not None
    assert state.attributes["state_class"] == "total_increasing"
    assert state.attributes["device_class"] == "energy"
    assert state.attributes["unit_of_measurement"] == "kWh"
    assert all(one.has_entity_name for one in entities.values())
    assert entities["grid_connected"].domain == "binary_sensor"
    assert entities["pv_voltage_3"].disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_battery_power_is_positive_when_discharging(hass: HomeAssistant, entry: Any) -> None:
    """The Energy dashboard's sign; the real packet was taken while the battery charged."""
    assert float(state_of(hass, entry, f"{SERIAL}_battery_power") or "nan") < 0
    assert float(state_of(hass, entry, f"{SERIAL}_bms_current") or "nan") > 0


async def test_inverters_hang_behind_the_listener(hass: HomeAssistant, entry: Any) -> None:
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    inverter = next(one for one in devices if one.serial_number == SERIAL)
    service = next(one for one in devices if one.entry_type is dr.DeviceEntryType.SERVICE)
    assert inverter.via_device_id == service.id
    assert inverter.manufacturer == "Sunsynk / Deye"


async def test_the_diagnostics_tell_no_identity(hass: HomeAssistant, entry: Any) -> None:
    report = await async_get_config_entry_diagnostics(hass, entry)
    text = json.dumps(report)
    assert SERIAL not in text
    assert SERIAL.encode().hex() not in text
    assert str(CAPTURES) not in text
    assert report["statistics"]["frames_in"] >= 1
    assert report["frames"]


async def test_an_unknown_report_size_raises_an_issue(hass: HomeAssistant) -> None:
    entry = make_entry(
        hass, "sunsynk", file_data("learned_layout_one_way.pcap"), unique_id="unknown"
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    issues = ir.async_get(hass)
    key = ("hardwired", f"{entry.entry_id}_sunsynk_unknown_layout")

    def raised() -> bool:
        entry.runtime_data.coordinator.issues.async_check(entry.runtime_data.coordinator.data)
        return key in issues.issues

    await until(hass, raised)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert key not in issues.issues


async def test_each_inverter_becomes_a_device_when_it_is_heard(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "sunsynk", file_data("eth_mixed.pcap"), unique_id="three")
    assert await hass.config_entries.async_setup(entry.entry_id)

    def three() -> bool:
        devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        return sum(one.serial_number is not None for one in devices) == 3

    await until(hass, three)
    assert await hass.config_entries.async_unload(entry.entry_id)


def told(entry: Any, **changes: Any) -> None:
    """Let the engine say something else of the inverter than the file does."""
    coordinator = entry.runtime_data.coordinator
    before = coordinator.data
    inverter = replace(before.devices[SERIAL], **changes)
    coordinator.async_receive(replace(before, devices={**before.devices, SERIAL: inverter}))


async def test_a_deleted_inverter_is_back_when_it_is_heard_again(
    hass: HomeAssistant, entry: Any
) -> None:
    coordinator = entry.runtime_data.coordinator
    registry = dr.async_get(hass)
    voltage = f"{SERIAL}_grid_voltage"

    def device() -> Any:
        return registry.async_get_device_by_identifier((DOMAIN, SERIAL), entry.entry_id)

    found = device()
    assert not await async_remove_config_entry_device(hass, entry, found)
    told(entry, available=False)
    assert await async_remove_config_entry_device(hass, entry, found)
    registry.async_remove_device(found.id)
    await hass.async_block_till_done()
    told(entry, available=False, device=replace(coordinator.data.devices[SERIAL].device, model="x"))
    await hass.async_block_till_done()
    assert device() is None
    assert voltage not in entity_ids(hass, entry)
    told(entry, available=True)
    await until(hass, lambda: state_of(hass, entry, voltage) == "233.3")
    assert device().model == "x"


async def test_nothing_is_added_to_an_entry_that_is_unloaded(
    hass: HomeAssistant, entry: Any
) -> None:
    unload = hass.config_entries.async_unload_platforms

    async def unload_and_hear(*arguments: Any) -> bool:
        done = await unload(*arguments)
        inverter = entry.runtime_data.coordinator.data.devices[SERIAL]
        other = replace(inverter.device, id="2", serial_number="2")
        told(entry, device=other, values={**inverter.values, "pv_power_4": 1})
        return done

    with patch.object(hass.config_entries, "async_unload_platforms", unload_and_hear):
        assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    shown = [state for state in hass.states.async_all() if not state.attributes.get("restored")]
    assert shown == []


def test_a_relay_of_before_keeps_its_port() -> None:
    """Entries of version 1.1 named the port alone, and the zone ``timezone``."""
    before = {"source": "relay", "listen_port": 51101, "server": "a:1", "timezone": ZONE}
    now = FAMILY.migrate(before)
    assert now == {
        "source": "relay", "listen": "0.0.0.0:51101", "server": "a:1", "time_zone": ZONE,
    }  # fmt: skip
    assert FAMILY.factory.read(now).unique_id == "sunsynk_relay_51101"


def relay_data(port: int) -> dict[str, Any]:
    return {
        "source": "relay", "listen": f"127.0.0.1:{port}", "server": "127.0.0.1:9",
        "time_zone": ZONE,
    }  # fmt: skip


def hear(entry: Any) -> None:
    """Let the real report pass at an entry's source."""
    engine = entry.runtime_data.engine
    frame = bytes.fromhex(json.loads((VECTORS / "real_292.json").read_text())["cases"][0]["hex"])
    received = engine.pipeline.take(frame, None, arrival=engine.source.arrival_now())
    assert received is not None
    engine._receive(Batch([(frame, None)], [received]))


async def test_after_a_restart_with_a_silent_dongle_the_entities_are_there(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    """Issue 12.9: unavailable, not restored; the lifetime counters with their last value."""
    entry = make_entry(hass, "sunsynk", relay_data(unused_tcp_port_factory()), unique_id="relay")
    assert await hass.config_entries.async_setup(entry.entry_id)
    hear(entry)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage") == "233.3")
    total = state_of(hass, entry, f"{SERIAL}_pv_production_total")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(hass, entry, f"{SERIAL}_grid_voltage") == "unavailable"
    assert state_of(hass, entry, f"{SERIAL}_pv_production_total") == total
    states = [hass.states.get(one) for one in entity_ids(hass, entry).values()]
    shown = [state for state in states if state is not None]
    assert len(shown) > 40
    assert not any(state.attributes.get("restored") for state in shown)
    kept = hass.states.get(entity_ids(hass, entry)[f"{SERIAL}_pv_production_total"])
    assert kept is not None
    assert kept.attributes["as_of"].startswith("2022-11-05T06:32:46")
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert any(one.serial_number == SERIAL for one in devices)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("loaded", [True, False])
async def test_an_inverter_that_was_deleted_stays_so_over_a_restart(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any, loaded: bool
) -> None:
    """The engine keeps it for its counters; the user has said that it is gone."""
    entry = make_entry(hass, "sunsynk", relay_data(unused_tcp_port_factory()), unique_id="relay")
    voltage = f"{SERIAL}_grid_voltage"
    registry = dr.async_get(hass)

    def device() -> Any:
        return registry.async_get_device_by_identifier((DOMAIN, SERIAL), entry.entry_id)

    async def restart() -> None:
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()

    await restart()
    hear(entry)
    await until(hass, lambda: state_of(hass, entry, voltage) == "233.3")
    await restart()
    assert state_of(hass, entry, voltage) == "unavailable"
    if not loaded:
        assert await hass.config_entries.async_unload(entry.entry_id)
    assert await async_remove_config_entry_device(hass, entry, device())
    registry.async_remove_device(device().id)
    await hass.async_block_till_done()
    for _ in range(2):
        await restart()
        assert device() is None
        assert voltage not in entity_ids(hass, entry)
    hear(entry)
    await until(hass, lambda: state_of(hass, entry, voltage) == "233.3")
    await restart()
    assert state_of(hass, entry, voltage) == "unavailable", "it was heard again"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_one_inverter_heard_by_two_entries(
    hass: HomeAssistant,
    socket_enabled: None,
    unused_tcp_port_factory: Any,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Issue 12.10: the live source wins over a file, the other entry says so, no ghost device."""
    old = make_entry(hass, "sunsynk", file_data(), unique_id="file", title="Old file")
    assert await hass.config_entries.async_setup(old.entry_id)
    await until(hass, lambda: state_of(hass, old, f"{SERIAL}_grid_voltage") == "233.3")
    copy = tmp_path / "copy.pcap"
    shutil.copy(CAPTURES / "real_292.pcap", copy)
    data = {**file_data(), "path": str(copy)}
    other = make_entry(hass, "sunsynk", data, unique_id="file2", title="Other file")
    assert await hass.config_entries.async_setup(other.entry_id)

    def told(entry: ConfigEntry) -> list[ir.IssueEntry]:
        start = f"{entry.entry_id}_sunsynk_shown_elsewhere_"
        found = ir.async_get(hass).issues.values()
        return [issue for issue in found if issue.issue_id.startswith(start)]

    issue = (await until(hass, lambda: told(other)))[0]
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["other"] == "Old file"
    assert SERIAL not in str(issue.to_json()), "Home Assistant adds it to all diagnostics"

    port = unused_tcp_port_factory()
    live = make_entry(hass, "sunsynk", relay_data(port), unique_id="live", title="Live")
    assert await hass.config_entries.async_setup(live.entry_id)
    hear(live)
    await until(hass, lambda: state_of(hass, live, f"{SERIAL}_grid_voltage") == "233.3")
    await until(hass, lambda: told(old))
    registry = dr.async_get(hass)
    shown = {
        one.title: sum(
            device.serial_number == SERIAL
            for device in dr.async_entries_for_config_entry(registry, one.entry_id)
        )
        for one in (old, other, live)
    }
    assert shown == {"Old file": 0, "Other file": 0, "Live": 1}
    assert "does not generate unique IDs" not in caplog.text
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
    for entry in (live, other, old):
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_forms_lead_the_way(hass: HomeAssistant, entry: Any) -> None:
    """Issue 12.15: never the loopback first; another way of listening; a bad filter is shown."""
    with patch(
        "custom_components.hardwired.families.sunsynk.config_flow.interfaces",
        return_value=["lo", "docker0", "eth0", "any"],
    ):
        result = await walk(hass, {"next_step_id": "sunsynk"}, {"next_step_id": "sunsynk_live"})
    key = next(one for one in result["data_schema"].schema if one == "interface")
    assert key.description == {"suggested_value": "eth0"}
    options = result["data_schema"].schema[key].config["options"]
    assert options == ["eth0", "any", "docker0", "lo"]
    hass.config_entries.flow.async_abort(result["flow_id"])

    bad = {"path": str(CAPTURES / "real_292.pcap"), "time_zone": ZONE, "more": {"filter": "host"}}
    result = await walk(hass, {"next_step_id": "sunsynk"}, FILE, bad)
    assert result["errors"] == {"base": "bad_filter"}
    assert result["description_placeholders"]["detail"] not in ("", "-")
    key = next(one for one in result["data_schema"].schema if one == "more")
    assert result["data_schema"].schema[key].options == {"collapsed": False}
    hass.config_entries.flow.async_abort(result["flow_id"])

    result = await entry.start_reconfigure_flow(hass)
    assert "sunsynk_sim" in result["menu_options"]
    result = await go_on(hass, result, {"next_step_id": "sunsynk_sim"})
    result = await go_on(hass, result, {"time_zone": ZONE, "inverters": 1, "warp": 60})
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["source"] == "sim"
    assert "path" not in entry.data
    assert entry.unique_id == "sunsynk_sim_1"
    await hass.async_block_till_done()
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
