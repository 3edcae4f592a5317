"""The config flow: finds the gateway, probes it, makes the entry."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import probatio as vol
from homeassistant.components import network
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_MAC, CONF_PORT
from homeassistant.helpers import (
    device_registry as dr,
    selector,
)
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo

from ...const import CONF_FAMILY, DOMAIN
from ...engines.engine import Device, LinkError
from ...engines.factory import LINK, ProbeResult
from ...engines.studer import FACTORY
from ...engines.studer.catalogue import XCOM
from ...engines.studer.engine import StuderEngine
from ...engines.studer.moxa import PORT as SEARCH_PORT
from ...engines.studer.moxa_search import FoundMoxa, search
from ...flow import FamilyFlow
from .addresses import gateway_of, host_in_url, is_address, scheme_of, with_gateway
from .const import (
    CONF_LOCAL_PORT,
    CONF_PEER,
    CONF_SERIAL_FOUND,
    CONF_VARIOSTRINGS,
    CONF_VARIOTRACKS,
    CONF_XTENDERS,
    KEY,
)
from .selectors import PORT, TEXT, number

_LOGGER = logging.getLogger(__name__)


DEFAULT_PORT = 4001
STEPS = {"listen": "listen", "tcp": "connect", "socket": "connect", "udp": "udp", "sim": "sim"}
"""The step that asks for an address of each scheme; of a device path, ``serial``."""

GATEWAY_STEPS = ("studer_listen", "studer_connect", "studer_udp")
"""The ways to a Moxa on the network."""


class StuderFlow(FamilyFlow):
    """How the gateway is reached, and who is behind it."""

    _studer_url: str = ""
    _studer_input: dict[str, Any] | None = None
    _studer_error: dict[str, str] | None = None
    _studer_probe: asyncio.Task[ProbeResult] | None = None
    _studer_found: ProbeResult | None = None
    _studer_search: asyncio.Task[tuple[FoundMoxa, ...]] | None = None
    _studer_moxas: tuple[FoundMoxa, ...] = ()
    _studer_moxa: FoundMoxa | None = None
    _studer_warned: bool = False

    async def async_step_studer(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the kind of connection."""
        return self.async_show_menu(
            step_id="studer",
            menu_options=[
                "studer_serial",
                "studer_search",
                *GATEWAY_STEPS,
                "studer_sim",
            ],
        )

    async_step_studer_reconfigure = async_step_studer

    # ------------------------------------------------------------------ finding the Moxa

    async def async_step_studer_search(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Look on the network for the Moxas of Xcom-LANs."""
        if self._studer_search is None:
            self._studer_search = self.hass.async_create_task(
                self._studer_look_around(), "hardwired looks for Moxas"
            )
        if not self._studer_search.done():
            return self.async_show_progress(
                step_id="studer_search",
                progress_action="studer_search",
                progress_task=self._studer_search,
            )
        task, self._studer_search = self._studer_search, None
        try:
            self._studer_moxas = task.result()
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

    # ------------------------------------------------------------------ the ways to an Xcom

    async def async_step_studer_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the serial port of an Xcom-232i."""
        schema = {vol.Required(LINK): selector.SerialPortSelector()}
        url = None if user_input is None else user_input[LINK]
        return await self._studer_form("serial", schema, user_input, url)

    async def async_step_studer_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port on which the gateway connects to us."""
        schema = {
            vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
            vol.Optional(CONF_PEER): TEXT,
        }
        url = None
        if user_input is not None:
            peer = user_input.get(CONF_PEER, "").strip()
            query = f"?{urlencode({'peer': peer})}" if peer else ""
            url = f"listen://0.0.0.0:{user_input[CONF_PORT]:.0f}{query}"
        return await self._studer_form("listen", schema, user_input, url)

    async def async_step_studer_connect(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the address of a gateway that listens."""
        schema = {
            vol.Required(CONF_HOST): TEXT,
            vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
        }
        url = None
        if user_input is not None:
            url = f"tcp://{host_in_url(user_input[CONF_HOST])}:{user_input[CONF_PORT]:.0f}"
        return await self._studer_form("connect", schema, user_input, url)

    async def async_step_studer_udp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the two ends of a connection by UDP."""
        schema = {
            vol.Required(CONF_HOST): TEXT,
            vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
            vol.Required(CONF_LOCAL_PORT, default=DEFAULT_PORT): PORT,
        }
        url = None
        if user_input is not None:
            url = (
                f"udp://{host_in_url(user_input[CONF_HOST])}:{user_input[CONF_PORT]:.0f}"
                f"?local_port={user_input[CONF_LOCAL_PORT]:.0f}"
            )
        return await self._studer_form("udp", schema, user_input, url)

    async def async_step_studer_sim(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the size of a simulated plant."""
        schema = {
            vol.Required(CONF_XTENDERS, default=3): number(1, 9),
            vol.Required(CONF_VARIOTRACKS, default=2): number(0, 15),
            vol.Required(CONF_VARIOSTRINGS, default=1): number(0, 15),
        }
        url = None
        if user_input is not None:
            sizes = {name: int(number) for name, number in user_input.items()}
            url = f"sim://?{urlencode(sizes)}"
        return await self._studer_form("sim", schema, user_input, url)

    async def _studer_form(
        self,
        kind: str,
        schema: dict[Any, Any],
        user_input: dict[str, Any] | None,
        url: str | None,
    ) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None and url is not None:
            try:
                FACTORY.read({LINK: url})
            except LinkError as error:
                errors["base"] = error.reason.value
            else:
                self._async_abort_entries_match({LINK: url})
                other = self._studer_port_taken_by(url)
                if other is None and self._studer_anyone_may_call(url):
                    errors[CONF_PEER] = "studer_no_peer"
                elif other is None:
                    self._studer_url, self._studer_input = url, user_input
                    return await self.async_step_studer_probe()
                else:
                    errors[CONF_PORT] = "studer_port_taken"
                    placeholders["other"] = other.title
        elif self._studer_error is not None:
            errors, self._studer_error = self._studer_error, None
            user_input = self._studer_input
        return self.async_show_form(
            step_id=f"studer_{kind}",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(schema), user_input or self._studer_present(kind)
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _studer_anyone_may_call(self, url: str) -> bool:
        """Return whether to warn, once, that anyone on the network may connect."""
        if scheme_of(url) != "listen" or gateway_of(url) is not None or self._studer_warned:
            return False
        self._studer_warned = True
        return True

    def _studer_port_taken_by(self, url: str) -> ConfigEntry[Any] | None:
        """Return the entry that listens on the same port and would hear the same gateway."""
        if scheme_of(url) != "listen":
            return None
        peer = gateway_of(url)
        for entry in self._async_current_entries(include_ignore=False):
            there = str(entry.data.get(LINK, ""))
            same_port = scheme_of(there) == "listen" and urlsplit(there).port == urlsplit(url).port
            ours = self.source == SOURCE_RECONFIGURE and entry is self._get_reconfigure_entry()
            if not same_port or ours or entry.disabled_by is not None:
                continue
            if peer is None or gateway_of(there) in (None, peer):
                return entry
        return None

    def _studer_present(self, kind: str) -> dict[str, Any]:
        """Return what a step's fields begin with: what is set, and the Moxa that was chosen."""
        present: dict[str, Any] = {}
        url = ""
        if self.source == SOURCE_RECONFIGURE:
            url = self._get_reconfigure_entry().data[LINK]
        if url and STEPS.get(scheme_of(url), "serial") == kind:
            parts = urlsplit(url)
            present = dict(parse_qsl(parts.query))
            if kind == "serial":
                present = {LINK: url}
            elif kind != "sim":
                present |= {CONF_HOST: parts.hostname, CONF_PORT: parts.port}
        if self._studer_moxa is not None and kind in ("listen", "connect", "udp"):
            present[CONF_PEER if kind == "listen" else CONF_HOST] = self._studer_moxa.ip
        return {
            key: int(value) if key not in (CONF_HOST, LINK) and str(value).isdecimal() else value
            for key, value in present.items()
        }

    async def async_step_studer_probe(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Find out how the line is set and who answers."""
        if self._studer_probe is None:
            self._studer_probe = self.hass.async_create_task(
                self._studer_find(), "hardwired looks for a Studer plant"
            )
        if not self._studer_probe.done():
            listens = scheme_of(self._studer_url) == "listen"
            return self.async_show_progress(
                step_id="studer_probe",
                progress_action="studer_wait" if listens else "studer_probe",
                progress_task=self._studer_probe,
            )
        task, self._studer_probe = self._studer_probe, None
        try:
            self._studer_found = task.result()
        except LinkError as error:
            self._studer_error = {"base": error.reason.value}
            step = STEPS.get(scheme_of(self._studer_url), "serial")
            return self.async_show_progress_done(next_step_id=f"studer_{step}")
        return self.async_show_progress_done(next_step_id="studer_found")

    async def _studer_find(self) -> ProbeResult:
        return await self.async_probe(FACTORY, {LINK: self._studer_url})

    async def async_step_studer_found(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show who answered, and make the entry."""
        found = self._studer_found
        assert found is not None
        if user_input is not None:
            return self._studer_finish(found)
        await self.async_set_unique_id(found.unique_id)
        if self.source != SOURCE_RECONFIGURE:
            self._abort_if_unique_id_configured()
        elif not self._studer_same(found):
            return self.async_abort(reason="wrong_device")
        lines = [
            f"- {device.name}: {device.model or '?'}, {device.sw_version or '?'}"
            for device in _units(found)
        ]
        return self.async_show_form(
            step_id="studer_found",
            data_schema=vol.Schema({}),
            description_placeholders={
                "count": str(len(_units(found))),
                "devices": "\n".join(lines) or "-",
                "serial": str(found.settings.get("serial", "-")),
                "latency": f"{found.counters['latency_ms']:.0f}",
            },
            last_step=True,
        )

    def _studer_same(self, found: ProbeResult) -> bool:
        """Return whether this is the plant of the entry: it keeps its devices, not its gateway."""
        entry = self._get_reconfigure_entry()
        if found.unique_id == entry.unique_id:
            return True
        registry = dr.async_get(self.hass)
        known = {
            identifier
            for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
            for identifier in device.identifiers
        }
        return any((DOMAIN, device.id) in known for device in _units(found))

    def _studer_finish(self, found: ProbeResult) -> ConfigFlowResult:
        data: dict[str, Any] = {LINK: self._studer_url}
        if (serial := found.settings.get("serial")) is not None:
            data[CONF_SERIAL_FOUND] = serial
        moxa = self._studer_moxa
        if moxa is not None and gateway_of(self._studer_url) in (moxa.ip, None):
            data[CONF_MAC] = moxa.mac
            self._studer_discovered_no_more(moxa.mac)
        elif self.source == SOURCE_RECONFIGURE:
            before = self._get_reconfigure_entry().data
            if gateway_of(before[LINK]) == gateway_of(self._studer_url):
                data |= {key: before[key] for key in (CONF_MAC,) if key in before}
        return self.async_finish(KEY, "Studer", data)

    def _studer_discovered_no_more(self, mac: str) -> None:
        """Take back the offer to set up a gateway that the user has set up otherwise."""
        flows = self.hass.config_entries.flow
        for other in flows.async_progress_by_handler(DOMAIN, match_context={"unique_id": mac}):
            if other["flow_id"] != self.flow_id:
                flows.async_abort(other["flow_id"])

    def async_remove(self) -> None:
        """Stop looking when the user closes the dialog."""
        for task in (self._studer_probe, self._studer_search):
            if task is not None:
                task.cancel()
        with contextlib.suppress(AttributeError):
            super().async_remove()


def _units(found: ProbeResult) -> list[Device]:
    """Return the devices behind the gateway."""
    return [device for device in found.devices if device.kind != XCOM]


def _peer_of(entry: ConfigEntry[Any]) -> str | None:
    """Return who is at the other end of an entry's connection now."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    engine = entry.runtime_data.engine
    return engine.peer if isinstance(engine, StuderEngine) else None
