"""What is kept over restarts, and what the owner switched on by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    entity_registry as er,
)
from homeassistant.helpers.storage import Store

from ...const import DOMAIN
from ...engines.studer.settings import StuderSettings
from .const import (
    KEY,
)

STORAGE_VERSION = 1
SAVE_DELAY = 1.0


def store_of(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Store[dict[str, Any]]:
    """Return where an entry's data lie."""
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{KEY}.{entry.entry_id}", private=True)


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


class StoredShelf:
    """What the engine keeps over restarts, in Home Assistant's storage."""

    def __init__(self, store: Store[dict[str, Any]], data: Mapping[str, Any]) -> None:
        """Begin with what was stored."""
        self._store = store
        self._data = dict(data)

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last."""
        return self._data

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*; it is on the disk a second later, or when Home Assistant stops."""
        self._data = dict(data)
        self._store.async_delay_save(lambda: self._data, SAVE_DELAY)

    async def async_flush(self) -> None:
        """Write now: the next owner of the file reads it."""
        await self._store.async_save(self._data)
