"""Hands the states of exported entities to the engine, and follows the subentries."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_track_state_change_event, async_track_time_interval
from homeassistant.helpers.start import async_at_started

from ...engines.victron_gx.engine import VictronGxEngine
from .const import SUBENTRY
from .home import (
    HomeAssistantHost,
    async_is_fahrenheit,
    async_state_of,
    async_words,
    from_state,
)
from .registry import async_forbidden, async_notices

_LOGGER = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=10)
CALM = 2.0
"""Seconds that registry changes are collected for."""


def exports_of(entry: ConfigEntry[Any]) -> dict[str, Mapping[str, Any]]:
    """Return the settings of the exports, by subentry."""
    return {
        key: {**subentry.data, "name": subentry.data.get("name", subentry.title)}
        for key, subentry in entry.subentries.items()
        if subentry.subentry_type == SUBENTRY
    }


class Feeder:
    """Feeds one engine."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], engine: VictronGxEngine
    ) -> None:
        """Take what is to be connected."""
        self._hass = hass
        self._entry = entry
        self._engine = engine
        self._exports = exports_of(entry)
        self._stops: list[CALLBACK_TYPE] = []
        self._stop_states: CALLBACK_TYPE | None = None
        self._tracked: frozenset[str] = frozenset()
        self._look = Debouncer(
            hass, _LOGGER, cooldown=CALM, immediate=False, function=self._async_look
        )
        engine.host = HomeAssistantHost(hass)

    async def async_start(self) -> None:
        """Begin."""
        hass = self._hass
        self._follow()
        await self._async_describe()
        self._stops = [
            async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed),
            hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._registry_changed),
            hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._registry_changed),
            hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._registry_changed),
            async_track_time_interval(hass, self._tick, LOOK_EVERY),
            async_at_started(hass, self._started),
        ]

    @callback
    def stop(self) -> None:
        """End."""
        for stop in self._stops:
            stop()
        self._stops = []
        if self._stop_states is not None:
            self._stop_states()
            self._stop_states = None
        self._look.async_shutdown()

    @callback
    def _follow(self) -> None:
        """Offer what the subentries say, without what must not be, and watch its entities."""
        hass, engine = self._hass, self._engine
        wanted = {entity_id for told in self._exports.values() for entity_id in _entities_in(told)}
        engine.set_exports(self._exports, async_forbidden(hass, wanted))
        tracked = engine.entity_ids
        if tracked != self._tracked or self._stop_states is None:
            if self._stop_states is not None:
                self._stop_states()
            self._tracked = tracked
            self._stop_states = async_track_state_change_event(hass, tracked, self._changed)
        engine.update(async_state_of(hass, one) for one in tracked)
        engine.extra_notices = tuple(async_notices(hass, wanted))
        engine.refresh()

    async def _async_describe(self) -> None:
        words = await async_words(self._hass, self._tracked)
        self._engine.describe(fahrenheit=async_is_fahrenheit(self._hass), words=words)

    @callback
    def _changed(self, event: Event[EventStateChangedData]) -> None:
        entity_id = event.data["entity_id"]
        self._engine.update([from_state(self._hass, entity_id, event.data["new_state"])])

    async def _started(self, _hass: HomeAssistant) -> None:
        self._follow()
        await self._async_describe()
        self._engine.started()

    @callback
    def _entry_changed(self, change: ConfigEntryChange, entry: ConfigEntry[Any]) -> None:
        if entry.entry_id != self._entry.entry_id or change is not ConfigEntryChange.UPDATED:
            return
        exports = exports_of(entry)
        if exports != self._exports:
            self._exports = exports
            self._follow()
            self._look.async_schedule_call()

    @callback
    def _registry_changed(self, event: Event[Any]) -> None:
        if event.event_type == er.EVENT_ENTITY_REGISTRY_UPDATED:
            old = event.data.get("old_entity_id")
            if old is not None:
                self._rename(old, event.data["entity_id"])
        self._look.async_schedule_call()

    @callback
    def _rename(self, old: str, new: str) -> None:
        """Offer an entity under the id that the owner has given it."""
        for subentry in list(self._entry.subentries.values()):
            if subentry.subentry_type == SUBENTRY and old in _entities_in(subentry.data):
                self._hass.config_entries.async_update_subentry(
                    self._entry, subentry, data=_renamed(subentry.data, old, new)
                )

    @callback
    def _tick(self, _now: datetime) -> None:
        self._look.async_schedule_call()

    async def _async_look(self) -> None:
        self._follow()
        await self._async_describe()


def _entities_in(told: Any) -> list[str]:
    """Return everything in the settings of an export that could be an entity."""
    match told:
        case str():
            return [told] if told.count(".") == 1 else []
        case Mapping():
            inner = [value for key, value in told.items() if key != "name"]
        case list() | tuple():
            inner = list(told)
        case _:
            return []
    return [one for value in inner for one in _entities_in(value)]


def _renamed(told: Any, old: str, new: str) -> Any:
    """Return the settings of an export with another id for an entity."""
    match told:
        case str():
            return new if told == old else told
        case Mapping():
            return {
                key: value if key == "name" else _renamed(value, old, new)
                for key, value in told.items()
            }
        case list() | tuple():
            return [_renamed(value, old, new) for value in told]
        case _:
            return told
