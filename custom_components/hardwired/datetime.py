"""Dates with times: the clock of a device."""

from __future__ import annotations

from datetime import datetime

from homeassistant.components.datetime import DateTimeEntity, DateTimeEntityDescription
from homeassistant.const import Platform

from .engines.fields import Field
from .engines.presentation import Control
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


class HardwiredDateTime(FieldEntity, DateTimeEntity):
    """A setting that is a date with a time."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> DateTimeEntityDescription:
        """Return the description of a field as a date with a time."""
        return DateTimeEntityDescription(
            **common_description(item, Control.DATETIME, translation_key)
        )

    @property
    def native_value(self) -> datetime | None:
        """The moment that the device has told, aware."""
        value = self.current
        return value if isinstance(value, datetime) else None

    async def async_set_value(self, value: datetime) -> None:
        """Write the setting."""
        await self.async_send({self.item.key: value})


async_setup_entry = platform_setup(Platform.DATETIME, HardwiredDateTime)
