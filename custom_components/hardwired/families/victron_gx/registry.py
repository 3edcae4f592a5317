"""What the registries say of entities: which may be exported, which are copies (spec H.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ...const import CONF_FAMILY, DOMAIN
from ...engines.engine import Notice
from ...engines.victron_gx.sources import COPY_MARK, GX_PLATFORMS, Source
from .const import KEY

MOST_NAMED = 20


@callback
def async_source(hass: HomeAssistant, entity_id: str) -> Source:
    """Return what the registries know of an entity."""
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None:
        return Source(entity_id)
    device = None if entry.device_id is None else dr.async_get(hass).async_get(entry.device_id)
    marks = [entry.unique_id]
    domains: frozenset[str] = frozenset()
    maker = ""
    if device is not None:
        domains = frozenset(one[0] for one in device.identifiers)
        marks += _marks(device)
        maker = getattr(device, "manufacturer", None) or ""
    return Source(entity_id, entry.platform, domains, maker, _is_own(hass, entry), tuple(marks))


def _marks(device: Any) -> list[str]:
    """Return what tells a device apart. A part of a device has no serial number."""
    found = [str(part) for one in device.identifiers for part in one[1:]]
    return [*found, getattr(device, "serial_number", None) or ""]


def _is_own(hass: HomeAssistant, entry: er.RegistryEntry) -> bool:
    if entry.platform != DOMAIN or entry.config_entry_id is None:
        return False
    owner = hass.config_entries.async_get_entry(entry.config_entry_id)
    return owner is not None and owner.data.get(CONF_FAMILY) == KEY


@callback
def async_forbidden(hass: HomeAssistant, entity_ids: Iterable[str]) -> frozenset[str]:
    """Return those that must not be exported."""
    return frozenset(one for one in entity_ids if not async_source(hass, one).offered)


@callback
def async_notices(hass: HomeAssistant, entity_ids: Iterable[str]) -> Iterator[Notice]:
    """Yield what the owner has to mend: forbidden sources, and copies of our own exports."""
    forbidden = sorted(async_forbidden(hass, entity_ids))
    if forbidden:
        yield Notice("forbidden_source", {"entities": _named(forbidden)})
    copies = list(_async_copies(hass))
    if copies:
        integrations = sorted({one.platform for one in copies})
        found = sorted(one.entity_id for one in copies)
        yield Notice("copies", {"integrations": ", ".join(integrations), "entities": _named(found)})


@callback
def _async_copies(hass: HomeAssistant) -> Iterator[er.RegistryEntry]:
    """Yield enabled entities that show what was exported."""
    devices = dr.async_get(hass)
    for entry in er.async_get(hass).entities.values():
        if entry.disabled_by is not None or entry.platform not in GX_PLATFORMS | {"mqtt"}:
            continue
        device = None if entry.device_id is None else devices.async_get(entry.device_id)
        marks = [entry.unique_id]
        if device is not None:
            marks += _marks(device)
        if any(COPY_MARK in mark for mark in marks):
            yield entry


def _named(entity_ids: list[str]) -> str:
    more = len(entity_ids) - MOST_NAMED
    told = ", ".join(entity_ids[:MOST_NAMED])
    return f"{told} (+{more})" if more > 0 else told
