"""The actions: several settings of the heater at once, the panel's clock, a fresh start."""

from __future__ import annotations

import probatio as vol
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import config_validation as cv

from ...actions import coordinator_of, entry_field, register
from ...engines.engine import Command
from ...engines.truma.catalogue import ENERGIES, POWERS, WATER_MODES
from ...engines.truma.inet.rules import (
    ROOM_HIGHEST,
    HeatingMode,
)
from ...engines.truma.installation import HEATER, PANEL
from .const import (
    KEY,
)

SET_HEATING = vol.Schema(
    {
        **entry_field(),
        vol.Optional("target_temperature"): vol.All(
            vol.Coerce(float), vol.Range(min=0, max=ROOM_HIGHEST)
        ),
        vol.Optional("heating_mode"): vol.In([mode.name.lower() for mode in HeatingMode]),
        vol.Optional("hot_water"): vol.In(WATER_MODES),
        vol.Optional("energy_source"): vol.In(ENERGIES),
        vol.Optional("electric_power"): vol.All(vol.Coerce(str), vol.In(POWERS)),
    }
)
SET_CLOCK = vol.Schema({**entry_field(), vol.Optional("time"): cv.time})
SET_HEATING_KEYS = {
    "target_temperature": "target_temp_room",
    "heating_mode": "heating_mode",
    "hot_water": "water_mode",
    "energy_source": "energy_mix",
    "electric_power": "el_power_level",
}


def async_register(hass: HomeAssistant) -> None:
    """Register the actions."""

    async def set_heating(call: ServiceCall) -> None:
        values = {
            key: call.data[name]
            for name, key in SET_HEATING_KEYS.items()
            if call.data.get(name) is not None
        }
        await coordinator_of(hass, call, KEY).async_execute(Command(HEATER, values))

    async def refresh(call: ServiceCall) -> None:
        await coordinator_of(hass, call, KEY).async_execute(Command(PANEL, name="refresh"))

    async def set_clock(call: ServiceCall) -> None:
        wished = {"time": call.data["time"]} if "time" in call.data else {}
        command = Command(PANEL, name="sync_clock", options=wished)
        await coordinator_of(hass, call, KEY).async_execute(command)

    register(hass, "truma_set_heating", set_heating, SET_HEATING)
    register(hass, "truma_refresh", refresh, vol.Schema(entry_field()))
    register(hass, "truma_set_clock", set_clock, SET_CLOCK)
