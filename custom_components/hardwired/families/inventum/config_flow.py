"""The config flow: finds the terminal on a port, and makes the entry.

The port is probed, the login is not waited for: it may take many tries. It goes on visibly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import probatio as vol
from homeassistant.components import usb
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigFlowResult
from homeassistant.data_entry_flow import section
from homeassistant.helpers import selector
from homeassistant.helpers.service_info.usb import UsbServiceInfo

from ...engines.engine import LinkError
from ...engines.factory import LINK, ProbeResult, SettingsError
from ...engines.inventum import FACTORY
from ...engines.inventum.terminal.keys import CHALLENGE_CODE, LOGIN_CODE
from ...engines.masking import masked
from ...flow import FamilyFlow, details_of
from ...ports import async_stable_name
from .const import (
    CONF_CHALLENGE_CODE,
    CONF_CODES,
    CONF_LOGIN_CODE,
    CONF_SERIAL_NUMBER,
    KEY,
)

TITLE = "Ecolution"
_PASSWORD = selector.TextSelector(
    selector.TextSelectorConfig(type=selector.TextSelectorType.PASSWORD)
)
_CODES = {
    vol.Required(CONF_LOGIN_CODE, default=LOGIN_CODE): _PASSWORD,
    vol.Required(CONF_CHALLENGE_CODE, default=CHALLENGE_CODE): _PASSWORD,
}
_USUAL = {CONF_LOGIN_CODE: LOGIN_CODE, CONF_CHALLENGE_CODE: CHALLENGE_CODE}


class InventumFlow(FamilyFlow):
    """The port of the service socket, and the codes."""

    _inventum: dict[str, Any]
    _inventum_usb: UsbServiceInfo | None = None
    _inventum_error: LinkError | None = None

    async def async_step_inventum(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port, and for the codes where they are not the usual ones."""
        errors: dict[str, str] = {}
        problem: LinkError | None = None
        if user_input is not None:
            data = {LINK: user_input[LINK], **_unusual(user_input.get(CONF_CODES, {}))}
            try:
                FACTORY.read(data)
            except LinkError as error:
                problem = error
            else:
                self._inventum = data
                await self._inventum_identify(data)
                return await self.async_step_inventum_probe()
        elif self._inventum_error is not None:
            problem, self._inventum_error = self._inventum_error, None
            user_input = self._inventum_form(self._inventum)
        if problem is not None:
            errors["base"] = _error_of(problem)
        schema = vol.Schema(
            {
                vol.Required(LINK): selector.SerialPortSelector(),
                vol.Required(CONF_CODES): section(vol.Schema(_CODES), {"collapsed": True}),
            }
        )
        return self.async_show_form(
            step_id="inventum",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or self._inventum_present()
            ),
            description_placeholders={"details": _details_of(problem)},
            errors=errors,
        )

    async def async_step_inventum_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port and the codes again."""
        return await self.async_step_inventum()

    async def async_step_inventum_usb(self, discovery_info: UsbServiceInfo) -> ConfigFlowResult:
        """A cable was plugged in."""
        path = await async_stable_name(self.hass, discovery_info.device)
        await self.async_set_unique_id(_identity(discovery_info.serial_number, path))
        self._abort_if_unique_id_configured(updates={LINK: path})
        self._async_abort_entries_match({LINK: path})
        self._inventum_usb = discovery_info
        self._inventum = {LINK: path}
        if discovery_info.serial_number:
            self._inventum[CONF_SERIAL_NUMBER] = discovery_info.serial_number
        self.context["title_placeholders"] = {"name": TITLE}
        return await self.async_step_inventum_confirm()

    async def async_step_inventum_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask whether what was discovered is to be set up."""
        problem, self._inventum_error = self._inventum_error, None
        if problem is None and user_input is not None:
            return await self.async_step_inventum_probe()
        return self.async_show_form(
            step_id="inventum_confirm",
            data_schema=vol.Schema({}),
            description_placeholders={
                "port": masked(self._inventum[LINK]),
                "details": details_of(problem),
            },
            errors={} if problem is None else {"base": problem.reason.value},
        )

    async def async_step_inventum_reauth(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the codes: the terminal did not take them."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            kept = {key: value for key, value in entry.data.items() if key not in _USUAL}
            data = {**kept, **_unusual(user_input)}
            try:
                FACTORY.read(data)
            except LinkError as error:
                errors["base"] = _error_of(error)
            else:
                return self.async_update_reload_and_abort(entry, data=data)
        return self.async_show_form(
            step_id="inventum_reauth",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(_CODES), user_input or {**_USUAL, **entry.data}
            ),
            errors=errors,
        )

    async def async_step_inventum_probe(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Wake the terminal and recognise its screen."""
        step = "inventum_probe"
        shown = self.show_work(step, self._inventum_listen, seconds=FACTORY.probe_seconds)
        if shown is not None:
            return shown
        back = "inventum" if self._inventum_usb is None else "inventum_confirm"
        try:
            result: ProbeResult = self.take_work()
        except LinkError as error:
            self._inventum_error = error
            return self.async_show_progress_done(next_step_id=back)
        if result.reason is not None:
            self._inventum_error = LinkError(result.reason)
            return self.async_show_progress_done(next_step_id=back)
        return self.async_show_progress_done(next_step_id="inventum_finish")

    async def _inventum_listen(self) -> ProbeResult:
        return await self.async_probe(FACTORY, self._inventum)

    async def async_step_inventum_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Make the entry."""
        return self.async_finish(KEY, TITLE, self._inventum)

    async def _inventum_identify(self, data: dict[str, Any]) -> None:
        """Know the port's device as discovery would, so that it is not set up twice."""
        serial_number = None
        link = data[LINK] = await async_stable_name(self.hass, data[LINK])
        if link.startswith("/"):
            device = await self.hass.async_add_executor_job(usb.usb_device_from_path, link)
            if device is not None and (serial_number := device.serial_number):
                data[CONF_SERIAL_NUMBER] = serial_number
        await self.async_set_unique_id(
            _identity(serial_number, data[LINK]), raise_on_progress=False
        )
        if self.source == SOURCE_RECONFIGURE:
            return
        self._abort_if_unique_id_configured()
        self._async_abort_entries_match({LINK: data[LINK]})

    def _inventum_present(self) -> Mapping[str, Any]:
        if self.source != SOURCE_RECONFIGURE:
            return {}
        return self._inventum_form(self._get_reconfigure_entry().data)

    @staticmethod
    def _inventum_form(data: Mapping[str, Any]) -> dict[str, Any]:
        codes = {key: data.get(key, usual) for key, usual in _USUAL.items()}
        return {LINK: data[LINK], CONF_CODES: codes}


def _unusual(codes: Mapping[str, Any]) -> dict[str, str]:
    """Return the codes that differ from the usual ones: only these are secrets."""
    return {
        key: codes[key] for key, usual in _USUAL.items() if codes.get(key) not in (None, "", usual)
    }


def _is_code(problem: LinkError | None) -> bool:
    return isinstance(problem, SettingsError) and problem.field in _USUAL


def _error_of(problem: LinkError) -> str:
    """Return the key of what the form says of a problem."""
    return "inventum_code" if _is_code(problem) else problem.reason.value


def _details_of(problem: LinkError | None) -> str:
    """Return what the system says of it; of a code all is said."""
    return "" if _is_code(problem) else details_of(problem)


def _identity(serial_number: str | None, path: str) -> str:
    return f"{KEY}_{serial_number}" if serial_number else f"{KEY}_{masked(path)}"
