"""What an engine keeps over restarts, in Home Assistant's storage."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
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
DELETED = "deleted_devices"
"""Where the file has :attr:`HomeAssistantStorage.deleted`; the rest is the engine's."""


def store_of(hass: HomeAssistant, family: str, entry: ConfigEntry[Any]) -> Store[dict[str, Any]]:
    """Return the file of an entry."""
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{family}.{entry.entry_id}", private=True)


class HomeAssistantStorage:
    """The engines' ``Storage`` on a file of Home Assistant."""

    def __init__(self, store: Store[dict[str, Any]], data: Mapping[str, Any]) -> None:
        """Begin with what was stored."""
        self._store = store
        self._data = {key: value for key, value in data.items() if key != DELETED}
        told = data.get(DELETED)
        self.deleted = frozenset(map(str, told if isinstance(told, list) else ()))
        """The devices that the user has deleted and that were not heard since, by their ids."""
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
        self._save()

    def keep_deleted(self, devices: Collection[str]) -> None:
        """Keep which devices the user has deleted: the engine will remember them again."""
        if self.deleted != devices:
            self.deleted = frozenset(devices)
            self._save()

    def _save(self) -> None:
        self._changed = True
        self._store.async_delay_save(self._whole, SAVE_DELAY)

    def _whole(self) -> dict[str, Any]:
        return {**self._data, DELETED: sorted(self.deleted)} if self.deleted else self._data

    async def async_flush(self) -> None:
        """Write now, if anything has changed: the next owner of the file reads it."""
        if self._changed:
            self._changed = False
            await self._store.async_save(self._whole())
