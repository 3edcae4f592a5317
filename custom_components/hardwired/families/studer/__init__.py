"""Studer plants behind an Xcom: the face in Home Assistant.

:mod:`.config_flow` finds the gateway and makes the entry, :mod:`.options_flow` says what is read
and written; :mod:`.actions` are the actions. :mod:`.storage` is what outlives a restart;
:mod:`.addresses` and :mod:`.selectors` serve the forms, :mod:`.const` has the keys of entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE, CONF_MAC
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from ...engines.engine import Device, LinkError, Reason
from ...engines.fields import Field, Quantity
from ...engines.studer.catalogue import CATALOGUES, SYSTEM, point_of
from ...engines.studer.engine import StuderEngine
from ...engines.studer.moxa import MAC_PREFIX
from ...engines.studer.settings import StuderSettings
from ...family import Family, Issue
from ...flow import async_is_time_zone
from .actions import as_json, async_register
from .addresses import gateway_of, scheme_of
from .config_flow import StuderFlow
from .const import CONF_SERIAL, KEY
from .options_flow import StuderOptions
from .storage import StoredShelf, enable_requested, store_of

LAST_MINUTE = 1440


class StuderFamily(Family[StuderEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = StuderFlow
    options_flow = StuderOptions
    catalogues = CATALOGUES
    services: ClassVar[frozenset[str]] = frozenset({SYSTEM})
    discovered_macs: ClassVar[tuple[str, ...]] = (MAC_PREFIX.hex(),)
    redact: ClassVar[frozenset[str]] = frozenset({CONF_MAC})

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> StuderEngine:
        """Return the engine, with what it has kept."""
        zone = hass.config.time_zone
        if not await async_is_time_zone(hass, zone):
            raise LinkError(Reason.BAD_TIMEZONE, zone)
        options = {**entry.options, "url": entry.data[CONF_DEVICE], "time_zone": zone}
        try:
            settings = StuderSettings.from_mapping(options)
        except ValueError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        store = store_of(hass, entry)
        data = await store.async_load() or {}
        if CONF_SERIAL in entry.data:
            data.setdefault(CONF_SERIAL, entry.data[CONF_SERIAL])
        enable_requested(hass, entry, settings)
        shelf = StoredShelf(store, data)
        entry.async_on_unload(shelf.async_flush)
        return StuderEngine(settings, storage=shelf)

    async def async_remove(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Forget shadows and counters of a deleted entry."""
        await store_of(hass, entry).async_remove()

    def unique_id(self, entry: ConfigEntry[Any], device: Device, key: str) -> str:
        """Return FID and number of the datapoint; our own fields have their key instead."""
        point = point_of(device.kind, key)
        return f"{self.scope(entry, device)}{device.id}_{key if point is None else point.id}"

    def requested(self, engine: StuderEngine, kind: str, item: Field) -> bool:
        """Whether the owner has named a datapoint in the options."""
        return engine.requested(kind, item.key)

    def want(self, engine: StuderEngine, device: str, key: str) -> Callable[[], None]:
        """Let the scheduler read what is shown."""
        return engine.want(device, key)

    def limits(
        self, engine: StuderEngine, device: str, item: Field
    ) -> tuple[float | None, float | None] | None:
        """Return the bounds that this unit takes now."""
        return engine.limits(device, item.key)

    def attributes(
        self, engine: StuderEngine, device: str, item: Field
    ) -> Mapping[str, Any] | None:
        """Return what stands in RAM and in flash, when it is not the same."""
        if not item.writable:
            return None
        known = engine.parameter(device, item.key)
        if known is None:
            return None
        found: dict[str, Any] = {}
        if known.ram_value is not None:
            found["ram_value"] = as_json(known.ram_value)
            found["flash_value"] = as_json(known.flash_value)
            found["written"] = None if known.written is None else known.written.isoformat()
        if item.quantity is Quantity.CLOCK_TIME and known.number == LAST_MINUTE:
            found["minutes"] = LAST_MINUTE
        return found or None

    def issues(self, engine: StuderEngine) -> Iterable[Issue]:
        """Return what the user has to put right now."""
        for trouble in engine.troubles:
            grave = trouble.key in ("watchdog_armed", "flash_worn")
            yield Issue(
                f"studer_{trouble.key}",
                trouble.placeholders,
                ir.IssueSeverity.ERROR if grave else ir.IssueSeverity.WARNING,
            )

    def secrets(self, engine: StuderEngine) -> Iterable[str]:
        """Return the identities of all devices and of the gateway, and its host."""
        yield from super().secrets(engine)
        yield from engine.secrets()
        url = engine.settings.url
        hosts = {gateway_of(url), engine.peer}
        if scheme_of(url) not in ("", "sim", "listen"):
            hosts.add(urlsplit(url).hostname)
        yield from filter(None, hosts)

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""
        async_register(hass)


FAMILY = StuderFamily()
