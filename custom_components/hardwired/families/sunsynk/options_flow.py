"""The options flow: how the inverters behave."""

from __future__ import annotations

from typing import Any

import probatio as vol
from homeassistant.config_entries import (
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.helpers import selector

from ...engines.sunsynk.settings import Source
from .const import (
    CONF_EXPIRE_AFTER,
    CONF_GRID_POWER_BY_TEN,
    CONF_INTERVAL,
    CONF_SOURCE,
    CONF_WRITE_ENABLED,
)
from .selectors import choice, number


class SunsynkOptions(OptionsFlowWithReload):
    """How the inverters behave."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin."""
        return await self.async_step_sunsynk()

    async def async_step_sunsynk(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the options."""
        if user_input is not None:
            if not user_input.get(CONF_EXPIRE_AFTER):
                user_input.pop(CONF_EXPIRE_AFTER, None)
            return self.async_create_entry(data=user_input)
        chosen = self.config_entry.options.get(CONF_GRID_POWER_BY_TEN, ())
        serials = sorted(self._serials() | set(chosen))
        schema = vol.Schema(
            {
                **self._of_modbus(),
                vol.Optional(CONF_EXPIRE_AFTER): number(0, 7200, 1, "s"),
                vol.Optional(CONF_GRID_POWER_BY_TEN, default=list): choice(serials, multiple=True),
            }
        )
        return self.async_show_form(
            step_id="sunsynk",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )

    def _of_modbus(self) -> dict[Any, Any]:
        """Return the options that only an inverter that is asked has."""
        if self.config_entry.data[CONF_SOURCE] != Source.MODBUS:
            return {}
        return {
            vol.Required(CONF_INTERVAL, default=10): number(1, 3600, 1, "s"),
            vol.Required(CONF_WRITE_ENABLED, default=False): selector.BooleanSelector(),
        }

    def _serials(self) -> set[str]:
        runtime = getattr(self.config_entry, "runtime_data", None)
        if runtime is None:
            return set()
        devices = runtime.coordinator.data.devices.values()
        return {state.device.id for state in devices if state.device.kind == "inverter"}
