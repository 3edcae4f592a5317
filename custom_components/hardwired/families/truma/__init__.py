"""Truma heaters and air conditioners behind a CP Plus panel: the face in Home Assistant.

:mod:`.config_flow` listens on a port and makes the entry, :mod:`.options_flow` says how we behave
on the bus; :mod:`.actions` are the actions. :mod:`.climate` and :mod:`.water_heater` are the
entities that are more than one field; :mod:`.const` has the keys of entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant

from ...engines.engine import DeviceState, LinkError, Reason
from ...engines.fields import Field, Offer
from ...engines.truma.catalogue import CATALOGUES
from ...engines.truma.engine import TrumaEngine
from ...engines.truma.inet.buffers import MessageId
from ...engines.truma.installation import AIRCON, HEATER
from ...engines.truma.settings import TrumaSettings
from ...family import EntityMaker, Family, Issue, platform_of
from ...flow import async_is_time_zone
from .actions import async_register
from .climate import AirConditioner, RoomClimate
from .config_flow import TrumaFlow
from .const import KEY
from .options_flow import TrumaOptions
from .water_heater import HotWater

SET_BY_THERMOSTATS = frozenset(
    {(HEATER, "target_temp_room"), (AIRCON, "mode"), (AIRCON, "vent"), (AIRCON, "target_temp")}
)


class TrumaFamily(Family[TrumaEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = TrumaFlow
    options_flow = TrumaOptions
    catalogues = CATALOGUES
    identified = False
    setup_timeout = 3.0
    composite_texts: ClassVar[frozenset[tuple[str, str]]] = frozenset(
        {
            ("climate", "truma_room"),
            ("climate", "truma_aircon"),
            ("water_heater", "truma_water"),
        }
    )

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> TrumaEngine:
        """Return the engine; the time zone is loaded outside the event loop."""
        settings = TrumaSettings.from_mapping({**entry.data, **entry.options})
        if settings.timezone and not await async_is_time_zone(hass, settings.timezone):
            raise LinkError(Reason.BAD_TIMEZONE, settings.timezone)
        return TrumaEngine(settings)

    def platform(self, kind: str, item: Field) -> Platform | None:
        """Return where a field appears; what a thermostat sets is only read elsewhere."""
        if (kind, item.key) in SET_BY_THERMOSTATS and item.offer is not Offer.NEVER:
            return Platform.SENSOR
        return platform_of(item)

    def translation_key(self, kind: str, item: Field) -> str:
        """Return the key of an entity's texts; the same value means the same on each device."""
        prefix = f"{kind}_" if kind in (AIRCON, "alde") else ""
        return f"{self.key}_{prefix}{item.key}"

    def attributes(self, engine: TrumaEngine, device: str, item: Field) -> Mapping[str, Any] | None:
        """Return the two numbers that an error is made of."""
        status = engine.installation.status.get(MessageId.HEATER)
        if item.key != "error" or status is None:
            return None
        return {"error_class": status["error_class"], "error_code": status["error_code"]}

    def composites(self, platform: Platform, device: DeviceState) -> Iterable[EntityMaker]:
        """Return the thermostats and the boiler."""
        kind = device.device.kind
        if kind == HEATER and "heating_mode" in device.values:
            if platform is Platform.CLIMATE:
                yield RoomClimate
            elif platform is Platform.WATER_HEATER:
                yield HotWater
        elif kind == AIRCON and platform is Platform.CLIMATE:
            yield AirConditioner

    def issues(self, engine: TrumaEngine) -> Iterable[Issue]:
        """Return what the user has to put right now."""
        if engine.settings.network and not engine.settings.observer:
            yield Issue("truma_network_observes")
        if engine.low_latency_refused and not engine.settings.listens_only:
            yield Issue("truma_low_latency")
        if (poor := engine.bus_is_poor) is not None:
            yield Issue("truma_bus_quality", {"damaged": str(poor[0]), "frames": str(poor[1])})
        if (slow := engine.is_too_slow) is not None:
            yield Issue("truma_too_slow", {"late": str(slow[0]), "answered": str(slow[1])})

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""
        async_register(hass)


FAMILY = TrumaFamily()
