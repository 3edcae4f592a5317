"""What bmerry/sunsniff says by MQTT, and a little more (spec sunsynk g.3).

The topics, unique ids and meanings are those that owners' dashboards know. Ours adds who the
device is, availability, and the entity id that Home Assistant no longer takes from ``object_id``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import time

from hardwired_engines.fields import Accumulation, Offer, Quantity, Value
from hardwired_engines.sunsynk.catalogue import (
    CAPTURE_FIELDS,
    MODBUS_FIELDS,
    TABLE,
    RegisterField,
)

from ...mqtt.message import MqttMessage, json_text, plain_number
from .config import FieldSet

EXPIRE_AFTER = 600

_ROWS = {row.key: row for row in TABLE}
_DEVICE_CLASSES = {
    "kWh": "energy",
    "W": "power",
    "V": "voltage",
    "A": "current",
    "°C": "temperature",
    "%": "battery",
    "Hz": "frequency",
}
_STATE_CLASSES = {
    Accumulation.MEASUREMENT: "measurement",
    Accumulation.TOTAL: "total",
    Accumulation.TOTAL_INCREASING: "total_increasing",
}


def published_fields(*, modbus: bool, fields: FieldSet = FieldSet.COMPATIBLE) -> tuple[str, ...]:
    """Return the keys that go to a sink, in the order of the table.

    ``compatible`` are the 42 of the capture source or the 56 of the Modbus source; ``all`` adds
    what the old program never had: over Modbus the BMS, too.
    """
    if fields is FieldSet.COMPATIBLE:
        return tuple(MODBUS_FIELDS if modbus else CAPTURE_FIELDS)
    return tuple(
        row.key
        for row in TABLE
        if (modbus or "P" in row.compat if row.compat else row.field.offer is not Offer.NEVER)
    )


def unique_id(serial: str, key: str) -> str:
    """Return the id that topics and entities are made of."""
    return f"sunsniff_{serial}_{key}"


def availability_topic(serial: str) -> str:
    """Return where an inverter is said to be online."""
    return f"sunsniff/{serial}/availability"


def availability(serial: str, *, online: bool) -> MqttMessage:
    """Return the message that an inverter is heard, or is not; the latter is the last will, too."""
    payload = "online" if online else "offline"
    return MqttMessage(availability_topic(serial), payload, retain=True, qos=1)


def discovery(
    serial: str,
    keys: Iterable[str],
    *,
    rated_power: float | None = None,
    prefix: str = "homeassistant",
    with_availability: bool = True,
    expire_after: int = EXPIRE_AFTER,
) -> Iterator[MqttMessage]:
    """Return the discovery messages of an inverter, retained, QoS 1.

    They go out once per field before its first value, again after each reconnect, and again
    when Home Assistant is born. *rated_power* is in W.
    """
    device = {
        "identifiers": [serial],
        "name": f"Sunsynk {serial[-4:]}",
        "manufacturer": "Sunsynk",
        "model": model_of(rated_power),
        "serial_number": serial,
    }
    for key in keys:
        row = _ROWS[key]
        ident = unique_id(serial, key)
        config: dict[str, object] = {
            "device": device,
            "expire_after": expire_after,
            "name": f"{row.group} {row.label}",
            "object_id": ident,
            "default_entity_id": f"sensor.{ident}",
            "state_topic": _topic(prefix, ident, "state"),
            "unique_id": ident,
            "unit_of_measurement": row.unit,
            **_classes(row),
        }
        if with_availability:
            config["availability_topic"] = availability_topic(serial)
        yield MqttMessage(_topic(prefix, ident, "config"), json_text(config), retain=True, qos=1)


def states(
    serial: str,
    values: Mapping[str, Value | None],
    keys: Iterable[str],
    *,
    prefix: str = "homeassistant",
) -> Iterator[MqttMessage]:
    """Return the state messages of a report, not retained; a field without value has none.

    *values* are those of a report or of an engine's reading.
    """
    for key in keys:
        payload = state_of(values.get(key))
        if payload is not None:
            yield MqttMessage(_topic(prefix, unique_id(serial, key), "state"), payload)


def state_of(value: Value | None) -> str | None:
    """Return a value as the old program's consumers know it: numbers, and seconds for times."""
    match value:
        case bool():
            return "1" if value else "0"
        case str():
            return value
        case time():
            return str(value.hour * 3600 + value.minute * 60 + value.second)
        case int() | float():
            return plain_number(value) if value - value == 0 else None
        case _:
            return None


def model_of(rated_power: float | None) -> str:
    """Return what to call an inverter of that rated power in W."""
    if not rated_power:
        return "Hybrid inverter"
    return f"{rated_power / 1000:.1f} kW hybrid inverter"


def _topic(prefix: str, ident: str, leaf: str) -> str:
    return f"{prefix}/sensor/{ident}/{leaf}"


def _classes(row: RegisterField) -> dict[str, object]:
    if row.field.quantity is Quantity.OPTION:
        return {"device_class": "enum", "options": list(row.field.options)}
    # The fields of the old program are all measurements but for its energies.
    state_class = (
        ("total_increasing" if row.unit == "kWh" else "measurement")
        if row.compat
        else _STATE_CLASSES.get(row.field.accumulation)
    )
    classes: dict[str, object] = {}
    if device_class := _DEVICE_CLASSES.get(row.unit):
        classes["device_class"] = device_class
    if state_class:
        classes["state_class"] = state_class
    return classes
