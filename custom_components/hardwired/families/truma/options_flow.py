"""The options flow: how we behave on the bus."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

import probatio as vol
from homeassistant.config_entries import (
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.helpers import selector

from ...engines.engine import Reason
from ...engines.factory import TIME_ZONE
from ...engines.truma.inet.box import Identity
from ...engines.truma.inet.rules import (
    MODES_OF,
)
from ...flow import async_is_time_zone
from .const import (
    CONF_CLOCK_SYNC,
    CONF_DEFAULT_HEATING_MODE,
    CONF_IDENTITY,
    CONF_TRUST_CLOCK,
)


class TrumaOptions(OptionsFlowWithReload):
    """How we behave on the bus."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin."""
        return await self.async_step_truma()

    async def async_step_truma(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if await async_is_time_zone(self.hass, user_input[TIME_ZONE]):
                return self.async_create_entry(data=user_input)
            errors[TIME_ZONE] = Reason.BAD_TIMEZONE.value
        zones = await self.hass.async_add_executor_job(available_timezones)
        modes = sorted({mode.name.lower() for modes in MODES_OF.values() for mode in modes})
        schema = vol.Schema(
            {
                vol.Required(CONF_CLOCK_SYNC, default=False): selector.BooleanSelector(),
                vol.Required(CONF_TRUST_CLOCK, default=False): selector.BooleanSelector(),
                vol.Required(
                    TIME_ZONE, default=self.hass.config.time_zone
                ): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=sorted(zones),
                        custom_value=True,
                        mode=selector.SelectSelectorMode.DROPDOWN,
                    )
                ),
                vol.Optional(CONF_DEFAULT_HEATING_MODE): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=modes, translation_key="truma_heating_mode"
                    )
                ),
                vol.Required(CONF_IDENTITY, default=Identity.BOX.value): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=[identity.value for identity in Identity],
                        translation_key="truma_identity",
                    )
                ),
            }
        )
        return self.async_show_form(
            step_id="truma",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or self.config_entry.options
            ),
            errors=errors,
        )
