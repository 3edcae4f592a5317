"""What entities can do, remembered for the time when they are away.

A device that is away says little of itself. What was registered on the GX must not change for
that: its rows and their limits stay as they were, over restarts too (spec H.2, H.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..plain import plain
from .home import EntityState

KEPT = frozenset(
    {
        "device_class",
        "fan_modes",
        "friendly_name",
        "hvac_modes",
        "max",
        "max_temp",
        "min",
        "min_temp",
        "mode",
        "operation_list",
        "options",
        "percentage_step",
        "preset_modes",
        "state_class",
        "step",
        "supported_color_modes",
        "supported_features",
        "target_temp_step",
        "unit_of_measurement",
    }
)
THERE = frozenset({"altitude", "course", "current_humidity", "current_temperature", "speed"})
"""Readings of which only that they exist is kept."""
MOST = 2000


class Capabilities:
    """Remembers them by entity."""

    def __init__(self, stored: Any = None) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self.changed = False
        if isinstance(stored, Mapping):
            for entity_id, told in list(stored.items())[:MOST]:
                if isinstance(entity_id, str) and isinstance(told, Mapping):
                    self._known[entity_id] = {
                        str(key): one for key, one in told.items() if key in KEPT | THERE
                    }

    def complete(self, state: EntityState) -> EntityState:
        """Return a state with what it had when it was last usable; learns from one that is."""
        if state.usable:
            told = {key: plain(one) for key, one in state.attributes.items() if key in KEPT}
            told |= dict.fromkeys(state.attributes.keys() & THERE)
            if self._known.get(state.entity_id) != told:
                self._known[state.entity_id] = told
                self.changed = True
            return state
        known = self._known.get(state.entity_id)
        if known is None:
            return state
        present = {key: one for key, one in state.attributes.items() if one is not None}
        return replace(state, attributes={**known, **present})

    def keep_only(self, entity_ids: frozenset[str]) -> None:
        """Forget the others."""
        for entity_id in self._known.keys() - entity_ids:
            del self._known[entity_id]
            self.changed = True

    def stored(self) -> dict[str, Any]:
        """Return what is kept over a restart."""
        self.changed = False
        return dict(self._known)
