"""The config flow: choose the device family, then the family's own steps."""

from __future__ import annotations

from collections.abc import Mapping
from types import new_class
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult, OptionsFlow
from homeassistant.core import callback
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.usb import UsbServiceInfo

from .const import CONF_FAMILY, DOMAIN
from .families import FAMILIES
from .flow import FamilyFlow


class _Entrance(FamilyFlow):
    """The first step, and the ways back to it."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the device family."""
        return self.async_show_menu(step_id="user", menu_options=list(FAMILIES))

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Hand on to the family of the entry."""
        family = self._get_reconfigure_entry().data[CONF_FAMILY]
        if family not in FAMILIES:
            return self.async_abort(reason="not_supported")
        result: ConfigFlowResult = await getattr(self, f"async_step_{family}_reconfigure")()
        return result

    async def async_step_dhcp(self, discovery_info: DhcpServiceInfo) -> ConfigFlowResult:
        """Hand on to the family whose gateways have such addresses."""
        for key, family in FAMILIES.items():
            if discovery_info.macaddress.startswith(family.discovered_macs):
                step = getattr(self, f"async_step_{key}_dhcp")
                result: ConfigFlowResult = await step(discovery_info)
                return result
        return self.async_abort(reason="not_supported")

    async def async_step_usb(self, discovery_info: UsbServiceInfo) -> ConfigFlowResult:
        """Hand on to the family whose device has these numbers."""
        numbers = (discovery_info.vid.upper(), discovery_info.pid.upper())
        for key, family in FAMILIES.items():
            if numbers in family.discovered_usb:
                step = getattr(self, f"async_step_{key}_usb")
                result: ConfigFlowResult = await step(discovery_info)
                return result
        return self.async_abort(reason="not_supported")

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Hand on to the family whose device does not take the code."""
        family = entry_data[CONF_FAMILY]
        step = getattr(self, f"async_step_{family}_reauth", None)
        if step is None:
            return self.async_abort(reason="not_supported")
        result: ConfigFlowResult = await step()
        return result

    @staticmethod
    @callback
    def async_get_options_flow(config_entry: ConfigEntry[Any]) -> OptionsFlow:
        """Return the family's options flow."""
        flow = FAMILIES[config_entry.data[CONF_FAMILY]].options_flow
        assert flow is not None
        return flow()

    @classmethod
    @callback
    def async_supports_options_flow(cls, config_entry: ConfigEntry[Any]) -> bool:
        """Return whether the family of the entry has options; one of a newer release is unknown."""
        family = FAMILIES.get(config_entry.data[CONF_FAMILY])
        return family is not None and family.options_flow is not None


HardwiredConfigFlow = new_class(
    "HardwiredConfigFlow",
    (_Entrance, *(family.flow for family in FAMILIES.values())),
    {"domain": DOMAIN},
)
