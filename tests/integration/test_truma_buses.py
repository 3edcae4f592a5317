"""Truma in Home Assistant on buses as owners have them: recorded, silent, with frost in a wish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.engines.simulating import PtyPort, PtyStream
from custom_components.hardwired.engines.truma.lin.frames import response
from custom_components.hardwired.engines.truma.lin.log import read_log
from custom_components.hardwired.engines.truma.simulator.runner import RunningSimulator, launch

from .helpers import entity_ids, make_entry, state_of, until

CASES = Path(__file__).resolve().parents[1] / "cases" / "truma"
STATUS = "t05_status_zero.log"
GAP = 0.005
"""Seconds between two frames that are played: whole ones need no silence to be told apart."""
QUICK = {"slot_ms": "10", "time_scale": "10", "standby": "off"}


@asynccontextmanager
async def played(names: tuple[str, ...], link: Path) -> AsyncIterator[str]:
    """Play recordings again and again on a terminal; yields its path."""
    frames = [
        bytes((0, 0x55, one.pid)) + response(one.pid, one.data)
        for name in names
        for one in read_log((CASES / name).read_text(encoding="utf-8").splitlines())
        if one.data is not None
    ]
    port = PtyPort(link)
    stream = PtyStream(port.plug())

    async def play() -> None:
        while True:
            for frame in frames:
                await stream.write(frame)
                await asyncio.sleep(GAP)

    playing = asyncio.ensure_future(play())
    try:
        yield str(link)
    finally:
        playing.cancel()
        await asyncio.wait([playing])
        port.unplug()


@asynccontextmanager
async def observing(hass: HomeAssistant, folder: Path, *names: str) -> AsyncIterator[Any]:
    """Set up an entry that observes a recorded bus."""
    async with played(names, folder / "ttyLIN") as link:
        entry = make_entry(hass, "truma", {"link": link, "observer": True})
        assert await hass.config_entries.async_setup(entry.entry_id)
        try:
            yield entry
        finally:
            assert await hass.config_entries.async_unload(entry.entry_id)


def devices(hass: HomeAssistant, entry: Any) -> Mapping[str, dr.DeviceEntry]:
    """Return the entry's devices by what they are."""
    found = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    prefix = f"{entry.entry_id}_"
    return {next(iter(one.identifiers))[1].removeprefix(prefix): one for one in found}


def issues(hass: HomeAssistant) -> set[str | None]:
    """Return the keys of the repair issues."""
    found = ir.async_get(hass).issues.items()
    return {issue.translation_key for (domain, _), issue in found if domain == DOMAIN}


def shown(hass: HomeAssistant, entry: Any, key: str) -> str | None:
    return state_of(hass, entry, f"{entry.entry_id}_{key}")


async def test_t01_the_revision_is_hexadecimal(hass: HomeAssistant, tmp_path: Path) -> None:
    async with observing(hass, tmp_path, "t01_hw_revision_hex.log", STATUS) as entry:
        await until(hass, lambda: "heater" in devices(hass, entry))
        # The recording has two heaters, one after the other.
        seen = await until(hass, lambda: devices(hass, entry)["heater"].hw_version)
        assert seen in ("0340.22", "0340.0B"), "not in decimal"


async def test_t02_the_error_of_a_heater_without_a_list(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    async with observing(hass, tmp_path, "t02_error_gas_112.log") as entry:
        await until(hass, lambda: shown(hass, entry, "heater_error_number") == "112")
        assert shown(hass, entry, "heater_error") == "see_manual"
        assert shown(hass, entry, "heater_problem") == "on"


async def test_t05_status_zero_says_nothing(hass: HomeAssistant, tmp_path: Path) -> None:
    async with observing(hass, tmp_path, STATUS) as entry:
        await until(hass, lambda: shown(hass, entry, "heater_current_temp_room") == "19.4")
        assert shown(hass, entry, "heater_current_temp_water") == "29.0"
        for key in ("heater_mains", "heater_operating_status"):
            assert shown(hass, entry, key) in ("unknown", None), key


async def test_t06_an_alde_bus_has_no_truma_heater(hass: HomeAssistant, tmp_path: Path) -> None:
    async with observing(hass, tmp_path, "t06_alde_fast_frames.log") as entry:
        engine = entry.runtime_data.engine
        await until(hass, lambda: engine.statistics.frames_in > 100)
        assert set(devices(hass, entry)) <= {"panel"}


async def test_a_bus_on_which_nobody_calls_a_box_says_so(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    """An iNet X panel, an Alde on its own panel: connected, with nothing to show."""

    with patch("custom_components.hardwired.engines.truma.bus_health.NOT_POLLED_AFTER", 0.5):
        async with observing(hass, tmp_path, "p04_combi6e_d6.log") as entry:
            await until(hass, lambda: "truma_not_polled" in issues(hass))
            # What the heater says of itself is shown all the same.
            await until(hass, lambda: shown(hass, entry, "heater_current_temp_room") == "17.6")


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[RunningSimulator]:
    running = await launch({**QUICK, "link": str(tmp_path / "ttyLIN")})
    yield running
    await running.stop()


async def heated(hass: HomeAssistant, panel: RunningSimulator, **options: Any) -> Any:
    """Set up an entry on the panel, with the room at 22 degrees."""
    await panel.order("room 22 eco")
    data = {"link": panel.port, "observer": False}
    entry = make_entry(hass, "truma", data, options=options)
    assert await hass.config_entries.async_setup(entry.entry_id)

    def ready() -> bool:
        room = entity_ids(hass, entry).get(f"{entry.entry_id}_heater_room")
        state = room and hass.states.get(room)
        return bool(state and state.attributes.get("temperature") == 22)

    await until(hass, ready)
    return entry


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(({"target_temperature": degrees}, "room_out_of_range") for degrees in (1, 4, 4.9, 0.5)),
    ({"target_temperature": 21.5}, "whole_degrees"),
    ({"heating_mode": "off", "target_temperature": 20}, "off_with_target"),
    ({"heating_mode": "eco", "target_temperature": 0}, "off_with_target"),
    ({"heating_mode": "night"}, "no_heating_mode"),
    ({"energy_source": "fuel", "electric_power": "900"}, "fuel_with_power"),
    ({"energy_source": "electricity", "electric_power": "0"}, "electricity_without_power"),
    ({"energy_source": "mix", "electric_power": "0"}, "electricity_without_power"),
]


async def test_a_wish_is_carried_out_as_said_or_refused(
    hass: HomeAssistant, panel: RunningSimulator
) -> None:
    """1 to 4 degrees switched the heating off; others were changed silently."""
    entry = await heated(hass, panel)

    async def set_heating(**data: Any) -> None:
        await hass.services.async_call(
            DOMAIN, "truma_set_heating", {"config_entry_id": entry.entry_id, **data}, blocking=True
        )

    for wish, key in REFUSED:
        with pytest.raises(ServiceValidationError) as caught:
            await set_heating(**wish)
        assert caught.value.translation_key == key, wish
    truth = (await panel.order("truth"))["truth"]["heater"]
    assert (truth["target_temp_room"], truth["heating_mode"]) == (2950, 1)
    await set_heating(target_temperature=0)
    await until(hass, lambda: shown(hass, entry, "heater_room") == "off")
    await set_heating(target_temperature=5)
    await until(hass, lambda: shown(hass, entry, "heater_room") == "heat")
    await set_heating(heating_mode="off")
    await until(hass, lambda: shown(hass, entry, "heater_room") == "off")
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_clock_that_no_server_has_set_is_written_into_no_panel(
    hass: HomeAssistant, panel: RunningSimulator
) -> None:
    """Issue 13, number 8: the owner is told why, and what to do, until the system knows."""
    engines = "custom_components.hardwired.engines"
    system = patch(f"{engines}.clock.is_synchronised", return_value=False)
    with system as known, patch(f"{engines}.truma.clock_sync.PATIENCE", 0.5):
        entry = await heated(hass, panel, clock_sync=True)
        await until(hass, lambda: "truma_clock_doubtful" in issues(hass))
        engine = entry.runtime_data.engine
        await until(hass, lambda: engine.snapshot.value("panel", "panel_clock") is not None)
        button = entity_ids(hass, entry)[f"{entry.entry_id}_panel_sync_clock"]
        press = {"entity_id": button}
        with pytest.raises(ServiceValidationError) as caught:
            await hass.services.async_call("button", "press", press, blocking=True)
        assert caught.value.translation_key == "clock_not_synchronised"
        known.return_value = True
        await until(hass, lambda: "truma_clock_doubtful" not in issues(hass))
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("personality", ["nobody", "{folder}/none.json", "{folder}/bad.json"])
async def test_a_bad_personality_blocks_nothing(
    hass: HomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture, personality: str
) -> None:
    """12.18: the folder of personalities was listed in the event loop, to say which there are."""
    (tmp_path / "bad.json").write_text("[", encoding="utf-8")
    link = f"sim://?personality={personality.format(folder=tmp_path)}"
    entry = make_entry(hass, "truma", {"link": link, "observer": False})
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert "no such personality" in caplog.text
    assert "blocking call" not in caplog.text.lower()


async def test_t07_what_the_owner_sets_at_the_panel_is_not_written_over(
    hass: HomeAssistant, panel: RunningSimulator
) -> None:
    """A wish for the mode alone, and a moment later 19 degrees at the panel."""
    entry = await heated(hass, panel)
    room = entity_ids(hass, entry)[f"{entry.entry_id}_heater_room"]
    wish = hass.async_create_task(
        hass.services.async_call(
            "climate", "set_fan_mode", {"entity_id": room, "fan_mode": "high"}, blocking=True
        )
    )
    await asyncio.sleep(0)
    await panel.order("room 19 eco")
    await wish
    await until(hass, lambda: hass.states.get(room).attributes["fan_mode"] == "high")
    assert hass.states.get(room).attributes["temperature"] == 19
    truth = (await panel.order("truth"))["truth"]["heater"]
    assert (truth["target_temp_room"], truth["heating_mode"]) == (2920, 10)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_after_a_restart_with_a_silent_van_all_is_there_as_unavailable(
    hass: HomeAssistant, panel: RunningSimulator
) -> None:
    entry = await heated(hass, panel)
    known = {key: one.id for key, one in devices(hass, entry).items()}
    enabled = {
        one.entity_id
        for one in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        if one.disabled_by is None and (state := hass.states.get(one.entity_id))
        and "restored" not in state.attributes
    }  # fmt: skip
    assert await hass.config_entries.async_unload(entry.entry_id)
    await panel.stop()
    for entity_id in enabled:
        hass.states.async_remove(entity_id)
    port = PtyPort(Path(panel.port))
    port.plug()
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert {key: one.id for key, one in devices(hass, entry).items()} == known
    for entity_id in enabled:
        state = hass.states.get(entity_id)
        assert state is not None, entity_id
        assert "restored" not in state.attributes, "the engine has told of it"
        connectivity = state.attributes.get("device_class") == "connectivity"
        assert state.state == ("off" if connectivity else "unavailable"), entity_id
    assert await hass.config_entries.async_unload(entry.entry_id)
    port.unplug()
