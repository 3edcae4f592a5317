"""The actions over Modbus: the six slots at once, the clock, any one setting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

import probatio as vol
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.util import dt as dt_util

from ...actions import coordinator_of, entry_field, register
from ...const import DOMAIN
from ...coordinator import HardwiredCoordinator
from ...engines.engine import Command, DeviceState
from ...engines.fields import Field, Quantity, Value
from ...engines.sunsynk.catalogue import SLOTS
from .const import KEY

_ON_OFF = {"on": True, "true": True, "off": False, "false": False}
SLOT = vol.Schema(
    {
        vol.Required("slot"): vol.All(vol.Coerce(int), vol.In(list(SLOTS))),
        vol.Optional("time"): cv.time,
        vol.Optional("power"): vol.Coerce(float),
        vol.Optional("soc"): vol.Coerce(float),
        vol.Optional("voltage"): vol.Coerce(float),
        vol.Optional("charge"): vol.In(["none", "grid", "generator", "both"]),
        vol.Optional("mode"): vol.In(["none", "general", "backup", "charge"]),
        vol.Optional("sell"): cv.boolean,
    }
)
_WHICH: dict[Any, Any] = {**entry_field(), vol.Optional(ATTR_DEVICE_ID): str}
SET_PROGRAMS = vol.Schema(
    {
        **_WHICH,
        vol.Required("slots"): vol.All(cv.ensure_list, [SLOT], vol.Length(min=1, max=len(SLOTS))),
    }
)
SET_CLOCK = vol.Schema({**_WHICH, vol.Optional("time"): cv.datetime})
WRITE_SETTING = vol.Schema(
    {
        **_WHICH,
        vol.Required("setting"): str,
        vol.Required("value"): vol.Any(bool, vol.Coerce(float), str),
    }
)


def _target(hass: HomeAssistant, call: ServiceCall) -> tuple[HardwiredCoordinator, DeviceState]:
    """Return the coordinator and the inverter that a call means."""
    coordinator = coordinator_of(hass, call, KEY)
    inverters = [
        state for state in coordinator.data.devices.values() if state.device.kind == "inverter"
    ]
    if (wanted := call.data.get(ATTR_DEVICE_ID)) is not None:
        entry = dr.async_get(hass).async_get(wanted)
        known = set() if entry is None else entry.identifiers
        inverters = [one for one in inverters if coordinator.identifier(one.device) in known]
    if not inverters:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="device_not_found")
    if len(inverters) > 1:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="sunsynk_which_inverter"
        )
    return coordinator, inverters[0]


async def _set_programs(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator, state = _target(hass, call)
    values: dict[str, Value] = {}
    for slot in call.data["slots"]:
        number = slot["slot"]
        values |= {
            f"inverter_program_{name}_{number}": value
            for name, value in slot.items()
            if name != "slot"
        }
    return await coordinator.async_execute(Command(state.device.id, values))


async def _set_clock(hass: HomeAssistant, call: ServiceCall) -> None:
    coordinator, state = _target(hass, call)
    options: dict[str, Value] = {}
    if (wanted := call.data.get("time")) is not None:
        # A time without a zone is what the clock shall show.
        options["time"] = wanted
    await coordinator.async_execute(Command(state.device.id, name="set_clock", options=options))


async def _write_setting(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator, state = _target(hass, call)
    key = call.data["setting"]
    field = state.fields.get(key)
    value = call.data["value"] if field is None else _as_value(field, call.data["value"])
    return await coordinator.async_execute(Command(state.device.id, {key: value}))


def _as_value(field: Field, value: bool | float | str) -> Value:
    """Return what was typed as the field takes it; what makes no sense is left to the engine."""
    if field.binary and isinstance(value, str):
        return _ON_OFF.get(value.lower(), value)
    if field.quantity is Quantity.CLOCK_TIME and isinstance(value, str):
        found: time | None = dt_util.parse_time(value)
        return value if found is None else found
    return value


def async_register(hass: HomeAssistant) -> None:
    """Register the actions."""

    async def set_programs(call: ServiceCall) -> Mapping[str, Any]:
        return await _set_programs(hass, call)

    async def set_clock(call: ServiceCall) -> None:
        await _set_clock(hass, call)

    async def write_setting(call: ServiceCall) -> Mapping[str, Any]:
        return await _write_setting(hass, call)

    optional = SupportsResponse.OPTIONAL
    register(hass, "sunsynk_set_programs", set_programs, SET_PROGRAMS, optional)
    register(hass, "sunsynk_set_clock", set_clock, SET_CLOCK)
    register(hass, "sunsynk_write_setting", write_setting, WRITE_SETTING, optional)
