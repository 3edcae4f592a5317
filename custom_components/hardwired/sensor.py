"""Sensors: every value that is only read."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import MAX_LENGTH_STATE_STATE, Platform
from homeassistant.helpers.typing import StateType

from .engines.fields import Field, Quantity
from .engines.presentation import Control, device_class_of, state_class_of
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0


def device_class(item: Field) -> SensorDeviceClass | None:
    """Return the device class of a field as a sensor."""
    found = device_class_of(item, Control.SENSOR)
    return None if found is None else SensorDeviceClass(found)


def state_class(item: Field) -> SensorStateClass | None:
    """Return the state class of a field as a sensor."""
    found = state_class_of(item)
    return None if found is None else SensorStateClass(found)


class HardwiredSensor(FieldEntity, SensorEntity):
    """A value that is only read."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> SensorEntityDescription:
        """Return the description of a field as a sensor."""
        return SensorEntityDescription(
            **common_description(item, Control.SENSOR, translation_key),
            device_class=device_class(item),
            native_unit_of_measurement=item.unit if item.numeric else None,
            state_class=state_class(item),
            suggested_display_precision=item.precision if item.numeric else None,
        )

    @property
    def options(self) -> list[str] | None:
        """The options that this device has now."""
        return list(self.item.options) if self.item.quantity is Quantity.OPTION else None

    @property
    def native_value(self) -> StateType | date | datetime | Decimal:
        """The value now; an unknown option is no value."""
        value = self.current
        if self.item.quantity is Quantity.OPTION and value not in self.item.options:
            return None
        if isinstance(value, time):
            return value.isoformat("minutes")
        if isinstance(value, str) and len(value) > MAX_LENGTH_STATE_STATE:
            return value[: MAX_LENGTH_STATE_STATE - 1] + "…"
        return value


async_setup_entry = platform_setup(Platform.SENSOR, HardwiredSensor)
