"""The takeover is offered by itself: in the dialog after the set-up, or in a repair later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.hardwired.const import CONF_SIMULATED, DOMAIN
from custom_components.hardwired.takeover import offer

from .helpers import make_entry, put_away, state_of, until, walk

CAPTURES = Path(__file__).parents[1] / "vectors" / "sunsynk" / "captures"
SERIAL = "1235687108"
CAPTURED = {"path": str(CAPTURES / "real_292.pcap"), "time_zone": "Africa/Johannesburg"}
FILE = ({"next_step_id": "sunsynk"}, {"next_step_id": "sunsynk_file"}, {**CAPTURED, "more": {}})
SOC, VOLTAGE = f"sunsniff_{SERIAL}_battery_soc", f"sunsniff_{SERIAL}_grid_voltage"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, hass: HomeAssistant) -> None:
    monkeypatch.setattr(offer, "STEADY_FOR", 0.05)
    hass.config.allowlist_external_dirs = {str(CAPTURES)}


def old(hass: HomeAssistant, unique_id: str, name: str, unit: str, **more: Any) -> str:
    """Register an entity of another program; returns its id."""
    registry = er.async_get(hass)
    return registry.async_get_or_create(
        "sensor", "mqtt", unique_id, suggested_object_id=name, unit_of_measurement=unit, **more
    ).entity_id


def both(hass: HomeAssistant) -> tuple[str, str]:
    """Register two entities of sunsniff; returns their ids."""
    return old(hass, SOC, "old_soc", "%"), old(hass, VOLTAGE, "old_voltage", "V")


def platform_of(hass: HomeAssistant, entity_id: str) -> str | None:
    entity = er.async_get(hass).async_get(entity_id)
    return None if entity is None else entity.platform


@asynccontextmanager
async def made(hass: HomeAssistant) -> AsyncIterator[Any]:
    """Make an entry by the form; what the last dialog says."""
    result = await walk(hass, *FILE)
    assert result["type"] == "create_entry"
    yield result
    await put_away(hass, result["result"])


@asynccontextmanager
async def loaded(hass: HomeAssistant, **data: Any) -> AsyncIterator[Any]:
    """Load an entry that was made earlier, or could not show values when it was made."""
    entry = make_entry(hass, "sunsynk", {"source": "file", **CAPTURED, **data})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage"))
    yield entry
    await put_away(hass, entry)


async def wait(hass: HomeAssistant, seconds: float) -> None:
    """Turn Home Assistant's clock."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


async def settle(hass: HomeAssistant) -> None:
    await wait(hass, offer.SETTLED_AFTER + 1)


def repair(hass: HomeAssistant, entry: Any) -> ir.IssueEntry | None:
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"{entry.entry_id}_take_over")
    return issue if issue and issue.active else None


def forms(hass: HomeAssistant) -> list[Any]:
    return list(hass.config_entries.subentries.async_progress())


async def choose(hass: HomeAssistant, flow_id: str, *chosen: str) -> Any:
    return await hass.config_entries.subentries.async_configure(flow_id, {"entities": list(chosen)})


# ------------------------------------------------------------------ the dialog after the set-up


async def test_the_form_follows_and_nothing_is_done_unless_it_is_submitted(
    hass: HomeAssistant,
) -> None:
    soc, voltage = both(hass)
    async with made(hass) as result:
        kind, flow_id = result["next_flow"]
        assert kind == "config_subentries_flow"
        assert [form["flow_id"] for form in forms(hass)] == [flow_id]
        assert (platform_of(hass, soc), platform_of(hass, voltage)) == ("mqtt", "mqtt")
        await settle(hass)
        assert repair(hass, result["result"]) is None, "the form is open"
        done = await choose(hass, flow_id, soc, voltage)
        assert done["description_placeholders"] == {"number": "2"}
        assert (platform_of(hass, soc), platform_of(hass, voltage)) == (DOMAIN, DOMAIN)
        await settle(hass)
        assert repair(hass, result["result"]) is None


async def test_over_the_interface_that_the_browser_uses(
    hass: HomeAssistant, hass_client: Any
) -> None:
    assert await async_setup_component(hass, "config", {})
    assert await async_setup_component(hass, DOMAIN, {})
    soc, _ = both(hass)
    client = await hass_client()
    flows = "/api/config/config_entries/flow"
    answer = await (await client.post(flows, json={"handler": DOMAIN})).json()
    for step in FILE:
        answer = await (await client.post(f"{flows}/{answer['flow_id']}", json=step)).json()
        while answer["type"] in ("progress", "progress_done"):
            await hass.async_block_till_done()
            answer = await (await client.get(f"{flows}/{answer['flow_id']}")).json()
    assert answer["type"] == "create_entry"
    form = f"/api/config/config_entries/subentries/flow/{answer['next_flow'][1]}"
    shown = await (await client.get(form)).json()
    assert (shown["type"], shown["step_id"]) == ("form", "user")
    assert shown["handler"] == [answer["result"]["entry_id"], "take_over"]
    done = await (await client.post(form, json={"entities": [soc]})).json()
    assert (done["type"], done["reason"]) == ("abort", "taken_over")
    assert platform_of(hass, soc) == DOMAIN
    entry = hass.config_entries.async_get_entry(answer["result"]["entry_id"])
    await put_away(hass, entry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unique_id", "unit"),
    [
        ("another_program_battery_soc", "%"),
        ("sunsniff_of_a_neighbour_battery_soc", "%"),
        (f"sunsniff_{SERIAL}_grid_import_total", "Wh"),
    ],
)
async def test_without_anything_to_take_over_there_is_no_dialog(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, unique_id: str, unit: str
) -> None:
    monkeypatch.setattr(offer, "SHOWN_WITHIN", 0.3)
    old(hass, unique_id, "some_value", unit)
    async with made(hass) as result:
        assert "next_flow" not in result
        assert forms(hass) == []
        await settle(hass)
        assert repair(hass, result["result"]) is None


async def test_who_has_no_such_program_does_not_wait(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(offer, "_async_steady", waits)
    async with made(hass) as result:
        assert "next_flow" not in result


async def test_a_simulated_device_offers_it_never(hass: HomeAssistant) -> None:
    old(hass, "sunsniff_2200000001_battery_soc", "old_soc", "%")
    result = await walk(hass, {"next_step_id": "simulated"}, {"next_step_id": "simulated_sunsynk"})
    entry = result["result"]
    assert "next_flow" not in result
    await until(hass, lambda: state_of(hass, entry, "2200000001_battery_soc"))
    await settle(hass)
    assert repair(hass, entry) is None
    assert "take_over" not in entry.supported_subentry_types
    await put_away(hass, entry)


async def test_a_dialog_that_was_closed_comes_back_as_a_repair(hass: HomeAssistant) -> None:
    both(hass)
    async with made(hass) as result:
        await settle(hass)
        hass.config_entries.subentries.async_abort(result["next_flow"][1])
        await settle(hass)
        assert repair(hass, result["result"])


# -------------------------------------------------------------- the repair, when values come later


async def test_values_that_come_later_are_offered_in_a_repair(
    hass: HomeAssistant, hass_client: Any
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    assert await async_setup_component(hass, DOMAIN, {})
    soc, voltage = both(hass)
    client = await hass_client()
    async with loaded(hass) as entry:
        assert repair(hass, entry) is None, "values come in groups"
        await settle(hass)
        issue = repair(hass, entry)
        assert issue is not None
        assert issue.is_fixable
        assert issue.translation_placeholders == {
            "title": entry.title, "number": "2", "programs": "sunsniff"
        }  # fmt: skip
        fix = "/api/repairs/issues/fix"
        asked = {"handler": DOMAIN, "issue_id": issue.issue_id}
        shown = await (await client.post(fix, json=asked)).json()
        assert (shown["type"], shown["step_id"]) == ("form", "confirm")
        assert shown["description_placeholders"] == issue.translation_placeholders
        handed = await (await client.post(f"{fix}/{shown['flow_id']}", json={})).json()
        assert handed["next_flow"][0] == "config_subentries_flow"
        assert handed["result"]["entry_id"] == entry.entry_id
        assert repair(hass, entry), "nothing is done yet"
        done = await choose(hass, handed["next_flow"][1], soc, voltage)
        assert done["reason"] == "taken_over"
        await wait(hass, offer.GONE_AFTER + 1)
        assert repair(hass, entry) is None
        assert (platform_of(hass, soc), platform_of(hass, voltage)) == (DOMAIN, DOMAIN)


async def test_what_is_left_out_is_not_offered_unasked_again(hass: HomeAssistant) -> None:
    soc, voltage = both(hass)
    async with loaded(hass) as entry:
        await settle(hass)
        flows = hass.config_entries.subentries
        form: Any = await flows.async_init(
            (entry.entry_id, "take_over"), context={"source": "user"}
        )
        await choose(hass, form["flow_id"], soc)
        await wait(hass, offer.GONE_AFTER + 1)
        assert repair(hass, entry) is None
        assert await hass.config_entries.async_reload(entry.entry_id)
        await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage"))
        await settle(hass)
        assert repair(hass, entry) is None
        form = await flows.async_init((entry.entry_id, "take_over"), context={"source": "user"})
        [field] = form["data_schema"].schema
        assert field.default() == []
        await choose(hass, form["flow_id"], voltage)
        assert platform_of(hass, voltage) == DOMAIN


async def test_what_the_owner_ignores_stays_ignored(hass: HomeAssistant) -> None:
    both(hass)
    async with loaded(hass) as entry:
        await settle(hass)
        issue = repair(hass, entry)
        assert issue is not None
        ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, True)
        assert await hass.config_entries.async_reload(entry.entry_id)
        await settle(hass)
        again = repair(hass, entry)
        assert again is not None
        assert again.dismissed_version is not None


async def test_it_goes_with_the_old_entities_and_with_the_entry(hass: HomeAssistant) -> None:
    soc, voltage = both(hass)
    registry = er.async_get(hass)
    async with loaded(hass) as entry:
        await settle(hass)
        registry.async_remove(soc)
        await wait(hass, offer.GONE_AFTER + 1)
        issue = repair(hass, entry)
        assert issue is not None
        assert issue.translation_placeholders is not None
        assert issue.translation_placeholders["number"] == "1"
        registry.async_remove(voltage)
        await wait(hass, offer.GONE_AFTER + 1)
        assert repair(hass, entry) is None
        old(hass, SOC, "late", "%")
        await settle(hass)
        assert repair(hass, entry), "an old entity that came later"
        assert await hass.config_entries.async_unload(entry.entry_id)
        assert repair(hass, entry) is None


async def test_a_repair_whose_reason_has_gone_is_done(
    hass: HomeAssistant, hass_client: Any
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    assert await async_setup_component(hass, DOMAIN, {})
    soc, voltage = both(hass)
    client = await hass_client()
    fix = "/api/repairs/issues/fix"
    async with loaded(hass) as entry:
        await settle(hass)
        issue = repair(hass, entry)
        assert issue is not None
        asked = {"handler": DOMAIN, "issue_id": issue.issue_id}
        first = await (await client.post(fix, json=asked)).json()
        second = await (await client.post(fix, json=asked)).json()
        for one in (soc, voltage):
            er.async_get(hass).async_remove(one)
        done = await (await client.post(f"{fix}/{first['flow_id']}", json={})).json()
        assert done["type"] == "create_entry"
        assert repair(hass, entry) is None
        assert await hass.config_entries.async_unload(entry.entry_id)
        late = await (await client.post(f"{fix}/{second['flow_id']}", json={})).json()
        assert (late["type"], late["reason"]) == ("abort", "not_loaded")


async def test_the_repair_of_a_simulated_device_is_never_raised(hass: HomeAssistant) -> None:
    both(hass)
    async with loaded(hass, **{CONF_SIMULATED: True}) as entry:
        await settle(hass)
        assert repair(hass, entry) is None
