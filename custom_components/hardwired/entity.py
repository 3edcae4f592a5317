"""The base of every entity, and how entities come into being."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .coordinator import HardwiredConfigEntry, HardwiredCoordinator, HardwiredRuntime
from .engines.engine import Command, DeviceState
from .engines.fields import Field, Offer, Role, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

CATEGORIES = {Role.DIAGNOSTIC: EntityCategory.DIAGNOSTIC, Role.SETTING: EntityCategory.CONFIG}


class HardwiredEntity(CoordinatorEntity[HardwiredCoordinator]):
    """An entity of one device; it shows what the device has said and nothing else."""

    _attr_has_entity_name = True

    watched: tuple[str, ...] = ()
    """The values that this entity shows, by field key."""

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState, key: str) -> None:
        """Tie the entity to a device of the coordinator."""
        super().__init__(coordinator)
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
        family, engine = self.coordinator.family, self.coordinator.engine
        for key in self.watched:
            if (end := family.want(engine, self.device_key, key)) is not None:
                self.async_on_remove(end)

    @callback
    def async_entity_id_changed(self, *_: Any) -> None:
        """Nothing hangs on the entity id."""


class FieldEntity(HardwiredEntity):
    """An entity that shows one field of the catalogue."""

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState, item: Field) -> None:
        """Describe the entity by its field."""
        super().__init__(coordinator, device, item.key)
        self.item = item
        self.watched = (item.key,)
        if coordinator.family.requested(coordinator.engine, device.device.kind, item):
            self._attr_entity_registry_enabled_default = True
        self.entity_description = self.describe(
            item, coordinator.family.translation_key(device.device.kind, item)
        )

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> EntityDescription:
        """Return the description of a field on this platform."""
        raise NotImplementedError

    @property
    def current(self) -> Value | None:
        """The field's value now."""
        return self.reading(self.item.key)

    @property
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """What the family knows beyond the value."""
        return self.coordinator.family.attributes(
            self.coordinator.engine, self.device_key, self.item
        )

    def shown(self) -> tuple[object, ...]:
        """Return what the state is made of."""
        return (*super().shown(), self.extra_state_attributes)


def common_description(item: Field, translation_key: str) -> dict[str, Any]:
    """Return what a description says on every platform."""
    return {
        "key": item.key,
        "translation_key": translation_key,
        "entity_category": CATEGORIES.get(item.role),
        "entity_registry_enabled_default": item.offer is Offer.DEFAULT,
    }


def platform_setup(
    platform: Platform, entity_class: type[FieldEntity] | None = None
) -> Callable[
    [HomeAssistant, HardwiredConfigEntry, AddConfigEntryEntitiesCallback], Awaitable[None]
]:
    """Return the ``async_setup_entry`` of a platform.

    It adds what the family makes itself, and the fields of the platform as *entity_class*.
    """

    async def async_setup_entry(
        hass: HomeAssistant,
        entry: HardwiredConfigEntry,
        async_add_entities: AddConfigEntryEntitiesCallback,
    ) -> None:
        _async_add(entry, platform, async_add_entities, entity_class)

    return async_setup_entry


@callback
def _async_add(
    entry: HardwiredConfigEntry,
    platform: Platform,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entity_class: type[FieldEntity] | None,
) -> None:
    """Add the entities of a platform now, and again whenever a device or a value appears."""
    coordinator = entry.runtime_data.coordinator
    known: dict[str, set[str | None]] = {}
    seen = -1

    @callback
    def add_new() -> None:
        nonlocal seen
        if entry.state is ConfigEntryState.UNLOAD_IN_PROGRESS or seen == coordinator.structure:
            return
        seen = coordinator.structure
        fresh = []
        for device_id, device in coordinator.data.devices.items():
            if device_id in coordinator.deleted:
                known.pop(device_id, None)
                continue
            added = known.setdefault(device_id, set())
            for entity in _entities_of(entry.runtime_data, device, platform, entity_class):
                if entity.unique_id not in added:
                    added.add(entity.unique_id)
                    fresh.append(entity)
        if fresh:
            async_add_entities(fresh)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


def _entities_of(
    runtime: HardwiredRuntime,
    device: DeviceState,
    platform: Platform,
    entity_class: type[FieldEntity] | None,
) -> Iterable[Entity]:
    """Make the entities of a device on a platform: what the family makes itself, and fields."""
    for make in runtime.family.composites(platform, device):
        yield make(runtime.coordinator, device)
    if entity_class is None:
        return
    kind = device.device.kind
    catalogue = runtime.engine.catalogues[kind]
    for key in device.values:
        item = catalogue.get(key)
        if item is not None and runtime.family.platform(kind, item) is platform:
            yield entity_class(runtime.coordinator, device, item)
