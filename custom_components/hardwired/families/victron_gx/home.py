"""Home Assistant as the engine sees it: states, services, words in the owner's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from homeassistant.components.sensor import DOMAIN as SENSOR
from homeassistant.const import UnitOfTemperature
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_get_translations

from ...const import DOMAIN
from ...engines.victron_gx.home import ENGLISH, EntityState, Words, missing
from .const import KEY

_MODES = {
    ("climate", "mode"): ("hvac_modes", "state"),
    ("climate", "preset"): ("preset_modes", "state_attributes.preset_mode.state"),
    ("climate", "fan"): ("fan_modes", "state_attributes.fan_mode.state"),
    ("water_heater", "mode"): ("operation_list", "state"),
}


class HomeAssistantHost:
    """Calls services."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Take Home Assistant."""
        self._hass = hass

    async def call(self, service: str, data: Mapping[str, Any]) -> None:
        """Call a service and wait for its end. Raises what it raises."""
        domain, _, name = service.partition(".")
        await self._hass.services.async_call(domain, name, dict(data), blocking=True)


@callback
def async_state_of(hass: HomeAssistant, entity_id: str) -> EntityState:
    """Return an entity's state as the engine takes it."""
    return from_state(hass, entity_id, hass.states.get(entity_id))


@callback
def from_state(hass: HomeAssistant, entity_id: str, state: State | None) -> EntityState:
    """Return a state as the engine takes it; one that was removed is unavailable."""
    if state is None:
        return missing(entity_id)
    return EntityState(entity_id, state.state, state.attributes, _precision(hass, entity_id))


@callback
def _precision(hass: HomeAssistant, entity_id: str) -> int | None:
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None or entry.domain != SENSOR:
        return None
    options: Mapping[str, Any] = entry.options.get(SENSOR, {})
    found = options.get("display_precision", options.get("suggested_display_precision"))
    return found if isinstance(found, int) and not isinstance(found, bool) else None


@callback
def async_is_fahrenheit(hass: HomeAssistant) -> bool:
    """Whether the unit system's temperatures are in °F."""
    return hass.config.units.temperature_unit is UnitOfTemperature.FAHRENHEIT


async def async_words(hass: HomeAssistant, entity_ids: Iterable[str]) -> Words:
    """Return how outputs and modes are called in the language of Home Assistant."""
    language = hass.config.language
    own = await async_get_translations(hass, language, "selector", [DOMAIN])
    prefix = f"component.{DOMAIN}.selector.{KEY}_output.options."
    names = {key: own.get(f"{prefix}{key}", ENGLISH[key]) for key in ENGLISH}
    common = await async_get_translations(
        hass, language, "entity_component", ["climate", "water_heater"]
    )
    modes: dict[tuple[str, str, str], str] = {}
    for entity_id in entity_ids:
        state = hass.states.get(entity_id)
        if state is None:
            continue
        special = await _special(hass, language, entity_id)
        for (domain, output), (attribute, path) in _MODES.items():
            if domain != state.domain:
                continue
            for raw in state.attributes.get(attribute) or ():
                word = special.get(f"{path}.{raw}") or common.get(
                    f"component.{domain}.entity_component._.{path}.{raw}"
                )
                if word:
                    modes[entity_id, output, str(raw)] = word
    return Words(names, modes)


async def _special(hass: HomeAssistant, language: str, entity_id: str) -> dict[str, str]:
    """Return the words that an entity's own integration has for its modes."""
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None or entry.translation_key is None:
        return {}
    told = await async_get_translations(hass, language, "entity", [entry.platform])
    prefix = f"component.{entry.platform}.entity.{entry.domain}.{entry.translation_key}."
    return {key.removeprefix(prefix): word for key, word in told.items() if key.startswith(prefix)}
