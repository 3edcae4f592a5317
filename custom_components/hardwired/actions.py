"""What the actions of all families share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import CONF_FAMILY, DOMAIN, family_name
from .coordinator import HardwiredConfigEntry, HardwiredCoordinator

ATTR_CONFIG_ENTRY_ID = "config_entry_id"

Handler = Callable[[ServiceCall], Awaitable[Mapping[str, Any] | None]]


def entry_field() -> dict[Any, Any]:
    """Return the schema of the field that names the config entry."""
    return {vol.Required(ATTR_CONFIG_ENTRY_ID): str}


@callback
def register(
    hass: HomeAssistant,
    name: str,
    handler: Handler,
    schema: vol.Schema,
    response: SupportsResponse = SupportsResponse.NONE,
) -> None:
    """Register an action once, whether an entry is loaded or not."""
    hass.services.async_register(
        DOMAIN,
        name,
        handler,  # type: ignore[arg-type]
        schema=schema,
        supports_response=response,
    )


@callback
def loaded_entry(hass: HomeAssistant, call: ServiceCall) -> HardwiredConfigEntry:
    """Return the entry that a call names.

    Raises ``ServiceValidationError`` when it is missing, another integration's, or not loaded.
    """
    entry: HardwiredConfigEntry | None = hass.config_entries.async_get_entry(
        call.data[ATTR_CONFIG_ENTRY_ID]
    )
    if entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="entry_not_loaded")
    return entry


@callback
def coordinator_of(hass: HomeAssistant, call: ServiceCall, family: str) -> HardwiredCoordinator:
    """Return the coordinator of the entry that a call names.

    Raises ``ServiceValidationError`` when it is missing, of another family or not loaded.
    """
    entry = loaded_entry(hass, call)
    if entry.data.get(CONF_FAMILY) != family:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="entry_of_another_family",
            translation_placeholders={"title": entry.title, "family": family_name(family)},
        )
    return entry.runtime_data.coordinator


def not_written(error: OSError) -> HomeAssistantError:
    """Return what an action raises when the file that it makes can't be written."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="not_written",
        translation_placeholders={"message": error.strerror or str(error)},
    )
