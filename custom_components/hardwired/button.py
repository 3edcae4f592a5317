"""Buttons: what a device does once when told."""

from __future__ import annotations

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import Platform

from .engines.fields import Field
from .engines.presentation import Control
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


class HardwiredButton(FieldEntity, ButtonEntity):
    """Something that a device does once when told."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> ButtonEntityDescription:
        """Return the description of a field as a button."""
        return ButtonEntityDescription(**common_description(item, Control.BUTTON, translation_key))

    async def async_press(self) -> None:
        """Tell the device."""
        await self.async_send({self.item.key: True})


async_setup_entry = platform_setup(Platform.BUTTON, HardwiredButton)
