"""Times: settings of a device that are a time of day."""

from __future__ import annotations

from datetime import time

from homeassistant.components.time import TimeEntity, TimeEntityDescription
from homeassistant.const import Platform

from .engines.fields import Field
from .engines.presentation import Control
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


class HardwiredTime(FieldEntity, TimeEntity):
    """A setting that is a time of day."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> TimeEntityDescription:
        """Return the description of a field as a time."""
        return TimeEntityDescription(**common_description(item, Control.TIME, translation_key))

    @property
    def native_value(self) -> time | None:
        """The time that the device has confirmed."""
        value = self.current
        return value if isinstance(value, time) else None

    async def async_set_value(self, value: time) -> None:
        """Write the setting."""
        await self.async_send({self.item.key: value})


async_setup_entry = platform_setup(Platform.TIME, HardwiredTime)
