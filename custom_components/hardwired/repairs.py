"""What Home Assistant's repairs can mend here: the takeover, by its form in the entry's menu."""

from __future__ import annotations

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.components.repairs.const import FlowType
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .takeover.offer import async_start_form


class TakeOverRepair(RepairsFlow):
    """Says what is offered and where the form is; then opens the form."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Say it, then hand on to the form; the repair stands until it is submitted."""
        if user_input is None:
            issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders=issue.translation_placeholders if issue else None,
            )
        entry = self.hass.config_entries.async_get_entry(str((self.data or {}).get("entry_id")))
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        flow_id = await async_start_form(self.hass, entry)
        if flow_id is None:
            return self.async_create_entry(data={})
        return self.async_abort(
            reason="form_opened", next_flow=(FlowType.CONFIG_SUBENTRIES_FLOW, flow_id)
        )


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return what mends an issue; only the takeover's is fixable."""
    return TakeOverRepair()
