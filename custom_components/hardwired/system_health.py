"""System health: one line for each link."""

from __future__ import annotations

from typing import Any

from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import HardwiredConfigEntry


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register the page's callback."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    entries: list[HardwiredConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    loaded = [entry for entry in entries if entry.state is ConfigEntryState.LOADED]
    engines = [entry.runtime_data.engine for entry in loaded]
    return {
        "links": len(entries),
        "connected": sum(engine.snapshot.connected for engine in engines),
        "frames": sum(engine.statistics.frames_in for engine in engines),
        "checksum_errors": sum(engine.statistics.checksum_errors for engine in engines),
        "reconnects": sum(engine.statistics.reconnects for engine in engines),
    }
