"""Binary sensors: every yes or no that is only read."""

from __future__ import annotations

from homeassistant.components.binary_sensor import (  # type: ignore[attr-defined]
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import Platform

from .engines.fields import Field, Quantity
from .engines.presentation import Control, device_class_of
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


def device_class(item: Field) -> BinarySensorDeviceClass | None:
    """Return the device class of a field as a binary sensor."""
    found = device_class_of(item, Control.BINARY_SENSOR)
    return None if found is None else BinarySensorDeviceClass(found)


class HardwiredBinarySensor(FieldEntity, BinarySensorEntity):
    """A yes or no that is only read."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> BinarySensorEntityDescription:
        """Return the description of a field as a binary sensor."""
        return BinarySensorEntityDescription(
            **common_description(item, Control.BINARY_SENSOR, translation_key),
            device_class=device_class(item),
        )

    @property
    def available(self) -> bool:
        """A connection is shown as lost, not as unavailable."""
        if self.item.quantity is Quantity.CONNECTIVITY:
            return self.state_of_device is not None
        return super().available

    @property
    def is_on(self) -> bool | None:
        """The value now."""
        value = self.current
        return value if isinstance(value, bool) else None


async_setup_entry = platform_setup(Platform.BINARY_SENSOR, HardwiredBinarySensor)
