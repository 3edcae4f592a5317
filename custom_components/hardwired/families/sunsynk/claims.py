"""Which entry shows which inverter, when two of them hear the same one.

The first keeps it, but a live source takes it over from a file or a simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ...const import DOMAIN
from ...engines.sunsynk.settings import Source
from .const import CONF_SOURCE

LIVE = frozenset({Source.LIVE.value, Source.RELAY.value, Source.MODBUS.value})


@dataclass(slots=True)
class Claims:
    """The entries by the serial numbers that they show."""

    owners: dict[str, ConfigEntry[Any]] = field(default_factory=dict)
    moving: set[str] = field(default_factory=set)
    """Inverters that are being handed over: nobody shows them for the moment."""

    @callback
    def async_elsewhere(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        serial: str,
        republish: Callable[[], None],
    ) -> str | None:
        """Return the title of the other entry that shows an inverter; ``None``: show it.

        Empty while it is being handed over; *republish* is called when that is done.
        """
        owner = self.owners.get(serial)
        if owner is None or owner.entry_id == entry.entry_id:
            self.owners[serial] = entry
            return "" if serial in self.moving else None
        if serial not in self.moving and _is_live(entry) and not _is_live(owner):
            self.owners[serial] = entry
            self.moving.add(serial)
            hass.async_create_task(self._async_hand_over(hass, serial, owner, republish))
            return ""
        return owner.title

    async def _async_hand_over(
        self,
        hass: HomeAssistant,
        serial: str,
        before: ConfigEntry[Any],
        republish: Callable[[], None],
    ) -> None:
        """Let the entry that showed an inverter come up without it."""
        try:
            await hass.config_entries.async_reload(before.entry_id)
            self._async_move(hass, serial, before)
        finally:
            self.moving.discard(serial)
            republish()

    @callback
    def _async_move(self, hass: HomeAssistant, serial: str, before: ConfigEntry[Any]) -> None:
        """Give the entities, as the user has named them, to the new owner; drop the old device."""
        devices, entities = dr.async_get(hass), er.async_get(hass)
        device = devices.async_get_device_by_identifier((DOMAIN, serial), before.entry_id)
        owner = self.owners.get(serial)
        if device is None or owner is None:
            return
        for entity in er.async_entries_for_device(entities, device.id, True):
            entities.async_update_entity(
                entity.entity_id, config_entry_id=owner.entry_id, device_id=None
            )
        devices.async_remove_device(device.id)

    @callback
    def async_release(self, entry: ConfigEntry[Any]) -> None:
        """Give back what an entry shows: it is unloaded."""
        for serial, owner in list(self.owners.items()):
            if owner.entry_id == entry.entry_id:
                del self.owners[serial]


_CLAIMS: WeakKeyDictionary[HomeAssistant, Claims] = WeakKeyDictionary()


def _is_live(entry: ConfigEntry[Any]) -> bool:
    return entry.data[CONF_SOURCE] in LIVE


@callback
def async_claims(hass: HomeAssistant) -> Claims:
    """Return the claims of this Home Assistant."""
    return _CLAIMS.setdefault(hass, Claims())
