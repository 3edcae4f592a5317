"""Studer plants behind an Xcom: the face in Home Assistant.

:mod:`.config_flow` asks how the gateway is reached, on top of :mod:`.probe_flow` (who answers, the
entry) and :mod:`.moxa_flow` (gateways on the network). :mod:`.options_flow` says what is read and
written; :mod:`.actions` are the actions. :mod:`.requested` switches on what the owner named;
:mod:`.addresses` and :mod:`.selectors` serve the forms, :mod:`.const` has the keys of entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_MAC
from homeassistant.core import HomeAssistant

from ...engines.factory import LINK, TIME_ZONE
from ...engines.studer.catalogue import SYSTEM
from ...engines.studer.engine import StuderEngine
from ...engines.studer.moxa import MAC_PREFIX
from ...family import Family
from ...storage import HomeAssistantStorage
from .actions import async_register
from .config_flow import StuderFlow
from .const import CONF_SERIAL_FOUND, KEY
from .options_flow import StuderOptions
from .requested import enable_requested


class StuderFamily(Family[StuderEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    moved_from = ("xtender_mqtt", "hass-studer-xcom")
    flow = StuderFlow
    options_flow = StuderOptions
    services: ClassVar[frozenset[str]] = frozenset({SYSTEM})
    translated = services
    setup_timeout: ClassVar[float] = 0.5
    """What is known of the plant is shown at once, as unavailable; the rest as it is found."""
    discovered_macs: ClassVar[tuple[str, ...]] = (MAC_PREFIX.hex(),)
    redact: ClassVar[frozenset[str]] = frozenset({CONF_MAC})
    renamed: ClassVar[Mapping[str, str]] = {"device": "link", "serial": CONF_SERIAL_FOUND}

    def simulation(self, hass: HomeAssistant) -> Mapping[str, Any]:
        """Return the data of an entry with a simulated plant: three phases, sun, a battery."""
        return {LINK: "sim://?xtenders=3&variotracks=2&variostrings=1"}

    async def async_settings(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> Mapping[str, Any]:
        """Return the settings of an entry; the plant's clock runs in Home Assistant's zone."""
        return {**entry.options, **entry.data, TIME_ZONE: hass.config.time_zone}

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], storage: HomeAssistantStorage
    ) -> StuderEngine:
        """Return the engine; what the owner has asked for by name is switched on."""
        engine = await super().async_create_engine(hass, entry, storage)
        enable_requested(hass, entry, engine.settings)
        return engine

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""
        async_register(hass)


FAMILY = StuderFamily()
