"""The ids that ours had before a takeover, and a repair while automations or scripts still use one.

An id that was taken over goes on; the one that ours had until then is gone. Home Assistant changes
no automation when an entity id changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.components.automation import EVENT_AUTOMATION_RELOADED, automations_with_entity
from homeassistant.components.script import scripts_with_entity
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import (
    async_call_later,
    async_track_state_added_domain,
    async_track_state_change_event,
)
from homeassistant.helpers.start import async_at_started

from ..const import DOMAIN
from ..coordinator import HardwiredConfigEntry
from ..issues import Issue

MOVED: Final = "moved_ids"
"""The key of the repair."""
LOOKED_AFTER: Final = 1.0
"""Seconds from a change to the look: automations are loaded in groups."""
_USERS: Final = ("automation", "script")
_FORMER = "former_entity_ids"
_TAKEN = "taken_over"
"""Set in our options of an entity of ours."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An id that is no more, what it is now, and who still uses it."""

    former: str
    now: str
    used_by: tuple[str, ...]


def noted(entity: er.RegistryEntry) -> Mapping[str, Any]:
    """Return what the takeover has noted of an entity: our options in the registry."""
    return entity.options.get(DOMAIN) or {}


@callback
def async_note(hass: HomeAssistant, now: er.RegistryEntry, former: str) -> None:
    """Remember that *now* has taken its id over, and had another one before."""
    ours = noted(now)
    formers = [*ours.get(_FORMER, ()), former]
    er.async_get(hass).async_update_entity_options(
        now.entity_id, DOMAIN, {**ours, _FORMER: formers, _TAKEN: now.entity_id}
    )


@callback
def has_taken_over(ours: er.RegistryEntry) -> bool:
    """Return whether an entity of ours has the id of another program's now."""
    return bool(noted(ours).get(_TAKEN) == ours.entity_id)


@callback
def still_used(hass: HomeAssistant, entry_id: str) -> Iterator[Moved]:
    """Yield the ids that ours had and that something still uses, though nothing has them."""
    registry = er.async_get(hass)
    for one in er.async_entries_for_config_entry(registry, entry_id):
        for former in noted(one).get(_FORMER, ()):
            if registry.async_get(former) is not None or hass.states.get(former) is not None:
                continue
            users = (*automations_with_entity(hass, former), *scripts_with_entity(hass, former))
            if users:
                yield Moved(former, one.entity_id, tuple(sorted(set(users))))


class MovedIds:
    """Keeps the repair of a loaded entry true."""

    def __init__(self, hass: HomeAssistant, entry: HardwiredConfigEntry) -> None:
        """Begin without one."""
        self._hass = hass
        self._entry = entry
        self._coordinator = entry.runtime_data.coordinator
        self._cancel: CALLBACK_TYPE | None = None
        self._used_by: frozenset[str] = frozenset()
        self._stop_users: CALLBACK_TYPE | None = None

    @callback
    def async_watch(self) -> CALLBACK_TYPE:
        """Begin; returns the way to stop it."""
        stops = (
            async_track_state_added_domain(self._hass, _USERS, self._changed),
            self._hass.bus.async_listen(EVENT_AUTOMATION_RELOADED, self._changed),
            self._hass.bus.async_listen(
                er.EVENT_ENTITY_REGISTRY_UPDATED, self._changed, event_filter=self._concerns
            ),
            # By then automations and scripts are loaded.
            async_at_started(self._hass, self._check),
        )

        @callback
        def stop() -> None:
            for one in (*stops, self._stop_users, self._cancel):
                if one is not None:
                    one()

        return stop

    @callback
    def _concerns(self, data: er.EventEntityRegistryUpdatedData) -> bool:
        """Whether an entity got another id, came or went."""
        return data["action"] != "update" or "entity_id" in data["changes"]

    @callback
    def _changed(self, *_: object) -> None:
        if self._cancel is None:
            self._cancel = async_call_later(self._hass, LOOKED_AFTER, self._check)

    @callback
    def _check(self, *_: object) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        moved = list(still_used(self._hass, self._entry.entry_id))
        self._follow(frozenset(user for one in moved for user in one.used_by))
        lines = sorted(
            f"- `{one.former}` → `{one.now}`: {', '.join(map(self._named, one.used_by))}"
            for one in moved
        )
        issue = Issue(MOVED, {"list": "\n".join(lines)}) if lines else None
        self._coordinator.issues.async_offer(MOVED, issue, self._coordinator.data)

    @callback
    def _follow(self, used_by: frozenset[str]) -> None:
        """Look again when one of these was loaded anew: it is unavailable for that moment."""
        if used_by == self._used_by:
            return
        self._used_by = used_by
        if self._stop_users is not None:
            self._stop_users()
        self._stop_users = async_track_state_change_event(self._hass, used_by, self._changed)

    def _named(self, entity_id: str) -> str:
        state = self._hass.states.get(entity_id)
        return f"{state.name} (`{entity_id}`)" if state else f"`{entity_id}`"
