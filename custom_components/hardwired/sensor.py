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

from .engines.fields import Accumulation, Field, Quantity
from .entity import FieldEntity, common_description, platform_setup

PARALLEL_UPDATES = 0

DEVICE_CLASSES = {
    Quantity.APPARENT_POWER: SensorDeviceClass.APPARENT_POWER,
    Quantity.CURRENT: SensorDeviceClass.CURRENT,
    Quantity.DATA_RATE: SensorDeviceClass.DATA_RATE,
    Quantity.DURATION: SensorDeviceClass.DURATION,
    Quantity.ENERGY: SensorDeviceClass.ENERGY,
    Quantity.FLOW: SensorDeviceClass.VOLUME_FLOW_RATE,
    Quantity.FREQUENCY: SensorDeviceClass.FREQUENCY,
    Quantity.HUMIDITY: SensorDeviceClass.HUMIDITY,
    Quantity.OPTION: SensorDeviceClass.ENUM,
    Quantity.POWER: SensorDeviceClass.POWER,
    Quantity.POWER_FACTOR: SensorDeviceClass.POWER_FACTOR,
    Quantity.REACTIVE_POWER: SensorDeviceClass.REACTIVE_POWER,
    Quantity.SIGNAL_STRENGTH: SensorDeviceClass.SIGNAL_STRENGTH,
    Quantity.STATE_OF_CHARGE: SensorDeviceClass.BATTERY,
    Quantity.TEMPERATURE: SensorDeviceClass.TEMPERATURE,
    Quantity.TEMPERATURE_DELTA: SensorDeviceClass.TEMPERATURE_DELTA,
    Quantity.TIMESTAMP: SensorDeviceClass.TIMESTAMP,
    Quantity.VOLTAGE: SensorDeviceClass.VOLTAGE,
}

STATE_CLASSES = {
    Accumulation.MEASUREMENT: SensorStateClass.MEASUREMENT,
    Accumulation.TOTAL: SensorStateClass.TOTAL,
    Accumulation.TOTAL_INCREASING: SensorStateClass.TOTAL_INCREASING,
}


def state_class_of(item: Field) -> SensorStateClass | None:
    """Return the state class; none where Home Assistant does not take one with the quantity."""
    if not item.numeric:
        return None
    if item.quantity is Quantity.ENERGY and item.accumulation is Accumulation.MEASUREMENT:
        return None
    return STATE_CLASSES.get(item.accumulation)


class HardwiredSensor(FieldEntity, SensorEntity):
    """A value that is only read."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> SensorEntityDescription:
        """Return the description of a field as a sensor."""
        return SensorEntityDescription(
            **common_description(item, translation_key),
            device_class=DEVICE_CLASSES.get(item.quantity),
            native_unit_of_measurement=item.unit if item.numeric else None,
            state_class=state_class_of(item),
            suggested_display_precision=item.precision if item.numeric else None,
            options=list(item.options) if item.quantity is Quantity.OPTION else None,
        )

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
