"""Sunsynk / Deye inverters behind an Inteless dongle, overheard: the face in Home Assistant.

:mod:`.config_flow` listens where the owner says and makes the entry, :mod:`.options_flow` is how
the inverters behave; :mod:`.selectors` serve the forms, :mod:`.const` has the keys of entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ...engines.engine import LinkError, Reason
from ...engines.sunsynk.catalogue import CATALOGUES
from ...engines.sunsynk.engine import SunsynkEngine
from ...engines.sunsynk.settings import SunsynkSettings
from ...family import Family, Issue
from ...flow import async_is_time_zone
from .config_flow import SunsynkFlow
from .const import CONF_FILTER, CONF_GRID_POWER_BY_TEN, CONF_PATH, CONF_SERVER, KEY
from .options_flow import SunsynkOptions

KERNEL_DROPS_WORTH_TELLING = 100


class SunsynkFamily(Family[SunsynkEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = SunsynkFlow
    options_flow = SunsynkOptions
    catalogues = CATALOGUES
    services: ClassVar[frozenset[str]] = frozenset({"capture"})
    setup_timeout = 2.0
    redact = frozenset({CONF_PATH, CONF_SERVER, CONF_FILTER, CONF_GRID_POWER_BY_TEN})

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> SunsynkEngine:
        """Return the engine; the time zone is loaded outside the event loop."""
        settings = SunsynkSettings.from_mapping({**entry.data, **entry.options})
        if not await async_is_time_zone(hass, settings.timezone):
            raise LinkError(Reason.BAD_TIMEZONE, settings.timezone)
        return SunsynkEngine(settings)

    def issues(self, engine: SunsynkEngine) -> Iterable[Issue]:
        """Return what the user has to put right now."""
        facts = engine.diagnostics()
        if size := facts.get("unknown_layout_size"):
            yield Issue("sunsynk_unknown_layout", {"size": str(size)})
        if offset := facts.get("zone_mismatch_s"):
            hours, minutes = divmod(abs(round(offset)) // 60, 60)
            sign = "-" if offset < 0 else "+"
            yield Issue("sunsynk_zone_mismatch", {"offset": f"{sign}{hours:02}:{minutes:02}"})
        if (drops := facts.get("kernel_drops", 0)) >= KERNEL_DROPS_WORTH_TELLING:
            yield Issue("sunsynk_kernel_drops", {"drops": str(drops)})


FAMILY = SunsynkFamily()
