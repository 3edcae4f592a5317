"""The action: a boost for a number of minutes, this time only."""

from __future__ import annotations

import probatio as vol
from homeassistant.core import HomeAssistant, ServiceCall

from ...actions import coordinator_of, entry_field, register
from ...engines.engine import Command
from ...engines.inventum.dialogue.wishes import LONGEST_MINUTES
from ...engines.inventum.engine import DEVICE_ID
from .const import KEY

BOOST = vol.Schema(
    {
        **entry_field(),
        vol.Optional("minutes"): vol.All(vol.Coerce(int), vol.Range(min=1, max=LONGEST_MINUTES)),
    }
)


def async_register(hass: HomeAssistant) -> None:
    """Register the action."""

    async def boost(call: ServiceCall) -> None:
        minutes = call.data.get("minutes")
        options = {} if minutes is None else {"minutes": minutes}
        command = Command(DEVICE_ID, values={"boost": True}, options=options)
        await coordinator_of(hass, call, KEY).async_execute(command)

    register(hass, "inventum_boost", boost, BOOST)
