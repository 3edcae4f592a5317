"""The file of TeepCo/xtender_mqtt to one of ours (spec d.3)."""

from __future__ import annotations

from typing import Any

from ..importing import (
    Imported,
    Refused,
    carried_client_id,
    note,
    warning,
    without_defaults,
)
from ..settings import ConfigError
from .config import PREFIX, URGENT, XTENDERS, WriteProperty, parse

DEVICE, SINK = "plant", "mqtt"
_STOP = "stop and disable xtender_mqtt.service first: two masters on one line disturb each other"
_INTO_RAM = (
    "commands go into RAM and are gone after a power cut; the old program wore the flash with "
    'each; write_property = "flash" is the old way'
)


def convert(content: str) -> Imported:
    """Return what becomes of it. Raises :class:`Refused`."""
    try:
        old = parse(content)
    except ConfigError as error:
        raise Refused(str(error)) from None
    said = [warning(text) for text in old.warnings]
    flash = old.write_property is WriteProperty.FLASH
    if not flash:
        said.append(warning(_INTO_RAM))
    if old.logging is not None:
        text = "is not carried over: [log] says how much is told, and the journal keeps it"
        said.append(warning(text, "logging"))
    ident = carried_client_id(old.client_id, "mqtt_setup.mqtt_client_id", said)
    said.append(note(_STOP))
    entry: dict[str, Any] = {
        "dialect": "xtender_mqtt",
        "sink": SINK,
        **without_defaults(
            prefix=(old.prefix, PREFIX),
            discovery_prefix=(old.discovery_prefix, "homeassistant"),
        ),
        "sensors": sorted(old.sensors),
        "parameters": sorted(old.parameters),
        **without_defaults(
            urgent=(sorted(old.urgent), sorted(URGENT)),
            loop_sleep=(old.loop_sleep, 5.0),
            xtenders=(old.xtenders, XTENDERS),
            write_property=(old.write_property.value, WriteProperty.RAM.value),
            allow_guarded=(old.allow_guarded, False),
        ),
    }
    device = {
        "family": "studer",
        "link": old.interface,
        **without_defaults(serial=(old.baudrate and f"{old.baudrate} 8E1", None)),
        "native": False,
        "legacy": [entry],
        **without_defaults(flash_writes=(flash, False)),
    }
    sink = {
        "type": "mqtt",
        "host": old.broker,
        **without_defaults(port=(old.port, 1883)),
        **without_defaults(client_id=(ident, None)),
        **without_defaults(username=(old.username, None), password=(old.password, None)),
    }
    return Imported({"devices": {DEVICE: device}, "sinks": {SINK: sink}}, tuple(said))
