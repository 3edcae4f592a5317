"""Sunsynk / Deye inverters, overheard or asked over Modbus: the face in Home Assistant.

:mod:`.config_flow` listens where the owner says and makes the entry, :mod:`.options_flow` is how
the inverters behave, :mod:`.actions` set them. :mod:`.claims` says which entry shows an inverter,
:mod:`.migration` keeps what earlier versions made. :mod:`.selectors` serve the forms,
:mod:`.const` has the keys of entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ...engines.factory import TIME_ZONE
from ...engines.sunsynk.engine import SunsynkEngine
from ...engines.sunsynk.modbus.writable import SETTINGS
from ...engines.sunsynk.settings import EVERYWHERE, Source
from ...family import Family
from ...storage import HomeAssistantStorage
from .actions import async_register
from .claims import async_claims
from .config_flow import SunsynkFlow
from .const import (
    CONF_FILTER,
    CONF_GRID_POWER_BY_TEN,
    CONF_INVERTERS,
    CONF_LISTEN,
    CONF_PATH,
    CONF_SERVER,
    CONF_SOURCE,
    KEY,
)
from .migration import async_drop_moved, async_scope_service
from .options_flow import SunsynkOptions


class SunsynkFamily(Family[SunsynkEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    moved_from = ("sunsniff", "kellerza/sunsynk", "solarman")
    flow = SunsynkFlow
    options_flow = SunsynkOptions
    services: ClassVar[frozenset[str]] = frozenset({"capture", "modbus"})
    translated = frozenset({"capture"})
    setup_timeout = 2.0
    redact = frozenset({CONF_PATH, CONF_SERVER, CONF_FILTER, CONF_GRID_POWER_BY_TEN})
    renamed: ClassVar[Mapping[str, str]] = {"timezone": "time_zone", "listen_port": CONF_LISTEN}

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], storage: HomeAssistantStorage
    ) -> SunsynkEngine:
        """Return the engine; it shows what no other entry does."""
        engine = await super().async_create_engine(hass, entry, storage)
        async_scope_service(hass, entry, engine.service)
        async_drop_moved(hass, entry, SETTINGS.keys(), writing=engine.settings.write_enabled)
        claims = async_claims(hass)
        engine.shown_elsewhere = lambda serial: claims.async_elsewhere(
            hass, entry, serial, engine.republish
        )
        entry.async_on_unload(lambda: claims.async_release(entry))
        return engine

    def simulation(self, hass: HomeAssistant) -> Mapping[str, Any]:
        """Return the data of an entry with a simulated inverter in Home Assistant's time zone."""
        return {
            CONF_SOURCE: Source.SIM.value,
            TIME_ZONE: hass.config.time_zone,
            CONF_INVERTERS: 1,
            "interval": 10.0,
        }

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""
        async_register(hass)

    def migrate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data or options of an older entry; it named the relay's port only."""
        migrated = super().migrate(values)
        if isinstance(port := migrated.get(CONF_LISTEN), int):
            migrated[CONF_LISTEN] = f"{EVERYWHERE}:{port}"
        return migrated


FAMILY = SunsynkFamily()
