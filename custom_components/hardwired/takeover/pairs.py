"""Entity ids of another program that become ours, so that history and automations go on.

Which of its entities is which of our values stands in the table of :mod:`.table`. Home
Assistant files history and statistics under the entity id. So the other entity is deleted, not
renamed: its history would go with it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

from ..const import CONF_FAMILY, CONF_SIMULATED, DOMAIN
from ..coordinator import HardwiredConfigEntry
from ..engines.engine import Device
from .moved import async_note, has_taken_over, noted
from .table import OldIds, read_table

FREED_WITHIN = 10.0
"""Seconds for the other entity to go."""
LEAST_ALIKE = 3
"""How many of a device's entities must have names of our values for the owner to be asked."""
_DECLINED = "take_over_declined"
"""Set in our options of another program's entity that its owner wants to keep."""


class Obstacle(Enum):
    """Why an entity id can't become ours."""

    KIND = auto()
    """Ours is another kind of entity, and the id begins with the kind."""
    UNIT = auto()
    """Ours has another unit: the statistics would mix the two."""
    TAKEN = auto()
    """Ours has taken over an id already, which would be lost."""


@dataclass(frozen=True, slots=True)
class SameDevice:
    """That a device of another program is one of ours, which only the owner can know."""

    program: str
    theirs: str
    """The id of their device in the device registry; what its unique ids begin with if it is not
    in there, as with a program that was set up in YAML."""
    ours: str
    """The id of our device in the engine."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An entity of another program, and ours with the same value."""

    program: str
    old: er.RegistryEntry
    ours: er.RegistryEntry
    given: SameDevice | None = None
    """What must hold for the two to have the same value; ``None``: their id itself says it."""
    certain: bool = True
    """Whether nothing else can be meant: no name of the owner's choice, no second such device."""

    @property
    def obstacle(self) -> Obstacle | None:
        """Why the id can't become ours; ``None``: it can."""
        if self.old.domain != self.ours.domain:
            return Obstacle.KIND
        if self.old.unit_of_measurement != self.ours.unit_of_measurement:
            return Obstacle.UNIT
        return Obstacle.TAKEN if has_taken_over(self.ours) else None

    @property
    def declined(self) -> bool:
        """Whether the owner has seen it in the form and left it out."""
        return bool(noted(self.old).get(_DECLINED))


async def async_read_table(hass: HomeAssistant, family: str) -> tuple[OldIds, ...]:
    """Return a family's table."""
    return await hass.async_add_executor_job(read_table, family)


async def async_find(hass: HomeAssistant, entry: HardwiredConfigEntry) -> list[Pair]:
    """Return the entities of other programs that have a value of this loaded entry."""
    return find(hass, entry, await async_read_table(hass, entry.runtime_data.family.key))


@callback
def find(hass: HomeAssistant, entry: HardwiredConfigEntry, table: Sequence[OldIds]) -> list[Pair]:
    """Return the entities of other programs that have a value of this loaded entry, by *table*."""
    olds = entities_of(hass, {row.integration for row in table})
    if not olds:
        return []
    found = _Finder(hass, entry).pairs(table, olds)
    return sorted(found, key=lambda pair: pair.old.entity_id)


@callback
def entities_of(
    hass: HomeAssistant, integrations: set[str]
) -> Mapping[str, Sequence[er.RegistryEntry]]:
    """Return the registered entities of each integration that has some."""
    found = defaultdict(list)
    for one in er.async_get(hass).entities.values():
        if one.platform in integrations and one.platform != DOMAIN:
            found[one.platform].append(one)
    return found


type _Named = Sequence[tuple[str, er.RegistryEntry]]
"""Names in the unique ids of a program's entities, and the entities."""


class _Finder:
    """Finds the pairs of a loaded entry."""

    def __init__(self, hass: HomeAssistant, entry: HardwiredConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._family = entry.runtime_data.family
        registry = er.async_get(hass)
        entities = er.async_entries_for_config_entry(registry, entry.entry_id)
        self._ours = {one.unique_id: one for one in entities}
        others = hass.config_entries.async_entries(DOMAIN, include_disabled=False)
        self._alone = not any(
            one.data.get(CONF_FAMILY) == self._family.key
            and not one.data.get(CONF_SIMULATED)
            and one is not entry
            for one in others
        )
        """Whether a device of this family can only be this entry's."""

    def pairs(
        self, table: Sequence[OldIds], olds: Mapping[str, Sequence[er.RegistryEntry]]
    ) -> Iterator[Pair]:
        for state in self._entry.runtime_data.coordinator.data.devices.values():
            device = state.device
            suffixes = {self._family.factory.suffix(device.kind, key): key for key in state.fields}
            for row in table:
                pattern = row.pattern(device) if row.kind == device.kind else None
                if pattern is None:
                    continue
                named = [
                    (found["name"], old)
                    for old in olds.get(row.integration, ())
                    if (found := pattern.fullmatch(old.unique_id))
                ]
                find_in = self._of_devices if row.owner_says else self._of_ids
                yield from find_in(row, device, named, suffixes if row.names is None else row.names)

    def _pair(
        self, row: OldIds, device: Device, old: er.RegistryEntry, key: str | None, **more: Any
    ) -> Iterator[Pair]:
        if key is None:
            return
        ours = self._ours.get(self._family.unique_id(self._entry, device, key))
        if ours is not None:
            yield Pair(row.program, old, ours, **more)

    def _of_ids(
        self, row: OldIds, device: Device, named: _Named, names: Mapping[str, str]
    ) -> Iterator[Pair]:
        """Yield what the ids themselves say; unsure where they fit two devices."""
        alone = self._alone and len({old.config_entry_id for _, old in named}) <= 1
        for name, old in named:
            certain = row.tells_serial or alone
            if row.serial_registered and (serial := self._registered_serial(old)):
                if serial != device.serial_number:
                    continue
                certain = True
            yield from self._pair(row, device, old, names.get(name), certain=certain)

    def _of_devices(
        self, row: OldIds, device: Device, named: _Named, names: Mapping[str, str]
    ) -> Iterator[Pair]:
        """Yield what is ours if one of their devices is *device*, unless it says that it is not."""
        by_device = defaultdict(list)
        for name, old in named:
            by_device[old.device_id or old.unique_id.removesuffix(name)].append((name, old))
        for theirs, alike in by_device.items():
            serial = self._told_serial(row, alike)
            if serial is not None and serial != device.serial_number:
                continue
            more: dict[str, Any] = {"certain": not row.named_by_owner}
            if serial is None:
                more["given"] = SameDevice(row.program, theirs, device.id)
            pairs = [
                pair
                for name, old in alike
                for pair in self._pair(row, device, old, names.get(name), **more)
            ]
            if serial or sum(pair.obstacle is None for pair in pairs) >= LEAST_ALIKE:
                yield from pairs

    def _registered_serial(self, old: er.RegistryEntry) -> str | None:
        """Return the serial number of its device; a part of a device has none of its own."""
        device = dr.async_get(self._hass).async_get(old.device_id) if old.device_id else None
        return getattr(device, "serial_number", None)

    def _told_serial(self, row: OldIds, alike: _Named) -> str | None:
        """Return the serial number that one of their entities shows now; ``None``: none does."""
        if row.serial_in is None:
            return None
        name_told, attribute = row.serial_in
        for name, old in alike:
            state = self._hass.states.get(old.entity_id) if name == name_told else None
            if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
                continue
            told = state.attributes.get(attribute) if attribute else state.state
            return str(told).strip() if told else None
        return None


@callback
def async_decline(hass: HomeAssistant, pairs: Sequence[Pair]) -> None:
    """Remember that the owner wants to keep these entities: they are not offered unasked again."""
    registry = er.async_get(hass)
    for pair in pairs:
        registry.async_update_entity_options(pair.old.entity_id, DOMAIN, {_DECLINED: True})


@callback
def renewed(hass: HomeAssistant, pair: Pair) -> Pair | None:
    """Return a pair as the registry has it now; ``None``: one is gone, or the id is another's."""
    registry = er.async_get(hass)
    old, ours = registry.async_get(pair.old.id), registry.async_get(pair.ours.id)
    if old is None or ours is None or old.entity_id != pair.old.entity_id:
        return None
    return replace(pair, old=old, ours=ours)


async def async_take_over(hass: HomeAssistant, pair: Pair) -> bool:
    """Delete the other entity and give ours its id, with what the owner had set for it.

    Returns whether ours was still there to take it. Raises :class:`HomeAssistantError` when the id
    does not become free.
    """
    registry = er.async_get(hass)
    entity_id = pair.old.entity_id
    await _async_delete(hass, registry, entity_id)
    old, ours = pair.old, registry.async_get(pair.ours.id)
    if ours is None:
        return False
    changes: dict[str, Any] = {
        name: getattr(old, name)
        for name in ("name", "icon", "area_id", "hidden_by")
        if getattr(ours, name) is None and getattr(old, name) is not None
    }
    used = old.disabled_by in (None, er.RegistryEntryDisabler.CONFIG_ENTRY)
    if used and ours.disabled_by is er.RegistryEntryDisabler.INTEGRATION:
        changes["disabled_by"] = None
    try:
        now = registry.async_update_entity(
            ours.entity_id, new_entity_id=entity_id, labels=ours.labels | old.labels, **changes
        )
    except ValueError as error:
        raise _not_freed(entity_id) from error
    async_note(hass, now, ours.entity_id)
    return True


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
        raise _not_freed(entity_id) from error
    finally:
        stop()


def _not_freed(entity_id: str) -> HomeAssistantError:
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="not_freed",
        translation_placeholders={"entity_id": entity_id},
    )
