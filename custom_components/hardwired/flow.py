"""What the config flows of all families share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState, ConfigFlow, ConfigFlowResult

from .const import CONF_FAMILY
from .engines.engine import LinkError

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry


def flow_error(error: LinkError) -> dict[str, str]:
    """Return the form error that names why a link can't be used."""
    return {"base": error.reason.value}


class FamilyFlow(ConfigFlow):
    """Base of each family's steps; the steps of all families make up one config flow."""

    VERSION = 1
    MINOR_VERSION = 1

    async def async_free_link(self, entry: ConfigEntry[Any]) -> bool:
        """Unload a loaded entry, so that a probe can open its port; says whether it was loaded."""
        if entry.state is not ConfigEntryState.LOADED:
            return False
        await self.hass.config_entries.async_unload(entry.entry_id)
        return True

    def async_finish(
        self,
        family: str,
        title: str,
        data: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        """Create the entry, or change the one that is being reconfigured."""
        full = {CONF_FAMILY: family, **data}
        if self.source == "reconfigure":
            entry = self._get_reconfigure_entry()
            return self.async_update_reload_and_abort(
                entry, data=full, options={**entry.options, **(options or {})}
            )
        return self.async_create_entry(title=title, data=full, options=dict(options or {}))
