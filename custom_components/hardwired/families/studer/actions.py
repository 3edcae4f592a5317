"""The actions: any datapoint, messages, identify, near realtime, data logger files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import probatio as vol
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
)

from ...actions import coordinator_of, entry_field, not_written, register
from ...const import DOMAIN
from ...coordinator import HardwiredCoordinator
from ...engines.engine import Command, Device
from ...engines.fields import Value
from ...engines.plain import plain
from ...engines.studer.catalogue import XCOM
from ...engines.studer.scom.values import Format
from ...engines.studer.settings import FAST_AT_MOST
from .const import (
    KEY,
)


def _target(hass: HomeAssistant, call: ServiceCall) -> tuple[HardwiredCoordinator, Device]:
    """Return the coordinator and the device that a call names."""
    coordinator = coordinator_of(hass, call, KEY)
    entry = dr.async_get(hass).async_get(call.data[ATTR_DEVICE_ID])
    if entry is not None:
        for state in coordinator.data.devices.values():
            if coordinator.identifier(state.device) in entry.identifiers:
                return coordinator, state.device
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key="device_not_found")


def _gateway(coordinator: HardwiredCoordinator) -> str:
    """Return the id of the gateway."""
    for state in coordinator.data.devices.values():
        if state.device.kind == XCOM:
            return state.device.id
    raise HomeAssistantError(translation_domain=DOMAIN, translation_key="not_connected")


_WHICH: dict[Any, Any] = {
    vol.Required("id"): vol.All(vol.Coerce(int), vol.Range(min=1, max=65535)),
}
READ = vol.Schema(
    {
        **entry_field(),
        vol.Required(ATTR_DEVICE_ID): str,
        **_WHICH,
        vol.Optional("property", default="value"): vol.In(["value", "min", "max", "level", "ram"]),
        vol.Optional("format"): vol.In([one.value for one in Format]),
    }
)
WRITE = vol.Schema(
    {
        **entry_field(),
        vol.Required(ATTR_DEVICE_ID): str,
        **_WHICH,
        vol.Optional("value"): vol.Any(bool, vol.Coerce(float), str),
        vol.Optional("all_units", default=False): bool,
        vol.Optional("persistent", default=False): bool,
        vol.Optional("force", default=False): bool,
        vol.Optional("confirm"): vol.Coerce(str),
    }
)
MESSAGES = vol.Schema(
    {
        **entry_field(),
        vol.Optional("count", default=10): vol.All(vol.Coerce(int), vol.Range(min=1, max=500)),
    }
)
IDENTIFY = vol.Schema(
    {
        **entry_field(),
        vol.Required(ATTR_DEVICE_ID): str,
        vol.Optional("seconds", default=45): vol.All(vol.Coerce(float), vol.Range(min=0, max=45)),
    }
)
FAST = vol.Schema(
    {
        **entry_field(),
        vol.Optional("minutes", default=10): vol.All(
            vol.Coerce(float), vol.Range(min=0, max=FAST_AT_MOST)
        ),
    }
)
DATALOG = vol.Schema({**entry_field(), vol.Optional("file"): str})


async def _read(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator, device = _target(hass, call)
    names = ("id", "property", "format")
    options = {name: call.data[name] for name in names if name in call.data}
    return await coordinator.async_execute(Command(device.id, name="read", options=options))


async def _write(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator, device = _target(hass, call)
    names = ("id", "value", "all_units", "persistent", "force", "confirm")
    options: dict[str, Value] = {name: call.data[name] for name in names if name in call.data}
    if (origin := _origin(hass, call)) is not None:
        options["origin"] = origin
    value = options.get("value")
    if isinstance(value, str):
        options["value"] = {"true": True, "on": True, "false": False, "off": False}.get(
            value.lower(), value
        )
    return await coordinator.async_execute(Command(device.id, name="write", options=options))


def _origin(hass: HomeAssistant, call: ServiceCall) -> str | None:
    """Return the automation or script that calls, to be named when it wears out the flash."""
    for state in hass.states.async_all(("automation", "script")):
        if state.context.id in (call.context.id, call.context.parent_id):
            return state.entity_id
    return None


async def _messages(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator = coordinator_of(hass, call, KEY)
    command = Command(_gateway(coordinator), name="messages", options={"count": call.data["count"]})
    return await coordinator.async_execute(command)


async def _identify(hass: HomeAssistant, call: ServiceCall) -> None:
    coordinator, device = _target(hass, call)
    options = {"seconds": call.data["seconds"]}
    await coordinator.async_execute(Command(device.id, name="identify", options=options))


async def _fast(hass: HomeAssistant, call: ServiceCall) -> None:
    coordinator = coordinator_of(hass, call, KEY)
    options = {"minutes": call.data["minutes"]}
    await coordinator.async_execute(Command(_gateway(coordinator), name="fast", options=options))


async def _datalog(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator = coordinator_of(hass, call, KEY)
    options = {"file": name} if (name := call.data.get("file")) else {}
    command = Command(_gateway(coordinator), name="datalog", options=options)
    result = await coordinator.async_execute(command)
    if "content" not in result:
        return result
    path = Path(hass.config.path(DOMAIN, result["file"]))
    text: str = result["content"]

    def keep() -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")

    try:
        await hass.async_add_executor_job(keep)
    except OSError as error:
        raise not_written(error) from error
    return {"file": result["file"], "path": str(path), "size": len(text)}


def _shown(result: Mapping[str, Any]) -> Mapping[str, Any]:
    shown: Mapping[str, Any] = plain(result)
    return shown


def async_register(hass: HomeAssistant) -> None:
    """Register the actions."""

    async def read(call: ServiceCall) -> Mapping[str, Any]:
        return _shown(await _read(hass, call))

    async def write(call: ServiceCall) -> Mapping[str, Any]:
        return _shown(await _write(hass, call))

    async def messages(call: ServiceCall) -> Mapping[str, Any]:
        return _shown(await _messages(hass, call))

    async def identify(call: ServiceCall) -> None:
        await _identify(hass, call)

    async def fast(call: ServiceCall) -> None:
        await _fast(hass, call)

    async def datalog(call: ServiceCall) -> Mapping[str, Any]:
        return _shown(await _datalog(hass, call))

    only, optional = SupportsResponse.ONLY, SupportsResponse.OPTIONAL
    register(hass, "studer_read", read, READ, only)
    register(hass, "studer_write", write, WRITE, optional)
    register(hass, "studer_messages", messages, MESSAGES, only)
    register(hass, "studer_identify", identify, IDENTIFY)
    register(hass, "studer_fast", fast, FAST)
    register(hass, "studer_datalog", datalog, DATALOG, only)
