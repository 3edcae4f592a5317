"""A Studer plant in Home Assistant: the real engine against the simulated Xcom."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import json
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import async_get_config_entry_diagnostics
from custom_components.hardwired.engines.clock import SystemClock
from custom_components.hardwired.engines.engine import LinkError, Reason
from custom_components.hardwired.engines.studer import FACTORY
from custom_components.hardwired.engines.studer.simulator.runners import (
    Moxa,
    answering_searches,
    on_tcp,
    on_terminal,
    on_udp,
)
from custom_components.hardwired.engines.studer.simulator.settings import settings_from
from custom_components.hardwired.engines.studer.simulator.world import World
from custom_components.hardwired.families.studer.addresses import host_in_url

from .helpers import entity_ids, go_on, make_entry, put_away, state_of, until, walk

SMALL = {
    "xtenders": "2",
    "variotracks": "1",
    "variostrings": "0",
    "latency_ms": "0",
    "baud": "0",
    "seed": "3",
}
SIM = "sim://?" + "&".join(f"{key}={value}" for key, value in SMALL.items())
BATTERY_VOLTAGE = 3000
INPUT_LIMIT = 1107
CHARGER_ALLOWED = 1125
CHARGE_CURRENT = 1138


def small_world(**changes: str) -> World:
    return World(settings_from({**SMALL, **changes}))


def world_of(entry: Any) -> World:
    world: World = entry.runtime_data.engine._world.simulator.world
    return world


def inject(entry: Any, fault: str, **options: Any) -> None:
    world_of(entry).inject(fault, SystemClock().monotonic(), **options)


def addresses_of(entry: Any) -> dict[str, int | None]:
    """Return where each device answers, by its id."""
    return {
        name: None if state.device.address is None else int(state.device.address)
        for name, state in entry.runtime_data.engine.snapshot.devices.items()
        if state.device.kind != "system"
    }


def unit(entry: Any, address: int) -> str:
    """Return the id of the device at an address."""
    addresses = addresses_of(entry)
    return next(name for name, where in addresses.items() if where == address)


def entity(hass: HomeAssistant, entry: Any, address: int, number: int | str) -> str:
    return entity_ids(hass, entry)[f"{unit(entry, address)}_{number}"]


def shown(hass: HomeAssistant, entry: Any, address: int, number: int | str) -> str | None:
    if address not in addresses_of(entry).values():
        return None
    return state_of(hass, entry, f"{unit(entry, address)}_{number}")


def known(hass: HomeAssistant, entry: Any, address: int = 101, number: int = 3000) -> bool:
    return shown(hass, entry, address, number) not in (None, "unknown", "unavailable")


def registry_id(hass: HomeAssistant, entry: Any, address: int) -> str:
    wanted = (DOMAIN, unit(entry, address))
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return next(device.id for device in devices if wanted in device.identifiers)


@asynccontextmanager
async def running(hass: HomeAssistant, url: str = SIM, **options: Any) -> AsyncIterator[Any]:
    entry = make_entry(hass, "studer", {"link": url}, options)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry), within=60)
    try:
        yield entry
    finally:
        await put_away(hass, entry)


@pytest.fixture
async def entry(hass: HomeAssistant) -> AsyncIterator[Any]:
    async with running(hass) as entry:
        await until(hass, lambda: known(hass, entry, 101, CHARGE_CURRENT))
        yield entry


async def act(hass: HomeAssistant, entry: Any, name: str, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN,
        f"studer_{name}",
        {"config_entry_id": entry.entry_id, **data},
        blocking=True,
        return_response=name != "identify",
    )


@asynccontextmanager
async def in_background(coroutine: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(coroutine)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# ---------------------------------------------------------------------- set-up


async def unload_all(hass: HomeAssistant) -> None:
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_gateway_that_listens_is_set_up(hass: HomeAssistant, socket_enabled: None) -> None:
    async with on_tcp(small_world()) as port:
        result = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_connect"},
            {"host": "127.0.0.1", "port": port},
        )
        assert result["step_id"] == "studer_found"
        placeholders = result["description_placeholders"]
        assert placeholders["count"] == "4"
        assert "Xtender 1" in placeholders["devices"]
        result = await go_on(hass, result, {})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["data"] == {"family": "studer", "link": f"tcp://127.0.0.1:{port}"}
        entry = result["result"]
        await until(hass, lambda: known(hass, entry))
        fids = [name for name in addresses_of(entry) if "_" not in name]
        assert entry.unique_id == min(fids)

        again = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_connect"},
            {"host": "127.0.0.1", "port": port},
        )
        assert again["type"] is FlowResultType.ABORT
        assert again["reason"] == "already_configured"
        await unload_all(hass)


async def test_a_refused_connection_is_told_and_can_be_corrected(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    result = await walk(
        hass,
        {"next_step_id": "studer"},
        {"next_step_id": "studer_connect"},
        {"host": "127.0.0.1", "port": unused_tcp_port_factory()},
    )
    assert result["step_id"] == "studer_connect"
    assert result["errors"] == {"base": "refused"}
    async with on_tcp(small_world()) as port:
        result = await go_on(hass, result, {"host": "127.0.0.1", "port": port}, {})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        await unload_all(hass)


async def test_a_gateway_that_dials_is_let_in(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    port = unused_tcp_port_factory()
    moxa = Moxa(small_world(lan="1"), "127.0.0.1", port, redial=0.1)
    async with in_background(moxa.run()):
        result = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_listen"},
            {"port": port, "peer": "127.0.0.1"},
            {},
        )
        assert result["type"] is FlowResultType.CREATE_ENTRY, result
        entry = result["result"]
        assert entry.data["link"] == f"listen://0.0.0.0:{port}?peer=127.0.0.1"
        assert len(entry.unique_id) == 36, "an Xcom-LAN has a GUID"
        await until(hass, lambda: known(hass, entry), within=30)
        taken = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_listen"},
            {"port": port},
        )
        assert taken["errors"] == {"port": "studer_port_taken"}
        assert taken["description_placeholders"] == {"other": "Studer"}
        # One that names another gateway may listen there, too.
        shared = await walk(hass, {"next_step_id": "studer"}, {"next_step_id": "studer_listen"})
        shared = await hass.config_entries.flow.async_configure(
            shared["flow_id"], {"port": port, "peer": "10.0.0.9"}
        )
        assert shared["type"] is FlowResultType.SHOW_PROGRESS
        hass.config_entries.flow.async_abort(shared["flow_id"])
        await unload_all(hass)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


async def test_whoever_lets_anyone_connect_is_warned_once(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    port = unused_tcp_port_factory()
    warned = await walk(
        hass, {"next_step_id": "studer"}, {"next_step_id": "studer_listen"}, {"port": port}
    )
    assert warned["errors"] == {"peer": "studer_no_peer"}
    result = await hass.config_entries.flow.async_configure(warned["flow_id"], {"port": port})
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    hass.config_entries.flow.async_abort(result["flow_id"])


async def test_a_serial_port_is_tried_at_every_speed(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path
) -> None:
    link = tmp_path / "xcom"
    world = World(settings_from({**SMALL, "baud": "38400", "variotracks": "0"}))
    async with in_background(on_terminal(world, link, strict=True)):
        await until(hass, link.exists)
        result = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_serial"},
            {"link": str(link)},
        )
        assert result["step_id"] == "studer_found", result
        assert result["description_placeholders"]["serial"] == "38400 8E1"
        result = await go_on(hass, result, {})
        entry = result["result"]
        assert entry.data["serial_found"] == "38400 8E1"
        await until(hass, lambda: known(hass, entry), within=30)
        await unload_all(hass)


@pytest.mark.parametrize(
    ("step", "answers", "error"),
    [
        ("studer_serial", {"link": "/dev/serial/by-id/missing"}, "not_found"),
        ("studer_listen", {"port": 4001, "peer": "not an address"}, "bad_address"),
        ("studer_connect", {"host": "", "port": 4001}, "bad_address"),
        ("studer_udp", {"host": "", "port": 4001, "local_port": 4001}, "bad_address"),
    ],
)
async def test_what_can_not_work_is_said(
    hass: HomeAssistant, step: str, answers: dict[str, Any], error: str
) -> None:
    result = await walk(hass, {"next_step_id": "studer"}, {"next_step_id": step}, answers)
    assert result["step_id"] == step
    assert result["errors"] == {"base": error}


async def test_a_gateway_by_udp_is_set_up(
    hass: HomeAssistant, socket_enabled: None, unused_udp_port_factory: Any
) -> None:
    ours, theirs = unused_udp_port_factory(), unused_udp_port_factory()
    async with in_background(on_udp(small_world(), "127.0.0.1", ours, theirs)):
        result = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_udp"},
            {"host": "127.0.0.1", "port": theirs, "local_port": ours},
            {},
        )
        assert result["type"] is FlowResultType.CREATE_ENTRY, result
        assert result["data"]["link"] == f"udp://127.0.0.1:{theirs}?local_port={ours}"
        await until(hass, lambda: known(hass, result["result"]), within=30)
        await unload_all(hass)


async def test_a_simulated_plant_is_set_up(hass: HomeAssistant) -> None:
    plant = (
        {"next_step_id": "studer"},
        {"next_step_id": "studer_sim"},
        {"xtenders": 1, "variotracks": 0, "variostrings": 0},
    )
    result = await walk(hass, *plant, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["link"] == "sim://?xtenders=1&variotracks=0&variostrings=0"
    await until(hass, lambda: known(hass, result["result"]), within=30)
    assert (await walk(hass, *plant))["reason"] == "already_simulated"
    await unload_all(hass)


async def reconfigured(hass: HomeAssistant, entry: Any, port: int) -> Any:
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    return await go_on(
        hass,
        result,
        {"next_step_id": "studer_connect"},
        {"host": "127.0.0.1", "port": port},
    )


async def test_the_same_plant_may_move_and_another_may_not(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    async with (
        on_tcp(small_world()) as port,
        on_tcp(small_world(lan="1")) as moved,
        on_tcp(small_world(seed="99")) as other,
    ):
        result = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_connect"},
            {"host": "127.0.0.1", "port": port},
            {},
        )
        entry = result["result"]
        await until(hass, lambda: known(hass, entry))
        wrong = await reconfigured(hass, entry, other)
        assert wrong["reason"] == "wrong_device"
        assert entry.data["link"].endswith(f":{port}")
        assert entry.state is ConfigEntryState.LOADED
        # The other gateway has a GUID, the devices behind it are the same.
        result = await go_on(hass, await reconfigured(hass, entry, moved), {})
        assert result["reason"] == "reconfigure_successful"
        assert entry.data["link"].endswith(f":{moved}")
        await hass.async_block_till_done()
        again = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_connect"},
            {"host": "localhost", "port": moved},
        )
        assert again["reason"] == "already_configured"
        await until(hass, lambda: known(hass, entry))
        await unload_all(hass)


async def test_a_gateway_that_does_not_answer_in_time_is_told(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    async with on_tcp(small_world()) as port:
        deaf = socket.create_server(("127.0.0.1", 0))
        with patch.object(type(FACTORY), "probe_seconds", 0.3):
            dialling = await walk(
                hass,
                {"next_step_id": "studer"},
                {"next_step_id": "studer_listen"},
                {"port": unused_tcp_port_factory(), "peer": "127.0.0.1"},
            )
            silent = await walk(
                hass,
                {"next_step_id": "studer"},
                {"next_step_id": "studer_connect"},
                {"host": "127.0.0.1", "port": deaf.getsockname()[1]},
            )
        assert dialling["errors"] == {"base": "waiting_for_peer"}
        assert silent["errors"] == {"base": "no_answer"}
        result = await go_on(hass, silent, {"host": "127.0.0.1", "port": port}, {})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        deaf.close()
        await unload_all(hass)


@pytest.mark.parametrize(
    "text, host",
    [(" ::1 ", "[::1]"), ("192.0.2.7 ", "192.0.2.7"), ("xcom.local", "xcom.local")],
)
def test_an_address_of_either_kind_is_taken(text: str, host: str) -> None:
    assert host_in_url(text) == host


async def test_another_simulated_plant_is_another_entry(hass: HomeAssistant, entry: Any) -> None:
    result: Any = await entry.start_reconfigure_flow(hass)
    result = await go_on(hass, result, {"next_step_id": "studer_sim"})
    suggested = {
        str(key): key.description["suggested_value"] for key in result["data_schema"].schema
    }
    assert suggested == {"xtenders": 2, "variotracks": 1, "variostrings": 0}
    result = await go_on(hass, result, suggested)
    assert result["reason"] == "wrong_device"


async def test_closing_the_dialog_frees_the_port(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    port = unused_tcp_port_factory()
    result: Any = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
    step_port = {"port": port, "peer": "127.0.0.1"}
    for step in ({"next_step_id": "studer"}, {"next_step_id": "studer_listen"}, step_port):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], dict(step))
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert result["progress_action"] == "studer_wait"
    await asyncio.sleep(0.1)
    hass.config_entries.flow.async_abort(result["flow_id"])

    def free() -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return probe.connect_ex(("127.0.0.1", port)) != 0

    await until(hass, free)


# ---------------------------------------------------------------------- devices and values


async def test_every_device_is_registered_by_its_factory_number(
    hass: HomeAssistant, entry: Any
) -> None:
    registry = dr.async_get(hass)

    def all_said() -> dict[str | None, dr.DeviceEntry] | None:
        found = dr.async_entries_for_config_entry(registry, entry.entry_id)
        xtenders = [one for one in found if str(one.name).startswith("Xtender")]
        return {one.name: one for one in found} if all(one.hw_version for one in xtenders) else None

    # The devices are there at once; what they are is read while values come already.
    devices = await until(hass, all_said, within=60)
    assert set(devices) == {
        "Xcom",
        "Xtender 1 L1",
        "Xtender 2 L1",
        "VarioTrack 1",
        "BSP",
        "Studer system",
    }
    xtender = devices["Xtender 1 L1"]
    assert xtender.manufacturer == "Studer Innotec"
    assert xtender.model.startswith("XT")
    assert xtender.sw_version == "1.6.54"
    assert xtender.identifiers == {(DOMAIN, xtender.serial_number)}
    assert xtender.via_device_id == devices["Xcom"].id
    assert devices["Studer system"].entry_type is dr.DeviceEntryType.SERVICE


async def test_unique_ids_are_factory_number_and_datapoint(hass: HomeAssistant, entry: Any) -> None:
    state = hass.states.get(entity(hass, entry, 101, BATTERY_VOLTAGE))
    assert state.attributes["unit_of_measurement"] == "V"
    assert state.attributes["device_class"] == "voltage"
    assert 40 < float(state.state) < 64
    truth = world_of(entry).truth
    assert truth is not None
    energy = hass.states.get(entity(hass, entry, 101, 3083))
    assert energy.attributes["state_class"] == "total_increasing"
    assert shown(hass, entry, 101, "connectivity") == "on"


async def test_only_what_is_enabled_is_asked(hass: HomeAssistant, entry: Any) -> None:
    registry = er.async_get(hass)
    disabled = {
        int(one.unique_id.rpartition("_")[2])
        for one in er.async_entries_for_config_entry(registry, entry.entry_id)
        if one.disabled and one.unique_id.rpartition("_")[2].isdecimal()
    }
    assert len(disabled) > 100
    journal = world_of(entry).journal
    before = len(journal.of("request"))
    await until(hass, lambda: len(journal.of("request")) > before + 3, within=30)
    asked = {
        event.details["id"]
        for event in journal.of("request")
        if event.details["type"] == 2 and event.details["property"] == 5
    }
    # The watchdogs are looked at in any case before anything is written; 5002 is the probe.
    assert asked & disabled <= {1628, 1629, 1550, 10342, 14218, 5002, 5095, 5096}


async def test_limits_are_those_of_the_device(hass: HomeAssistant, entry: Any) -> None:
    state = hass.states.get(entity(hass, entry, 101, CHARGE_CURRENT))
    assert state.attributes["min"] == 0
    assert 0 < state.attributes["max"] <= 200
    assert state.attributes["step"] == 1


# ---------------------------------------------------------------------- writing


async def set_number(hass: HomeAssistant, entity_id: str, value: float) -> None:
    await hass.services.async_call(
        "number", "set_value", {"entity_id": entity_id, "value": value}, blocking=True
    )


async def test_a_setting_goes_into_ram_and_shows_both_values(
    hass: HomeAssistant, entry: Any
) -> None:
    number = entity(hass, entry, 101, INPUT_LIMIT)
    assert hass.states.get(number).state == "32.0"
    assert "ram_value" not in hass.states.get(number).attributes
    await set_number(hass, number, 20)
    state = await until(hass, lambda: (s := hass.states.get(number)).state == "20.0" and s)
    assert state.attributes["ram_value"] == 20.0
    assert state.attributes["flash_value"] == 32.0
    device = world_of(entry).device(101)
    assert device.parameters.flash.get(INPUT_LIMIT, 32) == 32
    assert shown(hass, entry, 102, INPUT_LIMIT) == "32.0", "units are written one by one"


async def test_a_ram_value_survives_a_reload_and_dies_with_the_device(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    world = small_world()
    async with on_tcp(world) as port, running(hass, f"tcp://127.0.0.1:{port}") as entry:
        await until(hass, lambda: known(hass, entry, 101, INPUT_LIMIT))
        number = entity(hass, entry, 101, INPUT_LIMIT)
        await set_number(hass, number, 20)
        assert await hass.config_entries.async_reload(entry.entry_id)
        await until(hass, lambda: known(hass, entry, 101, INPUT_LIMIT))
        assert hass.states.get(number).state == "20.0"
        assert hass.states.get(number).attributes["flash_value"] == 32.0
        world.inject("reset", SystemClock().monotonic(), address=101)
        await until(hass, lambda: hass.states.get(number).state == "32.0", within=60)


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """Take connections and answer nothing."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.slow
async def test_after_a_restart_a_silent_plant_is_there_with_its_last_energies(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """12.9: devices and entities from what was stored. 13.12: the start waits half a second."""
    async with running(hass) as entry:
        gateway = unit(entry, 501)
        energy = f"{gateway}_system_consumers_energy"
        await until(hass, lambda: state_of(hass, entry, energy) not in (None, "unknown"))
        stored = entry.runtime_data.engine._context.stored
        await until(hass, lambda: len(stored.fids) == 4)
        before = entity_ids(hass, entry)
        names = {
            one.id: one.name
            for one in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        }
        shown_before = {
            unique_id: entity_id
            for unique_id, entity_id in before.items()
            if hass.states.get(entity_id) is not None
        }
        assert await hass.config_entries.async_unload(entry.entry_id)
        async with silent_port() as port:
            hass.config_entries.async_update_entry(
                entry, data={**entry.data, "link": f"tcp://127.0.0.1:{port}"}
            )
            began = hass.loop.time()
            assert await hass.config_entries.async_setup(entry.entry_id)
            assert hass.loop.time() - began < 5, "it does not wait for the probe's time-outs"
            assert entity_ids(hass, entry) == before
            for unique_id, entity_id in shown_before.items():
                state = hass.states.get(entity_id)
                assert state is not None, unique_id
                assert "restored" not in state.attributes, unique_id
                lasting = unique_id.startswith(f"{gateway}_system_") and "energy" in unique_id
                if lasting:
                    key = unique_id.removeprefix(f"{gateway}_system_")
                    assert float(state.state) == round(stored.totals[key]["total"], 3)
                    assert "as_of" in state.attributes
                elif unique_id.endswith("_connectivity"):
                    assert state.state == "off"
                elif not entity_id.startswith("event."):
                    assert state.state == "unavailable", unique_id
            assert names == {
                one.id: one.name
                for one in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
            }
            assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ({"link": "sim://?xtenders=nonsense"}, {}),
        ({"link": "sim://?xtenders=99"}, {}),
        ({"link": "/nowhere/tty"}, {}),
        ({"link": "sim://", "intervals": {"fast": "x"}}, {}),
        ({"link": SIM}, {"seats": 3, "identities": [], "totals": "x", "totals_as_of": 5}),
    ],
    ids=["no number", "too many", "no port", "bad option", "damaged storage"],
)
async def test_what_goes_wrong_at_the_start_blocks_nothing(
    hass: HomeAssistant, hass_storage: dict[str, Any], data: dict[str, Any], stored: dict[str, Any]
) -> None:
    """12.18: no folder is listed and no module imported in the event loop to say what is wrong."""
    entry = make_entry(hass, "studer", data)
    name = f"{DOMAIN}.studer.{entry.entry_id}"
    hass_storage[name] = {"version": 1, "minor_version": 1, "key": name, "data": stored}
    loop, seen = threading.get_ident(), list[str]()

    def watched(name: str, real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() == loop:
                seen.append(f"{name} {arguments}")
            return real(*arguments, **named)

        return call

    with (
        patch("os.scandir", watched("scandir", os.scandir)),
        patch("os.listdir", watched("listdir", os.listdir)),
        patch("glob.glob", watched("glob", glob.glob)),
    ):
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
    assert not [call for call in seen if "hardwired" in call or "zoneinfo" in call]
    await put_away(hass, entry)


async def test_near_realtime_is_a_button_and_an_action(hass: HomeAssistant, entry: Any) -> None:
    """13.11: every value for a while, however little it moves."""
    context = entry.runtime_data.engine._context
    assert context.quiet_now is not None
    button = entity_ids(hass, entry)[f"{unit(entry, 501)}_near_realtime"]
    await hass.services.async_call("button", "press", {"entity_id": button}, blocking=True)
    assert context.quiet_now is None
    assert context.fast_until == pytest.approx(context.now + 600, abs=30)
    await hass.services.async_call(
        DOMAIN,
        "studer_fast",
        {"config_entry_id": entry.entry_id, "minutes": 0},
        blocking=True,
    )
    assert context.quiet_now is not None


async def test_what_was_stored_goes_with_the_entry(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    async with running(hass) as entry:
        name = f"hardwired.studer.{entry.entry_id}"
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()
        assert hass_storage[name]["data"]["seats"]
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(hass, lambda: known(hass, entry))
        await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert name not in hass_storage


async def test_what_is_wrong_is_refused_before_it_is_sent(hass: HomeAssistant, entry: Any) -> None:
    xtender = registry_id(hass, entry, 101)
    writes = [e for e in world_of(entry).journal.of("request") if e.details["service"] == 2]
    for data, key in (
        ({"id": CHARGE_CURRENT, "value": 100_000}, "studer_out_of_range"),
        ({"id": BATTERY_VOLTAGE, "value": 48}, "studer_not_writable"),
        ({"id": 1550, "value": True}, "studer_above_level"),
        ({"id": 99, "value": 1}, "studer_no_datapoint"),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, entry, "write", device_id=xtender, **data)
        assert caught.value.translation_key == key, data
    with pytest.raises(ServiceValidationError):
        await set_number(hass, entity(hass, entry, 101, INPUT_LIMIT), 1000)
    after = [e for e in world_of(entry).journal.of("request") if e.details["service"] == 2]
    assert len(after) == len(writes)


async def test_guarded_settings_need_their_number_again(hass: HomeAssistant) -> None:
    async with running(hass, level="qsp") as entry:
        xtender = registry_id(hass, entry, 101)
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, entry, "write", device_id=xtender, id=1399)
        assert caught.value.translation_key == "studer_guarded"
        assert not any(name.endswith("_1399") for name in entity_ids(hass, entry))
        result = await act(hass, entry, "write", device_id=xtender, id=1399, confirm="1399")
        assert result == {"signal": 1399}


async def test_all_units_change_with_one_frame(hass: HomeAssistant, entry: Any) -> None:
    result = await act(
        hass,
        entry,
        "write",
        device_id=registry_id(hass, entry, 101),
        id=INPUT_LIMIT,
        value="16",
        all_units=True,
    )
    assert result == {"value": 16.0, "units": 2, "persistent": False}
    for address in (101, 102):
        await until(hass, lambda one=address: shown(hass, entry, one, INPUT_LIMIT) == "16.0")


async def test_flash_is_written_only_on_demand_and_counted(hass: HomeAssistant, entry: Any) -> None:
    xtender = registry_id(hass, entry, 101)
    result = await act(
        hass, entry, "write", device_id=xtender, id=INPUT_LIMIT, value=10, persistent=True
    )
    assert result["flash_writes"] == 1
    assert world_of(entry).device(101).parameters.flash[INPUT_LIMIT] == 10
    await until(hass, lambda: shown(hass, entry, 101, INPUT_LIMIT) == "10.0")


async def test_a_worn_flash_is_told_and_spared(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    fid = next(one.fid for one in small_world().devices if one.address == 101)
    entry = make_entry(hass, "studer", {"link": SIM})
    name = f"hardwired.studer.{entry.entry_id}"
    hass_storage[name] = {
        "version": 1,
        "minor_version": 1,
        "key": name,
        "data": {"flash_writes": {fid: {str(INPUT_LIMIT): 900}}},
    }
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, 101, INPUT_LIMIT))
    entry.runtime_data.coordinator.issues.async_check(entry.runtime_data.coordinator.data)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"{entry.entry_id}_studer_flash_worn")
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["count"] == "900"
    wish = {"device_id": registry_id(hass, entry, 101), "id": INPUT_LIMIT, "value": 10}
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, entry, "write", **wish, persistent=True)
    assert caught.value.translation_key == "studer_flash_worn"
    result = await act(hass, entry, "write", **wish, persistent=True, force=True)
    assert result["flash_writes"] == 901
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("by_parent", [False, True])
async def test_the_automation_that_wears_out_the_flash_is_named(
    hass: HomeAssistant, hass_storage: dict[str, Any], by_parent: bool
) -> None:
    fid = next(one.fid for one in small_world().devices if one.address == 101)
    entry = make_entry(hass, "studer", {"link": SIM})
    name = f"hardwired.studer.{entry.entry_id}"
    stored = {"flash_writes": {fid: {str(INPUT_LIMIT): 500}}}
    hass_storage[name] = {"version": 1, "minor_version": 1, "key": name, "data": stored}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: known(hass, entry, 101, INPUT_LIMIT))
    run = Context()
    hass.states.async_set("automation.other", "on", context=Context())
    hass.states.async_set("automation.night_rate", "on", context=run)
    await hass.services.async_call(
        DOMAIN,
        "studer_write",
        {
            "config_entry_id": entry.entry_id,
            "device_id": registry_id(hass, entry, 101),
            "id": INPUT_LIMIT,
            "value": 10,
            "persistent": True,
        },
        blocking=True,
        context=Context(parent_id=run.id) if by_parent else run,
    )
    key = f"{entry.entry_id}_studer_flash_worn"

    def origin() -> str | None:
        issue = ir.async_get(hass).async_get_issue(DOMAIN, key)
        return ((issue and issue.translation_placeholders) or {}).get("origin")

    await until(hass, lambda: origin() == "automation.night_rate")
    assert await hass.config_entries.async_unload(entry.entry_id)


# ---------------------------------------------------------------------- a lost device


async def test_one_lost_unit_is_unavailable_alone_and_comes_back(
    hass: HomeAssistant, entry: Any
) -> None:
    inject(entry, "drop", address=102, silent=0, timeout=0, away=-1, ripple=0)
    await until(hass, lambda: shown(hass, entry, 102, BATTERY_VOLTAGE) == "unavailable", within=60)
    assert shown(hass, entry, 102, "connectivity") == "off"
    assert known(hass, entry)
    entry.runtime_data.coordinator.issues.async_check(entry.runtime_data.coordinator.data)
    issues = ir.async_get(hass)
    name = f"{entry.entry_id}_studer_device_lost"
    assert (
        issues.async_get_issue(DOMAIN, name)
        .translation_placeholders["device"]
        .startswith("Xtender 2")
    )
    inject(entry, "back", address=102)
    await until(hass, lambda: known(hass, entry, 102), within=60)
    entry.runtime_data.coordinator.issues.async_check(entry.runtime_data.coordinator.data)
    assert issues.async_get_issue(DOMAIN, name) is None


async def test_an_armed_watchdog_forbids_writes_and_is_told(hass: HomeAssistant) -> None:
    async with running(hass, SIM + "&faults=watchdog:address=101") as entry:
        await until(hass, lambda: known(hass, entry, 101, INPUT_LIMIT))
        with pytest.raises(HomeAssistantError) as caught:
            await set_number(hass, entity(hass, entry, 101, INPUT_LIMIT), 20)
        assert caught.value.translation_key == "studer_watchdog"
        name = f"{entry.entry_id}_studer_watchdog_armed"
        assert ir.async_get(hass).async_get_issue(DOMAIN, name).severity is ir.IssueSeverity.ERROR
    assert ir.async_get(hass).async_get_issue(DOMAIN, name) is None


async def test_old_firmware_is_told_and_not_written_to(hass: HomeAssistant) -> None:
    async with running(hass, SIM + "&firmware=1.6.10") as entry:
        await until(hass, lambda: known(hass, entry, 101, INPUT_LIMIT))
        with pytest.raises(HomeAssistantError) as caught:
            await set_number(hass, entity(hass, entry, 101, INPUT_LIMIT), 20)
        assert caught.value.translation_key == "studer_firmware_old"
        name = f"{entry.entry_id}_studer_firmware_old"
        assert ir.async_get(hass).async_get_issue(DOMAIN, name) is not None


# ---------------------------------------------------------------------- messages and actions


async def test_a_message_becomes_an_event(hass: HomeAssistant, entry: Any) -> None:
    event = entity(hass, entry, 501, "message")
    before = hass.states.get(event).state
    inject(entry, "message", number=16, address=101)
    state = await until(
        hass, lambda: (s := hass.states.get(event)).state != before and s, within=30
    )
    assert state.attributes["number"] == 16
    assert state.attributes["message"] == "message_16"
    assert state.attributes["event_type"] in ("info", "warning", "error", "halted")
    assert state.attributes["device"].startswith("Xtender 1")
    assert shown(hass, entry, 501, "last_message") == state.attributes["text"]


async def test_anything_can_be_read(hass: HomeAssistant, entry: Any) -> None:
    xtender = registry_id(hass, entry, 101)
    result = await act(hass, entry, "read", device_id=xtender, id=BATTERY_VOLTAGE)
    assert 40 < result["value"] < 64
    assert result["unit"] == "V"
    result = await act(hass, entry, "read", device_id=xtender, id=INPUT_LIMIT, property="max")
    assert result["value"] == 50
    result = await act(hass, entry, "read", device_id=xtender, id=1125)
    assert result["value"] is True
    found = await act(hass, entry, "messages", count=3)
    assert len(found["messages"]) == 3
    json.dumps(found)
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, entry, "read", device_id="nobody", id=3000)
    assert caught.value.translation_key == "device_not_found"


async def test_a_device_that_is_not_in_the_plant_is_refused(
    hass: HomeAssistant, entry: Any
) -> None:
    gone = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "gone")}, name="Gone"
    )
    for name, data in (("read", {"id": 3000}), ("write", {"id": INPUT_LIMIT, "value": 10})):
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, entry, name, device_id=gone.id, **data)
        assert caught.value.translation_key == "device_not_found"


async def test_a_gateway_that_has_not_dialled_in_has_no_messages(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    port = unused_tcp_port_factory()
    entry = make_entry(hass, "studer", {"link": f"listen://127.0.0.1:{port}?peer=127.0.0.1"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    for name in ("messages", "datalog"):
        with pytest.raises(HomeAssistantError) as caught:
            await act(hass, entry, name)
        assert caught.value.translation_key == "not_connected"
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("word, value", [("off", False), ("True", True), ("ON", True)])
async def test_a_switch_may_be_written_in_words(
    hass: HomeAssistant, entry: Any, word: str, value: bool
) -> None:
    xtender = registry_id(hass, entry, 101)
    parameters = world_of(entry).device(101).parameters
    await act(hass, entry, "write", device_id=xtender, id=CHARGER_ALLOWED, value=not value)
    assert parameters.ram[CHARGER_ALLOWED] == (not value)
    result = await act(hass, entry, "write", device_id=xtender, id=CHARGER_ALLOWED, value=word)
    assert result["value"] == value
    assert parameters.ram[CHARGER_ALLOWED] == value
    with pytest.raises(ServiceValidationError):
        await act(hass, entry, "write", device_id=xtender, id=CHARGER_ALLOWED, value="perhaps")


async def test_the_leds_of_a_device_flash(hass: HomeAssistant, entry: Any) -> None:
    await act(hass, entry, "identify", device_id=registry_id(hass, entry, 102), seconds=0)
    requests = world_of(entry).journal.of("request")
    assert any(event.details["id"] == 5119 for event in requests)


async def test_a_log_file_is_fetched(hass: HomeAssistant, entry: Any, tmp_path: Path) -> None:
    hass.config.config_dir = str(tmp_path)
    files = (await act(hass, entry, "datalog"))["files"]
    assert files
    assert (await act(hass, entry, "datalog", file=""))["files"] == files
    result = await act(hass, entry, "datalog", file=files[0])
    path = Path(result["path"])
    assert path == tmp_path / "hardwired" / files[0]
    size = (await hass.async_add_executor_job(path.stat)).st_size
    assert size == result["size"] > 0
    with pytest.raises(ServiceValidationError):
        await act(hass, entry, "datalog", file="../secrets.yaml")
    hass.config.config_dir = str(path)  # a file, in which no folder can be made
    with pytest.raises(HomeAssistantError) as caught:
        await act(hass, entry, "datalog", file=files[0])
    assert caught.value.translation_key == "not_written"


# ---------------------------------------------------------------------- options, diagnostics


async def test_options_bring_more_datapoints(hass: HomeAssistant, entry: Any) -> None:
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["step_id"] == "studer"
    chosen = {
        "level": "installer",
        "datapoints": ["xt.nothing"],
        "read_messages": True,
        "reapply_ram": True,
        "intervals": {"fast": 2, "normal": 10, "slow": 60, "config": 300},
        "more": {
            "shared_line": "no",
            "feed_watchdogs": False,
            "separate_batteries": False,
            "phases": False,
        },
    }
    result = await hass.config_entries.options.async_configure(result["flow_id"], chosen)
    assert result["errors"] == {"datapoints": "studer_unknown_datapoint"}
    chosen["datapoints"] = ["xt.3017"]
    result = await hass.config_entries.options.async_configure(result["flow_id"], chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["shared_line"] is False
    await hass.async_block_till_done()
    await until(hass, lambda: known(hass, entry, 101, 3017), within=30)
    settings = entry.runtime_data.engine.settings
    assert settings.level.value == "installer"
    assert settings.intervals["fast"] == 2
    result = await hass.config_entries.options.async_init(entry.entry_id)
    again = await hass.config_entries.options.async_configure(result["flow_id"], chosen)
    assert again["data"] == entry.options


async def test_the_diagnostics_tell_no_identity(hass: HomeAssistant, socket_enabled: None) -> None:
    world = small_world(lan="1")
    async with on_tcp(world) as port, running(hass, f"tcp://localhost:{port}") as entry:
        await act(hass, entry, "read", device_id=registry_id(hass, entry, 101), id=3130)
        report = json.dumps(await async_get_config_entry_diagnostics(hass, entry))
        engine = entry.runtime_data.engine
        identities = [name for name in addresses_of(entry) if len(name) == 8]
        assert len(identities) == 4
        for identity in (*identities, *engine.secrets(), f"localhost:{port}"):
            assert identity not in report
            assert identity.lower() not in report
        guid = world.settings.gateway.guid
        assert guid is not None
        assert bytes.fromhex(guid.replace("-", ""))[::-1].hex() not in report
        assert '"presence": "online"' in report
        assert json.loads(report)["frames"]


# ---------------------------------------------------------------------- finding the Moxa

MOXA_MAC = "00:90:e8:12:34:56"
LOOPBACK_BROADCAST = IPv4Address("127.255.255.255")


@pytest.fixture
def search_port(monkeypatch: pytest.MonkeyPatch, unused_udp_port_factory: Any) -> int:
    """Let the search go to a free port of this computer and nowhere else."""
    port: int = unused_udp_port_factory()
    monkeypatch.setattr("custom_components.hardwired.families.studer.moxa_flow.SEARCH_PORT", port)

    async def addresses(_hass: HomeAssistant) -> set[IPv4Address]:
        return {LOOPBACK_BROADCAST}

    monkeypatch.setattr(
        "homeassistant.components.network.async_get_ipv4_broadcast_addresses", addresses
    )
    return port


@asynccontextmanager
async def moxa_answers(
    port: int, name: str = "Xcom-LAN", address: str = "127.0.0.1", mac: str = MOXA_MAC
) -> AsyncIterator[None]:
    raw = bytes.fromhex(mac.replace(":", ""))
    transport = await answering_searches(address, raw, port=port, name=name)
    try:
        yield
    finally:
        transport.close()
        while transport.get_extra_info("socket").fileno() >= 0:
            await asyncio.sleep(0)


def seen(ip: str = "127.0.0.1", mac: str = MOXA_MAC) -> DhcpServiceInfo:
    return DhcpServiceInfo(ip=ip, hostname="xcom-lan", macaddress=mac.replace(":", ""))


async def discovered(hass: HomeAssistant, info: DhcpServiceInfo) -> Any:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": "dhcp"}, data=info)


async def test_a_moxa_is_searched_for_and_dials_in(
    hass: HomeAssistant, socket_enabled: None, search_port: int, unused_tcp_port_factory: Any
) -> None:
    port = unused_tcp_port_factory()
    moxa = Moxa(small_world(lan="1"), "127.0.0.1", port, redial=0.1)
    async with moxa_answers(search_port), in_background(moxa.run()):
        result = await walk(hass, {"next_step_id": "studer"}, {"next_step_id": "studer_search"})
        assert result["step_id"] == "studer_pick"
        (choice,) = result["data_schema"].schema.values()
        assert choice.config["options"] == [
            {"value": MOXA_MAC, "label": f"Xcom-LAN (127.0.0.1, {MOXA_MAC})"}
        ]
        result = await go_on(hass, result, {"mac": MOXA_MAC})
        assert result["step_id"] == "studer_gateway"
        assert result["menu_options"] == ["studer_listen", "studer_connect", "studer_udp"]
        result = await go_on(hass, result, {"next_step_id": "studer_listen"})
        fields = {str(key): key.description for key in result["data_schema"].schema}
        assert fields["peer"] == {"suggested_value": "127.0.0.1"}
        result = await go_on(hass, result, {"port": port, "peer": "127.0.0.1"}, {})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["data"] == {
            "family": "studer",
            "link": f"listen://0.0.0.0:{port}?peer=127.0.0.1",
            "mac": MOXA_MAC,
        }
        await unload_all(hass)


async def test_where_no_moxa_answers_the_other_ways_are_shown(
    hass: HomeAssistant, socket_enabled: None, search_port: int
) -> None:
    result = await walk(hass, {"next_step_id": "studer"}, {"next_step_id": "studer_search"})
    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "studer_nothing"
    async with moxa_answers(search_port, name="NP5110A_1234"):
        result = await go_on(hass, result, {"next_step_id": "studer_search"})
        assert result["step_id"] == "studer_pick", "the owner may have renamed it"
    result = await walk(hass, {"next_step_id": "studer"}, {"next_step_id": "studer_search"})
    result = await go_on(hass, result, {"next_step_id": "studer_connect"})
    assert result["step_id"] == "studer_connect"


async def test_a_network_that_can_t_be_searched_shows_the_other_ways(
    hass: HomeAssistant, socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any, **__: Any) -> tuple[()]:
        raise LinkError(Reason.NO_PERMISSION, "no sockets here")

    monkeypatch.setattr("custom_components.hardwired.families.studer.moxa_flow.search", refused)
    result = await walk(hass, {"next_step_id": "studer"}, {"next_step_id": "studer_search"})
    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "studer_nothing"
    make_entry(hass, "truma", {"link": "sim://", "observer": False})
    assert (await discovered(hass, seen()))["reason"] == "studer_no_xcom"


async def test_a_discovered_gateway_is_set_up(
    hass: HomeAssistant, socket_enabled: None, search_port: int
) -> None:
    async with moxa_answers(search_port), on_tcp(small_world(lan="1")) as port:
        result = await discovered(hass, seen())
        assert result["type"] is FlowResultType.MENU
        assert result["step_id"] == "studer_gateway"
        assert result["description_placeholders"]["name"] == "Xcom-LAN"
        (flow,) = hass.config_entries.flow.async_progress()
        assert flow["context"]["title_placeholders"] == {"name": "Xcom-LAN (127.0.0.1)"}
        assert (await discovered(hass, seen()))["reason"] == "already_in_progress"
        result = await go_on(hass, result, {"next_step_id": "studer_connect"})
        fields = {str(key): key.description for key in result["data_schema"].schema}
        assert fields["host"] == {"suggested_value": "127.0.0.1"}
        result = await go_on(hass, result, {"host": "127.0.0.1", "port": port}, {})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        entry = result["result"]
        assert entry.data["mac"] == MOXA_MAC
        await until(hass, lambda: known(hass, entry))
        assert (await discovered(hass, seen()))["reason"] == "already_configured"
        assert entry.data["link"] == f"tcp://127.0.0.1:{port}"
        report = json.dumps(await async_get_config_entry_diagnostics(hass, entry))
        assert MOXA_MAC not in report
        await unload_all(hass)


async def test_a_gateway_that_moves_is_followed(hass: HomeAssistant, socket_enabled: None) -> None:
    async with on_tcp(small_world()) as port:
        entry = make_entry(hass, "studer", {"link": f"tcp://127.0.0.2:{port}", "mac": MOXA_MAC})
        assert (await discovered(hass, seen()))["reason"] == "already_configured"
        assert entry.data["link"] == f"tcp://127.0.0.1:{port}"
        await until(hass, lambda: entry.state is ConfigEntryState.LOADED, within=60)
        await until(hass, lambda: known(hass, entry), within=60)
        await unload_all(hass)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("listen://0.0.0.0:4001?peer=10.0.0.7", "listen://0.0.0.0:4001?peer=10.0.0.9"),
        ("udp://10.0.0.7:4002?local_port=4003", "udp://10.0.0.9:4002?local_port=4003"),
        ("tcp://10.0.0.7:4001", "tcp://10.0.0.9:4001"),
        ("tcp://xcom.home:4001", "tcp://xcom.home:4001"),
        ("listen://0.0.0.0:4001", "listen://0.0.0.0:4001"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
    ],
)
async def test_a_changed_address_changes_every_kind_of_link(
    hass: HomeAssistant, before: str, after: str
) -> None:
    entry = make_entry(
        hass, "studer", {"link": before, "mac": MOXA_MAC}, disabled_by=ConfigEntryDisabler.USER
    )
    assert (await discovered(hass, seen("10.0.0.9")))["reason"] == "already_configured"
    assert entry.data["link"] == after


async def test_an_entry_made_by_hand_learns_whose_gateway_it_is(hass: HomeAssistant) -> None:
    entry = make_entry(
        hass, "studer", {"link": "tcp://10.0.0.7:4001"}, disabled_by=ConfigEntryDisabler.USER
    )
    assert (await discovered(hass, seen("10.0.0.7")))["reason"] == "already_configured"
    assert entry.data["mac"] == MOXA_MAC


async def test_a_gateway_that_has_dialled_in_is_not_offered_again(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port_factory: Any
) -> None:
    port = unused_tcp_port_factory()
    moxa = Moxa(small_world(), "127.0.0.1", port, redial=0.1)
    async with in_background(moxa.run()), running(hass, f"listen://0.0.0.0:{port}") as entry:
        assert (await discovered(hass, seen()))["reason"] == "already_configured"
        assert entry.data["mac"] == MOXA_MAC


async def test_another_moxa_product_is_left_alone(
    hass: HomeAssistant, socket_enabled: None, search_port: int
) -> None:
    async with moxa_answers(search_port, name="NP5110A_1234"):
        assert (await discovered(hass, seen()))["reason"] == "studer_no_xcom"
    async with moxa_answers(search_port, mac="00:90:e8:00:00:01"):
        assert (await discovered(hass, seen()))["reason"] == "studer_no_xcom"
    assert (await discovered(hass, seen()))["reason"] == "studer_no_xcom"
    assert hass.config_entries.flow.async_progress() == []


async def test_what_the_user_ignores_stays_ignored(
    hass: HomeAssistant, socket_enabled: None, search_port: int
) -> None:
    async with moxa_answers(search_port):
        await discovered(hass, seen())
        await hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": "ignore"},
            data={"unique_id": MOXA_MAC, "title": "Xcom-LAN"},
        )
        assert hass.config_entries.flow.async_progress() == []
        assert (await discovered(hass, seen()))["reason"] == "already_configured"


async def test_setting_it_up_by_hand_takes_the_offer_back(
    hass: HomeAssistant, socket_enabled: None, search_port: int
) -> None:
    async with moxa_answers(search_port), on_tcp(small_world()) as port:
        await discovered(hass, seen())
        result = await walk(
            hass,
            {"next_step_id": "studer"},
            {"next_step_id": "studer_search"},
            {"mac": MOXA_MAC},
            {"next_step_id": "studer_connect"},
            {"host": "127.0.0.1", "port": port},
            {},
        )
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert hass.config_entries.flow.async_progress() == []
        await hass.async_block_till_done()
        await unload_all(hass)
