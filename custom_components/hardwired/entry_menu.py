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
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import selector

from .const import CONF_SIMULATED
from .flow import start_work
from .recording import (
    ATTR_SECONDS,
    DEFAULT_SECONDS,
    LEAST_SECONDS,
    MOST_SECONDS,
    Recorded,
    async_record,
    download_url,
)
from .takeover import Obstacle, Pair, async_find, async_take_over

_TAKEN = "entities"


class RecordFlow(ConfigSubentryFlow):
    """Records for a bug report, with progress."""

    _seconds: float
    _recording: asyncio.Task[Recorded] | None = None
    _outcome: SubentryFlowResult | None = None

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask how long."""
        if self._get_entry().state is not ConfigEntryState.LOADED:
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
                reason="not_written",
                description_placeholders=error.translation_placeholders or {},
            )
        return self.async_abort(
            reason="recorded",
            description_placeholders={
                "frames": str(recorded.frames),
                "file": str(recorded.path),
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


class TakeOverFlow(ConfigSubentryFlow):
    """Lets our entities take over the ids of another program's."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Propose pairs, and take over those that are chosen."""
        entry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        family = entry.runtime_data.family
        pairs = await async_find(self.hass, entry)
        if not pairs:
            programs = ", ".join(family.moved_from)
            return self.async_abort(
                reason="nothing_found", description_placeholders={"programs": programs}
            )
        offered = {pair.old.entity_id: pair for pair in pairs if pair.obstacle is None}
        errors: dict[str, str] = {}
        if user_input is not None:
            chosen = [offered[one] for one in user_input[_TAKEN] if one in offered]
            if len({pair.ours.entity_id for pair in chosen}) == len(chosen):
                return await self._async_take(chosen)
            errors[_TAKEN] = "taken_twice"
        options = [
            selector.SelectOptionDict(
                value=old, label=f"{old} ← {pair.ours.entity_id} ({pair.program})"
            )
            for old, pair in offered.items()
        ]
        first = {pair.ours.entity_id: old for old, pair in reversed(offered.items())}
        usual = [old for old, pair in offered.items() if first[pair.ours.entity_id] == old]
        schema = vol.Schema(
            {
                vol.Required(_TAKEN, default=usual): selector.SelectSelector(
                    selector.SelectSelectorConfig(options=options, multiple=True)
                )
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            description_placeholders={
                "other_kind": _listed(pairs, Obstacle.KIND),
                "other_unit": _listed(pairs, Obstacle.UNIT),
            },
            errors=errors,
        )

    async def _async_take(self, chosen: list[Pair]) -> SubentryFlowResult:
        """Take over one after the other; the first that fails ends it."""
        try:
            for pair in chosen:
                await async_take_over(self.hass, pair)
        except HomeAssistantError as error:
            return self.async_abort(
                reason="not_freed", description_placeholders=error.translation_placeholders or {}
            )
        return self.async_abort(
            reason="taken_over", description_placeholders={"number": str(len(chosen))}
        )


def _listed(pairs: list[Pair], obstacle: Obstacle) -> str:
    """Return the pairs with an obstacle as words of a sentence; a dash where there are none."""
    found = (pair for pair in pairs if pair.obstacle is obstacle)
    return ", ".join(f"`{pair.old.entity_id}`" for pair in found) or "–"


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
    if programs:
        flows["take_over"] = TakeOverFlow
    if entry.data.get(CONF_SIMULATED):
        flows["remove_simulated"] = RemoveSimulatedFlow
    return flows
