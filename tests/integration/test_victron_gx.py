"""Home Assistant's entities on a simulated GX, and operated from there."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import web
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.service_info.ssdp import SsdpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.setup import async_setup_component
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from custom_components.hardwired.engines.engine import Command
from custom_components.hardwired.engines.victron_gx import gx as gx_module, probe as probe_module
from custom_components.hardwired.engines.victron_gx.simulator.gx import (
    PORTAL,
    SimulatedGx,
    forget,
    simulated,
)
from custom_components.hardwired.families.victron_gx import config_flow, feeder
from custom_components.hardwired.families.victron_gx.pairing import PairingError, async_pair

from .helpers import entity_ids, go_on, make_entry, put_away, until, walk

FORM = {"host": "venus.local", "tls": False, "pin": False, "pair": False}
PUMP = "SwitchableOutput/input_boolean_pump/State"
GALLEY = {
    "template": "panel",
    "name": "Galley",
    "client_id": "ha_galley",
    "entities": ["input_boolean.pump", "sensor.load"],
}
_names = itertools.count()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide sooner that nobody is there: simulators answer at once."""
    monkeypatch.setattr(probe_module, "HELPER_WAIT", 0.3)
    monkeypatch.setattr(gx_module, "HELPER_WAIT", 0.3)
    monkeypatch.setattr(gx_module, "HELPER_GONE", 0.3)
    monkeypatch.setattr(feeder, "CALM", 0.05)


@pytest.fixture
def name() -> Iterator[str]:
    found = f"ha{next(_names)}"
    yield found
    forget(found)


@pytest.fixture
def gx(name: str) -> SimulatedGx:
    return simulated(f"sim://{name}")


@pytest.fixture
async def house(hass: HomeAssistant) -> None:
    """A pump that can be switched, and a reading."""
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": {"pump": {}}})
    hass.states.async_set("sensor.load", "12.5", {"unit_of_measurement": "A"})
    await hass.async_block_till_done()


def subentry(data: dict[str, Any], key: str = "galley") -> Any:
    return {
        "subentry_id": key,
        "subentry_type": "export",
        "title": data["name"],
        "unique_id": data.get("client_id"),
        "data": data,
    }


def entry_for(hass: HomeAssistant, name: str, *subentries: Any) -> MockConfigEntry:
    return make_entry(
        hass,
        "victron_gx",
        {"link": f"sim://{name}", "portal": PORTAL},
        title="Victron GX",
        unique_id=f"victron_gx_{PORTAL}",
        entry_id="boat",
        subentries_data=subentries,
    )


@pytest.fixture
async def entry(
    hass: HomeAssistant, name: str, gx: SimulatedGx, house: None
) -> AsyncIterator[MockConfigEntry]:
    found = entry_for(hass, name, subentry(GALLEY))
    assert await hass.config_entries.async_setup(found.entry_id)
    await until(hass, lambda: on_gx(gx, PUMP) == 0)
    yield found
    await put_away(hass, found)


def on_gx(gx: SimulatedGx, path: str, service: str = "ctl", client: str = "ha_galley") -> Any:
    device = gx.driver.devices.get(client)
    return None if device is None else device.values.get((service, path))


def shown(hass: HomeAssistant, entry: Any, device: str, key: str) -> str | None:
    entity_id = entity_ids(hass, entry).get(f"boat_{device}_{key}")
    found = hass.states.get(entity_id) if entity_id else None
    return None if found is None else found.state


def issues(hass: HomeAssistant) -> set[str]:
    return {
        issue.translation_key or ""
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    }


# ------------------------------------------------------------------------------- operation


async def test_an_entity_is_operated_from_the_gx(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "on")
    assert shown(hass, entry, "helper", "helper_online") == "on"
    assert on_gx(gx, "GenericInput/sensor_load/Value") == 12.5
    gx.driver.set("ha_galley", "ctl", PUMP, 1)
    await until(hass, lambda: hass.states.get("input_boolean.pump").state == "on")
    await until(hass, lambda: on_gx(gx, PUMP.replace("State", "Status")) == 9)
    await hass.services.async_call(
        "input_boolean", "turn_off", {"entity_id": "input_boolean.pump"}, blocking=True
    )
    await until(hass, lambda: on_gx(gx, PUMP) == 0)
    hass.states.async_remove("sensor.load")
    await until(hass, lambda: on_gx(gx, "GenericInput/sensor_load/Status") == 1)


async def test_what_is_switched_off_or_unloaded_leaves_the_gx(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    ids = entity_ids(hass, entry)
    switch = ids["boat_galley_enabled"]
    await hass.services.async_call("switch", "turn_off", {"entity_id": switch}, blocking=True)
    await until(hass, lambda: not gx.driver.devices)
    await hass.services.async_call("switch", "turn_on", {"entity_id": switch}, blocking=True)
    await until(hass, lambda: gx.driver.devices)
    await hass.services.async_call(
        "button", "press", {"entity_id": ids["boat_galley_register"]}, blocking=True
    )
    await until(hass, lambda: on_gx(gx, PUMP) == 0)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert gx.driver.devices == {}


async def test_each_export_is_a_device_of_its_subentry(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    registry = dr.async_get(hass)
    devices = {
        next(iter(one.identifiers))[1]: one
        for one in dr.async_entries_for_config_entry(registry, entry.entry_id)
    }
    helper, galley = devices["boat_helper"], devices["boat_galley"]
    assert galley.via_device_id == helper.id
    assert galley.manufacturer == "Victron Energy (via MQTT)"
    assert (galley.model, galley.sw_version) == ("switch", "1.0.0")
    entities = er.async_get(hass)
    found = entities.async_get(entity_ids(hass, entry)["boat_galley_registered"])
    assert found is not None
    assert found.config_subentry_id == "galley"


async def test_subentries_come_and_go_while_it_runs(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    fridge = {
        "template": "sensor",
        "name": "Fridge",
        "client_id": "ha_fridge",
        "temperature": "sensor.fridge",
        "kind": 1,
    }
    hass.states.async_set("sensor.fridge", "4.2", {"unit_of_measurement": "°C"})
    from homeassistant.config_entries import ConfigSubentry

    added = ConfigSubentry(
        data=fridge,  # type: ignore[arg-type]
        subentry_id="fridge",
        subentry_type="export",
        title="Fridge",
        unique_id="ha_fridge",
    )
    hass.config_entries.async_add_subentry(entry, added)
    await until(hass, lambda: on_gx(gx, "Temperature", "t", "ha_fridge") == 4.2)
    await until(hass, lambda: shown(hass, entry, "fridge", "registered") == "on")
    hass.config_entries.async_update_entry(entry, title="The boat")
    hass.config_entries.async_remove_subentry(entry, "fridge")
    await until(hass, lambda: set(gx.driver.devices) == {"ha_galley"})
    await until(hass, lambda: shown(hass, entry, "fridge", "registered") is None)


async def test_an_entity_that_gets_another_id_stays_on_the_gx(
    hass: HomeAssistant, name: str, gx: SimulatedGx, house: None
) -> None:
    registry = er.async_get(hass)
    for ident in ("grid", "grid_l1"):
        found = registry.async_get_or_create("sensor", "meter", ident, suggested_object_id=ident)
        hass.states.async_set(found.entity_id, "230", {"unit_of_measurement": "W"})
    meter = {
        "template": "meter",
        "name": "sensor.grid",
        "client_id": "ha_meter",
        "power": "sensor.grid",
        "phases": {"L1": {"power": "sensor.grid_l1"}},
    }
    meter |= {"position": 1}
    saloon = GALLEY | {"client_id": "ha_saloon", "entities": ["input_boolean.pump", "sensor.grid"]}
    exports = (subentry(meter, "meter"), subentry(GALLEY), subentry(saloon, "saloon"))
    entry = entry_for(hass, name, *exports)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: on_gx(gx, "Ac/L1/Power", "m", "ha_meter") == 230)
    for old, new in (("sensor.grid", "sensor.mains"), ("sensor.grid_l1", "sensor.mains_l1")):
        registry.async_update_entity(old, new_entity_id=new)
        hass.states.async_remove(old)
        hass.states.async_set(new, "231", {"unit_of_measurement": "W"})
    await until(hass, lambda: on_gx(gx, "Ac/L1/Power", "m", "ha_meter") == 231)
    await until(hass, lambda: on_gx(gx, "Ac/Power", "m", "ha_meter") == 231)
    assert entry.subentries["meter"].data == {
        **meter,
        "power": "sensor.mains",
        "phases": {"L1": {"power": "sensor.mains_l1"}},
    }
    assert entry.subentries["galley"].data == GALLEY
    renamed = saloon | {"entities": ["input_boolean.pump", "sensor.mains"]}
    assert entry.subentries["saloon"].data == renamed
    hass.states.async_set("sensor.mains", "232", {"unit_of_measurement": "W"})
    await until(hass, lambda: on_gx(gx, "Ac/Power", "m", "ha_meter") == 232)
    await put_away(hass, entry)


async def test_the_gx_is_away_and_back(hass: HomeAssistant, entry: Any, gx: SimulatedGx) -> None:
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "on")
    gx.reachable = False
    gx.broker.stop()
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "off")
    # The export's own connection may be the first to be found closed.
    await until(hass, lambda: shown(hass, entry, "galley", "enabled") == "unavailable")
    with pytest.raises(HomeAssistantError):
        await entry.runtime_data.coordinator.async_execute(Command("galley", {"register": True}))
    gx.reachable = True
    gx.restart_broker()
    entry.runtime_data.engine.wake()
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "on")


async def test_a_gx_that_is_off_is_tried_later(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    gx.reachable = False
    entry = entry_for(hass, name)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_words_and_units_are_the_owners(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    hass.config.language = "nl"
    hass.config.units = US_CUSTOMARY_SYSTEM
    hass.states.async_set(
        "climate.truma",
        "heat",
        {
            "supported_features": 385,
            "hvac_modes": ["off", "heat", "auto"],
            "min_temp": 45,
            "max_temp": 90,
            "temperature": 70,
            "current_temperature": 66.2,
        },
    )
    registry = er.async_get(hass)
    registry.async_get_or_create("climate", "hardwired", "t", object_id_base="truma")
    truma = {"template": "climate", "name": "Truma", "entity": "climate.truma"}
    entry = entry_for(hass, name, subentry({**truma, "client_id": "ha_truma"}, "truma"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: on_gx(gx, "Temperature", "room", "ha_truma") == 19.0)
    outputs = gx.driver.devices["ha_truma"].status["options"]["ctl"]["outputs"]
    assert [one["name"] for one in outputs] == ["Temperatuur", "Aan", "Stand"]
    assert outputs[0]["max"] == 32.22
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_names_that_an_integration_gives_its_modes_win(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    registry = er.async_get(hass)
    made = registry.async_get_or_create(
        "climate", "hardwired", "own", object_id_base="own", translation_key="truma_room"
    )
    modes = {"supported_features": 8, "hvac_modes": ["heat"], "fan_modes": ["night", "high", "x1"]}
    hass.states.async_set(made.entity_id, "heat", modes)
    hass.states.async_set("climate.other", "heat", modes)
    other = {"template": "climate", "name": "Other", "entity": "climate.other"}
    own = {"template": "climate", "name": "Own", "entity": made.entity_id}
    entry = entry_for(hass, name, subentry(own, "own"), subentry(other, "other"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: {"ha_own", "ha_other"} <= set(gx.driver.devices))

    def labels(client: str) -> list[str]:
        outputs = gx.driver.devices[client].status["options"]["ctl"]["outputs"]
        found: list[str] = outputs[0]["labels"]
        return found

    assert labels("ha_own") == ["Night", "High", "x1"]
    assert labels("ha_other") == ["night", "High", "x1"]
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_precision_of_a_sensor_is_told(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    registry = er.async_get(hass)
    found = registry.async_get_or_create("sensor", "test", "load", object_id_base="load")
    registry.async_update_entity_options(found.entity_id, "sensor", {"display_precision": 2})
    hass.states.async_set(found.entity_id, "1.234", {"unit_of_measurement": "A"})
    panel = {**GALLEY, "entities": [found.entity_id]}
    entry = entry_for(hass, name, subentry(panel))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: gx.driver.devices)
    inputs = gx.driver.devices["ha_galley"].status["options"]["ctl"]["inputs"]
    assert inputs[0]["decimals"] == 2
    assert await hass.config_entries.async_unload(entry.entry_id)


# --------------------------------------------------------------------------------- repairs


async def test_what_came_from_the_gx_is_left_out_and_copies_are_told(
    hass: HomeAssistant, name: str, gx: SimulatedGx, house: None
) -> None:
    other = MockConfigEntry(domain="victron_gx")
    other.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id,
        identifiers={("victron_gx", "tank_1")},
        serial_number="mqtt_ha_galley_ctl",
    )
    registry = er.async_get(hass)
    copy = registry.async_get_or_create(
        "switch", "victron_gx", "x", config_entry=other, device_id=device.id
    )
    registry.async_get_or_create("sensor", "mqtt", "N/x/mqtt_ha_galley_ctl/State")
    hass.states.async_set(copy.entity_id, "on")
    panel = {**GALLEY, "entities": ["input_boolean.pump", copy.entity_id, "lock.door"]}
    entry = entry_for(hass, name, subentry(panel))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: on_gx(gx, PUMP) == 0)
    outputs = gx.driver.devices["ha_galley"].status["options"]["ctl"]["outputs"]
    assert [one["id"] for one in outputs] == ["input_boolean_pump"]
    assert {"victron_gx_forbidden_source", "victron_gx_copies"} <= issues(hass)
    registry.async_update_entity(copy.entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    for one in list(registry.entities.values()):
        if one.platform == "mqtt":
            registry.async_remove(one.entity_id)
    await until(hass, lambda: "victron_gx_copies" not in issues(hass))
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert "victron_gx_forbidden_source" not in issues(hass)


async def test_a_missing_helper_and_another_gx_are_issues(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    gx.driver.stop()
    await until(hass, lambda: "victron_gx_helper_missing" in issues(hass))
    gx.driver.start()
    await until(hass, lambda: "victron_gx_helper_missing" not in issues(hass))
    gx.become("ffffffffffff")
    entry.runtime_data.engine.wake()
    await until(hass, lambda: "victron_gx_other_gx" in issues(hass))


async def test_a_refused_login_asks_for_another(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    gx.broker.login = lambda _user, _password: 5
    entry = entry_for(hass, name)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, hass.config_entries.flow.async_progress)
    flow = hass.config_entries.flow.async_progress()[0]
    assert flow["step_id"] == "victron_gx_reauth"
    await until(hass, lambda: "victron_gx_login_refused" in issues(hass))
    again = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"password": "still wrong", "pair": False}
    )
    again = await go_on(hass, again)
    assert again["errors"] == {"base": "wrong_code"}
    gx.broker.login = lambda _user, _password: 0
    result = await go_on(hass, again, {"password": "right", "pair": False})
    assert result["reason"] == "reauth_successful"
    assert entry.data["password"] == "right"
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    await until(hass, lambda: entry.runtime_data.coordinator.data.connected)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_reauth_notices_another_gx(hass: HomeAssistant, name: str, gx: SimulatedGx) -> None:
    entry = entry_for(hass, name)
    result: Any = await entry.start_reauth_flow(hass)
    gx.become("ffffffffffff")
    result = await go_on(hass, result, {"pair": False})
    assert result["reason"] == "wrong_device"


# --------------------------------------------------------------------------------- actions


async def test_devices_of_ones_own(hass: HomeAssistant, entry: Any, gx: SimulatedGx) -> None:
    async def call(action: str, **data: Any) -> Any:
        return await hass.services.async_call(
            DOMAIN,
            f"victron_gx_{action}",
            {"config_entry_id": entry.entry_id, "client_id": "mine", **data},
            blocking=True,
            return_response=action == "register",
        )

    await until(hass, lambda: entry.runtime_data.coordinator.data.connected)
    reply = await call("register", services={"t1": "temperature"}, version="1")
    assert reply["deviceInstance"]["t1"] > 0
    await call("send", service="t1", values={"Temperature": 21.5})
    await until(hass, lambda: on_gx(gx, "Temperature", "t1", "mine") == 21.5)
    await call("forget")
    await call("unregister")
    for action, data in (
        ("register", {"client_id": "a-b", "services": {"t1": "temperature"}}),
        ("register", {"services": {"t1": "Temperature"}}),
        ("register", {"services": {"t1": {1, 2}}}),
        ("send", {"service": "t1", "values": {"Temperature": 1}}),
    ):
        with pytest.raises(ServiceValidationError):
            await call(action, **data)
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call(
            DOMAIN,
            "victron_gx_unregister",
            {"config_entry_id": "nothing", "client_id": "x"},
            blocking=True,
        )


async def test_the_diagnostics_tell_no_identity(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "on")
    told = json.dumps(await async_get_config_entry_diagnostics(hass, entry))
    assert '"registered": true' in told
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, "boat_galley"), entry.entry_id
    )
    assert device is not None
    told += json.dumps(await async_get_device_diagnostics(hass, entry, device))
    for private in (PORTAL, "Galley", "ha_galley"):
        assert private not in told


# ------------------------------------------------------------------------------ config flow


async def test_the_flow_finds_the_gx(hass: HomeAssistant, name: str, gx: SimulatedGx) -> None:
    form = {**FORM, "host": f"sim://{name}", "user": "me", "password": "secret"}
    result = await walk(hass, {"next_step_id": "victron_gx"}, form)
    assert result["step_id"] == "victron_gx_ready"
    result = await go_on(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Victron GX"
    assert result["data"] == {
        "family": "victron_gx",
        "link": f"sim://{name}",
        "user": "me",
        "password": "secret",
        "portal": PORTAL,
    }
    assert result["result"].unique_id == f"victron_gx_{PORTAL}"
    again = await walk(hass, {"next_step_id": "victron_gx"}, form)
    assert again["reason"] == "already_configured"
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_what_is_wrong_is_said_and_can_be_mended(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    result = await walk(hass, {"next_step_id": "victron_gx"}, {**FORM, "host": "a b/c?d"})
    assert result["errors"] == {"host": "bad_address"}
    form = {**FORM, "host": f"sim://{name}"}
    gx.reachable = False
    result = await go_on(hass, result, form)
    assert result["errors"] == {"base": "unreachable"}
    gx.reachable, gx.says_serial = True, False
    gx.restart_broker()
    with patch.object(config_flow.FACTORY.__class__, "probe_seconds", 0.3):
        result = await go_on(hass, result, form)
    assert result["errors"] == {"base": "no_answer"}
    gx.says_serial = True
    gx.driver.running = False
    gx.restart_broker()
    result = await go_on(hass, result, form)
    assert result["step_id"] == "victron_gx_no_helper"
    assert "venus.md" in result["description_placeholders"]["docs"]
    result = await go_on(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_a_closed_plain_port_is_followed_by_tls(
    hass: HomeAssistant, socket_enabled: None, unused_tcp_port: int
) -> None:
    ports = {"mqtt": unused_tcp_port, "mqtts": unused_tcp_port}
    asked = []

    async def probe(_self: Any, _factory: Any, values: Any, **_more: Any) -> Any:
        asked.append(values["link"])
        return await original(_self, _factory, values, **_more)

    original = config_flow.VictronGxFlow.async_probe
    with (
        patch.dict(config_flow.PORTS, ports),
        patch.object(config_flow.VictronGxFlow, "async_probe", probe),
    ):
        result = await walk(
            hass, {"next_step_id": "victron_gx"}, {**FORM, "host": "127.0.0.1", "pin": True}
        )
        assert result["errors"] == {"base": "refused"}
        assert [link.partition(":")[0] for link in asked] == ["mqtt", "mqtts"]
        asked.clear()
        result = await go_on(hass, result, {**FORM, "host": "127.0.0.1", "tls": True})
        assert asked == [f"mqtts://127.0.0.1:{unused_tcp_port}"]
    hass.config_entries.flow.async_abort(result["flow_id"])


async def test_a_token_is_kept_instead_of_the_password(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    form = {**FORM, "host": f"sim://{name}", "pair": True}
    result = await walk(hass, {"next_step_id": "victron_gx"}, form)
    assert result["errors"] == {"password": "victron_gx_needs_password"}
    form["password"] = "console"
    where = "custom_components.hardwired.families.victron_gx.config_flow.async_pair"
    with patch(where, side_effect=PairingError("no")):
        result = await go_on(hass, result, form)
    assert result["errors"] == {"base": "victron_gx_no_pairing"}
    with patch(where, return_value=("token/homeassistant/x", "s3cret")) as pair:
        result = await go_on(hass, result, form, {})
    assert pair.call_args.args[2] == "console"
    assert result["data"]["user"] == "token/homeassistant/x"
    assert result["data"]["password"] == "s3cret"
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_the_gx_gives_a_token(hass: HomeAssistant, socket_enabled: None) -> None:
    answers: list[Any] = [
        web.json_response({"token_name": "token/homeassistant/x", "password": "s3cret"}),
        web.Response(status=401),
        web.json_response(["no"]),
        web.json_response({"token_name": 5}),
        web.Response(text="no json"),
        web.Response(text="x" * 70_000),
    ]
    asked: list[Any] = []

    async def generate(request: web.Request) -> web.Response:
        asked.append((request.headers["Authorization"], dict(await request.post())))
        found: web.Response = answers.pop(0)
        return found

    app = web.Application()
    app.router.add_post("/auth/generate-token/", generate)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    host = f"127.0.0.1:{port}"
    try:
        found = await async_pair(hass, host, "console", "hardwired-1", "http")
        assert found == ("token/homeassistant/x", "s3cret")
        assert asked[0][0].startswith("Basic ")
        assert asked[0][1] == {"role": "homeassistant", "device_id": "hardwired-1"}
        while answers:
            with pytest.raises(PairingError):
                await async_pair(hass, host, "console", "hardwired-1", "http")
    finally:
        await runner.cleanup()


async def test_a_gx_on_the_network_is_found(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    def zeroconf(host: str, portal: str | None) -> ZeroconfServiceInfo:
        return ZeroconfServiceInfo(
            ip_address=ip_address(host),
            ip_addresses=[ip_address(host)],
            port=1883,
            hostname="venus.local.",
            type="_victron-mqtt._tcp.local.",
            name="GX._victron-mqtt._tcp.local.",
            properties={} if portal is None else {"portalId": portal},
        )

    def ssdp(location: str | None) -> SsdpServiceInfo:
        return SsdpServiceInfo(
            ssdp_usn="x",
            ssdp_st="x",
            ssdp_location=location,
            upnp={"manufacturer": "Victron Energy", "X_VrmPortalId": PORTAL},
        )

    async def begin(source: str, info: Any) -> Any:
        return await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": source}, data=info
        )

    result = await begin("zeroconf", zeroconf("192.0.2.7", None))
    assert result["step_id"] == "victron_gx"
    result = await go_on(hass, result, {**FORM, "host": f"sim://{name}"}, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    entry = result["result"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "link": "mqtts://192.0.2.7:8883"}
    )
    with patch.object(hass.config_entries, "async_schedule_reload"):
        moved = await begin("ssdp", ssdp("http://192.0.2.9:80/x.xml"))
        assert moved["reason"] == "already_configured"
        assert entry.data["link"] == "mqtts://192.0.2.9:8883"
        known = await begin("zeroconf", zeroconf("192.0.2.9", None))
        assert known["reason"] == "already_configured"
        moved = await begin("zeroconf", zeroconf("2001:db8::1", PORTAL))
        assert entry.data["link"] == "mqtts://[2001:db8::1]:8883"
    assert (await begin("ssdp", ssdp(None)))["reason"] == "not_supported"
    other = ssdp("http://192.0.2.9/")
    other.upnp["manufacturer"] = "Somebody"
    assert (await begin("ssdp", other))["reason"] == "not_supported"
    strange = zeroconf("192.0.2.9", None)
    strange.type = "_x._tcp.local."
    assert (await begin("zeroconf", strange))["reason"] == "not_supported"


async def test_the_address_may_change_but_not_the_gx(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx, name: str
) -> None:
    result: Any = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "victron_gx"
    result = await go_on(hass, result, {**FORM, "host": f"sim://{name}", "password": "new"})
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["password"] == "new"
    await until(hass, lambda: on_gx(gx, PUMP) == 0)
    gx.become("ffffffffffff")
    result = await entry.start_reconfigure_flow(hass)
    result = await go_on(hass, result, {**FORM, "host": f"sim://{name}"})
    assert result["reason"] == "wrong_device"


async def test_the_form_shows_the_present_address(hass: HomeAssistant) -> None:
    entry = make_entry(
        hass,
        "victron_gx",
        {
            "link": "mqtts://venus.local:8883",
            "portal": PORTAL,
            "user": "me",
            "fingerprint": "0" * 64,
        },
        unique_id=f"victron_gx_{PORTAL}",
    )
    result: Any = await entry.start_reconfigure_flow(hass)
    told = {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description and "suggested_value" in key.description
    }
    assert told == {
        "host": "venus.local", "port": 8883, "tls": True, "pin": True, "user": "me",
    }  # fmt: skip
    hass.config_entries.flow.async_abort(result["flow_id"])


# ---------------------------------------------------------------------------- subentry flow


async def start(hass: HomeAssistant, entry: Any, *steps: Any) -> Any:
    result: Any = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "export"), context={"source": "user"}
    )
    return await further(hass, result, *steps)


async def further(hass: HomeAssistant, result: Any, *steps: Any) -> Any:
    for step in steps:
        result = await hass.config_entries.subentries.async_configure(result["flow_id"], step)
    return result


def suggestions(result: Any) -> dict[str, Any]:
    return {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description and "suggested_value" in key.description
    }


MORE = {"more": {"on_loss": "leave"}}
ALLOWED = {"controls_allowed": True}
NO_PHASES: dict[str, Any] = {"L1": {}, "L2": {}, "L3": {}}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("panel", {"name": "Deck", "entities": ["switch.lamp"], "controls_allowed": False}, {}),
    (
        "meter",
        {"name": "Plug", "role": "acload", "power": "sensor.power", "position": 1, **NO_PHASES},
        {},
    ),
    (
        "meter",
        {"name": "Grid", "role": "grid", **NO_PHASES, "L1": {"power": "sensor.power"}},
        {"phases": {"L1": {"power": "sensor.power"}}},
    ),
    ("sensor", {"name": "Fridge", "kind": "1", "temperature": "sensor.temp"}, {"kind": 1}),
    ("tank", {"name": "Fresh", "fluid": "1", "level": "sensor.level"}, {"fluid": 1}),
    ("battery", {"name": "Bank", "soc": "sensor.level", "invert": True}, {}),
    ("ev", {"name": "Zoe", "soc": "sensor.level", "controls_allowed": True}, {}),
    ("evcharger", {"name": "Box", "power": "sensor.power", "controls_allowed": True}, {}),
    ("gps", {"name": "Boat", "entity": "device_tracker.boat"}, {}),
    ("weather", {"name": "Mast", "temperature": "sensor.temp"}, {}),
    ("climate", {"name": "Heat", "entity": "climate.truma", "controls_allowed": True}, {}),
    ("water_heater", {"name": "Hot", "entity": "water_heater.boiler", **ALLOWED}, {}),
]  # fmt: skip


def furnish(hass: HomeAssistant) -> None:
    for entity_id, state, unit, kind in (
        ("switch.lamp", "on", None, None),
        ("sensor.power", "900", "W", "power"),
        ("sensor.temp", "21", "°C", "temperature"),
        ("sensor.level", "62", "%", "battery"),
        ("sensor.voltage", "13.2", "V", "voltage"),
        ("device_tracker.boat", "home", None, None),
        ("climate.truma", "heat", None, None),
        ("water_heater.boiler", "eco", None, None),
        ("lock.door", "locked", None, None),
    ):
        attributes = {"unit_of_measurement": unit, "device_class": kind}
        told = {key: one for key, one in attributes.items() if one}
        hass.states.async_set(entity_id, state, told)


@pytest.mark.parametrize(("template", "form", "stored"), CASES)
async def test_an_export_is_made(  # noqa: PLR0917 - pytest gives them by name
    hass: HomeAssistant,
    name: str,
    gx: SimulatedGx,
    template: str,
    form: dict[str, Any],
    stored: dict[str, Any],
) -> None:
    furnish(hass)
    entry = entry_for(hass, name)
    result = await start(hass, entry, {"next_step_id": template}, {**form, **MORE})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result.get("errors")
    made = next(iter(entry.subentries.values()))
    assert made.title == form["name"]
    assert made.unique_id == made.data["client_id"] == f"ha_{form['name'].lower()}"
    assert made.data["template"] == template
    assert made.data.items() >= stored.items()
    result = await further(
        hass,
        await hass.config_entries.subentries.async_init(
            (entry.entry_id, "export"),
            context={"source": "reconfigure", "subentry_id": made.subentry_id},
        ),
        {**form, "more": {"on_loss": "keep", "client_id": made.unique_id}},
    )
    assert result["reason"] == "reconfigure_successful", result.get("errors")
    made = next(iter(entry.subentries.values()))
    assert made.data["on_loss"] == "keep"


async def test_what_it_is_on_the_gx_is_shown_before_it_is_made(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    furnish(hass)
    form = {"name": "Deck", "entities": ["switch.lamp"], "controls_allowed": True, **MORE}
    result = await start(hass, entry, {"next_step_id": "panel"}, form)
    assert result["step_id"] == "tried"
    number = gx.driver.devices["ha_deck"].instances["ctl"]
    told = {"services": f"switch {number}", "message": ""}
    assert result["description_placeholders"] == told
    lamp = "SwitchableOutput/switch_lamp/State"
    await until(hass, lambda: on_gx(gx, lamp, client="ha_deck") == 1)
    assert not [one for one in entity_ids(hass, entry) if "trial" in one]
    before = gx.driver.devices["ha_deck"]
    result = await further(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    key = next(key for key in entry.subentries if key != "galley")
    await until(hass, lambda: shown(hass, entry, key, "registered") == "on")
    assert gx.driver.devices["ha_deck"] is before
    # Whoever closes the dialog has offered nothing.
    gx.driver.errors = {"ctl": "name in use"}
    result = await start(hass, entry, {"next_step_id": "panel"}, {**form, "name": "Mast"})
    assert result["description_placeholders"]["message"].endswith("GX: ctl: name in use")
    gx.driver.errors = {}
    hass.config_entries.subentries.async_abort(result["flow_id"])
    await until(hass, lambda: "ha_mast" not in gx.driver.devices)
    # A GX that is away is not waited for.
    gx.driver.stop()
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "off")
    result = await start(hass, entry, {"next_step_id": "panel"}, {**form, "name": "Bow"})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_what_can_not_be_exported_is_said(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    furnish(hass)
    lamp = {"name": "Deck", "entities": ["switch.lamp"], "controls_allowed": True, **MORE}
    result = await start(hass, entry, {"next_step_id": "panel"}, {**lamp, "name": " "})
    assert result["errors"] == {"name": "name"}
    wrong = {**lamp, "more": {"on_loss": "leave", "client_id": "a-b"}}
    assert (await further(hass, result, wrong))["errors"] == {"client_id": "client_id"}
    taken = {**lamp, "more": {"on_loss": "leave", "client_id": "ha_galley"}}
    assert (await further(hass, result, taken))["errors"] == {"base": "client_id_taken"}
    empty = await further(hass, result, {**lamp, "entities": []})
    assert empty["errors"] == {"entities": "empty"}
    with pytest.raises(InvalidData):
        await further(hass, result, {**lamp, "entities": ["lock.door"]})
    where = "custom_components.hardwired.families.victron_gx.export_flow.async_source"
    with patch(where) as source:
        source.return_value.offered = False
        result = await further(hass, result, {**lamp})
    assert result["errors"] == {"base": "forbidden"}
    result = await start(hass, entry, {"next_step_id": "tank"})
    tank = {"name": "Fresh", "fluid": "1", **MORE}
    assert (await further(hass, result, tank))["errors"] == {"base": "level"}
    hass.states.async_set("sensor.volume", "85", {"unit_of_measurement": "L"})
    result = await start(hass, entry, {"next_step_id": "tank"})
    volume = {**tank, "volume": "sensor.volume"}
    assert (await further(hass, result, volume))["errors"] == {"base": "capacity"}


async def test_what_may_come_from_the_gx_is_asked_about(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    other = MockConfigEntry(domain="mqtt")
    other.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id,
        identifiers={("mqtt", "gx")},
        manufacturer="Victron Energy",
    )
    found = er.async_get(hass).async_get_or_create(
        "switch", "mqtt", "relay", config_entry=other, device_id=device.id
    )
    hass.states.async_set(found.entity_id, "on")
    form = {"name": "Relay", "entities": [found.entity_id], "controls_allowed": True, **MORE}
    result = await start(hass, entry, {"next_step_id": "panel"}, form)
    assert result["step_id"] == "doubtful"
    assert result["description_placeholders"]["entities"] == found.entity_id
    result = await further(hass, result, {})
    assert result["step_id"] == "tried"
    result = await further(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    result = await start(hass, entry, {"next_step_id": "device"}, {"device": device.id})
    assert result["reason"] == "nothing_fits"


@pytest.mark.parametrize(
    ("entities", "template", "slots"),
    [
        ([("climate", None, None)], "climate", {"entity"}),
        ([("water_heater", None, None)], "water_heater", {"entity"}),
        ([("sensor", "%", "battery"), ("sensor", "V", "voltage")], "battery", {"soc", "voltage"}),
        ([("sensor", "%", "battery"), ("sensor", "km", "distance")], "ev", {"soc", "range"}),
        ([("switch", None, None), ("sensor", "W", "power")], "meter", {"power"}),
        ([("sensor", "m/s", "wind_speed")], "weather", {"wind_speed"}),
        ([("sensor", "W/m²", "irradiance")], "weather", {"irradiance"}),
        ([("sensor", "°C", "temperature"), ("sensor", "%", "humidity")], "sensor",
         {"temperature", "humidity"}),
        ([("switch", None, None), ("light", None, None)], "panel", {"entities"}),
        ([("device_tracker", None, None)], "gps", {"entity"}),
    ],
)  # fmt: skip
async def test_what_fits_a_device_is_proposed(
    hass: HomeAssistant,
    name: str,
    entities: list[tuple[str, str | None, str | None]],
    template: str,
    slots: set[str],
) -> None:
    entry = entry_for(hass, name)
    other = MockConfigEntry(domain="test")
    other.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id, identifiers={("test", "x")}, name="The thing"
    )
    for number, (domain, unit, kind) in enumerate(entities):
        made = er.async_get(hass).async_get_or_create(
            domain, "test", f"u{number}", config_entry=other, device_id=device.id
        )
        told = {"unit_of_measurement": unit, "device_class": kind}
        hass.states.async_set(made.entity_id, "1", {key: one for key, one in told.items() if one})
    result = await start(hass, entry, {"next_step_id": "device"})
    assert result["step_id"] == "device"
    result = await further(hass, result, {"device": device.id})
    assert result["step_id"] == template
    told = suggestions(result)
    assert told["name"] == "The thing"
    assert told.keys() - {"name"} == slots


async def test_the_only_thermostat_is_proposed(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    hass.states.async_set("climate.truma", "heat", {"friendly_name": "Heater"})
    result = await start(hass, entry, {"next_step_id": "climate"})
    assert suggestions(result) == {"entity": "climate.truma", "name": "Heater"}
    hass.states.async_set("climate.second", "heat")
    result = await start(hass, entry, {"next_step_id": "climate"})
    assert suggestions(result) == {}


async def test_a_change_shows_what_is_on_the_gx(
    hass: HomeAssistant, entry: Any, gx: SimulatedGx
) -> None:
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "on")

    async def change(key: str) -> Any:
        return await hass.config_entries.subentries.async_init(
            (entry.entry_id, "export"), context={"source": "reconfigure", "subentry_id": key}
        )

    result = await change("galley")
    assert "switch (ctl: 1)" in result["description_placeholders"]["present"]
    gx.driver.stop()
    await until(hass, lambda: shown(hass, entry, "galley", "registered") == "off")
    assert (await change("galley"))["description_placeholders"]["present"] == ""
    broken = ConfigSubentryData(
        data={"template": "unheard of"}, subentry_type="export", title="Old", unique_id=None
    )
    from homeassistant.config_entries import ConfigSubentry

    hass.config_entries.async_add_subentry(entry, ConfigSubentry(**broken))  # type: ignore[arg-type]
    key = next(key for key in entry.subentries if key != "galley")
    assert (await change(key))["type"] is FlowResultType.MENU
    await until(hass, lambda: "victron_gx_export_broken" in issues(hass))


async def test_a_call_that_fails_is_taken_back(
    hass: HomeAssistant, name: str, gx: SimulatedGx
) -> None:
    async def fail(_call: ServiceCall) -> None:
        raise HomeAssistantError("no")

    hass.states.async_set("switch.lamp", "off")
    entry = entry_for(hass, name, subentry({**GALLEY, "entities": ["switch.lamp"]}))
    assert await hass.config_entries.async_setup(entry.entry_id)
    lamp = "SwitchableOutput/switch_lamp/State"
    await until(hass, lambda: on_gx(gx, lamp) == 0)
    hass.services.async_register("switch", "turn_on", fail)  # not before the platform has its own
    gx.driver.set("ha_galley", "ctl", lamp, 1)
    await until(hass, lambda: on_gx(gx, lamp) == 0)
    engine = entry.runtime_data.engine
    await until(hass, lambda: engine.snapshot.value("galley", "refused") == 1)
    assert await hass.config_entries.async_unload(entry.entry_id)
