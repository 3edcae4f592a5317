"""Serial ports as Home Assistant knows them: the name that stays, and whose port it is."""

from __future__ import annotations

from typing import Any

from homeassistant.components import usb
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE
from homeassistant.core import HomeAssistant, callback

from .engines.factory import LINK

PORTS = ("/dev/", "esphome-hass://", "esphome://", "rfc2217://", "socket://", "tcp://")
"""How the links begin that Home Assistant takes for a serial port, here or elsewhere."""


async def async_stable_name(hass: HomeAssistant, link: str) -> str:
    """Return the name of a port that stays the same over restarts; other links as they are."""
    link = link.strip()
    if not link.startswith("/"):
        return link
    return await hass.async_add_executor_job(usb.get_serial_by_id, link)


@callback
def async_own(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Let the page of serial ports, and every form that asks for one, name the entry as the owner.

    Home Assistant looks for the port under a few keys of entries, and for none of ours.
    """
    link = str(entry.data.get(LINK, ""))
    port = {CONF_DEVICE: link} if link.startswith(PORTS) else {}
    others = {key: value for key, value in entry.data.items() if key != CONF_DEVICE}
    if {**others, **port} != entry.data:
        hass.config_entries.async_update_entry(entry, data={**others, **port})
