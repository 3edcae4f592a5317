"""Inventum Ecolution ventilation heat pumps: the face in Home Assistant.

:mod:`.config_flow` finds the USB port and makes the entry, :mod:`.options_flow` says what columns
of the data logger mean; :mod:`.actions` has the boost for a number of minutes; :mod:`.const` has
the keys of entries. Fan, switch and sensors come from the engine's composite and fields.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError

from ...engines.engine import LinkError
from ...engines.factory import LINK
from ...engines.inventum.engine import InventumEngine
from ...family import Family
from ...storage import HomeAssistantStorage
from .actions import async_register
from .config_flow import InventumFlow
from .const import CONF_CHALLENGE_CODE, CONF_LOGIN_CODE, CONF_SERIAL_NUMBER, KEY, USB_IDS
from .options_flow import InventumOptions


class InventumFamily(Family[InventumEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = InventumFlow
    options_flow = InventumOptions
    setup_timeout = 3.0
    discovered_usb = USB_IDS
    redact = frozenset({LINK, CONF_LOGIN_CODE, CONF_CHALLENGE_CODE, CONF_SERIAL_NUMBER})

    def simulation(self, hass: HomeAssistant) -> Mapping[str, Any]:
        """Return the data of an entry with a simulated unit; its day begins under the shower."""
        return {LINK: "sim://?odds=2&interval=3&start_of_day=6.9"}

    async def async_leave(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Take back an override of ours; nobody else would."""
        with contextlib.suppress(LinkError, ConfigEntryError):
            storage = await HomeAssistantStorage.async_load(hass, self.key, entry)
            engine = await self.async_create_engine(hass, entry, storage)
            await engine.take_back()

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the action."""
        async_register(hass)


FAMILY = InventumFamily()
