"""Studer plants behind an Xcom: the face in Home Assistant."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import probatio as vol
from homeassistant.components import network
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.const import ATTR_DEVICE_ID, CONF_DEVICE, CONF_HOST, CONF_MAC, CONF_PORT
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.data_entry_flow import section
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
    selector,
)
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.storage import Store

from ..actions import coordinator_of, entry_field, register
from ..const import CONF_FAMILY, DOMAIN
from ..coordinator import HardwiredCoordinator
from ..engines.engine import Command, Device, LinkError, Reason
from ..engines.fields import Field, Offer, Quantity, Value
from ..engines.studer.catalogue import CATALOGUES, FAMILY_OF, SYSTEM, XCOM, point_of
from ..engines.studer.datapoints.datapoint import by_key
from ..engines.studer.engine import ProbeResult, StuderEngine
from ..engines.studer.moxa import MAC_PREFIX, PORT as SEARCH_PORT
from ..engines.studer.moxa_search import FoundMoxa, search
from ..engines.studer.scom.families import FAMILIES
from ..engines.studer.scom.values import Format
from ..engines.studer.session.discovery import Progress
from ..engines.studer.settings import DEFAULT_INTERVALS, LEVELS, MIN_INTERVAL, StuderSettings
from ..family import Family, Issue
from ..flow import FamilyFlow, async_is_time_zone

_LOGGER = logging.getLogger(__name__)

KEY = "studer"

CONF_PEER = "peer"
CONF_LOCAL_PORT = "local_port"
CONF_XTENDERS = "xtenders"
CONF_VARIOTRACKS = "variotracks"
CONF_VARIOSTRINGS = "variostrings"
CONF_SERIAL = "serial"
CONF_LEVEL = "level"
CONF_DATAPOINTS = "datapoints"
CONF_INTERVALS = "intervals"
CONF_SHARED_LINE = "shared_line"
CONF_READ_MESSAGES = "read_messages"
CONF_REAPPLY_RAM = "reapply_ram"
CONF_FEED_WATCHDOGS = "feed_watchdogs"
CONF_SEPARATE_BATTERIES = "separate_batteries"
CONF_PHASES = "phases"
SECTION_INTERVALS = "intervals"
SECTION_MORE = "more"

DEFAULT_PORT = 4001
PROBE_TIMEOUT = 90.0
"""How long the set-up waits: the alive check of a Moxa takes up to a minute."""
STORAGE_VERSION = 1
SAVE_DELAY = 1.0
LONGEST_INTERVAL = 3600
INTERVAL_CLASSES = ("fast", "normal", "slow", "config")
LAST_MINUTE = 1440

STEPS = {"listen": "listen", "tcp": "connect", "socket": "connect", "udp": "udp", "sim": "sim"}
"""The step that asks for an address of each scheme; of a device path, ``serial``."""

GATEWAY_STEPS = ("studer_listen", "studer_connect", "studer_udp")
"""The ways to a Moxa on the network."""

_TEXT = selector.TextSelector()
_YES_NO = selector.BooleanSelector()


def _number(low: float, high: float, unit: str | None = None) -> selector.NumberSelector:
    config = selector.NumberSelectorConfig(
        min=low, max=high, step=1, mode=selector.NumberSelectorMode.BOX
    )
    if unit is not None:
        config["unit_of_measurement"] = unit
    return selector.NumberSelector(config)


_PORT = _number(1, 65535)


def _host(text: str) -> str:
    """Return a host as it stands in an address: a bare IPv6 address gets its brackets."""
    text = text.strip()
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(text).version == 6:
            return f"[{text}]"
    return text


def _scheme(url: str) -> str:
    return urlsplit(url).scheme if "://" in url else ""


def _gateway_of(url: str) -> str | None:
    """Return the address of the gateway on the network that a link leads to, where it says so."""
    match _scheme(url):
        case "listen":
            return dict(parse_qsl(urlsplit(url).query)).get(CONF_PEER)
        case "tcp" | "socket" | "udp":
            return urlsplit(url).hostname
    return None


def _with_gateway(url: str, ip: str) -> str:
    """Return the same link, to a gateway that has got another address."""
    parts = urlsplit(url)
    if parts.scheme == "listen":
        query = {**dict(parse_qsl(parts.query)), CONF_PEER: ip}
        return parts._replace(query=urlencode(query)).geturl()
    return parts._replace(netloc=f"{_host(ip)}:{parts.port}").geturl()


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
            if known is None and ip in (_gateway_of(entry.data[CONF_DEVICE]), _peer_of(entry)):
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
        url = entry.data[CONF_DEVICE]
        here = _gateway_of(url)
        if here is None or here == ip or not _is_address(here):
            return self.async_abort(reason="already_configured")
        return self.async_update_reload_and_abort(
            entry,
            data_updates={CONF_DEVICE: _with_gateway(url, ip)},
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
        schema = {vol.Required(CONF_DEVICE): selector.SerialPortSelector()}
        url = None if user_input is None else user_input[CONF_DEVICE]
        return await self._studer_form("serial", schema, user_input, url)

    async def async_step_studer_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port on which the gateway connects to us."""
        schema = {
            vol.Required(CONF_PORT, default=DEFAULT_PORT): _PORT,
            vol.Optional(CONF_PEER): _TEXT,
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
            vol.Required(CONF_HOST): _TEXT,
            vol.Required(CONF_PORT, default=DEFAULT_PORT): _PORT,
        }
        url = None
        if user_input is not None:
            url = f"tcp://{_host(user_input[CONF_HOST])}:{user_input[CONF_PORT]:.0f}"
        return await self._studer_form("connect", schema, user_input, url)

    async def async_step_studer_udp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the two ends of a connection by UDP."""
        schema = {
            vol.Required(CONF_HOST): _TEXT,
            vol.Required(CONF_PORT, default=DEFAULT_PORT): _PORT,
            vol.Required(CONF_LOCAL_PORT, default=DEFAULT_PORT): _PORT,
        }
        url = None
        if user_input is not None:
            url = (
                f"udp://{_host(user_input[CONF_HOST])}:{user_input[CONF_PORT]:.0f}"
                f"?local_port={user_input[CONF_LOCAL_PORT]:.0f}"
            )
        return await self._studer_form("udp", schema, user_input, url)

    async def async_step_studer_sim(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the size of a simulated plant."""
        schema = {
            vol.Required(CONF_XTENDERS, default=3): _number(1, 9),
            vol.Required(CONF_VARIOTRACKS, default=2): _number(0, 15),
            vol.Required(CONF_VARIOSTRINGS, default=1): _number(0, 15),
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
                StuderSettings.from_mapping({"url": url})
            except LinkError as error:
                errors["base"] = error.reason.value
            else:
                self._async_abort_entries_match({CONF_DEVICE: url})
                other = self._studer_port_taken_by(url)
                if other is None:
                    self._studer_url, self._studer_input = url, user_input
                    return await self.async_step_studer_probe()
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

    def _studer_port_taken_by(self, url: str) -> ConfigEntry[Any] | None:
        """Return the entry that listens on the same port and would hear the same gateway."""
        if _scheme(url) != "listen":
            return None
        peer = _gateway_of(url)
        for entry in self._async_current_entries(include_ignore=False):
            there = str(entry.data.get(CONF_DEVICE, ""))
            same_port = _scheme(there) == "listen" and urlsplit(there).port == urlsplit(url).port
            ours = self.source == SOURCE_RECONFIGURE and entry is self._get_reconfigure_entry()
            if not same_port or ours or entry.disabled_by is not None:
                continue
            if peer is None or _gateway_of(there) in (None, peer):
                return entry
        return None

    def _studer_present(self, kind: str) -> dict[str, Any]:
        """Return what a step's fields begin with: what is set, and the Moxa that was chosen."""
        present: dict[str, Any] = {}
        url = ""
        if self.source == SOURCE_RECONFIGURE:
            url = self._get_reconfigure_entry().data[CONF_DEVICE]
        if url and STEPS.get(_scheme(url), "serial") == kind:
            parts = urlsplit(url)
            present = dict(parse_qsl(parts.query))
            if kind == "serial":
                present = {CONF_DEVICE: url}
            elif kind != "sim":
                present |= {CONF_HOST: parts.hostname, CONF_PORT: parts.port}
        if self._studer_moxa is not None and kind in ("listen", "connect", "udp"):
            present[CONF_PEER if kind == "listen" else CONF_HOST] = self._studer_moxa.ip
        return {
            key: int(value)
            if key not in (CONF_HOST, CONF_DEVICE) and str(value).isdecimal()
            else value
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
            listens = _scheme(self._studer_url) == "listen"
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
            step = STEPS.get(_scheme(self._studer_url), "serial")
            return self.async_show_progress_done(next_step_id=f"studer_{step}")
        return self.async_show_progress_done(next_step_id="studer_found")

    async def _studer_find(self) -> ProbeResult:
        def progress(now: Progress) -> None:
            self.async_update_progress(min(1.0, now.done / max(1, now.total)))

        engine = StuderEngine(StuderSettings.from_mapping({"url": self._studer_url}))
        async with self.async_link_freed():
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    return await engine.probe(progress)
            except TimeoutError as error:
                listens = _scheme(self._studer_url) == "listen"
                raise LinkError(Reason.WAITING_FOR_PEER if listens else Reason.NO_ANSWER) from error

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
            for device in found.devices
        ]
        return self.async_show_form(
            step_id="studer_found",
            data_schema=vol.Schema({}),
            description_placeholders={
                "count": str(len(found.devices)),
                "devices": "\n".join(lines) or "-",
                "serial": "-" if found.serial is None else str(found.serial),
                "latency": f"{found.latency_ms:.0f}",
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
        return any((DOMAIN, device.id) in known for device in found.devices)

    def _studer_finish(self, found: ProbeResult) -> ConfigFlowResult:
        data: dict[str, Any] = {CONF_DEVICE: self._studer_url}
        if found.serial is not None:
            data[CONF_SERIAL] = str(found.serial)
        moxa = self._studer_moxa
        if moxa is not None and _gateway_of(self._studer_url) in (moxa.ip, None):
            data[CONF_MAC] = moxa.mac
            self._studer_discovered_no_more(moxa.mac)
        elif self.source == SOURCE_RECONFIGURE:
            before = self._get_reconfigure_entry().data
            if _gateway_of(before[CONF_DEVICE]) == _gateway_of(self._studer_url):
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


def _peer_of(entry: ConfigEntry[Any]) -> str | None:
    """Return who is at the other end of an entry's connection now."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    engine = entry.runtime_data.engine
    return engine.peer if isinstance(engine, StuderEngine) else None


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False


@cache
def _requestable() -> list[selector.SelectOptionDict]:
    """Return the datapoints that become entities only on request."""
    found = []
    for kind, catalogue in CATALOGUES.items():
        if kind == SYSTEM:
            continue
        family = FAMILY_OF[kind]
        for item in catalogue.values():
            point = by_key(family, item.key)
            if point is not None and item.offer is Offer.ON_REQUEST and not point.guarded:
                label = f"{FAMILIES[family].name} {{{point.id}}} {point.name}"
                found.append(
                    selector.SelectOptionDict(value=f"{family.value}.{point.id}", label=label)
                )
    return found


class StuderOptions(OptionsFlowWithReload):
    """What is read, how often, and what may be written."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin."""
        return await self.async_step_studer()

    async def async_step_studer(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        errors: dict[str, str] = {}
        if user_input is not None:
            options = {**user_input, **user_input.get(SECTION_MORE, {})}
            options.pop(SECTION_MORE, None)
            if options.get(CONF_SHARED_LINE) not in (True, False):
                shared = {"yes": True, "no": False}.get(options.pop(CONF_SHARED_LINE, "auto"))
                if shared is not None:
                    options[CONF_SHARED_LINE] = shared
            try:
                StuderSettings.from_mapping({**options, "url": "sim://"})
            except ValueError:
                errors[CONF_DATAPOINTS] = "studer_unknown_datapoint"
            else:
                return self.async_create_entry(data=options)
        interval = _number(MIN_INTERVAL, LONGEST_INTERVAL, "s")
        defaults = {poll.value: seconds for poll, seconds in DEFAULT_INTERVALS.items()}
        schema = vol.Schema(
            {
                vol.Required(CONF_LEVEL, default="expert"): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=[level.value for level in LEVELS],
                        translation_key="studer_level",
                    )
                ),
                vol.Optional(CONF_DATAPOINTS, default=list): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=_requestable(),
                        custom_value=True,
                        multiple=True,
                        mode=selector.SelectSelectorMode.DROPDOWN,
                    )
                ),
                vol.Required(CONF_READ_MESSAGES, default=True): _YES_NO,
                vol.Required(CONF_REAPPLY_RAM, default=False): _YES_NO,
                vol.Required(SECTION_INTERVALS): section(
                    vol.Schema(
                        {
                            vol.Required(name, default=defaults[name]): interval
                            for name in INTERVAL_CLASSES
                        }
                    ),
                    {"collapsed": True},
                ),
                vol.Required(SECTION_MORE): section(
                    vol.Schema(
                        {
                            vol.Required(CONF_SHARED_LINE, default="auto"): selector.SelectSelector(
                                selector.SelectSelectorConfig(
                                    options=["auto", "yes", "no"],
                                    translation_key="studer_shared_line",
                                )
                            ),
                            vol.Required(CONF_FEED_WATCHDOGS, default=False): _YES_NO,
                            vol.Required(CONF_SEPARATE_BATTERIES, default=False): _YES_NO,
                            vol.Required(CONF_PHASES, default=False): _YES_NO,
                        }
                    ),
                    {"collapsed": True},
                ),
            }
        )
        return self.async_show_form(
            step_id="studer",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or self._present()),
            errors=errors,
        )

    def _present(self) -> dict[str, Any]:
        present = dict(self.config_entry.options)
        more = {
            key: present[key]
            for key in (CONF_FEED_WATCHDOGS, CONF_SEPARATE_BATTERIES, CONF_PHASES)
            if key in present
        }
        shared = present.get(CONF_SHARED_LINE)
        more[CONF_SHARED_LINE] = "auto" if shared is None else ("yes" if shared else "no")
        return {**present, SECTION_MORE: more}


def _store(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Store[dict[str, Any]]:
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{KEY}.{entry.entry_id}", private=True)


def _enable_requested(
    hass: HomeAssistant, entry: ConfigEntry[Any], settings: StuderSettings
) -> None:
    """Switch on what was there, but off, before the owner asked for it by name."""
    numbers = {str(number) for _, number in settings.requested()}
    registry = er.async_get(hass)
    for one in er.async_entries_for_config_entry(registry, entry.entry_id):
        off = one.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        if off and one.unique_id.rpartition("_")[2] in numbers:
            registry.async_update_entity(one.entity_id, disabled_by=None)


class StoredShelf:
    """What the engine keeps over restarts, in Home Assistant's storage."""

    def __init__(self, store: Store[dict[str, Any]], data: Mapping[str, Any]) -> None:
        """Begin with what was stored."""
        self._store = store
        self._data = dict(data)

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last."""
        return self._data

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*; it is on the disk a second later, or when Home Assistant stops."""
        self._data = dict(data)
        self._store.async_delay_save(lambda: self._data, SAVE_DELAY)

    async def async_flush(self) -> None:
        """Write now: the next owner of the file reads it."""
        await self._store.async_save(self._data)


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
DATALOG = vol.Schema({**entry_field(), vol.Optional("file"): str})


def _plain(value: Any) -> Any:
    """Return a result as JSON has it."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bool() | int() | float() | str() | None:
            return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


async def _read(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator, device = _target(hass, call)
    names = ("id", "property", "format")
    options = {name: call.data[name] for name in names if name in call.data}
    return await coordinator.async_execute(Command(device.id, name="read", options=options))


async def _write(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator, device = _target(hass, call)
    names = ("id", "value", "all_units", "persistent", "force", "confirm")
    options: dict[str, Value] = {name: call.data[name] for name in names if name in call.data}
    value = options.get("value")
    if isinstance(value, str):
        options["value"] = {"true": True, "on": True, "false": False, "off": False}.get(
            value.lower(), value
        )
    return await coordinator.async_execute(Command(device.id, name="write", options=options))


async def _messages(hass: HomeAssistant, call: ServiceCall) -> Mapping[str, Any]:
    coordinator = coordinator_of(hass, call, KEY)
    command = Command(_gateway(coordinator), name="messages", options={"count": call.data["count"]})
    return await coordinator.async_execute(command)


async def _identify(hass: HomeAssistant, call: ServiceCall) -> None:
    coordinator, device = _target(hass, call)
    options = {"seconds": call.data["seconds"]}
    await coordinator.async_execute(Command(device.id, name="identify", options=options))


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

    await hass.async_add_executor_job(keep)
    return {"file": result["file"], "path": str(path), "size": len(text)}


class StuderFamily(Family[StuderEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = StuderFlow
    options_flow = StuderOptions
    catalogues = CATALOGUES
    services: ClassVar[frozenset[str]] = frozenset({SYSTEM})
    discovered_macs: ClassVar[tuple[str, ...]] = (MAC_PREFIX.hex(),)
    redact: ClassVar[frozenset[str]] = frozenset({CONF_MAC})

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> StuderEngine:
        """Return the engine, with what it has kept."""
        zone = hass.config.time_zone
        if not await async_is_time_zone(hass, zone):
            raise LinkError(Reason.BAD_TIMEZONE, zone)
        options = {**entry.options, "url": entry.data[CONF_DEVICE], "time_zone": zone}
        try:
            settings = StuderSettings.from_mapping(options)
        except ValueError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        store = _store(hass, entry)
        data = await store.async_load() or {}
        if CONF_SERIAL in entry.data:
            data.setdefault(CONF_SERIAL, entry.data[CONF_SERIAL])
        _enable_requested(hass, entry, settings)
        shelf = StoredShelf(store, data)
        entry.async_on_unload(shelf.async_flush)
        return StuderEngine(settings, storage=shelf)

    async def async_remove(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Forget shadows and counters of a deleted entry."""
        await _store(hass, entry).async_remove()

    def unique_id(self, entry: ConfigEntry[Any], device: Device, key: str) -> str:
        """Return FID and number of the datapoint; our own fields have their key instead."""
        point = point_of(device.kind, key)
        return f"{self.scope(entry, device)}{device.id}_{key if point is None else point.id}"

    def requested(self, engine: StuderEngine, kind: str, item: Field) -> bool:
        """Whether the owner has named a datapoint in the options."""
        return engine.requested(kind, item.key)

    def want(self, engine: StuderEngine, device: str, key: str) -> Callable[[], None]:
        """Let the scheduler read what is shown."""
        return engine.want(device, key)

    def limits(
        self, engine: StuderEngine, device: str, item: Field
    ) -> tuple[float | None, float | None] | None:
        """Return the bounds that this unit takes now."""
        return engine.limits(device, item.key)

    def attributes(
        self, engine: StuderEngine, device: str, item: Field
    ) -> Mapping[str, Any] | None:
        """Return what stands in RAM and in flash, when it is not the same."""
        if not item.writable:
            return None
        known = engine.parameter(device, item.key)
        if known is None:
            return None
        found: dict[str, Any] = {}
        if known.ram_value is not None:
            found["ram_value"] = _plain(known.ram_value)
            found["flash_value"] = _plain(known.flash_value)
            found["written"] = None if known.written is None else known.written.isoformat()
        if item.quantity is Quantity.CLOCK_TIME and known.number == LAST_MINUTE:
            found["minutes"] = LAST_MINUTE
        return found or None

    def issues(self, engine: StuderEngine) -> Iterable[Issue]:
        """Return what the user has to put right now."""
        for trouble in engine.troubles:
            grave = trouble.key in ("watchdog_armed", "flash_worn")
            yield Issue(
                f"studer_{trouble.key}",
                trouble.placeholders,
                ir.IssueSeverity.ERROR if grave else ir.IssueSeverity.WARNING,
            )

    def secrets(self, engine: StuderEngine) -> Iterable[str]:
        """Return the identities of all devices and of the gateway, and its host."""
        yield from super().secrets(engine)
        yield from engine.secrets()
        url = engine.settings.url
        hosts = {_gateway_of(url), engine.peer}
        if _scheme(url) not in ("", "sim", "listen"):
            hosts.add(urlsplit(url).hostname)
        yield from filter(None, hosts)

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""

        async def read(call: ServiceCall) -> Mapping[str, Any]:
            return _shown(await _read(hass, call))

        async def write(call: ServiceCall) -> Mapping[str, Any]:
            return _shown(await _write(hass, call))

        async def messages(call: ServiceCall) -> Mapping[str, Any]:
            return _shown(await _messages(hass, call))

        async def identify(call: ServiceCall) -> None:
            await _identify(hass, call)

        async def datalog(call: ServiceCall) -> Mapping[str, Any]:
            return _shown(await _datalog(hass, call))

        only, optional = SupportsResponse.ONLY, SupportsResponse.OPTIONAL
        register(hass, "studer_read", read, READ, only)
        register(hass, "studer_write", write, WRITE, optional)
        register(hass, "studer_messages", messages, MESSAGES, only)
        register(hass, "studer_identify", identify, IDENTIFY)
        register(hass, "studer_datalog", datalog, DATALOG, only)


def _shown(result: Mapping[str, Any]) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = _plain(result)
    return plain


FAMILY = StuderFamily()
