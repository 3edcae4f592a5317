"""Part of the config flow: finds the Moxa of an Xcom-LAN on the network."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import probatio as vol
from homeassistant.components import network
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigFlowResult
from homeassistant.const import CONF_MAC
from homeassistant.helpers import selector
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo

from ...const import CONF_FAMILY, DOMAIN
from ...engines.engine import LinkError
from ...engines.factory import LINK
from ...engines.studer.engine import StuderEngine
from ...engines.studer.moxa import PORT as SEARCH_PORT
from ...engines.studer.moxa_search import FoundMoxa, search
from ...flow import FamilyFlow
from .addresses import gateway_of, is_address, with_gateway
from .const import KEY

_LOGGER = logging.getLogger(__name__)

GATEWAY_STEPS = ("studer_listen", "studer_connect", "studer_udp")
"""The ways to a Moxa on the network."""


class MoxaFlow(FamilyFlow):
    """Which Moxa serves the plant: searched for, seen by DHCP, or set up already."""

    _studer_moxas: tuple[FoundMoxa, ...] = ()
    _studer_moxa: FoundMoxa | None = None

    async def async_step_studer_search(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Look on the network for the Moxas of Xcom-LANs."""
        if (shown := self.show_work("studer_search", self._studer_look_around)) is not None:
            return shown
        try:
            self._studer_moxas = self.take_work()
        except LinkError as error:
            _LOGGER.warning("The network can't be searched: %s", error)
            self._studer_moxas = ()
        return self.async_show_progress_done(
            next_step_id="studer_pick" if self._studer_moxas else "studer_nothing"
        )

    async def _studer_look_around(self) -> tuple[FoundMoxa, ...]:
        return await search(await self._studer_networks(), port=SEARCH_PORT)

    async def _studer_networks(self) -> list[str]:
        """Return the broadcast addresses of this computer."""
        return [
            str(address) for address in await network.async_get_ipv4_broadcast_addresses(self.hass)
        ]

    async def async_step_studer_nothing(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what to do when no Moxa answers."""
        return self.async_show_menu(
            step_id="studer_nothing",
            menu_options=["studer_search", *GATEWAY_STEPS, "studer_serial"],
        )

    async def async_step_studer_pick(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose one of the Moxas found."""
        if user_input is not None:
            self._studer_moxa = next(
                one for one in self._studer_moxas if one.mac == user_input[CONF_MAC]
            )
            return await self.async_step_studer_gateway()
        options = [
            selector.SelectOptionDict(
                value=one.mac, label=f"{one.name or '?'} ({one.ip}, {one.mac})"
            )
            for one in self._studer_moxas
        ]
        chosen = next((one.mac for one in self._studer_moxas if one.in_xcom), options[0]["value"])
        schema = vol.Schema(
            {
                vol.Required(CONF_MAC, default=chosen): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=options, mode=selector.SelectSelectorMode.LIST
                    )
                )
            }
        )
        return self.async_show_form(step_id="studer_pick", data_schema=schema, last_step=False)

    async def async_step_studer_gateway(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how the Moxa that was found is set."""
        moxa = self._studer_moxa
        assert moxa is not None
        return self.async_show_menu(
            step_id="studer_gateway",
            menu_options=list(GATEWAY_STEPS),
            description_placeholders={"name": moxa.name or "?", "ip": moxa.ip, "mac": moxa.mac},
        )

    async def async_step_studer_dhcp(self, discovery_info: DhcpServiceInfo) -> ConfigFlowResult:
        """Take a device that may be a Moxa; it has to say itself that it serves an Xcom."""
        mac, ip = format_mac(discovery_info.macaddress), discovery_info.ip
        await self.async_set_unique_id(mac)
        self._abort_if_unique_id_configured()
        for entry in self._async_current_entries(include_ignore=False):
            if entry.data.get(CONF_FAMILY) != KEY:
                continue
            known = entry.data.get(CONF_MAC)
            if known == mac:
                return self._studer_follow(entry, ip)
            if known is None and ip in (gateway_of(entry.data[LINK]), _peer_of(entry)):
                self.hass.config_entries.async_update_entry(
                    entry, data={**entry.data, CONF_MAC: mac}
                )
                return self.async_abort(reason="already_configured")
        self._studer_moxa = await self._studer_ask(mac, ip)
        if self._studer_moxa is None:
            return self.async_abort(reason="studer_no_xcom")
        self.context["title_placeholders"] = {"name": f"{self._studer_moxa.name} ({ip})"}
        return await self.async_step_studer_gateway()

    def _studer_follow(self, entry: ConfigEntry[Any], ip: str) -> ConfigFlowResult:
        """A gateway that is set up has been seen: it may have got another address."""
        url = entry.data[LINK]
        here = gateway_of(url)
        if here is None or here == ip or not is_address(here):
            return self.async_abort(reason="already_configured")
        return self.async_update_reload_and_abort(
            entry,
            data_updates={LINK: with_gateway(url, ip)},
            reason="already_configured",
        )

    async def _studer_ask(self, mac: str, ip: str) -> FoundMoxa | None:
        """Return the Moxa at an address when it says that it is in an Xcom-LAN."""
        with contextlib.suppress(LinkError):
            # Whether every firmware answers a search that is sent to it alone is not known.
            targets = [ip, *await self._studer_networks()]
            found = await search(targets, port=SEARCH_PORT, enough=lambda one: one.mac == mac)
            return next((one for one in found if one.mac == mac and one.in_xcom), None)
        return None

    def _studer_discovered_no_more(self, mac: str) -> None:
        """Take back the offer to set up a gateway that the user has set up otherwise."""
        flows = self.hass.config_entries.flow
        for other in flows.async_progress_by_handler(DOMAIN, match_context={"unique_id": mac}):
            if other["flow_id"] != self.flow_id:
                flows.async_abort(other["flow_id"])


def _peer_of(entry: ConfigEntry[Any]) -> str | None:
    """Return who is at the other end of an entry's connection now."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    engine = entry.runtime_data.engine
    return engine.peer if isinstance(engine, StuderEngine) else None
