"""How a simulated device is marked, so that nobody takes it for real."""

from __future__ import annotations

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN

ENGLISH = "(simulated)"


async def async_mark(hass: HomeAssistant) -> str:
    """Return what follows a name or model, in the language of Home Assistant."""
    told = await async_get_translations(hass, hass.config.language, "selector", [DOMAIN])
    return told.get(f"component.{DOMAIN}.selector.simulated.options.mark", ENGLISH)
