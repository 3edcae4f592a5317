"""A simulated device in two clicks, gone in one; a recording for a bug report."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.setup import async_setup_component

from custom_components.hardwired.const import DOMAIN, family_name
from custom_components.hardwired.engines.engine import Direction, Notice, Snapshot
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.recording import FOLDER, _write, async_record

from .helpers import make_entry, until, walk

SERIAL = "2200000001"
"""Of the first simulated inverter."""


async def simulated(hass: HomeAssistant, family: str) -> Any:
    """Make the two clicks; returns the loaded entry."""
    result = await walk(
        hass, {"next_step_id": "simulated"}, {"next_step_id": f"simulated_{family}"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    return result["result"]


async def menu(hass: HomeAssistant, entry: Any, kind: str) -> Any:
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, kind), context={"source": "user"}
    )


def content_of(file: Path) -> bytes:
    return file.read_bytes()


def recordings(hass: HomeAssistant) -> list[Path]:
    return list(Path(hass.config.path(FOLDER)).glob("*"))


def full(path: Path) -> None:
    """Let a folder not be one."""
    path.write_text("")


@pytest.fixture(autouse=True)
def own_folder(hass: HomeAssistant, tmp_path: Path) -> None:
    """Let recordings lie in the test's own folder."""
    hass.config.config_dir = str(tmp_path)


@pytest.mark.parametrize(
    ("language", "mark"),
    [("en", "(simulated)"), ("nl", "(gesimuleerd)"), ("de", "(simuliert)"), ("fr", "(simulé)")],
)
async def test_a_simulated_device_is_marked_in_the_language_of_the_house(
    hass: HomeAssistant, language: str, mark: str
) -> None:
    hass.config.language = language
    entry = await simulated(hass, "sunsynk")
    assert entry.title == f"Sunsynk {mark}"
    registry = dr.async_get(hass)

    def models() -> list[str | None]:
        found = dr.async_entries_for_config_entry(registry, entry.entry_id)
        return [device.model for device in found]

    await until(hass, models)
    assert all((model or "").endswith(f" {mark}") for model in models())


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_device_is_tried_in_two_clicks_and_gone_in_one(
    hass: HomeAssistant, family: str
) -> None:
    entry = await simulated(hass, family)
    assert entry.title == f"{family_name(family)} (simulated)"
    assert entry.state is ConfigEntryState.LOADED
    coordinator = entry.runtime_data.coordinator
    await until(hass, lambda: coordinator.data.connected and coordinator.data.devices)
    registry = dr.async_get(hass)

    def devices() -> list[dr.DeviceEntry]:
        return dr.async_entries_for_config_entry(registry, entry.entry_id)

    await until(hass, devices)
    assert all((device.model or "").endswith("(simulated)") for device in devices())

    again = await walk(hass, {"next_step_id": "simulated"}, {"next_step_id": f"simulated_{family}"})
    assert again["type"] is FlowResultType.ABORT
    assert again["reason"] == "already_simulated"

    gone = await menu(hass, entry, "remove_simulated")
    assert gone["reason"] == "removed"
    await hass.async_block_till_done()
    assert hass.config_entries.async_entries(DOMAIN) == []
    assert devices() == []


async def test_a_simulated_device_raises_no_repair(hass: HomeAssistant) -> None:
    entry = await simulated(hass, "inventum")
    coordinator = entry.runtime_data.coordinator
    coordinator.issues.async_check(Snapshot(notices=(Notice("stuck"),)))
    assert not ir.async_get(hass).issues
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_only_a_simulated_entry_offers_its_end(hass: HomeAssistant) -> None:
    entry = make_entry(hass, "inventum", {"link": "sim://?odds=1"})
    assert set(entry.supported_subentry_types) == {"record"}


async def test_a_recording_from_the_menu(
    hass: HomeAssistant, hass_client: Any, hass_client_no_auth: Any
) -> None:
    entry = await simulated(hass, "sunsynk")
    engine = entry.runtime_data.engine
    form = await menu(hass, entry, "record")
    assert form["step_id"] == "user"
    await until(hass, lambda: len(engine.frames))
    flows = hass.config_entries.subentries
    result: Any = await flows.async_configure(form["flow_id"], {"seconds": 1})
    while result["type"] in (FlowResultType.SHOW_PROGRESS, FlowResultType.SHOW_PROGRESS_DONE):
        await asyncio.sleep(0.05)
        result = await flows.async_configure(form["flow_id"])
    told = result["description_placeholders"]
    assert result["reason"] == "recorded"
    assert int(told["frames"]) >= len(engine.frames) - 1 > 0
    file = Path(told["file"])
    assert file.suffix == ".pcap"
    assert file.name.startswith("sunsynk-")
    content = content_of(file)
    assert content
    assert SERIAL.encode() not in content

    url = told["link"].split('"')[1]
    signed = await (await hass_client_no_auth()).get(url)
    assert signed.status == 200
    assert await signed.read() == content
    assert "attachment" in signed.headers["Content-Disposition"]
    client = await hass_client()
    base = url.partition("?")[0]
    assert (await (await hass_client_no_auth()).get(base)).status == 401
    assert (await client.get(base)).status == 200
    for name in ("nothing.log", "..%2Fsecrets.yaml", "%2Fetc%2Fpasswd"):
        assert (await client.get(f"/api/hardwired/recording/{name}")).status in (400, 404)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_action_records_and_says_where(hass: HomeAssistant, tmp_path: Path) -> None:
    entry = await simulated(hass, "inventum")
    answer = await hass.services.async_call(
        DOMAIN,
        "record",
        {"config_entry_id": entry.entry_id, "seconds": 1},
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    file = Path(str(answer["file"]))
    assert file.parent == tmp_path / FOLDER
    lines = [json.loads(line) for line in content_of(file).splitlines()]
    assert len(lines) == answer["frames"] > 0
    assert {line["direction"] for line in lines} <= set(Direction)

    full(tmp_path / "full")
    hass.config.config_dir = str(tmp_path / "full")
    with pytest.raises(HomeAssistantError) as caught:
        await hass.services.async_call(
            DOMAIN, "record", {"config_entry_id": entry.entry_id, "seconds": 1}, blocking=True
        )
    assert caught.value.translation_key == "not_written"
    hass.config.config_dir = str(tmp_path)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_nothing_is_recorded_of_an_entry_that_is_not_loaded(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    entry = make_entry(hass, "inventum", {"link": "sim://"})
    assert (await menu(hass, entry, "record"))["reason"] == "not_loaded"
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            DOMAIN, "record", {"config_entry_id": entry.entry_id}, blocking=True
        )
    assert caught.value.translation_key == "entry_not_loaded"


async def test_an_entry_of_another_family_is_named(hass: HomeAssistant) -> None:
    entry = await simulated(hass, "inventum")
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            DOMAIN, "truma_refresh", {"config_entry_id": entry.entry_id}, blocking=True
        )
    assert caught.value.translation_key == "entry_of_another_family"
    assert caught.value.translation_placeholders == {
        "title": "Inventum (simulated)", "family": "Truma",
    }  # fmt: skip
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_closing_the_dialog_ends_the_recording(hass: HomeAssistant) -> None:
    entry = await simulated(hass, "inventum")
    form = await menu(hass, entry, "record")
    flows = hass.config_entries.subentries
    await flows.async_configure(form["flow_id"], {"seconds": 900})
    flows.async_abort(form["flow_id"])
    await hass.async_block_till_done()
    assert not recordings(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def end(hass: HomeAssistant, entry: Any, how: str) -> None:
    """Let an entry go away under a recording."""
    entries = hass.config_entries
    if how == "disabled":
        await entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    elif how == "removed":
        await entries.async_remove(entry.entry_id)
    else:
        await entries.async_reload(entry.entry_id)


@pytest.mark.parametrize("how", ["disabled", "removed", "reloaded"])
async def test_what_was_recorded_until_the_entry_went_is_kept_and_said(
    hass: HomeAssistant, how: str
) -> None:
    entry = await simulated(hass, "inventum")
    frames = entry.runtime_data.engine.frames
    await until(hass, lambda: len(frames))
    by_action = hass.async_create_task(
        hass.services.async_call(
            DOMAIN, "record", {"config_entry_id": entry.entry_id, "seconds": 900}, blocking=True
        )
    )
    flows = hass.config_entries.subentries
    form, late = [await menu(hass, entry, "record") for _ in range(2)]
    result: Any = await flows.async_configure(form["flow_id"], {"seconds": 900})
    await asyncio.sleep(0)  # It begins in the next turn of the loop.
    await end(hass, entry, how)
    with pytest.raises(HomeAssistantError) as caught:
        await by_action
    assert caught.value.translation_key == "recorded_in_part"
    while result["type"] in (FlowResultType.SHOW_PROGRESS, FlowResultType.SHOW_PROGRESS_DONE):
        await asyncio.sleep(0.02)
        result = await flows.async_configure(form["flow_id"])
    assert result["reason"] == "recorded_in_part"
    told = [caught.value.translation_placeholders, result["description_placeholders"]]
    files = {Path(one["file"]) for one in told}
    assert files == set(recordings(hass))
    assert len(files) == 2, "two of one second"
    for one in told:
        lines = content_of(Path(one["file"])).splitlines()
        assert len(lines) == int(one["frames"]) > 0
    if how != "reloaded":
        result = await flows.async_configure(late["flow_id"], {"seconds": 1})
        assert result["reason"] == "not_loaded"
    else:
        flows.async_abort(late["flow_id"])
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_recording_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    written = [_write(tmp_path / FOLDER, "one", ".log", bytes((number,))) for number in range(3)]
    assert [path.name for path in written] == ["one.log", "one-2.log", "one-3.log"]
    assert [content_of(path) for path in written] == [b"\0", b"\1", b"\2"]


async def test_a_recording_needs_an_entry_that_is_loaded(hass: HomeAssistant) -> None:
    entry = await simulated(hass, "inventum")
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(HomeAssistantError) as caught:
        await async_record(hass, entry, 1.0)
    assert caught.value.translation_key == "entry_not_loaded"


def test_what_the_disk_does_not_take_leaves_no_half_a_file(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            _write(tmp_path / FOLDER, "one", ".log", b"more than that")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / FOLDER).iterdir()) == []
