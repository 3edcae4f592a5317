"""What every family has in common: set-up, loss and return, unloading, removal, downgrade."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import SOURCE_DHCP, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.json import json_dumps
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.storage import Store
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    get_system_health_info,
)

from custom_components.hardwired import async_remove_config_entry_device
from custom_components.hardwired.config_flow import HardwiredConfigFlow
from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from custom_components.hardwired.engines.engine import Notice, Reason, Snapshot
from custom_components.hardwired.engines.simulating import PtyPort
from custom_components.hardwired.engines.truma.engine import TrumaEngine
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.flow import FamilyFlow
from custom_components.hardwired.storage import HomeAssistantStorage

from .helpers import entity_ids, is_free, make_entry, until

BUS = "sim://?personality=c3-combi6de&slot_ms=10&time_scale=5&seed=3&standby=0"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[PtyPort]:
    port = PtyPort(tmp_path / "ttyLIN")
    port.plug()
    yield port
    port.unplug()


async def loaded(hass: HomeAssistant, device: str, **details: Any) -> Any:
    entry = make_entry(hass, "truma", {"link": device, "observer": False}, **details)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    return entry


@pytest.mark.parametrize(
    "family, data, state, key",
    [
        ("truma", {"link": "/dev/no-such-port"}, ConfigEntryState.SETUP_RETRY, "not_found"),
        ("truma", {"link": ""}, ConfigEntryState.SETUP_ERROR, "bad_address"),
        (
            "sunsynk",
            {"source": "file", "path": "/nowhere.pcap", "time_zone": "UTC"},
            ConfigEntryState.SETUP_RETRY,
            "not_found",
        ),
        (
            "sunsynk",
            {"source": "sim", "time_zone": "Mars/Olympus"},
            ConfigEntryState.SETUP_ERROR,
            "bad_timezone",
        ),
        ("inventor", {}, ConfigEntryState.SETUP_ERROR, "unknown_family"),
    ],
)
async def test_a_set_up_that_fails_says_why(
    hass: HomeAssistant, family: str, data: dict[str, Any], state: ConfigEntryState, key: str
) -> None:
    entry = make_entry(hass, family, data)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is state
    assert entry.error_reason_translation_key == key


async def test_unloading_frees_the_port(hass: HomeAssistant, port: PtyPort) -> None:
    entry = await loaded(hass, str(port.link))
    assert not is_free(port)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert is_free(port)


async def test_a_port_that_is_taken_is_tried_again_later(
    hass: HomeAssistant, port: PtyPort
) -> None:
    fd = os.open(port.link, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    entry = make_entry(hass, "truma", {"link": str(port.link)})
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "busy"
    os.close(fd)
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_entities_go_and_come_back_with_the_device(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    entry = await loaded(hass, BUS)

    def voltage() -> str | None:
        found = entity_ids(hass, entry).get(f"{entry.entry_id}_heater_voltage")
        state = hass.states.get(found) if found else None
        return None if state is None else state.state

    await until(hass, lambda: voltage() not in (None, "unavailable", "unknown"), within=40)
    pid = entry.runtime_data.engine.responder_pid
    caplog.clear()
    os.kill(pid, 9)
    await until(hass, lambda: voltage() == "unavailable")
    await until(hass, lambda: voltage() not in ("unavailable", "unknown"), within=40)
    await until(hass, lambda: "is back" in caplog.text)
    assert sum("is lost" in record.message for record in caplog.records) == 1
    assert sum("is back" in record.message for record in caplog.records) == 1
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_unique_ids_are_distinct_and_survive_a_reload(hass: HomeAssistant) -> None:
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    before = entity_ids(hass, entry)
    assert len(set(before.values())) == len(before)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    after = entity_ids(hass, entry)
    assert before.items() <= after.items()
    registry = er.async_get(hass)
    entities = er.async_entries_for_config_entry(registry, entry.entry_id)
    assert all(one.has_entity_name for one in entities)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_removed_entity_leaves_no_listener(hass: HomeAssistant) -> None:
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    coordinator = entry.runtime_data.coordinator
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert coordinator._listeners == {}
    assert coordinator._occurrence_listeners == []


async def test_only_a_silent_device_can_be_deleted(hass: HomeAssistant) -> None:
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    for device in devices:
        assert not await async_remove_config_entry_device(hass, entry, device)
    gone = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "gone")}, name="Gone"
    )
    assert await async_remove_config_entry_device(hass, entry, gone)
    assert await hass.config_entries.async_unload(entry.entry_id)
    for device in devices:
        assert await async_remove_config_entry_device(hass, entry, device)


async def test_an_entry_of_an_unknown_family_can_be_removed(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "inventor", {})
    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_an_entry_of_an_unknown_family_is_listed_and_not_reconfigured(
    hass: HomeAssistant,
) -> None:
    """The page with all integrations is made of these fragments: one error empties it."""
    entry = make_entry(hass, "inventor", {})
    await hass.config_entries.async_setup(entry.entry_id)
    assert json.loads(json_dumps(entry.as_json_fragment))["supports_options"] is False
    result = await entry.start_reconfigure_flow(hass)
    assert result["reason"] == "not_supported"


async def test_the_port_is_free_when_a_platform_fails(hass: HomeAssistant, port: PtyPort) -> None:
    entry = make_entry(hass, "truma", {"link": str(port.link)})
    with patch.object(
        hass.config_entries, "async_forward_entry_setups", side_effect=RuntimeError("broken")
    ):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert is_free(port)


async def test_a_set_up_that_fails_leaves_no_issue(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "truma", {"link": BUS})
    raised = [Notice("network_observes")]
    with (
        patch.object(TrumaEngine, "_notices", return_value=raised),
        patch.object(hass.config_entries, "async_forward_entry_setups", side_effect=RuntimeError),
    ):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert ir.async_get(hass).issues == {}


async def test_a_set_up_that_is_tried_again_leaves_no_issue(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "truma", {"link": "/dev/no-such-port"})
    raised = [Notice("network_observes")]
    with patch.object(TrumaEngine, "_notices", return_value=raised):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert ir.async_get(hass).issues == {}
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_diagnostics_of_one_device_tell_no_other(hass: HomeAssistant) -> None:
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    coordinator = entry.runtime_data.coordinator
    for state in coordinator.data.devices.values():
        (device,) = (
            one
            for one in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
            if coordinator.identifier(state.device) in one.identifiers
        )
        report = await async_get_device_diagnostics(hass, entry, device)
        assert [one["kind"] for one in report["devices"]] == [state.device.kind]
        assert json.loads(json.dumps(report)) == report
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_diagnostics_of_a_lost_port_do_not_name_it(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    """The name of a port holds the serial number of the adapter; errors repeat it."""
    port = PtyPort(tmp_path / "usb-FTDI_FT232R_A600TOLD-if00-port0")
    port.plug()
    entry = await loaded(hass, str(port.link))
    port.unplug()
    coordinator = entry.runtime_data.coordinator
    await until(hass, lambda: coordinator.data.reason is Reason.NOT_FOUND, within=40)
    report = await async_get_config_entry_diagnostics(hass, entry)
    assert report["connection"]["detail"] == "**REDACTED**: No such file or directory"
    assert "A600TOLD" not in json.dumps(report)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    "device, told",
    [
        ("socket://192.0.2.7:4001", "no route to ('192.0.2.7', 4001)"),
        ("/dev/serial/by-id/usb-A600TOLD", "usb-A600TOLD is gone"),
        ("socket://[fe80::TOLD", "socket://[fe80::TOLD can't be understood"),
        ("TOLD.example:4001", "TOLD.example does not answer"),
    ],
)
async def test_the_diagnostics_name_no_part_of_the_address(
    hass: HomeAssistant, device: str, told: str
) -> None:
    entry = await loaded(hass, BUS)
    hass.config_entries.async_update_entry(entry, data={**entry.data, "link": device})
    entry.runtime_data.coordinator.async_receive(Snapshot(reason=Reason.FAILED, detail=told))
    report = await async_get_config_entry_diagnostics(hass, entry)
    assert "TOLD" not in json.dumps(report)
    assert "192.0.2.7" not in json.dumps(report)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("link", ["/tmp/t9/eco", "/tmp/kind", "socket://available:4001"])
async def test_the_name_of_a_port_spoils_no_other_word(hass: HomeAssistant, link: str) -> None:
    """Keys and values that hold the same letters, or are the same word, stay what they are."""
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    before = await async_get_config_entry_diagnostics(hass, entry)
    hass.config_entries.async_update_entry(entry, data={**entry.data, "link": link})
    told = f"{link}: economy, kinds and {link.rpartition('/')[2]}"
    entry.runtime_data.coordinator.async_receive(
        replace(entry.runtime_data.coordinator.data, detail=told)
    )
    report = await async_get_config_entry_diagnostics(hass, entry)
    assert report["connection"]["detail"].startswith("**REDACTED**: economy, kinds and ")
    assert report["entry"]["data"]["link"] == "**REDACTED**"
    assert [sorted(device) for device in report["devices"]] == [
        sorted(device) for device in before["devices"]
    ]
    assert [device["kind"] for device in report["devices"]] == [
        device["kind"] for device in before["devices"]
    ]
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entry_of_a_newer_release_is_refused(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "truma", {"link": BUS}, version=2)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.MIGRATION_ERROR


async def test_a_plug_event_lets_the_engine_try_at_once(hass: HomeAssistant, port: PtyPort) -> None:
    entry = await loaded(hass, str(port.link))
    engine = entry.runtime_data.engine
    with (
        patch.object(engine, "wake") as wake,
        patch.object(entry.runtime_data.coordinator, "data", Snapshot()),
    ):
        for listener in hass.data["usb"]._port_event_callbacks:
            listener({object()}, set())
    wake.assert_called_once()
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_lasting_silence_raises_an_issue_and_its_end_clears_it(
    hass: HomeAssistant, port: PtyPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await loaded(hass, str(port.link))
    coordinator = entry.runtime_data.coordinator
    issues = ir.async_get(hass)
    key = (DOMAIN, f"{entry.entry_id}_silence_silent")
    silent = coordinator.data.__class__(
        coordinator.data.devices, connected=False, reason=Reason.SILENT, detail="nothing"
    )
    coordinator.async_receive(silent)
    assert key not in issues.issues
    monkeypatch.setattr("custom_components.hardwired.issues.ISSUE_DELAY", 0.0)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await until(hass, lambda: key in issues.issues)
    coordinator.async_receive(silent.__class__(silent.devices, connected=True, reason=None))
    assert key not in issues.issues
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_ignored_issue_stays_ignored_when_the_entry_is_reloaded(
    hass: HomeAssistant,
) -> None:
    issues = ir.async_get(hass)
    raised = [Notice("network_observes"), Notice("low_latency")]
    with patch.object(TrumaEngine, "_notices", return_value=raised):
        entry = await loaded(hass, BUS)
        ignored, open_one = (f"{entry.entry_id}_truma_{notice.key}" for notice in raised)
        await until(hass, lambda: issues.async_get_issue(DOMAIN, ignored))
        ir.async_ignore_issue(hass, DOMAIN, ignored, True)
        assert await hass.config_entries.async_reload(entry.entry_id)
        assert issues.async_get_issue(DOMAIN, ignored).dismissed_version is not None
        assert issues.async_get_issue(DOMAIN, open_one).dismissed_version is None
        assert await hass.config_entries.async_unload(entry.entry_id)
    assert issues.issues.keys() == {(DOMAIN, ignored)}
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert issues.issues == {}


async def test_the_port_is_free_when_home_assistant_stops(
    hass: HomeAssistant, port: PtyPort
) -> None:
    entry = await loaded(hass, str(port.link))
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()

    await until(hass, lambda: is_free(port))
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_system_health_counts_the_links(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info = await get_system_health_info(hass, DOMAIN)
    assert info["links"] == 1
    assert info["connected"] == 1
    assert info["frames"] > 0
    assert await hass.config_entries.async_unload(entry.entry_id)
    await asyncio.sleep(0)


async def test_a_neighbour_that_is_no_gateway_is_left_alone(hass: HomeAssistant) -> None:
    neighbour = DhcpServiceInfo(ip="192.0.2.7", hostname="printer", macaddress="0000deadbeef")
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=neighbour
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_supported"


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_family_s_options_are_offered(hass: HomeAssistant, family: str) -> None:
    entry = make_entry(hass, family, {})
    offered = FAMILIES[family].options_flow
    assert HardwiredConfigFlow.async_supports_options_flow(entry) == (offered is not None)
    if offered is not None:
        assert isinstance(HardwiredConfigFlow.async_get_options_flow(entry), offered)


async def test_an_entry_of_the_version_before_keeps_its_settings_under_the_new_keys(
    hass: HomeAssistant,
) -> None:
    entry = make_entry(
        hass,
        "truma",
        {"device": BUS, "observer": True},
        options={"timezone": "Europe/Berlin", "clock_sync": True},
        minor_version=1,
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.data == {"family": "truma", "link": BUS, "observer": True}
    assert entry.options == {"time_zone": "Europe/Berlin", "clock_sync": True}
    assert entry.minor_version == FamilyFlow.MINOR_VERSION
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_one_changed_value_is_looked_at_by_the_entities_of_its_device_alone(
    hass: HomeAssistant,
) -> None:
    entry = await loaded(hass, BUS)
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    coordinator = entry.runtime_data.coordinator
    await coordinator.async_stop()
    looked: list[str] = []
    for update, context in tuple(coordinator._listeners.values()):
        coordinator.async_add_listener(lambda key=context: looked.append(key), context)
        assert update
    panel = coordinator.data.devices["panel"]
    devices = {**coordinator.data.devices, "panel": panel.with_values(frames_bad=4711)}
    coordinator.async_receive(replace(coordinator.data, devices=devices))
    assert set(looked) - {None} == {"panel"}
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_file_without_what_home_assistant_puts_around_it_is_damaged(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a file with ``[]`` in it Home Assistant says this and no more."""
    entry = make_entry(hass, "truma", {"link": BUS})
    said = TypeError("list indices must be integers or slices, not str")
    with patch.object(Store, "async_load", side_effect=said):
        storage = await HomeAssistantStorage.async_load(hass, "truma", entry)
    assert storage.load() == {}
    assert "is damaged; it starts afresh" in caplog.text


@pytest.mark.parametrize("damaged", [["a", "list"], "a text", 4711])
async def test_a_damaged_storage_starts_afresh_and_says_so(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    damaged: Any,
) -> None:
    entry = make_entry(hass, "truma", {"link": BUS}, title="Truma at 192.0.2.7")
    name = f"{DOMAIN}.truma.{entry.entry_id}"
    hass_storage[name] = {"version": 1, "minor_version": 1, "key": name, "data": damaged}
    storage = await HomeAssistantStorage.async_load(hass, "truma", entry)
    assert storage.load() == {}
    (said,) = (one for one in caplog.records if one.name.endswith("hardwired.storage"))
    assert said.levelname == "WARNING"
    assert said.getMessage().endswith("is damaged; it starts afresh")
    await storage.async_flush()
    assert hass_storage[name]["data"] == damaged, "nothing was saved, nothing is written"
    storage.save({"after": 1})
    await storage.async_flush()
    assert hass_storage[name]["data"] == {"after": 1}
    again = await HomeAssistantStorage.async_load(hass, "truma", entry)
    assert again.load() == {"after": 1}


async def test_an_entry_with_a_damaged_storage_is_set_up(
    hass: HomeAssistant, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    entry = make_entry(hass, "truma", {"link": BUS})
    name = f"{DOMAIN}.truma.{entry.entry_id}"
    hass_storage[name] = {"version": 1, "minor_version": 1, "key": name, "data": ["a", "list"]}
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    assert "is damaged; it starts afresh" in caplog.text
    await until(hass, lambda: len(entity_ids(hass, entry)) > 30, within=40)
    assert await hass.config_entries.async_unload(entry.entry_id)
