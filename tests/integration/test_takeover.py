"""Another program's entity ids become ours: found by unique ids, with history, never by a guess."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components.recorder import get_instance, history
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import InvalidData
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockEntity,
    MockEntityPlatform,
    async_fire_time_changed,
)

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.engines.engine import Device
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.takeover import pairs, table
from tests.golden_files import GOLDEN

from .helpers import make_entry, state_of, until

SERIAL = "2200000001"
SOC = f"sunsniff_{SERIAL}_battery_soc"
OLD_SOC = "sensor.the_old_battery"


@pytest.fixture
def hass(recorder_db_url: str, hass: HomeAssistant) -> HomeAssistant:
    """Home Assistant as a recorder wants it: its database is named first."""
    return hass


async def inverter(hass: HomeAssistant) -> Any:
    """Return the loaded entry of a simulated inverter that shows its values."""
    data = {"source": "sim", "time_zone": "UTC", "warp": 60, "inverters": 1}
    entry = make_entry(hass, "sunsynk", data)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_battery_soc"))
    return entry


def old(hass: HomeAssistant, unique_id: str, name: str, domain: str = "sensor", **more: Any) -> str:
    """Register an entity of another program; returns its id."""
    integration = more.pop("integration", "mqtt")
    registry = er.async_get(hass)
    return registry.async_get_or_create(
        domain, integration, unique_id, suggested_object_id=name, **more
    ).entity_id


async def menu(hass: HomeAssistant, entry: Any, chosen: list[str] | None = None) -> Any:
    """Open the form, and choose."""
    flows = hass.config_entries.subentries
    result: Any = await flows.async_init((entry.entry_id, "take_over"), context={"source": "user"})
    if chosen is None or result["type"] != "form":
        return result
    return await flows.async_configure(result["flow_id"], {"entities": chosen})


def offered(result: Any) -> list[str]:
    """Return the ids that the form offers."""
    [field] = result["data_schema"].schema.values()
    return [option["value"] for option in field.config["options"]]


async def past(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Return what the recorder knows of an entity."""
    instance = get_instance(hass)
    await instance.async_block_till_done()
    start = dt_util.utcnow() - dt_util.dt.timedelta(hours=1)
    found = await instance.async_add_executor_job(
        history.state_changes_during_period, hass, start, None, entity_id
    )
    return [state.state for state in found.get(entity_id, [])]


async def test_the_history_goes_on_under_the_old_id(
    hass: HomeAssistant, recorder_mock: Any
) -> None:
    entry = await inverter(hass)
    assert old(hass, SOC, "the_old_battery", unit_of_measurement="%") == OLD_SOC
    registry = er.async_get(hass)
    registry.async_update_entity(OLD_SOC, name="House battery", icon="mdi:home", labels={"solar"})
    hass.states.async_set(OLD_SOC, "12.5", {"unit_of_measurement": "%"})
    await hass.async_block_till_done()
    hass.states.async_remove(OLD_SOC)
    ours = registry.async_get_entity_id("sensor", DOMAIN, f"{SERIAL}_battery_soc")
    assert ours is not None

    form = await menu(hass, entry)
    assert offered(form) == [OLD_SOC]
    assert form["description_placeholders"] == {
        "other_kind": "–", "other_unit": "–", "taken": "–"
    }  # fmt: skip
    done = await menu(hass, entry, [OLD_SOC])
    assert (done["reason"], done["description_placeholders"]["number"]) == ("taken_over", "1")

    now = registry.async_get(OLD_SOC)
    assert now is not None
    assert (now.platform, now.unique_id) == (DOMAIN, f"{SERIAL}_battery_soc")
    assert (now.name, now.icon, now.labels) == ("House battery", "mdi:home", {"solar"})
    assert registry.async_get(ours) is None
    shown = await until(hass, lambda: hass.states.get(OLD_SOC))
    recorded = await past(hass, OLD_SOC)
    assert recorded[0] == "12.5"
    assert recorded[-1] == shown.state
    assert (await menu(hass, entry))["reason"] == "nothing_found"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entity_that_lives_is_deleted_first(hass: HomeAssistant) -> None:
    entry = await inverter(hass)
    platform = MockEntityPlatform(hass, domain="sensor", platform_name="mqtt")
    await platform.async_add_entities(
        [MockEntity(unique_id=SOC, name="The old battery", unit_of_measurement="%")]
    )
    assert hass.states.get(OLD_SOC) is not None
    assert (await menu(hass, entry, [OLD_SOC]))["reason"] == "taken_over"
    assert state_of(hass, entry, f"{SERIAL}_battery_soc") is not None
    assert er.async_get(hass).async_get(OLD_SOC).platform == DOMAIN  # type: ignore[union-attr]
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_state_that_stays_keeps_its_id(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "FREED_WITHIN", 0.01)
    entry = await inverter(hass)
    old(hass, SOC, "the_old_battery", unit_of_measurement="%")
    hass.states.async_set(OLD_SOC, "12.5")
    result = await menu(hass, entry, [OLD_SOC])
    assert result["reason"] == "not_freed"
    assert result["description_placeholders"] == {"entity_id": OLD_SOC}
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_what_would_spoil_something_is_said_and_not_offered(hass: HomeAssistant) -> None:
    entry = await inverter(hass)
    energy = old(hass, f"sunsniff_{SERIAL}_grid_import_total", "energy", unit_of_measurement="Wh")
    number = old(hass, SOC, "battery", "number", unit_of_measurement="%")
    old(hass, "sunsniff_other_battery_soc", "neighbour", unit_of_measurement="%")
    old(hass, SOC, "elsewhere", integration="other", unit_of_measurement="%")
    power = old(hass, f"sunsniff_{SERIAL}_pv_power", "power", unit_of_measurement="W")
    form = await menu(hass, entry)
    assert offered(form) == [power]
    assert form["description_placeholders"] == {
        "other_kind": f"`{number}`", "other_unit": f"`{energy}`", "taken": "–"
    }  # fmt: skip
    hass.config_entries.subentries.async_abort(form["flow_id"])
    with pytest.raises(InvalidData):
        await menu(hass, entry, [energy])
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert (await menu(hass, entry))["reason"] == "not_loaded"


async def xtender(hass: HomeAssistant) -> tuple[Any, str, str, str]:
    """Return a loaded entry, the id of its battery voltage, and two ids that it may take over."""
    link = "sim://?xtenders=1&variotracks=0&variostrings=0&bsp=0&seed=4&latency_ms=0&baud=0"
    entry = make_entry(hass, "studer", {"link": link})
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data.coordinator
    registry = er.async_get(hass)

    def unit() -> Any:
        kinds = {one.device.kind: one.device for one in coordinator.data.devices.values()}
        return kinds.get("xt")

    device = await until(hass, unit)
    ours = await until(
        hass, lambda: registry.async_get_entity_id("sensor", DOMAIN, f"{device.id}_3000")
    )
    first = old(hass, "101_batteryVoltage_3000", "one", unit_of_measurement="V")
    second = old(
        hass, "studer_4001_xt1_3000", "two", integration="studer_xcom", unit_of_measurement="V"
    )
    return entry, ours, first, second


async def test_two_ids_for_one_entity_are_refused_and_a_disabled_one_is_enabled(
    hass: HomeAssistant,
) -> None:
    entry, ours, first, second = await xtender(hass)
    registry = er.async_get(hass)
    registry.async_update_entity(ours, disabled_by=er.RegistryEntryDisabler.INTEGRATION)
    form = await menu(hass, entry)
    assert offered(form) == [first, second]
    [field] = form["data_schema"].schema
    assert field.default() == [first]
    flows = hass.config_entries.subentries
    again: Any = await flows.async_configure(form["flow_id"], {"entities": [first, second]})
    assert again["errors"] == {"entities": "taken_twice"}
    done: Any = await flows.async_configure(form["flow_id"], {"entities": [second]})
    assert done["reason"] == "taken_over"
    assert registry.async_get(second).disabled_by is None  # type: ignore[union-attr]
    assert registry.async_get(first) is not None
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_of_two_open_forms_the_later_takes_nothing_away(hass: HomeAssistant) -> None:
    entry, ours, first, second = await xtender(hass)
    registry = er.async_get(hass)
    forms = [await menu(hass, entry) for _ in range(4)]
    flows = hass.config_entries.subentries

    async def submit(number: int, *chosen: str) -> Any:
        return await flows.async_configure(forms[number]["flow_id"], {"entities": list(chosen)})

    done, late = await asyncio.gather(submit(0, first), submit(1, second))
    assert done["reason"] == "taken_over"
    assert late["reason"] == "taken_over_in_part"
    told = {"number": "0", "taken": f"`{second}`", "gone": "–"}
    assert late["description_placeholders"] == told
    again = await submit(2, first)
    told = {"number": "0", "taken": "–", "gone": f"`{first}`"}
    assert again["description_placeholders"] == told
    assert registry.async_get(ours) is None
    assert registry.async_get(first).platform == DOMAIN  # type: ignore[union-attr]
    assert registry.async_get(second).platform == "studer_xcom"  # type: ignore[union-attr]
    form = await menu(hass, entry)
    assert offered(form) == []
    assert form["description_placeholders"]["taken"] == f"`{second}`"
    registry.async_update_entity(first, new_entity_id=ours)
    assert offered(await menu(hass, entry)) == [second], "the owner gave it another id"
    registry.async_remove(ours)
    gone = await submit(3, second)
    assert gone["description_placeholders"]["gone"] == f"`{second}`"
    assert registry.async_get(second) is not None
    assert await hass.config_entries.async_unload(entry.entry_id)


def uses(entity_id: str) -> dict[str, Any]:
    """Return an automation or script that reads an entity."""
    return {"condition": "state", "entity_id": entity_id, "state": "1"}


async def test_a_repair_names_the_automations_that_use_the_id_that_ours_had(
    hass: HomeAssistant,
) -> None:
    entry, ours, first, second = await xtender(hass)
    empty: dict[str, Any] = {"triggers": {"trigger": "homeassistant", "event": "start"}}
    automations: list[dict[str, Any]] = [
        {**empty, "id": "1", "alias": "At six", "conditions": uses(ours), "actions": []},
        {**empty, "id": "2", "alias": "Other", "conditions": uses(first), "actions": []},
    ]
    scripts: dict[str, Any] = {"rest": {"sequence": [uses(ours)]}}
    config = {"automation": automations, "script": scripts}
    for domain in config:
        assert await async_setup_component(hass, domain, deepcopy(config))

    async def loaded() -> None:
        """Load what the files say, as the editors and the menu do."""
        for domain in config:
            written = deepcopy(config)
            with patch("homeassistant.config.load_yaml_config_file", return_value=written):
                await hass.services.async_call(domain, "reload", blocking=True)

    def issue() -> ir.IssueEntry | None:
        found = ir.async_get(hass).async_get_issue(DOMAIN, f"{entry.entry_id}_moved_ids")
        return found if found and found.active else None

    async def looked() -> ir.IssueEntry | None:
        await hass.async_block_till_done()
        async_fire_time_changed(hass, dt_util.utcnow() + dt_util.dt.timedelta(seconds=2))
        await hass.async_block_till_done()
        return issue()

    assert (await menu(hass, entry, [first]))["reason"] == "taken_over"
    one = await looked()
    assert one is not None
    assert not one.is_fixable
    assert one.translation_placeholders == {
        "title": entry.title,
        "list": f"- `{ours}` → `{first}`: At six (`automation.at_six`), rest (`script.rest`)",
    }
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert issue(), "it is found again after a restart"
    ir.async_ignore_issue(hass, DOMAIN, one.issue_id, True)
    scripts["rest"]["sequence"] = [uses(first)]
    await loaded()
    changed = await looked()
    assert changed is not None
    assert changed.dismissed_version is not None, "what is ignored stays ignored"
    assert "script" not in changed.translation_placeholders["list"]  # type: ignore[index]
    automations[0]["conditions"] = uses(first)
    await loaded()
    assert await looked() is None
    automations[0]["conditions"] = uses(ours)
    await loaded()
    assert await looked()
    registry = er.async_get(hass)
    registry.async_update_entity(second, new_entity_id=ours)
    assert await looked() is None, "its owner has given the id to another entity"
    registry.async_update_entity(ours, new_entity_id=second)
    assert await looked()
    old(hass, "new", ours.partition(".")[2])
    assert await looked() is None, "the id is another entity's"
    assert await hass.config_entries.async_unload(entry.entry_id)


# ---------------------------------------------------------------------------- the tables


def unique_ids(file: str, wanted: str) -> set[str]:
    """Return the unique ids in a golden file of what the helper announces in a program's place."""
    text = (GOLDEN / file).read_text(encoding="utf-8")
    return set(re.findall(rf'"unique_id": "({wanted})"', text.replace('\\"', '"')))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_names_the_programs_of_its_table(family: str) -> None:
    programs = [row.program for row in table.read_table(family)]
    assert tuple(dict.fromkeys(programs)) == FAMILIES[family].moved_from
    for row in table.read_table(family):
        known = FAMILIES[family].catalogues[row.kind].keys() | {
            composite.key for composite in FAMILIES[family].factory.composites(row.kind)
        }
        assert set((row.names or {}).values()) <= known


@pytest.mark.parametrize(
    ("file", "wanted", "family", "place"),
    [
        ("sunsynk/sunsniff.json", f'sunsniff_{SERIAL}_[^"]+', "sunsynk", {"serial_number": SERIAL}),
        ("studer/xtmq-few.json", '101_[^"]+', "studer", {"address": "101"}),
        ("truma/inetbox-c4-combi-aventa.json", 'truma_[^"]+__climate[^"]+', "truma", {}),
    ],
)
def test_what_was_announced_is_in_the_table(
    file: str, wanted: str, family: str, place: dict[str, str]
) -> None:
    row = table.read_table(family)[0]
    pattern = row.pattern(Device("id", row.kind, "name", **place))
    announced = unique_ids(file, wanted)
    assert announced
    assert pattern is not None
    for one in announced:
        found = pattern.fullmatch(one)
        assert found is not None, one
        assert row.names is None or found["name"] in row.names, one


def test_a_device_without_what_an_id_is_made_of_was_not_theirs() -> None:
    place: Callable[..., Device] = lambda address: Device("id", "xt", "X", address=address)  # noqa: E731
    row = table.OldIds("p", "mqtt", "xt", "a.{address}_*_{place}_{name}")
    assert row.pattern(place(None)) is None
    assert row.pattern(place("menu")) is None
    pattern = row.pattern(place("103"))
    assert pattern is not None
    assert pattern.fullmatch("a.103_x y_3_z_1")["name"] == "z_1"  # type: ignore[index]
    assert pattern.fullmatch("ab103_x_3_z") is None


def test_the_table_is_plain_json() -> None:
    for path in table.FAMILIES.glob("*/old_ids.json"):
        assert isinstance(json.loads(path.read_text(encoding="utf-8")), list)
