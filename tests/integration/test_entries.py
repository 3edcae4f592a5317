"""What holds for the entries of every family: whose a port is, time zones, failed set-ups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components.usb.consumers import _async_get_config_entry_consumers
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.hardwired import async_remove_config_entry_device
from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.ports import async_own

from .helpers import entity_ids, make_entry, put_away, until, walk
from .test_core import BUS

BY_ID = "homeassistant.components.usb.get_serial_by_id"
GONE = "/dev/serial/by-id/usb-FTDI_A600TOLD-if00"


async def test_home_assistant_knows_whose_a_port_is(hass: HomeAssistant) -> None:
    """Its page of serial ports, and the list in every form, look under keys that it knows."""
    for link in (GONE, "socket://192.0.2.7:4001", "tcp://192.0.2.8:4001"):
        entry = make_entry(hass, "truma", {"link": link}, title=link)
        async_own(hass, entry)
    owners = await _async_get_config_entry_consumers(hass, set())
    assert {port: [one.title for one in found] for port, found in owners.items()} == {
        port: [port] for port in (GONE, "socket://192.0.2.7:4001", "tcp://192.0.2.8:4001")
    }
    hass.config_entries.async_update_entry(entry, data={**entry.data, "link": BUS})
    async_own(hass, entry)
    assert "device" not in entry.data, "a simulated device has no port"


async def test_a_set_up_takes_its_port_and_reports_without_one(hass: HomeAssistant) -> None:
    """A report of an entry that can't be set up is wanted most; it names nobody."""
    entry = make_entry(hass, "truma", {"link": GONE})
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.data["device"] == GONE
    for report in (
        await async_get_config_entry_diagnostics(hass, entry),
        await async_get_device_diagnostics(hass, entry, None),  # type: ignore[arg-type]
    ):
        assert report["entry"]["state"] == "setup_retry"
        assert "does not exist" in report["entry"]["reason"]
        assert "A600TOLD" not in json.dumps(report)


@pytest.mark.parametrize("family", ["truma", "studer", "sunsynk", "inventum"])
async def test_a_port_is_kept_by_the_name_that_stays(
    hass: HomeAssistant, family: str, tmp_path: Path
) -> None:
    """A number such as that of ttyUSB0 is another one after a restart."""
    steps: dict[str, list[dict[str, Any]]] = {
        "truma": [{"link": "/dev/ttyUSB0", "observer": False}],
        "studer": [{"next_step_id": "studer_serial"}, {"link": "/dev/ttyUSB0"}],
        "sunsynk": [
            {"next_step_id": "sunsynk_modbus"},
            {
                "link": "/dev/ttyUSB0",
                "units": "1",
                "more": {
                    "serial": "9600 8N1",
                    "framing": "auto",
                    "max_block": 66,
                    "time_zone": "UTC",
                },
            },
        ],
        "inventum": [{"link": "/dev/ttyUSB0", "codes": {}}],
    }
    make_entry(hass, "truma", {"link": GONE})
    with patch(BY_ID, return_value=GONE):
        result = await walk(hass, {"next_step_id": family}, *steps[family])
    if result["type"] is FlowResultType.ABORT:
        assert result["reason"] == "already_configured"
    else:
        assert result["errors"] == {"link": "link_in_use"}
        hass.config_entries.flow.async_abort(result["flow_id"])


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_simulated_device_does_not_become_a_real_one(
    hass: HomeAssistant, family: str
) -> None:
    entry = make_entry(hass, family, {"simulated": True})
    result = await entry.start_reconfigure_flow(hass)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "simulated_stays"


@pytest.mark.parametrize("own", [False, True])
async def test_another_time_zone_begins_anew(hass: HomeAssistant, own: bool) -> None:
    options = {"time_zone": "Europe/Amsterdam"} if own else {}
    entry = make_entry(hass, "truma", {"link": BUS}, options)
    assert await hass.config_entries.async_setup(entry.entry_id)
    engine = entry.runtime_data.engine
    await hass.config.async_update(location_name="Elsewhere")
    await hass.async_block_till_done()
    assert entry.runtime_data.engine is engine
    await hass.config.async_update(time_zone="Asia/Tokyo")
    await hass.async_block_till_done()
    assert (entry.runtime_data.engine is engine) is own
    await put_away(hass, entry)


@pytest.mark.parametrize("family", ["truma", "inventum"])
async def test_a_storage_of_a_newer_release_is_neither_read_nor_overwritten(
    hass: HomeAssistant, hass_storage: dict[str, Any], family: str
) -> None:
    entry: MockConfigEntry = make_entry(hass, family, {"link": BUS})
    name = f"{DOMAIN}.{family}.{entry.entry_id}"
    newer = {"version": 9, "minor_version": 1, "key": name, "data": {"what": "is new"}}
    hass_storage[name] = dict(newer)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "storage_unreadable"
    assert hass_storage[name] == newer, "nothing of it is overwritten"
    await hass.config_entries.async_remove(entry.entry_id)
    assert name not in hass_storage


async def test_a_plant_behind_two_gateways_is_shown_once(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (
        make_entry(hass, "studer", {"link": f"sim://?xtenders=1&variotracks={count}"}, title=title)
        for count, title in enumerate(("First", "Second"))
    )
    for entry in (first, second):
        if entry.state is ConfigEntryState.NOT_LOADED:
            assert await hass.config_entries.async_setup(entry.entry_id)
        coordinator = entry.runtime_data.coordinator
        await until(hass, lambda: coordinator.data.connected)  # noqa: B023
    await until(hass, lambda: "Xtender 1 L1 of" in caplog.text)
    shown, others = (one.runtime_data.coordinator.shown for one in (first, second))
    assert shown or others
    assert not shown & others
    assert "does not generate unique IDs" not in caplog.text
    gone, stays = (first, second) if shown else (second, first)
    its, mine = (one.runtime_data.coordinator for one in (gone, stays))
    both = [
        state.device
        for key, state in mine.data.devices.items()
        if key in its.data.devices and its.data.devices[key].device.kind == state.device.kind
    ]
    elsewhere = {mine.identifier(device) for device in both} & its.shown
    assert elsewhere
    ids = entity_ids(hass, gone)
    await hass.config_entries.async_remove(gone.entry_id)
    await hass.async_block_till_done()
    assert elsewhere <= mine.shown
    kept = entity_ids(hass, stays)
    for _, device in elsewhere:
        again = {key for key in kept if key in ids and key.startswith(f"{device}_")}
        assert again
        assert {key: ids[key] for key in again} == {key: kept[key] for key in again}
    assert "does not generate unique IDs" not in caplog.text
    await put_away(hass, stays)


async def test_a_deleted_gateway_has_its_devices_again_when_it_is_back(
    hass: HomeAssistant,
) -> None:
    entry = make_entry(hass, "truma", {"link": BUS})
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data.coordinator
    await until(hass, lambda: {"panel", "heater"} <= coordinator.data.devices.keys())
    await coordinator.async_stop()
    registry = dr.async_get(hass)

    def device(kind: str) -> dr.DeviceEntry | None:
        found = coordinator.identifier(coordinator.data.devices[kind].device)
        return registry.async_get_device_by_identifier(found, entry.entry_id)

    def tell(*, available: bool) -> None:
        devices = {
            key: replace(state, available=available)
            for key, state in coordinator.data.devices.items()
        }
        coordinator.async_receive(replace(coordinator.data, devices=devices, connected=available))

    tell(available=False)
    panel, heater = device("panel"), device("heater")
    assert panel is not None
    assert heater is not None
    assert heater.via_device_id == panel.id
    assert await async_remove_config_entry_device(hass, entry, panel)
    registry.async_remove_device(panel.id)
    tell(available=False)
    assert device("panel") is None
    for _ in range(2):
        tell(available=True)
        tell(available=False)
    await hass.async_block_till_done()
    panel, heater = device("panel"), device("heater")
    assert panel is not None
    assert heater is not None
    assert heater.via_device_id == panel.id
    await put_away(hass, entry)
