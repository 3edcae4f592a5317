"""Devices whose name is ours are called in the owner's language; entity ids stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.engines.truma.installation import NAMES, PANEL
from custom_components.hardwired.families import FAMILIES

from .helpers import make_entry, until

LANGUAGES = ("en", "nl", "de", "fr")
TRANSLATED = {f"{key}_{kind}" for key, family in FAMILIES.items() for kind in family.translated}
HERE = Path(__file__).parent


def texts(language: str) -> dict[str, Any]:
    path = Path(__file__).parents[2] / f"custom_components/hardwired/translations/{language}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["device"]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_name_of_ours_is_in_each_language(language: str) -> None:
    assert texts(language).keys() == TRANSLATED
    assert all(one["name"] for one in texts(language).values())


def test_english_names_are_those_of_the_engine() -> None:
    """Entity ids are made of them; those of the other families are in the golden files."""
    ours = {f"truma_{kind}": name for kind, name in NAMES.items() if kind != PANEL}
    assert ours == {key: one["name"] for key, one in texts("en").items() if key in ours}


def named(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str | None]:
    """Return what the registered devices of an entry are called, by kind."""
    coordinator = entry.runtime_data.coordinator
    registry = dr.async_get(hass)
    names = {
        identifier: device.name
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        for identifier in device.identifiers
    }
    return {
        state.device.kind: names[identifier]
        for state in coordinator.data.devices.values()
        if (identifier := coordinator.identifier(state.device)) in names
    }


@pytest.mark.parametrize(
    "family, world, kinds",
    [
        ("truma", "c4-combi-aventa", {"heater", "aircon"}),
        ("studer", "lithium", {"system"}),
        ("sunsynk", "two-inverters", {"capture"}),
        ("victron_gx", "gx", {"helper"}),
    ],
)
async def test_an_existing_device_is_renamed_and_its_entity_ids_stay(
    hass: HomeAssistant, family: str, world: str, kinds: set[str]
) -> None:
    data = json.loads((HERE / f"worlds/{family}.json").read_text(encoding="utf-8"))[world]
    subentries = data.pop("subentries", ())
    more = {"subentries_data": subentries} if subentries else {}
    entry = make_entry(hass, family, data, entry_id=f"golden_{family}", **more)
    golden = HERE.parent / f"golden/{family}/entities-{world}.json"
    rows = json.loads(golden.read_text(encoding="utf-8"))
    english = {name.removeprefix("device "): row for name, row in rows.items() if "via" in row}
    devices = {
        name: dr.async_get(hass).async_get_or_create(
            config_entry_id=entry.entry_id, identifiers={(DOMAIN, name)}, name=row["name"]
        )
        for name, row in english.items()
        if not subentries or row["via"] is None
    }
    entities = {
        name.removeprefix("entity "): row for name, row in rows.items() if "entity_id" in row
    }
    registry = er.async_get(hass)
    before = {
        registry.async_get_or_create(
            row["platform"],
            DOMAIN,
            unique_id,
            config_entry=entry,
            device_id=devices[row["device"]].id,
            suggested_object_id=row["entity_id"].partition(".")[2],
        ).entity_id
        for unique_id, row in entities.items()
        if row["device"] in devices
    }
    assert before == {row["entity_id"] for row in entities.values() if row["device"] in devices}

    hass.config.language = "nl"
    assert await hass.config_entries.async_setup(entry.entry_id)
    dutch = {kind: texts("nl")[f"{family}_{kind}"]["name"] for kind in kinds}
    await until(hass, lambda: dutch.items() <= named(hass, entry).items(), within=60)
    there = er.async_entries_for_config_entry(registry, entry.entry_id)
    assert before <= {one.entity_id for one in there}
    assert await hass.config_entries.async_unload(entry.entry_id)
