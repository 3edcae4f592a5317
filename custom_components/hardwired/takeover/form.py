"""The form in an entry's menu that lets our entities take over the ids of another program's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import probatio as vol
from homeassistant.config_entries import SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, selector
from homeassistant.helpers.singleton import singleton

from ..const import DOMAIN
from ..flow import EntryFlow
from .pairs import Obstacle, Pair, SameDevice, async_decline, async_find, async_take_over, renewed

_CHOSEN = "entities"
_SAME = "devices"


@singleton(f"{DOMAIN}_take_over")
def _turn(hass: HomeAssistant) -> asyncio.Lock:
    """Return what lets one form after the other act: two may be open, of one entry or of two."""
    return asyncio.Lock()


class TakeOverFlow(EntryFlow):
    """Asks which devices are the same where no id says it; then which ids are taken over."""

    _same: frozenset[SameDevice] | None = None
    """What the owner has said; ``None``: nothing yet."""
    _shown: Mapping[str, Pair] = MappingProxyType({})
    """What the form offers, by the id that would be taken over."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Propose pairs, and take over those that are chosen."""
        entry = self.loaded_entry()
        if entry is None:
            return self.async_abort(reason="not_loaded")
        errors: dict[str, str] = {}
        if user_input is not None:
            chosen = [self._shown[one] for one in user_input[_CHOSEN] if one in self._shown]
            if len({pair.ours.id for pair in chosen}) == len(chosen):
                return await self._async_take(chosen)
            errors[_CHOSEN] = "taken_twice"
        pairs = await async_find(self.hass, entry)
        if not pairs:
            programs = ", ".join(entry.runtime_data.family.moved_from)
            return self.async_abort(
                reason="nothing_found", description_placeholders={"programs": programs}
            )
        if self._same is None and any(pair.given for pair in pairs):
            return await self.async_step_same()
        pairs = [pair for pair in pairs if pair.given is None or pair.given in (self._same or ())]
        if not pairs:
            return self.async_abort(reason="nothing_chosen")
        offered = {pair.old.entity_id: pair for pair in pairs if pair.obstacle is None}
        self._shown = offered
        options = [
            selector.SelectOptionDict(
                value=old, label=f"{old} ← {pair.ours.entity_id} ({pair.program})"
            )
            for old, pair in offered.items()
        ]
        schema = vol.Schema(
            {vol.Required(_CHOSEN, default=_usual(offered)): _several(options)},
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            description_placeholders={
                "other_kind": _listed(pairs, Obstacle.KIND),
                "other_unit": _listed(pairs, Obstacle.UNIT),
                "taken": _listed(pairs, Obstacle.TAKEN),
            },
            errors=errors,
        )

    async def async_step_same(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask which of another program's devices are ours; none is chosen before."""
        entry = self.loaded_entry()
        if entry is None:
            return self.async_abort(reason="not_loaded")
        alike = Counter(
            pair.given
            for pair in await async_find(self.hass, entry)
            if pair.given is not None and pair.obstacle is None
        )
        asked = {f"{one.theirs} {one.ours}": one for one in alike}
        if user_input is not None:
            self._same = frozenset(asked[one] for one in user_input[_SAME] if one in asked)
            return await self.async_step_user()
        names = entry.runtime_data.coordinator.data.devices
        options = [
            selector.SelectOptionDict(
                value=value,
                label=f"{self._name_of(one.theirs)} = {names[one.ours].device.name}"
                f" ({one.program}, {alike[one]})",
            )
            for value, one in asked.items()
        ]
        return self.async_show_form(
            step_id="same",
            data_schema=vol.Schema({vol.Required(_SAME, default=list): _several(options)}),
        )

    def _name_of(self, device_id: str) -> str:
        """Return what another program's device is called."""
        device = dr.async_get(self.hass).async_get(device_id)
        return (device and (device.name_by_user or device.name)) or device_id

    async def _async_take(self, chosen: list[Pair]) -> SubentryFlowResult:
        """Take over one after the other what is still as it was shown; a failure ends it.

        What is left out is named: another form may have been submitted since.
        """
        left: list[Pair] = []
        async with _turn(self.hass):
            others = [pair for pair in self._shown.values() if pair not in chosen]
            async_decline(self.hass, [pair for pair in others if renewed(self.hass, pair)])
            try:
                for pair in chosen:
                    now = renewed(self.hass, pair)
                    if now is None or now.obstacle or not await async_take_over(self.hass, now):
                        left.append(now or pair)
            except HomeAssistantError as error:
                return self.async_abort(
                    reason="not_freed",
                    description_placeholders=error.translation_placeholders or {},
                )
        told = {"number": str(len(chosen) - len(left))}
        if not left:
            return self.async_abort(reason="taken_over", description_placeholders=told)
        told["taken"] = _listed(left, Obstacle.TAKEN)
        told["gone"] = _listed(left, *set(Obstacle) - {Obstacle.TAKEN}, None)
        return self.async_abort(reason="taken_over_in_part", description_placeholders=told)


def _several(options: list[selector.SelectOptionDict]) -> selector.SelectSelector:
    return selector.SelectSelector(selector.SelectSelectorConfig(options=options, multiple=True))


def _usual(offered: dict[str, Pair]) -> list[str]:
    """Return what is chosen unless the owner says otherwise: what is sure, one for each of ours."""
    usual: dict[str, str] = {}
    for old, pair in offered.items():
        if pair.certain and not pair.declined:
            usual.setdefault(pair.ours.entity_id, old)
    return list(usual.values())


def _listed(pairs: list[Pair], *obstacles: Obstacle | None) -> str:
    """Return the pairs with an obstacle as words of a sentence; a dash where there are none."""
    found = (pair for pair in pairs if pair.obstacle in obstacles)
    return ", ".join(f"`{pair.old.entity_id}`" for pair in found) or "–"
