"""Devices and entities of a real set-up as they were frozen: see :mod:`tests.golden_files`.

Each simulated device is set up in Home Assistant. What stands in its registries is compared:
unique ids, entity ids, translation keys, platforms, units, device and state classes, categories,
what is switched on, bounds and options (among the capabilities), devices and their links.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.families import FAMILIES
from tests.golden_files import check, matches, writing

from .helpers import make_entry

QUIET = 15.0
"""While writing: for so many seconds nothing new must have appeared."""
PATIENCE = 90.0


@dataclass(frozen=True)
class World:
    """A simulated device and how it is set up."""

    family: str
    name: str
    data: Mapping[str, Any]
    subentries: Sequence[Mapping[str, Any]] = ()


WORLDS = [
    World(path.stem, name, data, data.pop("subentries", ()))
    for path in sorted((Path(__file__).parent / "worlds").glob("*.json"))
    for name, data in json.loads(path.read_text(encoding="utf-8")).items()
]
"""From ``worlds/<family>.json``: the data of an entry, by the name of the golden file.

A family whose entries have subentries names them there as ``subentries``.
"""


def devices(hass: HomeAssistant, entry_id: str) -> dict[str, Any]:
    """Return who the devices are."""
    registry = dr.async_get(hass)
    found = dr.async_entries_for_config_entry(registry, entry_id)
    names = {
        device.id: next(name for domain, name in device.identifiers if domain == DOMAIN)
        for device in found
    }
    return {
        names[device.id]: {
            "name": device.name,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "model_id": device.model_id,
            "serial_number": device.serial_number,
            "sw_version": device.sw_version,
            "hw_version": device.hw_version,
            "via": names.get(device.via_device_id or ""),
        }
        for device in found
    }


def entities(hass: HomeAssistant, entry_id: str) -> dict[str, Any]:
    registry = er.async_get(hass)
    found = dr.async_entries_for_config_entry(dr.async_get(hass), entry_id)
    names = {device.id: next(iter(device.identifiers))[1] for device in found}
    return {
        entity.unique_id: {
            "entity_id": entity.entity_id,
            "platform": entity.domain,
            "device": names.get(entity.device_id or ""),
            "translation_key": entity.translation_key,
            "name": entity.original_name,
            "has_entity_name": entity.has_entity_name,
            "unit": entity.unit_of_measurement,
            "device_class": entity.original_device_class,
            "category": entity.entity_category,
            "enabled": entity.disabled_by is None,
            "visible": entity.hidden_by is None,
            "features": entity.supported_features,
            "capabilities": dict(entity.capabilities or {}),
            "options": {
                domain: dict(options)
                for domain, options in entity.options.items()
                if domain not in ("conversation", "collection")
            },
        }
        for entity in er.async_entries_for_config_entry(registry, entry_id)
    }


def rows(hass: HomeAssistant, entry_id: str) -> dict[str, Any]:
    return {
        **{f"device {name}": row for name, row in devices(hass, entry_id).items()},
        **{f"entity {name}": row for name, row in entities(hass, entry_id).items()},
    }


def test_every_family_is_set_up() -> None:
    assert {world.family for world in WORLDS} == set(FAMILIES)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"{world.family}-{world.name}")
async def test_devices_and_entities(hass: HomeAssistant, world: World) -> None:
    entry_id = f"golden_{world.family}"
    more = {"subentries_data": world.subentries} if world.subentries else {}
    entry = make_entry(hass, world.family, world.data, entry_id=entry_id, **more)
    assert await hass.config_entries.async_setup(entry.entry_id)
    file = f"entities-{world.name}"
    began = changed = time.monotonic()
    found = rows(hass, entry_id)
    # They appear as the device tells of them. Compared, it ends when all is as it was; written,
    # when nothing new came for a while.
    while time.monotonic() - began < PATIENCE:
        if writing():
            if time.monotonic() - changed > QUIET:
                break
        elif matches(world.family, file, found):
            break
        await asyncio.sleep(0.05)
        await hass.async_block_till_done()
        before, found = found, rows(hass, entry_id)
        if found != before:
            changed = time.monotonic()
    assert await hass.config_entries.async_unload(entry.entry_id)
    check(world.family, file, rows(hass, entry_id))
