"""How a field is presented: control, device class, state class. Decided once, for all faces.

The words are Home Assistant's own, as plain text, since MQTT discovery speaks them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .fields import Accumulation, Field, Offer, Quantity, Role


class Control(StrEnum):
    """The platform, or MQTT component, on which a single field appears."""

    BINARY_SENSOR = "binary_sensor"
    BUTTON = "button"
    DATETIME = "datetime"
    EVENT = "event"
    NUMBER = "number"
    SELECT = "select"
    SENSOR = "sensor"
    SWITCH = "switch"
    TEXT = "text"
    TIME = "time"


WRITABLE = frozenset(
    {
        Control.BUTTON,
        Control.DATETIME,
        Control.NUMBER,
        Control.SELECT,
        Control.SWITCH,
        Control.TEXT,
        Control.TIME,
    }
)
"""The controls that set something."""

_BY_WRITABLE_QUANTITY: Mapping[Quantity, Control] = {
    Quantity.CLOCK_TIME: Control.TIME,
    Quantity.OPTION: Control.SELECT,
    Quantity.SIGNAL: Control.BUTTON,
    Quantity.TEXT: Control.TEXT,
    Quantity.TIMESTAMP: Control.DATETIME,
}

_DEVICE_CLASSES: Mapping[Quantity, str] = {
    Quantity.APPARENT_POWER: "apparent_power",
    Quantity.CARBON_DIOXIDE: "carbon_dioxide",
    Quantity.CURRENT: "current",
    Quantity.DATA_RATE: "data_rate",
    Quantity.DURATION: "duration",
    Quantity.ENERGY: "energy",
    Quantity.FLOW: "volume_flow_rate",
    Quantity.FREQUENCY: "frequency",
    Quantity.HUMIDITY: "humidity",
    Quantity.POWER: "power",
    Quantity.POWER_FACTOR: "power_factor",
    Quantity.PRESSURE: "pressure",
    Quantity.REACTIVE_POWER: "reactive_power",
    Quantity.SIGNAL_STRENGTH: "signal_strength",
    Quantity.STATE_OF_CHARGE: "battery",
    Quantity.TEMPERATURE: "temperature",
    Quantity.TEMPERATURE_DELTA: "temperature_delta",
    Quantity.VOLTAGE: "voltage",
    Quantity.VOLUME: "water",
    Quantity.CONNECTIVITY: "connectivity",
    Quantity.HEAT: "heat",
    Quantity.PLUGGED: "plug",
    Quantity.POWERED: "power",
    Quantity.PROBLEM: "problem",
    Quantity.RUNNING: "running",
    Quantity.WINDOW: "window",
    Quantity.OPTION: "enum",
    Quantity.TIMESTAMP: "timestamp",
}

_NOT_SETTABLE = frozenset({Quantity.SIGNAL_STRENGTH, Quantity.VOLUME})
"""Quantities without a device class for numbers, because they are never set."""
_UNITLESS = frozenset({Quantity.POWER_FACTOR, Quantity.OPTION, Quantity.TIMESTAMP})
"""Quantities whose device class needs no unit."""
_CLASSED = frozenset({Control.BINARY_SENSOR, Control.NUMBER, Control.SENSOR})

_STATE_CLASSES: Mapping[Accumulation, str] = {
    Accumulation.MEASUREMENT: "measurement",
    Accumulation.TOTAL: "total",
    Accumulation.TOTAL_INCREASING: "total_increasing",
}
_NEVER_MEASUREMENT = frozenset({Quantity.ENERGY, Quantity.VOLUME})
"""Quantities that Home Assistant takes as meters only."""


def control_of(field: Field) -> Control | None:
    """Return the control on which a field appears; ``None``: on none."""
    if field.offer is Offer.NEVER:
        return None
    if field.writable:
        if field.numeric:
            return Control.NUMBER
        if field.binary:
            return Control.SWITCH
        return _BY_WRITABLE_QUANTITY.get(field.quantity)
    if not field.readable or field.quantity is Quantity.SIGNAL:
        return None
    if field.quantity is Quantity.EVENT:
        return Control.EVENT
    return Control.BINARY_SENSOR if field.binary else Control.SENSOR


def device_class_of(field: Field, control: Control) -> str | None:
    """Return the device class of a field on a control; ``None``: it has none there."""
    if control not in _CLASSED:
        return None
    if control is Control.NUMBER and field.quantity in _NOT_SETTABLE:
        return None
    if field.numeric and field.unit is None and field.quantity not in _UNITLESS:
        return None
    return _DEVICE_CLASSES.get(field.quantity)


def state_class_of(field: Field) -> str | None:
    """Return the state class of a sensor; ``None`` where the quantity has none."""
    if not field.numeric:
        return None
    if field.quantity in _NEVER_MEASUREMENT and field.accumulation is Accumulation.MEASUREMENT:
        return None
    return _STATE_CLASSES.get(field.accumulation)


def category_of(field: Field, control: Control) -> str | None:
    """Return the entity category, by the purpose of the field.

    A setting that is only shown is a diagnostic; a diagnostic that can be set is a setting.
    """
    match field.role:
        case Role.LIFE:
            return None
        case Role.DIAGNOSTIC | Role.SETTING:
            return "config" if control in WRITABLE else "diagnostic"
