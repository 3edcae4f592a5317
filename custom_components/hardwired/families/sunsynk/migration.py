"""What becomes of entities and devices of earlier versions, and of settings that move."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ...const import DOMAIN
from ...engines.engine import Device


@callback
def async_scope_service(hass: HomeAssistant, entry: ConfigEntry[Any], service: Device) -> None:
    """Let the ids of the service device begin with the entry's.

    They were made of the interface's name only, which two hosts may share. Names and history stay.
    """
    devices, entities = dr.async_get(hass), er.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        if (DOMAIN, service.id) not in device.identifiers:
            continue
        devices.async_update_device(
            device.id, new_identifiers={(DOMAIN, f"{entry.entry_id}_{service.id}")}
        )
    for one in er.async_entries_for_config_entry(entities, entry.entry_id):
        if one.unique_id.startswith(f"{service.id}_"):
            entities.async_update_entity(
                one.entity_id, new_unique_id=f"{entry.entry_id}_{one.unique_id}"
            )


@callback
def async_drop_moved(
    hass: HomeAssistant, entry: ConfigEntry[Any], settings: Collection[str], *, writing: bool
) -> None:
    """Remove the entities of settings that have moved to another platform.

    With writing they are controls, without it sensors; those of the other kind are dead.
    """
    registry = er.async_get(hass)
    for one in er.async_entries_for_config_entry(registry, entry.entry_id):
        _, _, key = one.unique_id.partition("_")
        if key in settings and (one.domain == Platform.SENSOR) is writing:
            registry.async_remove(one.entity_id)
