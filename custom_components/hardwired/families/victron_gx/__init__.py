"""Victron GX: Home Assistant's entities as devices on a GX. The face in Home Assistant.

:mod:`.config_flow` finds the GX and logs in (:mod:`.pairing` gets a token), :mod:`.export_flow`
makes the subentries, one for each device on the GX, with what :mod:`.proposals` thinks fits.
:mod:`.home` is Home Assistant as the engine sees it, :mod:`.registry` says which entities may be
exported; :mod:`.feeder` hands on their states. :mod:`.actions` has devices of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry, ConfigSubentryFlow
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from ...const import DOMAIN
from ...engines.engine import Device
from ...engines.factory import LINK
from ...engines.victron_gx.engine import VictronGxEngine
from ...engines.victron_gx.settings import EXPORTS, FINGERPRINT, PASSWORD, PORTAL, USER, VERSION
from ...family import Family
from ...storage import HomeAssistantStorage
from .actions import async_register
from .config_flow import VictronGxFlow
from .const import KEY, MANUFACTURER, MQTT_SERVICE, SUBENTRY
from .export_flow import ExportFlow
from .feeder import Feeder, exports_of


class VictronGxFamily(Family[VictronGxEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = VictronGxFlow
    setup_timeout = 5.0
    services = frozenset({"helper"})
    translated = services
    subentry_flows: ClassVar[Mapping[str, type[ConfigSubentryFlow]]] = {SUBENTRY: ExportFlow}
    discovered_zeroconf = frozenset({MQTT_SERVICE})
    discovered_ssdp = frozenset({MANUFACTURER})
    redact = frozenset({LINK, USER, PASSWORD, FINGERPRINT, PORTAL, "unique_id"})

    async def async_settings(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> Mapping[str, Any]:
        """Return the settings, with the exports of the subentries."""
        integration = await async_get_integration(hass, DOMAIN)
        return {
            **await super().async_settings(hass, entry),
            EXPORTS: exports_of(entry),
            VERSION: str(integration.version),
        }

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], storage: HomeAssistantStorage
    ) -> VictronGxEngine:
        """Return the engine, fed with the states of what is exported."""
        engine = await super().async_create_engine(hass, entry, storage)
        feeder = Feeder(hass, entry, engine)
        await feeder.async_start()
        entry.async_on_unload(feeder.stop)
        return engine

    def subentry_of(self, entry: ConfigEntry[Any], device: Device) -> str | None:
        """Return the subentry that a device belongs to: its id is the subentry's."""
        return device.id if device.id in entry.subentries else None

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""
        async_register(hass)


FAMILY = VictronGxFamily()
