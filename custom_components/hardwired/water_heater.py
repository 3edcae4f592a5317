"""The water heaters, each made by its family."""

from __future__ import annotations

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HardwiredConfigEntry
from .entity import async_add_fields

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant,
    entry: HardwiredConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the water heaters of an entry."""
    async_add_fields(entry, Platform.WATER_HEATER, async_add_entities, None)
