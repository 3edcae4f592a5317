"""Events: what a device tells once, such as an alarm."""

from __future__ import annotations

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import Platform
from homeassistant.core import callback

from .engines.engine import Message, Occurrence
from .engines.fields import Field
from .engines.presentation import Control
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


class HardwiredEvent(FieldEntity, EventEntity):
    """What a device tells once."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> EventEntityDescription:
        """Return the description of a field as an event."""
        return EventEntityDescription(
            **common_description(item, Control.EVENT, translation_key),
            event_types=list(item.options),
        )

    @property
    def available(self) -> bool:
        """Always: what it told last stays told, and a link that comes back is no new event."""
        return True

    async def async_added_to_hass(self) -> None:
        """Listen to the engine's messages."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_listen(self._async_occur))

    @callback
    def _async_occur(self, occurrence: Occurrence) -> None:
        match occurrence:
            case Message(device=device, key=self.item.key, type=kind) if (
                device.id == self.device_key and kind in self.item.options
            ):
                self._trigger_event(kind, dict(occurrence.data))
                self.async_write_ha_state()


async_setup_entry = platform_setup(Platform.EVENT, HardwiredEvent)
