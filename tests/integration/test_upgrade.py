"""An installation of the first version that worked, started with the present one.

``upgrade/first-version.zip`` is what a real Home Assistant 2026.10 with that version
(5d4656c) had written when it was stopped: the entries, devices and entities of two dongles, of a
Truma heater with an air conditioner and of a Studer plant, all simulated, and what the engine of
the plant kept. The owner had renamed one entity. What is not ours was left out.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    category_registry as cr,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    issue_registry as ir,
    label_registry as lr,
)

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.flow import FamilyFlow

from .helpers import until

GOLDEN = Path(__file__).parent / "upgrade" / "first-version.zip"
TOTALS = {
    "sensor.studer_system_pv_energy": "pv_energy",
    "sensor.studer_system_consumers_energy": "consumers_energy",
    "sensor.studer_system_battery_discharge_energy": "battery_discharge_energy",
}
"""Entities and what they were made of in the file of the first version."""
SCOPED = "sunsynk_capture_sim_1_"
"""How the unique ids of a capture's own entities began. They were made of the interface's name
only, which two hosts may share, so they begin with the entry's id now; entity ids stay."""

Entities = Mapping[tuple[str, str], str]
"""Entity ids by platform and unique id."""


def stored() -> dict[str, Any]:
    """Return what the first version had written, by file."""
    with zipfile.ZipFile(GOLDEN) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


async def start(hass: HomeAssistant) -> None:
    """Load the registries, then the entries, as a start of Home Assistant does."""
    dr.async_setup(hass)
    for registry in (ar, cr, fr, lr, ir, dr, er):
        await registry.async_load(hass)  # type: ignore[attr-defined]
    await hass.config_entries.async_initialize()
    for entry in hass.config_entries.async_entries(DOMAIN):
        # The first one sets up the integration, and with it all others.
        if entry.state is ConfigEntryState.NOT_LOADED:
            assert await hass.config_entries.async_setup(entry.entry_id)


def before(files: Mapping[str, Any]) -> Entities:
    """Return the entities of the first version under the unique ids that they have today."""
    return {
        (
            one["entity_id"].partition(".")[0],
            f"{one['config_entry_id']}_{one['unique_id']}"
            if one["unique_id"].startswith(SCOPED)
            else one["unique_id"],
        ): one["entity_id"]
        for one in files["core.entity_registry"]["data"]["entities"]
    }


def present(hass: HomeAssistant) -> Entities:
    """Return the entities that there are."""
    return {
        (one.domain, one.unique_id): one.entity_id
        for one in er.async_get(hass).entities.values()
        if one.platform == DOMAIN
    }


def unprovided(hass: HomeAssistant, entities: Entities) -> list[str]:
    """Return the enabled entities that nothing fills: what is left of another version."""
    registry = er.async_get(hass)
    return [
        entity_id
        for entity_id in entities.values()
        if (entry := registry.async_get(entity_id)) is not None
        and entry.disabled_by is None
        and ((state := hass.states.get(entity_id)) is None or state.attributes.get("restored"))
    ]


@pytest.mark.parametrize("load_registries", [False])
async def test_the_first_version_is_carried_on(
    hass: HomeAssistant, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    files = stored()
    hass_storage |= files
    await start(hass)
    entries = hass.config_entries.async_entries(DOMAIN)
    assert len(entries) == 3
    for entry in entries:
        assert entry.state is ConfigEntryState.LOADED
        assert entry.minor_version == FamilyFlow.MINOR_VERSION

    kept = before(files)
    assert len(kept) > 600
    await until(hass, lambda: unprovided(hass, kept) == [])
    there = present(hass)
    assert {key: there.get(key) for key in kept} == kept, "no entity id has changed"

    renamed = er.async_get(hass).async_get("sensor.house_battery")
    assert renamed is not None
    assert renamed.name == "House battery"

    name, plant = next(
        (name, one["data"]) for name, one in files.items() if name.startswith("hardwired.studer.")
    )
    for entity_id, key in TOTALS.items():
        total = plant["totals"][key]["total"]
        assert total > 2
        shown = hass.states.get(entity_id)
        assert shown is not None
        assert float(shown.state) >= round(total, 3)
    for entry in entries:
        assert await hass.config_entries.async_unload(entry.entry_id)
    for key in TOTALS.values():
        assert hass_storage[name]["data"]["totals"][key]["total"] >= plant["totals"][key]["total"]
    errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert errors == []
