"""What a device family brings to Home Assistant: the contract of ``families/<family>/``."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry, ConfigSubentryFlow, OptionsFlow
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
from homeassistant.util import dt as dt_util

from .engines.composite import Composite
from .engines.engine import Device, DeviceState, Engine, Reason
from .engines.factory import (
    LINK,
    TIME_ZONE,
    EngineFactory,
    SettingsError,
    Surroundings,
    factory_of,
)
from .engines.fields import Catalogue, Field
from .engines.presentation import Control, control_of
from .flow import FamilyFlow, async_is_time_zone
from .storage import HomeAssistantStorage, store_of

type EntityMaker = Callable[[Any, DeviceState], Entity]
"""Makes an entity from the coordinator and a device: a class of entities, as a rule."""


def platform_of(item: Field) -> Platform | None:
    """Return the platform on which a field appears by its nature; ``None``: on none."""
    control = control_of(item)
    return None if control in (None, Control.TEXT) else Platform(control.value)


class Family[E: Engine](ABC):
    """One device family and its engine *E*. Stateless: state lives in the engine."""

    key: ClassVar[str]
    """Its name, that of its folder in ``engines``."""
    flow: ClassVar[type[FamilyFlow]]
    """Its steps of the config flow: ``async_step_<key>`` and ``async_step_<key>_reconfigure``."""
    options_flow: ClassVar[type[OptionsFlow] | None] = None
    discovered_macs: ClassVar[tuple[str, ...]] = ()
    """How the MAC addresses begin, in lower case, of what the manifest lets be discovered; then
    there is a step ``async_step_<key>_dhcp``."""
    discovered_usb: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    """Vendor and product, in upper case, of the USB devices that the manifest lets be discovered;
    then there is a step ``async_step_<key>_usb``."""
    discovered_zeroconf: ClassVar[frozenset[str]] = frozenset()
    """The services that the manifest lets be discovered by zeroconf; then there is a step
    ``async_step_<key>_zeroconf``."""
    discovered_ssdp: ClassVar[frozenset[str]] = frozenset()
    """The manufacturers that the manifest lets be discovered by SSDP; then there is a step
    ``async_step_<key>_ssdp``."""
    subentry_flows: ClassVar[Mapping[str, type[ConfigSubentryFlow]]] = {}
    """What may be added to an entry of the family, by its type."""
    services: ClassVar[frozenset[str]] = frozenset()
    """The kinds of device that are no hardware but a service of ours."""
    translated: ClassVar[frozenset[str]] = frozenset()
    """The kinds of device whose name is neither a maker's nor the owner's.

    ``device.<family>_<kind>`` in the texts has it, in English as the engine says it."""
    moved_from: ClassVar[tuple[str, ...]] = ()
    """The other programs whose entity ids can be taken over: those of ``old_ids.json``."""
    setup_timeout: ClassVar[float] = 10.0
    """How long the set-up waits for the engine to connect, or to know why it can't."""
    redact: ClassVar[frozenset[str]] = frozenset()
    """Keys of entry data and options that the diagnostics must not show."""

    def simulation(self, hass: HomeAssistant) -> Mapping[str, Any]:
        """Return the data of an entry for a try without a device; all runs in this process."""
        return {LINK: "sim://"}

    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys of data and options that were called otherwise before version 1.2 of the entries."""

    def migrate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data or options of an older entry under today's keys."""
        return {self.renamed.get(key, key): value for key, value in values.items()}

    @property
    def factory(self) -> EngineFactory[Any]:
        """What makes its engines."""
        return factory_of(self.key)

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The fields of each kind of device that its engine may report."""
        return self.factory.catalogues

    async def async_settings(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> Mapping[str, Any]:
        """Return the plain settings of an entry, as the factory reads them."""
        return {**entry.data, **entry.options}

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], storage: HomeAssistantStorage
    ) -> E:
        """Return the engine of a config entry, with what it has kept over the restart.

        Raises ``SettingsError`` when the settings are unusable.
        """
        values = await self.async_settings(hass, entry)
        zone = values.get(TIME_ZONE)
        if zone and not await async_is_time_zone(hass, str(zone)):
            raise SettingsError(TIME_ZONE, Reason.BAD_TIMEZONE, str(zone))
        settings = self.factory.read(values)
        surroundings = Surroundings(zone=dt_util.get_default_time_zone(), storage=storage)
        engine: E = self.factory.make(settings, surroundings)  # type: ignore[assignment]
        return engine

    def scope(self, entry: ConfigEntry[Any], device: Device) -> str:
        """Return what goes before a device's id to make it unique among all entries."""
        return "" if self.factory.identified(device) else f"{entry.entry_id}_"

    def subentry_of(self, entry: ConfigEntry[Any], device: Device) -> str | None:
        """Return the subentry that a device belongs to; ``None``: to the entry itself."""
        return None

    def unique_id(self, entry: ConfigEntry[Any], device: Device, key: str) -> str:
        """Return the unique id of an entity. Frozen from the first release."""
        suffix = self.factory.suffix(device.kind, key)
        return f"{self.scope(entry, device)}{device.id}_{suffix}"

    def platform(self, kind: str, item: Field) -> Platform | None:
        """Return where a field of a kind of device appears; ``None``: nowhere.

        What a composite sets is only read elsewhere.
        """
        covers = (composite.covers for composite in self.factory.composites(kind))
        covered = item.writable and any(item.key in keys for keys in covers)
        return platform_of(replace(item, writable=False) if covered else item)

    def composite_key(self, composite: Composite) -> str:
        """Return the key of a composite's texts."""
        return f"{self.key}_{composite.key}"

    def translation_key(self, kind: str, item: Field) -> str:
        """Return the key of an entity's texts."""
        return f"{self.key}_{item.key}"

    def entities(self, platform: Platform, device: DeviceState) -> Iterable[EntityMaker]:
        """Return the entities of a device that are neither a field nor a composite."""
        return ()

    async def async_leave(  # noqa: B027 - optional
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> None:
        """Leave the device as it was found: the entry was disabled, or is being deleted.

        The entry is unloaded and its port free; what it stored is still there.
        """

    async def async_remove(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Forget what was stored for an entry that is being deleted."""
        await store_of(hass, self.key, entry).async_remove()

    def async_setup(self, hass: HomeAssistant) -> None:  # noqa: B027 - optional
        """Register the family's actions."""
