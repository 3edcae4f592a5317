"""The actions: devices of one's own on the GX, beside the exports (spec H.7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import probatio as vol
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.helpers import config_validation as cv

from ...actions import coordinator_of, entry_field, register
from ...engines.engine import Command
from ...engines.victron_gx.report import HELPER_ID
from .const import KEY

CLIENT = {**entry_field(), vol.Required("client_id"): cv.string}
REGISTER = vol.Schema(
    {
        **CLIENT,
        vol.Required("services"): dict,
        vol.Optional("version"): cv.string,
        vol.Optional("options"): dict,
    }
)
SEND = vol.Schema({**CLIENT, vol.Required("service"): cv.string, vol.Required("values"): dict})
ONE = vol.Schema(CLIENT)


def async_register(hass: HomeAssistant) -> None:
    """Register the actions."""

    async def run(call: ServiceCall, name: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        coordinator = coordinator_of(hass, call, KEY)
        whole = {"client_id": call.data["client_id"], **options}
        return await coordinator.async_execute(Command(HELPER_ID, name=name, options=whole))

    async def register_device(call: ServiceCall) -> Mapping[str, Any]:
        status = {
            key: call.data[key] for key in ("services", "version", "options") if key in call.data
        }
        return await run(call, "register", {"status": _json(status)})

    async def unregister(call: ServiceCall) -> None:
        await run(call, "unregister", {})

    async def send(call: ServiceCall) -> None:
        options = {"service": call.data["service"], "values": _json(call.data["values"])}
        await run(call, "send", options)

    async def forget(call: ServiceCall) -> None:
        await run(call, "forget", {})

    optional = SupportsResponse.OPTIONAL
    register(hass, f"{KEY}_register", register_device, REGISTER, optional)
    register(hass, f"{KEY}_unregister", unregister, ONE)
    register(hass, f"{KEY}_send", send, SEND)
    register(hass, f"{KEY}_forget", forget, ONE)


def _json(value: Any) -> str:
    """Return JSON; what it does not know is left to the engine to refuse."""
    try:
        return json.dumps(value, allow_nan=False)
    except TypeError, ValueError:
        return ""
