"""What an entry's menu offers beside its options: a recording, a takeover, a simulation's end.

Home Assistant lets an integration put flows of its own into that menu only as those that make
subentries. These do their work and make none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import probatio as vol
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import selector

from .const import CONF_SIMULATED
from .flow import EntryFlow, start_work
from .recording import (
    ATTR_SECONDS,
    DEFAULT_SECONDS,
    LEAST_SECONDS,
    MOST_SECONDS,
    Recorded,
    async_record,
    download_url,
    placeholders,
)
from .takeover.form import TakeOverFlow
from .takeover.offer import TAKE_OVER


class RecordFlow(EntryFlow):
    """Records for a bug report, with progress."""

    _seconds: float
    _recording: asyncio.Task[Recorded] | None = None
    _outcome: SubentryFlowResult | None = None

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask how long."""
        if self.loaded_entry() is None:
            return self.async_abort(reason="not_loaded")
        if user_input is not None:
            self._seconds = user_input[ATTR_SECONDS]
            return await self.async_step_recording()
        seconds = selector.NumberSelector(
            selector.NumberSelectorConfig(
                min=LEAST_SECONDS,
                max=MOST_SECONDS,
                unit_of_measurement="s",
                mode=selector.NumberSelectorMode.BOX,
            )
        )
        return self.async_show_form(
            step_id="user",
            data_schema=vol.Schema({vol.Required(ATTR_SECONDS, default=DEFAULT_SECONDS): seconds}),
        )

    async def async_step_recording(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Record, and show how far it is."""
        if self._recording is None:
            self._recording = start_work(
                self.hass,
                async_record(
                    self.hass, self._get_entry(), self._seconds, self.async_update_progress
                ),
                "hardwired records",
            )
        if not self._recording.done():
            return self.async_show_progress(
                step_id="recording",
                progress_action="recording",
                progress_task=self._recording,
                description_placeholders={"seconds": f"{self._seconds:.0f}"},
            )
        return self.async_show_progress_done(next_step_id="recorded")

    async def async_step_recorded(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say where the file is.

        The frontend takes a link within itself for one of its pages unless it has a target.
        """
        assert self._recording is not None
        try:
            recorded = self._recording.result()
        except HomeAssistantError as error:
            return self.async_abort(
                reason="not_loaded"
                if error.translation_key == "entry_not_loaded"
                else "not_written",
                description_placeholders=error.translation_placeholders or {},
            )
        return self.async_abort(
            reason="recorded" if recorded.whole else "recorded_in_part",
            description_placeholders={
                **placeholders(recorded),
                "link": f'<a href="{download_url(self.hass, recorded)}" target="_blank">',
                "end": "</a>",
            },
        )

    def async_remove(self) -> None:
        """Stop recording when the user closes the dialog."""
        if self._recording is not None:
            self._recording.cancel()
        with contextlib.suppress(AttributeError):
            super().async_remove()


class RemoveSimulatedFlow(ConfigSubentryFlow):
    """Deletes an entry with a simulated device, with all that belongs to it."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Delete it once this dialog has its answer."""
        entry_id = self._get_entry().entry_id
        self.hass.async_create_task(
            self.hass.config_entries.async_remove(entry_id), "hardwired removes a simulated device"
        )
        return self.async_abort(reason="removed")


def menu_of(
    entry: ConfigEntry[Any], programs: Sequence[str]
) -> dict[str, type[ConfigSubentryFlow]]:
    """Return the flows of an entry's menu. *programs* are those that owners come from."""
    flows: dict[str, type[ConfigSubentryFlow]] = {"record": RecordFlow}
    if entry.data.get(CONF_SIMULATED):
        flows["remove_simulated"] = RemoveSimulatedFlow
    elif programs:
        flows[TAKE_OVER] = TakeOverFlow
    return flows
