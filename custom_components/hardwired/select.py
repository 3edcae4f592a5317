"""Selects: settings of a device that are one of several."""

from __future__ import annotations

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.const import Platform

from .engines.fields import Field
from .engines.presentation import Control
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


class HardwiredSelect(FieldEntity, SelectEntity):
    """A setting that is one of several."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> SelectEntityDescription:
        """Return the description of a field as a select."""
        return SelectEntityDescription(**common_description(item, Control.SELECT, translation_key))

    @property
    def options(self) -> list[str]:
        """The options that this device has now."""
        return list(self.item.options)

    @property
    def current_option(self) -> str | None:
        """The option that the device has confirmed."""
        value = self.current
        return value if isinstance(value, str) and value in self.item.options else None

    async def async_select_option(self, option: str) -> None:
        """Write the setting."""
        await self.async_send({self.item.key: option})


async_setup_entry = platform_setup(Platform.SELECT, HardwiredSelect)
