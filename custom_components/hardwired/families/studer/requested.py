"""What the owner switched on by name."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ...engines.studer.settings import StuderSettings


def enable_requested(
    hass: HomeAssistant, entry: ConfigEntry[Any], settings: StuderSettings
) -> None:
    """Switch on what was there, but off, before the owner asked for it by name."""
    numbers = {str(number) for _, number in settings.requested()}
    registry = er.async_get(hass)
    for one in er.async_entries_for_config_entry(registry, entry.entry_id):
        off = one.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        if off and one.unique_id.rpartition("_")[2] in numbers:
            registry.async_update_entity(one.entity_id, disabled_by=None)
