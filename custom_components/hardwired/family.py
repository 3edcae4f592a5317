"""What a device family brings to Home Assistant: the contract of ``families/<family>.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from homeassistant.config_entries import ConfigEntry, OptionsFlow
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.entity import Entity

from .engines.engine import Device, DeviceState, Engine
from .engines.fields import Catalogue, Field, Offer, Quantity
from .flow import FamilyFlow

type EntityMaker = Callable[[Any, DeviceState], Entity]
"""Makes an entity from the coordinator and a device: a class of entities, as a rule."""

WRITABLE_PLATFORMS: Mapping[Quantity, Platform] = {
    Quantity.CLOCK_TIME: Platform.TIME,
    Quantity.OPTION: Platform.SELECT,
    Quantity.SIGNAL: Platform.BUTTON,
    Quantity.TIMESTAMP: Platform.DATETIME,
}


def platform_of(item: Field) -> Platform | None:
    """Return the platform on which a field appears by its nature; ``None``: on none."""
    if item.offer is Offer.NEVER:
        return None
    if item.writable:
        if item.numeric:
            return Platform.NUMBER
        if item.binary:
            return Platform.SWITCH
        return WRITABLE_PLATFORMS.get(item.quantity)
    if not item.readable or item.quantity is Quantity.SIGNAL:
        return None
    if item.quantity is Quantity.EVENT:
        return Platform.EVENT
    return Platform.BINARY_SENSOR if item.binary else Platform.SENSOR


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that the user has to put right. ``key`` names its texts."""

    key: str
    placeholders: Mapping[str, str] = field(default_factory=dict)
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING
    learn_more_url: str | None = None


class Family[E: Engine](ABC):
    """One device family and its engine *E*. Stateless: state lives in the engine."""

    key: ClassVar[str]
    flow: ClassVar[type[FamilyFlow]]
    """Its steps of the config flow: ``async_step_<key>`` and ``async_step_<key>_reconfigure``."""
    options_flow: ClassVar[type[OptionsFlow] | None] = None
    discovered_macs: ClassVar[tuple[str, ...]] = ()
    """How the MAC addresses begin, in lower case, of what the manifest lets be discovered; then
    there is a step ``async_step_<key>_dhcp``."""
    catalogues: ClassVar[Mapping[str, Catalogue]]
    """The fields of each kind of device that its engine may report."""
    composite_texts: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    """Platform and translation key of the entities that :meth:`entities` makes."""
    identified: ClassVar[bool] = True
    """Whether its devices have an identity of their own, such as a serial number."""
    services: ClassVar[frozenset[str]] = frozenset()
    """The kinds of device that are no hardware but a service of ours."""
    setup_timeout: ClassVar[float] = 10.0
    """How long the set-up waits for the engine to connect, or to know why it can't."""
    redact: ClassVar[frozenset[str]] = frozenset()
    """Keys of entry data and options that the diagnostics must not show."""

    @abstractmethod
    async def async_create_engine(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> E:
        """Return the engine of a config entry. Raises ``LinkError`` when the data are unusable."""

    def scope(self, entry: ConfigEntry[Any]) -> str:
        """Return what goes before a device's id to make it unique among all entries."""
        return "" if self.identified else f"{entry.entry_id}_"

    def unique_id(self, entry: ConfigEntry[Any], device: Device, key: str) -> str:
        """Return the unique id of an entity. Frozen from the first release."""
        return f"{self.scope(entry)}{device.id}_{key}"

    def platform(self, kind: str, item: Field) -> Platform | None:
        """Return where a field of a kind of device appears; ``None``: another entity tells it."""
        return platform_of(item)

    def translation_key(self, kind: str, item: Field) -> str:
        """Return the key of an entity's texts."""
        return f"{self.key}_{item.key}"

    def composites(self, platform: Platform, device: DeviceState) -> Iterable[EntityMaker]:
        """Return the entities of a device that are more than one field."""
        return ()

    def requested(self, engine: E, kind: str, item: Field) -> bool:
        """Whether the user has asked for a value that is not shown otherwise."""
        return item.offer is Offer.ON_REQUEST

    def want(self, engine: E, device: str, key: str) -> Callable[[], None] | None:
        """Tell an engine that reads on demand what is shown; returns the way to end it."""
        return None

    def limits(
        self, engine: E, device: str, item: Field
    ) -> tuple[float | None, float | None] | None:
        """Return the bounds that a device has told itself, if it has."""
        return None

    def attributes(self, engine: E, device: str, item: Field) -> Mapping[str, Any] | None:
        """Return what is known of a value beyond itself, for the attributes of its entity."""
        return None

    def issues(self, engine: E) -> Iterable[Issue]:
        """Return what the user has to put right now, beyond a lasting silence."""
        return ()

    def secrets(self, engine: E) -> Iterable[str]:
        """Return texts that must not stand anywhere in the diagnostics."""
        for state in engine.snapshot.devices.values():
            yield from filter(None, (state.device.serial_number,))
            if self.identified:
                yield state.device.id

    async def async_remove(  # noqa: B027 - optional
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> None:
        """Forget what was stored for an entry that is being deleted."""

    def async_setup(self, hass: HomeAssistant) -> None:  # noqa: B027 - optional
        """Register the family's actions."""
