"""Entity ids of another program that become ours, so that history and automations go on.

Which of its entities is which of our values stands in ``families/<family>/old_ids.json``
(``script/old_ids.py``): by its unique ids, never by names. Home Assistant files history and
statistics under the entity id. So the other entity is deleted, not renamed: its history would go
with it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

from .const import DOMAIN
from .coordinator import HardwiredConfigEntry
from .engines.engine import Device

FAMILIES = Path(__file__).parent / "families"
FREED_WITHIN = 10.0
"""Seconds for the other entity to go."""
_IN_FAMILY = 100
"""The addresses of one kind of device begin after a multiple of this."""


class Obstacle(Enum):
    """Why an entity id can't become ours."""

    KIND = auto()
    """Ours is another kind of entity, and the id begins with the kind."""
    UNIT = auto()
    """Ours has another unit: the statistics would mix the two."""


@dataclass(frozen=True, slots=True)
class OldIds:
    """How a program made the unique ids of a kind of device: one row of the table.

    In ``unique_id`` stand ``{serial_number}``, ``{address}`` and ``{place}`` (the address within
    its kind) of our device, ``{name}`` for the value and ``*`` for what differs from owner to
    owner. ``names`` gives our key by the name; without it the name is the end of our unique id.
    """

    program: str
    integration: str
    kind: str
    unique_id: str
    names: Mapping[str, str] | None = None

    def pattern(self, device: Device) -> re.Pattern[str] | None:
        """Return what fits the unique ids of a device; ``None``: the device can't be theirs."""
        address = device.address or ""
        known = {
            "serial_number": device.serial_number,
            "address": device.address,
            "place": str(int(address) % _IN_FAMILY) if address.isdecimal() else None,
        }
        parts = re.split(r"(\{\w+\}|\*)", self.unique_id)
        made = ""
        for part in parts:
            match part:
                case "*":
                    made += r"[^_]+"
                case "{name}":
                    made += r"(?P<name>.+)"
                case _ if part.startswith("{"):
                    if (value := known[part[1:-1]]) is None:
                        return None
                    made += re.escape(value)
                case _:
                    made += re.escape(part)
        return re.compile(made)


@dataclass(frozen=True, slots=True)
class Pair:
    """An entity of another program, and ours with the same value."""

    program: str
    old: er.RegistryEntry
    ours: er.RegistryEntry

    @property
    def obstacle(self) -> Obstacle | None:
        """Why the id can't become ours; ``None``: it can."""
        if self.old.domain != self.ours.domain:
            return Obstacle.KIND
        if self.old.unit_of_measurement != self.ours.unit_of_measurement:
            return Obstacle.UNIT
        return None


def read_table(family: str) -> tuple[OldIds, ...]:
    """Return a family's table; empty where there is none. Reads a file."""
    path = FAMILIES / family / "old_ids.json"
    if not path.exists():
        return ()
    return tuple(OldIds(**row) for row in json.loads(path.read_text(encoding="utf-8")))


async def async_find(hass: HomeAssistant, entry: HardwiredConfigEntry) -> list[Pair]:
    """Return the entities of other programs that have a value of this loaded entry."""
    table = await hass.async_add_executor_job(read_table, entry.runtime_data.family.key)
    return sorted(_pairs(hass, entry, table), key=lambda pair: pair.old.entity_id)


def _pairs(
    hass: HomeAssistant, entry: HardwiredConfigEntry, table: tuple[OldIds, ...]
) -> Iterator[Pair]:
    registry = er.async_get(hass)
    family = entry.runtime_data.family
    known = {
        one.unique_id: one for one in er.async_entries_for_config_entry(registry, entry.entry_id)
    }
    for state in entry.runtime_data.coordinator.data.devices.values():
        device = state.device
        suffixes = {family.factory.suffix(device.kind, key): key for key in state.fields}
        for row in table:
            pattern = row.pattern(device) if row.kind == device.kind else None
            if pattern is None:
                continue
            names = suffixes if row.names is None else row.names
            for old in registry.entities.values():
                if old.platform != row.integration or old.platform == DOMAIN:
                    continue
                found = pattern.fullmatch(old.unique_id)
                key = names.get(found["name"]) if found else None
                ours = known.get(family.unique_id(entry, device, key)) if key else None
                if ours is not None:
                    yield Pair(row.program, old, ours)


async def async_take_over(hass: HomeAssistant, pair: Pair) -> None:
    """Delete the other entity and give ours its id, with what the owner had set for it.

    Raises :class:`HomeAssistantError` when the id does not become free.
    """
    registry = er.async_get(hass)
    entity_id = pair.old.entity_id
    await _async_delete(hass, registry, entity_id)
    old, ours = pair.old, pair.ours
    changes: dict[str, Any] = {
        name: getattr(old, name)
        for name in ("name", "icon", "area_id", "hidden_by")
        if getattr(ours, name) is None and getattr(old, name) is not None
    }
    if old.disabled_by is None and ours.disabled_by is er.RegistryEntryDisabler.INTEGRATION:
        changes["disabled_by"] = None
    registry.async_update_entity(
        ours.entity_id, new_entity_id=entity_id, labels=ours.labels | old.labels, **changes
    )


async def _async_delete(hass: HomeAssistant, registry: er.EntityRegistry, entity_id: str) -> None:
    """Delete an entity and wait until its state is gone, too."""
    gone = asyncio.Event()

    @callback
    def look(event: Event[EventStateChangedData]) -> None:
        if event.data["new_state"] is None:
            gone.set()

    stop = async_track_state_change_event(hass, [entity_id], look)
    try:
        registry.async_remove(entity_id)
        if hass.states.async_available(entity_id):
            return
        async with asyncio.timeout(FREED_WITHIN):
            await gone.wait()
    except TimeoutError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="not_freed",
            translation_placeholders={"entity_id": entity_id},
        ) from error
    finally:
        stop()
