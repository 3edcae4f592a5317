"""The config flow: asks how the gateway is reached; its base classes find a Moxa and probe."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import probatio as vol
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.helpers import selector

from ...const import ALREADY_SIMULATED, DOMAIN
from ...engines.engine import LinkError
from ...engines.factory import LINK
from ...engines.studer import FACTORY
from ...ports import async_stable_name
from .addresses import STEPS, gateway_of, host_in_url, scheme_of
from .const import (
    CONF_LOCAL_PORT,
    CONF_PEER,
    CONF_VARIOSTRINGS,
    CONF_VARIOTRACKS,
    CONF_XTENDERS,
)
from .moxa_flow import GATEWAY_STEPS
from .probe_flow import ProbeFlow
from .selectors import PORT, TEXT, number

DEFAULT_PORT = 4001


class StuderFlow(ProbeFlow):
    """How the gateway is reached."""

    _studer_input: dict[str, Any] | None = None
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

    async def async_step_studer_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the serial port of an Xcom-232i."""
        schema = {vol.Required(LINK): selector.SerialPortSelector()}
        url = None
        if user_input is not None:
            url = await async_stable_name(self.hass, user_input[LINK])
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
                if kind == "sim" and self._studer_simulated_already(url):
                    return self.async_abort(reason=ALREADY_SIMULATED)
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

    def _studer_simulated_already(self, url: str) -> bool:
        """Return whether this simulated plant is there; not for the entry that is reconfigured."""
        entries = self.hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        there = any(entry.data.get(LINK) == url for entry in entries)
        return there and self.source != SOURCE_RECONFIGURE

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
