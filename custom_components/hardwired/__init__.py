"""Hardwired: wired devices without a usable API, in Home Assistant."""

from __future__ import annotations

import contextlib

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    issue_registry as ir,
)
from homeassistant.helpers.typing import ConfigType

from .const import CONF_FAMILY, DOMAIN, PLATFORMS
from .coordinator import HardwiredConfigEntry, HardwiredCoordinator, HardwiredRuntime
from .engines.engine import LinkError, Reason
from .engines.factory import TIME_ZONE
from .engines.masking import masked_text
from .families import FAMILIES
from .flow import FamilyFlow
from .ports import async_own
from .recording import setup_recording
from .storage import HomeAssistantStorage
from .takeover.offer import async_watch_old_entities

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

WRONG_SETTINGS = frozenset(
    {Reason.BAD_ADDRESS, Reason.BAD_FILTER, Reason.BAD_TIMEZONE, Reason.NOT_A_CAPTURE}
)
"""Trying again changes nothing: the user has to reconfigure."""

NO_LINK = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.BUSY,
        Reason.NO_PERMISSION,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.DISCONNECTED,
        Reason.INTERFACE_DOWN,
        Reason.FAILED,
    }
)
"""The link itself can't be had: Home Assistant tries the set-up again later."""


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions of every family, and what all families share."""
    for family in FAMILIES.values():
        family.async_setup(hass)
    setup_recording(hass)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: HardwiredConfigEntry) -> bool:
    """Bring an entry of an older version to today's keys; one of a newer version is left alone."""
    if entry.version > 1:
        return False
    family = FAMILIES.get(entry.data[CONF_FAMILY])
    if family is not None and entry.minor_version < FamilyFlow.MINOR_VERSION:
        hass.config_entries.async_update_entry(
            entry,
            data=family.migrate(entry.data),
            options=family.migrate(entry.options),
            minor_version=FamilyFlow.MINOR_VERSION,
        )
    return True


async def async_setup_entry(hass: HomeAssistant, entry: HardwiredConfigEntry) -> bool:
    """Start the engine of an entry and forward to the platforms."""
    family = FAMILIES.get(entry.data[CONF_FAMILY])
    if family is None:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="unknown_family",
            translation_placeholders={"family": str(entry.data[CONF_FAMILY])},
        )
    async_own(hass, entry)
    try:
        storage = await HomeAssistantStorage.async_load(hass, family.key, entry)
        entry.async_on_unload(storage.async_flush)
        engine = await family.async_create_engine(hass, entry, storage)
    except LinkError as error:
        raise _setup_error(error.reason, str(error)) from error
    coordinator = HardwiredCoordinator(hass, entry, family, engine, storage)

    async def stop(_event: Event) -> None:
        await coordinator.async_stop()

    try:
        first = await coordinator.async_start(family.setup_timeout)
        if not first.connected and first.reason in WRONG_SETTINGS | NO_LINK:
            raise _setup_error(first.reason, first.detail)
        entry.runtime_data = HardwiredRuntime(family, engine, coordinator, storage)
        entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop))
        _follow_time_zone(hass, entry)
        entry.async_on_unload(coordinator.async_watch())
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except BaseException:
        await coordinator.async_stop()
        coordinator.issues.async_forget()
        raise
    await async_watch_old_entities(hass, entry)
    return True


@callback
def _follow_time_zone(hass: HomeAssistant, entry: HardwiredConfigEntry) -> None:
    """Begin anew when Home Assistant's time zone changes, unless the entry has one of its own."""
    if TIME_ZONE in entry.data or TIME_ZONE in entry.options:
        return
    zone = hass.config.time_zone

    @callback
    def changed(_event: Event) -> None:
        if hass.config.time_zone != zone:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, changed))


def _setup_error(
    reason: Reason | None, detail: str | None
) -> ConfigEntryError | ConfigEntryNotReady:
    kind = ConfigEntryError if reason in WRONG_SETTINGS else ConfigEntryNotReady
    return kind(
        translation_domain=DOMAIN,
        translation_key=(reason or Reason.FAILED).value,
        translation_placeholders={"message": masked_text(detail or "-")},
    )


async def async_unload_entry(hass: HomeAssistant, entry: HardwiredConfigEntry) -> bool:
    """Unload the platforms, then free the port."""
    if unloaded := await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        await entry.runtime_data.coordinator.async_stop()
        await entry.runtime_data.storage.async_flush()
        entry.runtime_data.coordinator.issues.async_forget()
        if entry.disabled_by is not None:
            await entry.runtime_data.family.async_leave(hass, entry)
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: HardwiredConfigEntry) -> None:
    """Forget what was stored for an entry, and the issues that were ignored.

    Another entry may have heard the same devices, and shows them from now on.
    """
    for domain, issue_id in tuple(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(f"{entry.entry_id}_"):
            ir.async_delete_issue(hass, DOMAIN, issue_id)
    if (family := FAMILIES.get(entry.data[CONF_FAMILY])) is not None:
        try:
            await family.async_leave(hass, entry)
        finally:
            await family.async_remove(hass, entry)
    for other in hass.config_entries.async_loaded_entries(DOMAIN):
        other.runtime_data.coordinator.async_show_more()


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: HardwiredConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Let the user delete a device that no longer answers."""
    if entry.state is not ConfigEntryState.LOADED:
        await _async_note_deleted(hass, entry, device)
        return True
    coordinator = entry.runtime_data.coordinator
    for state in coordinator.data.devices.values():
        if coordinator.identifier(state.device) in device.identifiers:
            if state.available:
                return False
            coordinator.async_forget_device(state.device)
    return True


async def _async_note_deleted(
    hass: HomeAssistant, entry: HardwiredConfigEntry, device: dr.DeviceEntry
) -> None:
    """Remember what the user deletes while nothing runs: the engine will know it at its start."""
    family = FAMILIES.get(entry.data[CONF_FAMILY])
    if family is None:
        return
    deleted = {
        name.removeprefix(f"{entry.entry_id}_")
        for domain, name in device.identifiers
        if domain == DOMAIN
    }
    with contextlib.suppress(ConfigEntryError):
        storage = await HomeAssistantStorage.async_load(hass, family.key, entry)
        storage.keep_deleted(storage.deleted | deleted)
        await storage.async_flush()
