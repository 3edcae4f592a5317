"""What an engine keeps over restarts, in Home Assistant's storage."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError, HomeAssistantError
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .engines.masking import masked_text

_LOGGER = logging.getLogger(__name__)

STORAGE_VERSION = 1
SAVE_DELAY = 1.0
"""Seconds from a change to the disk."""


def store_of(hass: HomeAssistant, family: str, entry: ConfigEntry[Any]) -> Store[dict[str, Any]]:
    """Return the file of an entry."""
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{family}.{entry.entry_id}", private=True)


class HomeAssistantStorage:
    """The engines' ``Storage`` on a file of Home Assistant."""

    def __init__(self, store: Store[dict[str, Any]], data: Mapping[str, Any]) -> None:
        """Begin with what was stored."""
        self._store = store
        self._data = dict(data)
        self._changed = False

    @classmethod
    async def async_load(
        cls, hass: HomeAssistant, family: str, entry: ConfigEntry[Any]
    ) -> HomeAssistantStorage:
        """Return the storage of an entry; what is damaged is set aside and told in the log.

        Raises ``ConfigEntryError`` where the file can't be read, or a newer release has written it.
        """
        store = store_of(hass, family, entry)
        data: Any = ()
        try:
            data = await store.async_load()
        except AttributeError, LookupError, TypeError:
            pass  # not even what Home Assistant puts around it
        except HomeAssistantError as error:
            raise ConfigEntryError(
                translation_domain=DOMAIN,
                translation_key="storage_unreadable",
                translation_placeholders={"message": str(error)},
            ) from error
        if data is not None and not isinstance(data, Mapping):
            _LOGGER.warning(
                "What was stored for %s is damaged; it starts afresh", masked_text(entry.title)
            )
            data = None
        return cls(store, data or {})

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last."""
        return self._data

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*; it is on the disk a second later, or when Home Assistant stops."""
        self._data = dict(data)
        self._changed = True
        self._store.async_delay_save(lambda: self._data, SAVE_DELAY)

    async def async_flush(self) -> None:
        """Write now, if anything has changed: the next owner of the file reads it."""
        if self._changed:
            self._changed = False
            await self._store.async_save(self._data)
