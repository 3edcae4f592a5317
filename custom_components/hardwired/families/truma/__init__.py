"""Truma heaters and air conditioners behind a CP Plus panel: the face in Home Assistant.

:mod:`.config_flow` listens on a port and makes the entry, :mod:`.options_flow` says how we behave
on the bus; :mod:`.actions` are the actions, :mod:`.const` has the keys of entries. Thermostats
and boiler are the engine's composites.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from homeassistant.core import HomeAssistant

from ...engines.factory import LINK
from ...engines.fields import Field
from ...engines.truma.engine import TrumaEngine
from ...family import Family
from .actions import async_register
from .config_flow import TrumaFlow
from .const import CONF_OBSERVER, KEY
from .options_flow import TrumaOptions


class TrumaFamily(Family[TrumaEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    translated = frozenset({"heater", "aircon", "alde"})
    moved_from = ("inetbox.py", "esphome-truma_inetbox")
    flow = TrumaFlow
    options_flow = TrumaOptions
    setup_timeout = 3.0
    renamed: ClassVar[Mapping[str, str]] = {"device": "link", "timezone": "time_zone"}

    def simulation(self, hass: HomeAssistant) -> Mapping[str, Any]:
        """Return the data of an entry with a simulated van; its heat moves five times faster.

        Somebody has heated the water before.
        """
        return {
            LINK: "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&standby=0&water=38",
            CONF_OBSERVER: False,
        }

    def translation_key(self, kind: str, item: Field) -> str:
        """Return the key of an entity's texts; the same value means the same on each device."""
        prefix = f"{kind}_" if kind in ("aircon", "alde") else ""
        return f"{self.key}_{prefix}{item.key}"

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""
        async_register(hass)


FAMILY = TrumaFamily()
