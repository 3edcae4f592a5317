"""The config flow: choose the device family, then the family's own steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import new_class
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.core import callback
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.ssdp import ATTR_UPNP_MANUFACTURER, SsdpServiceInfo
from homeassistant.helpers.service_info.usb import UsbServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo

from .const import ALREADY_SIMULATED, CONF_FAMILY, CONF_SIMULATED, DOMAIN, family_name
from .entry_menu import menu_of
from .families import FAMILIES
from .flow import FamilyFlow
from .simulated import async_mark
from .takeover.offer import async_next_flow

if TYPE_CHECKING:
    from .app import AppOffer


class _Entrance(FamilyFlow):
    """The first step, and the ways back to it."""

    _app: AppOffer | None = None

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the device family."""
        return self.async_show_menu(step_id="user", menu_options=[*FAMILIES, "simulated"])

    async def async_step_simulated(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which device to simulate, for a try without one."""
        return self.async_show_menu(
            step_id="simulated", menu_options=[f"simulated_{key}" for key in FAMILIES]
        )

    async def async_simulate(self, key: str) -> ConfigFlowResult:
        """Make an entry with a simulated device, marked as such; one for each family."""
        await self.async_set_unique_id(f"{key}_simulated")
        self._abort_if_unique_id_configured(error=ALREADY_SIMULATED)
        data = {CONF_SIMULATED: True, **FAMILIES[key].simulation(self.hass)}
        return self.async_finish(key, f"{family_name(key)} {await async_mark(self.hass)}", data)

    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Go on with the takeover where another program has shown this device."""
        next_flow = await async_next_flow(self.hass, result["result"])
        if next_flow is not None:
            result["next_flow"] = next_flow
        return result

    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """Take note of the standalone helper as an app: its devices come over MQTT."""
        from . import app  # noqa: PLC0415 - brings MQTT

        offer = app.read_offer(discovery_info)
        if offer is None:
            return self.async_abort(reason="not_supported")
        if not await app.async_show_notices(self.hass, offer):
            return self.async_abort(reason="mqtt_missing")
        await self.async_set_unique_id(offer.unique_id)
        self._abort_if_unique_id_configured()
        self._app = offer
        self.context["title_placeholders"] = {"name": offer.name}
        return await self.async_step_app()

    async def async_step_app(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that nothing is to be set up, and offer what the app does not have."""
        assert self._app is not None
        options = (
            ["app_done"] if self._app.families >= FAMILIES.keys() else ["app_more", "app_done"]
        )
        return self.async_show_menu(
            step_id="app", menu_options=options, description_placeholders={"name": self._app.name}
        )

    async def async_step_app_more(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a device family that the app does not have: it would be there twice."""
        offer = await self._async_app_seen()
        options = [family for family in FAMILIES if family not in offer.families]
        return self.async_show_menu(step_id="user", menu_options=options)

    async def async_step_app_done(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End: the app does it."""
        await self._async_app_seen()
        return self.async_abort(reason="app_does_it")

    async def _async_app_seen(self) -> AppOffer:
        """Remember that the offer was seen; what this flow may yet set up is another thing."""
        from . import app  # noqa: PLC0415 - brings MQTT

        assert self._app is not None
        await self.async_set_unique_id(None)
        await app.async_ignore(self.hass, self._app)
        return self._app

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Hand on to the family of the entry."""
        data = self._get_reconfigure_entry().data
        if data.get(CONF_SIMULATED):
            return self.async_abort(reason="simulated_stays")
        if (family := data[CONF_FAMILY]) not in FAMILIES:
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

    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Hand on to the family whose device offers this service."""
        for key, family in FAMILIES.items():
            if discovery_info.type in family.discovered_zeroconf:
                step = getattr(self, f"async_step_{key}_zeroconf")
                result: ConfigFlowResult = await step(discovery_info)
                return result
        return self.async_abort(reason="not_supported")

    async def async_step_ssdp(self, discovery_info: SsdpServiceInfo) -> ConfigFlowResult:
        """Hand on to the family whose device comes from this manufacturer."""
        maker = discovery_info.upnp.get(ATTR_UPNP_MANUFACTURER)
        for key, family in FAMILIES.items():
            if maker in family.discovered_ssdp:
                step = getattr(self, f"async_step_{key}_ssdp")
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

    @classmethod
    @callback
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry[Any]
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what the entry's menu offers beside the options, and what may be added to it."""
        family = FAMILIES.get(config_entry.data.get(CONF_FAMILY, ""))
        flows, programs = ({}, ()) if family is None else (family.subentry_flows, family.moved_from)
        return {**flows, **menu_of(config_entry, programs)}

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
        """Return whether the entry has options; unknown families and ignored ones have none."""
        family = FAMILIES.get(config_entry.data.get(CONF_FAMILY, ""))
        return family is not None and family.options_flow is not None


def _step_of(key: str) -> Callable[..., Awaitable[ConfigFlowResult]]:
    async def step(self: _Entrance, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        return await self.async_simulate(key)

    return step


HardwiredConfigFlow = new_class(
    "HardwiredConfigFlow",
    (_Entrance, *(family.flow for family in FAMILIES.values())),
    {"domain": DOMAIN},
    lambda room: room.update({f"async_step_simulated_{key}": _step_of(key) for key in FAMILIES}),
)
