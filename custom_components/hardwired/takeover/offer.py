"""Offers the takeover by itself: after an entry was made, and in a repair when values come later.

A dongle reports every five minutes. So what an entry shows is looked at again whenever values or
another program's entities have come. What the owner has left out in the form is not offered again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, FlowType
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_call_later

from ..const import CONF_SIMULATED
from ..coordinator import HardwiredConfigEntry
from ..issues import Issue
from .moved import MovedIds
from .pairs import Pair, async_find, async_read_table, entities_of, find
from .table import OldIds

TAKE_OVER = "take_over"
"""The type of the flow in the entry's menu, and the key of the repair."""
SHOWN_WITHIN = 10.0
"""Seconds for which a new entry's values are waited for; only where there are old entities."""
STEADY_FOR = 1.0
"""Seconds without a new value after which a new entry's values are complete."""
SETTLED_AFTER = 60.0
"""Seconds from new values or entities to the repair: they come in groups."""
GONE_AFTER = 1.0
"""Seconds from a change of what the repair names to its end."""


@callback
def offers(entry: HardwiredConfigEntry) -> bool:
    """Return whether ids may be taken over by an entry; never by a simulated device's."""
    return not entry.data.get(CONF_SIMULATED) and entry.state is ConfigEntryState.LOADED


@callback
def unasked(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that may be offered unasked."""
    return [pair for pair in pairs if pair.obstacle is None and not pair.declined]


@callback
def _in_progress(hass: HomeAssistant, entry: HardwiredConfigEntry) -> bool:
    flows = hass.config_entries.subentries.async_progress_by_handler((entry.entry_id, TAKE_OVER))
    return bool(flows)


async def async_start_form(hass: HomeAssistant, entry: HardwiredConfigEntry) -> str | None:
    """Open the form of the entry's menu; return the id of its flow, ``None``: it has no form."""
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, TAKE_OVER), context={"source": SOURCE_USER}
    )
    return result["flow_id"] if result["type"] is FlowResultType.FORM else None


async def async_next_flow(
    hass: HomeAssistant, entry: HardwiredConfigEntry
) -> tuple[FlowType, str] | None:
    """Return the dialog that follows when an entry was made; ``None``: nothing can be taken over.

    Only where there are entities of such programs are the new entry's values waited for.
    """
    if not offers(entry):
        return None
    table = await async_read_table(hass, entry.runtime_data.family.key)
    olds = entities_of(hass, {row.integration for row in table})
    if not any(
        row.fits_any(old.unique_id for old in olds.get(row.integration, ())) for row in table
    ):
        return None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SHOWN_WITHIN):
            await _async_steady(hass, entry, table)
    if not offers(entry) or not unasked(await async_find(hass, entry)):
        return None
    flow_id = await async_start_form(hass, entry)
    return None if flow_id is None else (FlowType.CONFIG_SUBENTRIES_FLOW, flow_id)


async def _async_steady(
    hass: HomeAssistant, entry: HardwiredConfigEntry, table: Sequence[OldIds]
) -> None:
    """Return when there is something to take over and no new value comes."""
    coordinator = entry.runtime_data.coordinator
    structure = -1
    while structure != coordinator.structure or not unasked(find(hass, entry, table)):
        structure = coordinator.structure
        await asyncio.sleep(STEADY_FOR)


class TakeOverOffer:
    """Keeps the repair of a loaded entry true: it stands while something may be offered unasked."""

    def __init__(
        self, hass: HomeAssistant, entry: HardwiredConfigEntry, table: Sequence[OldIds]
    ) -> None:
        """Begin without one."""
        self._hass = hass
        self._entry = entry
        self._coordinator = entry.runtime_data.coordinator
        self._table = table
        self._integrations = {row.integration for row in table}
        self._structure = self._coordinator.structure
        self._named: frozenset[str] = frozenset()
        self._due: float | None = None
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def async_watch(self) -> CALLBACK_TYPE:
        """Begin; returns the way to stop it."""
        stop_values = self._coordinator.async_add_listener(self._look)
        stop_entities = self._hass.bus.async_listen(
            er.EVENT_ENTITY_REGISTRY_UPDATED, self._changed, event_filter=self._concerns
        )
        self._check_in(SETTLED_AFTER)

        @callback
        def stop() -> None:
            stop_values()
            stop_entities()
            if self._cancel is not None:
                self._cancel()
                self._cancel = None

        return stop

    @callback
    def _look(self) -> None:
        if self._structure != self._coordinator.structure:
            self._structure = self._coordinator.structure
            self._check_in(SETTLED_AFTER)

    @callback
    def _concerns(self, data: er.EventEntityRegistryUpdatedData) -> bool:
        """Whether an entity is one that the repair names, or a new one of such a program."""
        if data["entity_id"] in self._named or data.get("old_entity_id") in self._named:
            return True
        if data["action"] == "remove":
            return False
        entity = er.async_get(self._hass).async_get(data["entity_id"])
        return entity is not None and entity.platform in self._integrations

    @callback
    def _changed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        named = event.data["entity_id"] in self._named
        self._check_in(GONE_AFTER if named else SETTLED_AFTER)

    @callback
    def _check_in(self, seconds: float) -> None:
        """Look at it then, unless that is to be done sooner anyway."""
        due = self._hass.loop.time() + seconds
        if self._cancel is not None:
            if self._due is not None and self._due <= due:
                return
            self._cancel()
        self._due = due
        self._cancel = async_call_later(self._hass, seconds, self._check)

    @callback
    def _check(self, *_: object) -> None:
        self._cancel = None
        if _in_progress(self._hass, self._entry):
            self._check_in(SETTLED_AFTER)
            return
        pairs = [
            pair
            for pair in unasked(find(self._hass, self._entry, self._table))
            if pair.given is None and pair.certain
        ]
        self._named = frozenset(pair.old.entity_id for pair in pairs)
        programs = ", ".join(sorted({pair.program for pair in pairs}))
        issue = Issue(
            TAKE_OVER, {"number": str(len(self._named)), "programs": programs}, fixable=True
        )
        self._coordinator.issues.async_offer(
            TAKE_OVER, issue if pairs else None, self._coordinator.data
        )


async def async_watch_old_entities(hass: HomeAssistant, entry: HardwiredConfigEntry) -> None:
    """Keep the repairs of the takeover true as long as an entry is loaded."""
    if entry.data.get(CONF_SIMULATED):
        return
    if table := await async_read_table(hass, entry.runtime_data.family.key):
        entry.async_on_unload(TakeOverOffer(hass, entry, table).async_watch())
        entry.async_on_unload(MovedIds(hass, entry).async_watch())
