"""The base of every entity, and how entities come into being."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable
from itertools import batched
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import HardwiredConfigEntry, HardwiredCoordinator, HardwiredRuntime
from .engines.composite import Composite, Part, Wish
from .engines.engine import Command, DeviceState
from .engines.fields import Field, Offer, Value
from .engines.plain import plain
from .engines.presentation import Control, category_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BATCH = 20
"""How many entities are added in one turn of the loop: each takes Home Assistant about 0.5 ms."""


class HardwiredEntity(CoordinatorEntity[HardwiredCoordinator]):
    """An entity of one device; it shows what the device has said and nothing else."""

    _attr_has_entity_name = True

    watched: tuple[str, ...] = ()
    """The values that this entity shows, by field key."""

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState, key: str) -> None:
        """Tie the entity to a device of the coordinator."""
        super().__init__(coordinator, context=device.device.id)
        self.device_key = device.device.id
        self._attr_unique_id = coordinator.family.unique_id(
            coordinator.config_entry, device.device, key
        )
        coordinator.async_device_id(device.device)
        self._attr_device_info = DeviceInfo(identifiers={coordinator.identifier(device.device)})
        self._shown: object = None

    @property
    def state_of_device(self) -> DeviceState | None:
        """The device as last heard."""
        return self.coordinator.data.devices.get(self.device_key)

    @property
    def available(self) -> bool:
        """Whether the device is heard."""
        state = self.state_of_device
        return state is not None and state.available

    def reading(self, key: str) -> Value | None:
        """Return a value of this device, ``None`` when there is none now."""
        return self.coordinator.data.value(self.device_key, key)

    async def async_send(self, values: Mapping[str, Value], **options: Value) -> None:
        """Write values of this device; returns when the device has confirmed them."""
        await self.coordinator.async_execute(
            Command(self.device_key, values=values, options=options)
        )

    def shown(self) -> tuple[object, ...]:
        """Return what the state is made of; it is written only when this has changed."""
        return (self.available, tuple(self.reading(key) for key in self.watched))

    @callback
    def _handle_coordinator_update(self) -> None:
        shown = self.shown()
        if shown != self._shown:
            self._shown = shown
            super()._handle_coordinator_update()

    async def async_added_to_hass(self) -> None:
        """Tell an engine that reads on demand which values are wanted."""
        await super().async_added_to_hass()
        for key in self.watched:
            if (end := self.coordinator.engine.want(self.device_key, key)) is not None:
                self.async_on_remove(end)

    @callback
    def async_entity_id_changed(self, *_: Any) -> None:
        """Nothing hangs on the entity id."""


class CompositeEntity(HardwiredEntity):
    """An entity that is made of several fields."""

    def __init__(
        self, coordinator: HardwiredCoordinator, device: DeviceState, composite: Composite
    ) -> None:
        """Tie the entity to what it is made of."""
        super().__init__(coordinator, device, composite.key)
        self.composite = composite
        self.watched = tuple(composite.fields.values())
        self._attr_translation_key = coordinator.family.composite_key(composite)
        if composite.main:
            self._attr_name = None
        self._device = device
        self._read()

    def _read(self) -> None:
        self._device = self.state_of_device or self._device
        self.about = self.composite.about(self._device)
        self.parts = self.composite.read(self._device)

    def part(self, part: Part) -> Value | None:
        """Return what a part shows, ``None`` when that is not known now."""
        return self.parts.get(part)

    def text(self, part: Part, among: Container[str] | None = None) -> str | None:
        """Return what a part shows when it is a text, one of *among* where they are given."""
        value = self.parts.get(part)
        return value if isinstance(value, str) and (among is None or value in among) else None

    def shown(self) -> tuple[object, ...]:
        """Return what the state is made of."""
        self._read()
        return (self.available, self.about, tuple(self.parts.items()))

    async def async_wish(self, *wishes: Wish) -> None:
        """Carry out the wishes of one action; returns when the device has confirmed."""
        await self.coordinator.async_wish(self.device_key, self.composite, *wishes)


class FieldEntity(HardwiredEntity):
    """An entity that shows one field of the catalogue."""

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState, item: Field) -> None:
        """Describe the entity by its field."""
        super().__init__(coordinator, device, item.key)
        self._item = item
        self.watched = (item.key,)
        if item.own_name:
            self._attr_name = item.name
        self.entity_description = self.describe(
            item, coordinator.family.translation_key(device.device.kind, item)
        )

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> EntityDescription:
        """Return the description of a field on this platform."""
        raise NotImplementedError

    @property
    def available(self) -> bool:
        """Whether the device is heard, or the engine itself knows the value."""
        return super().available or (self._item.lasting and self.state_of_device is not None)

    @property
    def item(self) -> Field:
        """The field as it is on this device now."""
        state = self.state_of_device
        return self._item if state is None else state.fields.get(self._item.key, self._item)

    @property
    def current(self) -> Value | None:
        """The field's value now."""
        return self.reading(self._item.key)

    @property
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """What is known beyond the value."""
        state = self.state_of_device
        if state is not None and (known := state.details.get(self._item.key)):
            attributes: Mapping[str, Any] = plain(known)
            return attributes
        return None

    def shown(self) -> tuple[object, ...]:
        """Return what the state is made of."""
        return (*super().shown(), self.item, self.extra_state_attributes)


def common_description(item: Field, control: Control, translation_key: str) -> dict[str, Any]:
    """Return what a description says on every platform."""
    category = category_of(item, control)
    return {
        "key": item.key,
        "translation_key": translation_key,
        "entity_category": None if category is None else EntityCategory(category),
        "entity_registry_enabled_default": item.offer is Offer.DEFAULT,
    }


def platform_setup(
    platform: Platform,
    entity_class: type[FieldEntity] | None = None,
    composite_class: type[CompositeEntity] | None = None,
) -> Callable[
    [HomeAssistant, HardwiredConfigEntry, AddConfigEntryEntitiesCallback], Awaitable[None]
]:
    """Return the ``async_setup_entry`` of a platform.

    It adds what the family makes itself, the fields of the platform as *entity_class* and the
    composites as *composite_class*.
    """

    def make(runtime: HardwiredRuntime, device: DeviceState) -> Iterable[Entity]:
        return _entities_of(runtime, device, platform, entity_class, composite_class)

    async def async_setup_entry(
        hass: HomeAssistant,
        entry: HardwiredConfigEntry,
        async_add_entities: AddConfigEntryEntitiesCallback,
    ) -> None:
        await _async_add(hass, entry, async_add_entities, make)

    return async_setup_entry


type Fresh = Sequence[tuple[str | None, Sequence[Entity]]]
"""Entities that are not there yet, in batches, each with its subentry."""


async def _async_add(
    hass: HomeAssistant,
    entry: HardwiredConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make: Callable[[HardwiredRuntime, DeviceState], Iterable[Entity]],
) -> None:
    """Add the entities of a platform now, and again whenever a device or a value appears."""
    coordinator = entry.runtime_data.coordinator
    newcomers = _Newcomers(entry, make)

    async def add(fresh: Fresh) -> None:
        """Add a batch a turn of the loop, so that others have theirs."""
        for number, (subentry, batch) in enumerate(fresh):
            if number:
                await asyncio.sleep(0)
            if not newcomers.unloading:
                async_add_entities(batch, config_subentry_id=subentry)

    @callback
    def add_new() -> None:
        if fresh := newcomers.take():
            entry.async_create_task(hass, add(fresh), f"{DOMAIN} adds entities")

    await add(newcomers.take())
    entry.async_on_unload(coordinator.async_add_listener(add_new))
    add_new()


class _Newcomers:
    """Finds the entities of a platform that are not there yet."""

    def __init__(
        self,
        entry: HardwiredConfigEntry,
        make: Callable[[HardwiredRuntime, DeviceState], Iterable[Entity]],
    ) -> None:
        self._entry = entry
        self._make = make
        self._known: dict[str, set[str | None]] = {}
        self._seen = -1

    @property
    def unloading(self) -> bool:
        """Whether nothing more is to be added."""
        return self._entry.state is ConfigEntryState.UNLOAD_IN_PROGRESS

    @callback
    def take(self) -> Fresh:
        """Return what has come since the last time."""
        runtime = self._entry.runtime_data
        coordinator = runtime.coordinator
        found: dict[str | None, list[Entity]] = {}
        if self.unloading or self._seen == coordinator.structure:
            return ()
        self._seen = coordinator.structure
        for device_id, device in coordinator.data.devices.items():
            if device_id in coordinator.deleted:
                self._known.pop(device_id, None)
                continue
            if not coordinator.async_shows(device.device):
                continue
            added = self._known.setdefault(device_id, set())
            subentry = coordinator.family.subentry_of(self._entry, device.device)
            for entity in self._make(runtime, device):
                if entity.unique_id not in added:
                    added.add(entity.unique_id)
                    found.setdefault(subentry, []).append(entity)
        return [
            (subentry, batch)
            for subentry, entities in found.items()
            for batch in batched(entities, BATCH, strict=False)
        ]


def _entities_of(
    runtime: HardwiredRuntime,
    device: DeviceState,
    platform: Platform,
    entity_class: type[FieldEntity] | None,
    composite_class: type[CompositeEntity] | None,
) -> Iterable[Entity]:
    """Make the entities of a device on a platform."""
    family, coordinator, kind = runtime.family, runtime.coordinator, device.device.kind
    for make in family.entities(platform, device):
        yield make(coordinator, device)
    for composite in family.factory.composites(kind):
        fits = composite.component.value == platform.value and composite.exists(device)
        if composite_class is not None and fits:
            yield composite_class(coordinator, device, composite)
    if entity_class is None:
        return
    for key in device.values:
        item = device.fields.get(key)
        if item is not None and family.platform(kind, item) is platform:
            yield entity_class(coordinator, device, item)
