"""Binary sensors: every yes or no that is only read."""

from __future__ import annotations

from homeassistant.components.binary_sensor import (  # type: ignore[attr-defined]
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import Platform

from .engines.fields import Field, Quantity
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0

DEVICE_CLASSES = {
    Quantity.CONNECTIVITY: BinarySensorDeviceClass.CONNECTIVITY,
    Quantity.HEAT: BinarySensorDeviceClass.HEAT,
    Quantity.PLUGGED: BinarySensorDeviceClass.PLUG,
    Quantity.POWERED: BinarySensorDeviceClass.POWER,
    Quantity.PROBLEM: BinarySensorDeviceClass.PROBLEM,
    Quantity.RUNNING: BinarySensorDeviceClass.RUNNING,
    Quantity.WINDOW: BinarySensorDeviceClass.WINDOW,
}


class HardwiredBinarySensor(FieldEntity, BinarySensorEntity):
    """A yes or no that is only read."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> BinarySensorEntityDescription:
        """Return the description of a field as a binary sensor."""
        return BinarySensorEntityDescription(
            **common_description(item, translation_key),
            device_class=DEVICE_CLASSES.get(item.quantity),
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
