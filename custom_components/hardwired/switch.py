"""Switches: settings of a device that are on or off."""

from __future__ import annotations

from typing import Any

from homeassistant.components.switch import (  # type: ignore[attr-defined]
    SwitchDeviceClass,
    SwitchEntity,
    SwitchEntityDescription,
)
from homeassistant.const import Platform

from .engines.fields import Field
from .engines.presentation import Control
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


class HardwiredSwitch(FieldEntity, SwitchEntity):
    """A setting that is on or off."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> SwitchEntityDescription:
        """Return the description of a field as a switch."""
        return SwitchEntityDescription(
            **common_description(item, Control.SWITCH, translation_key),
            device_class=SwitchDeviceClass.SWITCH,
        )

    @property
    def is_on(self) -> bool | None:
        """What the device has confirmed."""
        value = self.current
        return value if isinstance(value, bool) else None

    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch on."""
        await self.async_send({self.item.key: True})

    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch off."""
        await self.async_send({self.item.key: False})


async_setup_entry = platform_setup(Platform.SWITCH, HardwiredSwitch)
