"""The config flow: finds the GX's broker, logs in, and says whether the helper is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import probatio as vol
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigFlowResult
from homeassistant.helpers import selector
from homeassistant.helpers.service_info.ssdp import SsdpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo

from ...engines.engine import LinkError, Reason
from ...engines.factory import LINK, ProbeResult
from ...engines.masking import masked
from ...engines.victron_gx import FACTORY
from ...engines.victron_gx.protocol import read_portal
from ...engines.victron_gx.settings import FINGERPRINT, PASSWORD, PORTAL, PORTS, USER
from ...flow import FamilyFlow
from .const import (
    CONF_HOST,
    CONF_PAIR,
    CONF_PIN,
    CONF_PORT,
    CONF_TLS,
    DEFAULT_HOST,
    DOCS,
    KEY,
)
from .pairing import PairingError, async_pair

TITLE = "Victron GX"
_SECRET = selector.TextSelector(
    selector.TextSelectorConfig(
        type=selector.TextSelectorType.PASSWORD, autocomplete="current-password"
    )
)
_LOGIN = {
    vol.Optional(USER): selector.TextSelector(),
    vol.Optional(PASSWORD): _SECRET,
    vol.Required(CONF_PAIR, default=False): selector.BooleanSelector(),
}
_FORM = {
    vol.Required(CONF_HOST, default=DEFAULT_HOST): selector.TextSelector(),
    vol.Optional(CONF_PORT): vol.All(
        selector.NumberSelector(
            selector.NumberSelectorConfig(
                min=1, max=65535, step=1, mode=selector.NumberSelectorMode.BOX
            )
        ),
        vol.Coerce(int),
    ),
    vol.Required(CONF_TLS, default=False): selector.BooleanSelector(),
    vol.Required(CONF_PIN, default=False): selector.BooleanSelector(),
    **_LOGIN,
}
_TRY_TLS = frozenset(
    {Reason.REFUSED, Reason.UNREACHABLE, Reason.NO_ANSWER, Reason.DISCONNECTED, Reason.SILENT}
)
"""What a closed or silent plain port looks like."""


class VictronGxFlow(FamilyFlow):
    """Where the GX is, and how one gets in."""

    _victron_gx: dict[str, Any]
    _victron_gx_form: Mapping[str, Any] | None = None
    _victron_gx_error: str | None = None
    _victron_gx_helper = False
    _victron_gx_host: str | None = None

    async def async_step_victron_gx(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the address and the login."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._victron_gx_form = user_input
            errors = await self._victron_gx_take(user_input)
            if not errors:
                return await self.async_step_victron_gx_probe()
        elif self._victron_gx_error is not None:
            errors["base"], self._victron_gx_error = self._victron_gx_error, None
        return self.async_show_form(
            step_id="victron_gx",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(_FORM), self._victron_gx_form or self._victron_gx_present()
            ),
            errors=errors,
        )

    async def async_step_victron_gx_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the address and the login again."""
        return await self.async_step_victron_gx()

    async def async_step_victron_gx_zeroconf(
        self, discovery_info: ZeroconfServiceInfo
    ) -> ConfigFlowResult:
        """A GX offers MQTT on the network."""
        portal = read_portal(discovery_info.properties.get("portalId"))
        return await self._victron_gx_discovered(discovery_info.host, portal)

    async def async_step_victron_gx_ssdp(self, discovery_info: SsdpServiceInfo) -> ConfigFlowResult:
        """A GX tells of itself on the network."""
        host = urlsplit(discovery_info.ssdp_location or "").hostname
        if not host:
            return self.async_abort(reason="not_supported")
        portal = read_portal(discovery_info.upnp.get("X_VrmPortalId"))
        return await self._victron_gx_discovered(host, portal)

    async def _victron_gx_discovered(self, host: str, portal: str | None) -> ConfigFlowResult:
        """Follow a known GX to its new address, or ask about a new one."""
        entries = [
            entry for entry in self._async_current_entries() if entry.data.get("family") == KEY
        ]
        if portal is not None:
            await self.async_set_unique_id(f"{KEY}_{portal}")
            for entry in entries:
                if entry.unique_id == self.unique_id:
                    link = _moved(entry.data[LINK], host)
                    self._abort_if_unique_id_configured(updates={LINK: link})
        elif any(urlsplit(entry.data[LINK]).hostname == host for entry in entries):
            return self.async_abort(reason="already_configured")
        else:
            await self.async_set_unique_id(f"{KEY}_{host}")
            self._abort_if_unique_id_configured()
        self._victron_gx_host = host
        self.context["title_placeholders"] = {"name": TITLE}
        return await self.async_step_victron_gx()

    async def async_step_victron_gx_reauth(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the login: the GX does not take the present one."""
        errors: dict[str, str] = {}
        entry = self._get_reauth_entry()
        if user_input is not None:
            host = urlsplit(entry.data[LINK]).hostname or ""
            login = await self._victron_gx_login(user_input, host, errors)
            kept = {key: one for key, one in entry.data.items() if key not in (USER, PASSWORD)}
            self._victron_gx = {**kept, **login}
            if not errors:
                return await self.async_step_victron_gx_probe()
        elif self._victron_gx_error is not None:
            errors["base"], self._victron_gx_error = self._victron_gx_error, None
        return self.async_show_form(
            step_id="victron_gx_reauth",
            data_schema=self.add_suggested_values_to_schema(vol.Schema(_LOGIN), user_input or {}),
            errors=errors,
        )

    async def async_step_victron_gx_probe(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Log in and hear whose broker it is."""
        step = "victron_gx_probe"
        shown = self.show_work(step, self._victron_gx_ask, seconds=FACTORY.probe_seconds)
        if shown is not None:
            return shown
        back = "victron_gx_reauth" if self.source == SOURCE_REAUTH else "victron_gx"
        try:
            result: ProbeResult = self.take_work()
        except LinkError as error:
            self._victron_gx_error = error.reason.value
            return self.async_show_progress_done(next_step_id=back)
        if result.reason is not None:
            self._victron_gx_error = result.reason.value
            return self.async_show_progress_done(next_step_id=back)
        self._victron_gx[PORTAL] = result.settings["portal"]
        pinned = self._victron_gx.pop(CONF_PIN, FINGERPRINT in self._victron_gx)
        self._victron_gx.pop(FINGERPRINT, None)
        if pinned and result.settings["fingerprint"]:
            self._victron_gx[FINGERPRINT] = result.settings["fingerprint"]
        self._victron_gx_helper = bool(result.counters["helper"])
        return self.async_show_progress_done(next_step_id="victron_gx_found")

    async def async_step_victron_gx_found(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on with a GX that is known by its portal id."""
        if self.source == SOURCE_REAUTH:
            entry = self._get_reauth_entry()
            if entry.data.get(PORTAL) not in (None, self._victron_gx[PORTAL]):
                return self.async_abort(reason="wrong_device")
            return self.async_update_reload_and_abort(entry, data=self._victron_gx)
        await self.async_set_unique_id(f"{KEY}_{self._victron_gx[PORTAL]}", raise_on_progress=False)
        if self.source == SOURCE_RECONFIGURE:
            self._abort_if_unique_id_mismatch(reason="wrong_device")
            return self.async_finish(KEY, TITLE, self._victron_gx)
        self._abort_if_unique_id_configured()
        if self._victron_gx_helper:
            return await self.async_step_victron_gx_ready()
        return await self.async_step_victron_gx_no_helper()

    async def async_step_victron_gx_ready(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what was found, and what comes next."""
        return self._victron_gx_last("victron_gx_ready", user_input)

    async def async_step_victron_gx_no_helper(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the helper is missing, and where it comes from."""
        return self._victron_gx_last("victron_gx_no_helper", user_input)

    def _victron_gx_last(self, step_id: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        if user_input is not None:
            return self.async_finish(KEY, TITLE, self._victron_gx)
        return self.async_show_form(
            step_id=step_id,
            data_schema=vol.Schema({}),
            description_placeholders={"address": masked(self._victron_gx[LINK]), "docs": DOCS},
        )

    # -------------------------------------------------------------------------------- inside

    async def _victron_gx_take(self, form: Mapping[str, Any]) -> dict[str, str]:
        """Make data of what was entered; returns what is wrong with it."""
        errors: dict[str, str] = {}
        host = str(form[CONF_HOST]).strip().strip("/")
        scheme = "mqtts" if form[CONF_TLS] else "mqtt"
        port = form.get(CONF_PORT) or PORTS[scheme]
        if host.startswith("sim:"):
            link = host
        else:
            shown = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
            link = f"{scheme}://{shown}:{int(port)}"
        data: dict[str, Any] = {LINK: link, CONF_PIN: bool(form[CONF_PIN])}
        try:
            FACTORY.read(data)
        except LinkError as error:
            return {CONF_HOST: error.reason.value}
        data |= await self._victron_gx_login(form, host, errors)
        self._victron_gx = data
        return errors

    async def _victron_gx_login(
        self, form: Mapping[str, Any], host: str, errors: dict[str, str]
    ) -> dict[str, str]:
        """Return user and password, or a token."""
        login = {key: str(form[key]) for key in (USER, PASSWORD) if form.get(key)}
        if not form[CONF_PAIR]:
            return login
        if PASSWORD not in login:
            errors[PASSWORD] = "victron_gx_needs_password"
            return {}
        device = f"hardwired-{self.flow_id[-12:].lower()}"
        try:
            name, secret = await async_pair(self.hass, host, login[PASSWORD], device)
        except PairingError:
            errors["base"] = "victron_gx_no_pairing"
            return {}
        return {USER: name, PASSWORD: secret}

    async def _victron_gx_ask(self) -> ProbeResult:
        """Probe; a plain port that is closed or silent is followed by the one with TLS."""
        data = self._victron_gx
        plain = f":{PORTS['mqtt']}"
        link = data[LINK]
        try:
            return await self.async_probe(FACTORY, data)
        except LinkError as error:
            if (
                error.reason not in _TRY_TLS
                or not link.startswith("mqtt://")
                or not link.endswith(plain)
            ):
                raise
        data[LINK] = f"mqtts{link.removeprefix('mqtt').removesuffix(plain)}:{PORTS['mqtts']}"
        try:
            return await self.async_probe(FACTORY, data)
        except LinkError:
            data[LINK] = link
            raise

    def _victron_gx_present(self) -> Mapping[str, Any]:
        if self._victron_gx_host is not None:
            return {CONF_HOST: self._victron_gx_host}
        if self.source != SOURCE_RECONFIGURE:
            return {}
        data = self._get_reconfigure_entry().data
        if data[LINK].startswith("sim:"):
            return {CONF_HOST: data[LINK]}
        parts = urlsplit(data[LINK])
        return {
            CONF_HOST: parts.hostname,
            CONF_PORT: parts.port,
            CONF_TLS: parts.scheme == "mqtts",
            CONF_PIN: FINGERPRINT in data,
            **{key: data[key] for key in (USER, PASSWORD) if key in data},
        }


def _moved(link: str, host: str) -> str:
    """Return a link to another host, with the same port and way."""
    parts = urlsplit(link)
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{parts.port}"
