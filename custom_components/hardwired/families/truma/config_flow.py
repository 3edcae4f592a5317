"""The config flow: listens on a port for the panel, and makes the entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import probatio as vol
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigFlowResult,
)
from homeassistant.helpers import selector

from ...engines.engine import LinkError, Reason
from ...engines.factory import LINK, TIME_ZONE, ProbeResult, SettingsError
from ...engines.truma import FACTORY
from ...flow import FamilyFlow, details_of
from ...ports import async_stable_name
from .const import (
    CONF_CLOCK_SYNC,
    CONF_OBSERVER,
    KEY,
)


class TrumaFlow(FamilyFlow):
    """The port on which the LIN bus is heard."""

    _truma: dict[str, Any]
    _truma_heard: ProbeResult | None = None
    _truma_error: LinkError | None = None

    async def async_step_truma(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the port."""
        errors: dict[str, str] = {}
        problem: LinkError | None = None
        if user_input is not None:
            user_input = {**user_input, LINK: await async_stable_name(self.hass, user_input[LINK])}
            try:
                FACTORY.read(user_input)
            except SettingsError as error:
                errors[error.field] = error.reason.value
            else:
                self._async_abort_entries_match({LINK: user_input[LINK]})
                self._truma = user_input
                return await self.async_step_truma_listen()
        elif self._truma_error is not None:
            problem, self._truma_error = self._truma_error, None
            errors["base"] = problem.reason.value
            user_input = self._truma
        schema = vol.Schema(
            {
                vol.Required(LINK): selector.SerialPortSelector(),
                vol.Required(CONF_OBSERVER, default=False): selector.BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="truma",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or self._truma_present()
            ),
            description_placeholders={"details": details_of(problem)},
            errors=errors,
        )

    async def async_step_truma_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port again."""
        return await self.async_step_truma()

    def _truma_present(self) -> Mapping[str, Any]:
        if self.source != SOURCE_RECONFIGURE:
            return {}
        return self._get_reconfigure_entry().data

    async def async_step_truma_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Listen to the bus for a while."""
        shown = self.show_work("truma_listen", self._truma_listen, seconds=FACTORY.probe_seconds)
        if shown is not None:
            return shown
        try:
            self._truma_heard = self.take_work()
        except LinkError as error:
            self._truma_error = error
            return self.async_show_progress_done(next_step_id="truma")
        if self._truma_heard.reason is None:
            return self.async_show_progress_done(next_step_id="truma_finish")
        return self.async_show_progress_done(next_step_id="truma_heard")

    async def _truma_listen(self) -> ProbeResult:
        return await self.async_probe(FACTORY, self._truma)

    async def async_step_truma_heard(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Explain what is missing, and let the user go on or back."""
        heard = self._truma_heard
        assert heard is not None
        reason = heard.reason or Reason.STARTING
        return self.async_show_menu(
            step_id=f"truma_{_shown(reason)}",
            menu_options=["truma_listen", "truma", "truma_finish"],
            description_placeholders={
                "headers": str(heard.counters["headers"]),
                "calls": str(heard.counters["calls"]),
                "seconds": f"{heard.counters['seconds']:.0f}",
            },
        )

    async_step_truma_silent = async_step_truma_heard
    async_step_truma_noise = async_step_truma_heard
    async_step_truma_not_registered = async_step_truma_heard
    async_step_truma_second_master = async_step_truma_heard

    async def async_step_truma_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Make the entry."""
        options = {CONF_CLOCK_SYNC: False, TIME_ZONE: self.hass.config.time_zone}
        if self.source == SOURCE_RECONFIGURE:
            options = {}
        return self.async_finish(KEY, "Truma", self._truma, options)


def _shown(reason: Reason) -> str:
    known = (Reason.SILENT, Reason.NOISE, Reason.NOT_REGISTERED, Reason.SECOND_MASTER)
    return reason.value if reason in known else Reason.SILENT.value
