"""The file of bmerry/sunsniff to one of ours (spec d.3)."""

from __future__ import annotations

from typing import Any

from ..importing import Imported, Refused, Said, note, warning, without_defaults
from ..settings import ConfigError
from .config import CaptureSource, FieldSet, InfluxSink, ModbusSource, MqttSink, parse

DEVICE = "inverter"
LONGEST_INTERVAL = 86400.0
NONE = "-"
TIMEOUTS = (0.1, 60.0)
_DOUBLE = "the old service must not run beside this: every reading would come twice"
_NEW_SPOOL = "a new file is begun there; one that the old program left is not read"
_NOW_ON_DISK = (
    "readings of an outage are now kept on disk, in the state folder; "
    'spool_mode = "memory" is the old way'
)


def convert(content: str) -> Imported:
    """Return what becomes of it. Raises :class:`Refused`."""
    try:
        old = parse(content)
    except ConfigError as error:
        raise Refused(str(error)) from None
    said = [warning(text) for text in old.warnings]
    device = {"family": "sunsynk", **_source(old.source, said), "native": False}
    sinks: dict[str, Any] = {}
    legacy = []
    for index, broker in enumerate(old.mqtt):
        name = _numbered("mqtt", index)
        sinks[name] = _broker(broker)
        if any((one.host, one.port) == (broker.host, broker.port) for one in old.mqtt[:index]):
            sinks[name]["prefix"] = f"hardwired_{name}"
        legacy.append(_entry(name, broker))
        if broker.ca_file and not broker.tls:
            said.append(warning("is not used with mqtt://", f"mqtt[{index + 1}].ca_file"))
    if legacy:
        device["legacy"] = legacy
    for index, server in enumerate(old.influx):
        sinks[_numbered("influxdb", index)] = found = _server(server)
        for key in found:
            if found[key] == "":
                # CONFIG has no empty ones.
                found[key] = NONE
                said.append(
                    note(f"is empty: {NONE!r} stands for it", f"influxdb2[{index + 1}].{key}")
                )
        said.append(note(_NEW_SPOOL if server.spool else _NOW_ON_DISK, "influxdb2.spool"))
    said.append(note(_DOUBLE))
    return Imported({"devices": {DEVICE: device}, "sinks": sinks}, tuple(said))


def _numbered(name: str, index: int) -> str:
    return name if index == 0 else f"{name}{index + 1}"


def _source(source: CaptureSource | ModbusSource, said: list[Said]) -> dict[str, Any]:
    if isinstance(source, CaptureSource):
        place = {"path": source.device} if source.file else {"interface": source.device}
        return {
            "source": "file" if source.file else "live",
            "time_zone": source.timezone,
            **place,
            **without_defaults(
                filter=(source.filter, None),
                promiscuous=(source.promiscuous, True),
                snaplen=(source.snaplen, 65535),
            ),
        }
    interval = source.interval
    if interval > LONGEST_INTERVAL:
        said.append(warning("modbus.interval is lowered to a day"))
        interval = LONGEST_INTERVAL
    timeout = min(max(source.timeout, TIMEOUTS[0]), TIMEOUTS[1])
    if timeout != source.timeout:
        said.append(warning(f"modbus.timeout is now {timeout:g} seconds"))
    return {
        "source": "modbus",
        "link": source.link_url,
        "interval": interval,
        **without_defaults(
            unit=(source.modbus_id, 1),
            serial=(f"{source.baud} 8N1" if source.baud != 9600 else None, None),
            timeout=(timeout, 3.0),
            retries=(source.retries, 3),
            write_enabled=(source.write_enabled, False),
            max_block=(source.max_block, 66),
        ),
    }


def _broker(broker: MqttSink) -> dict[str, Any]:
    return {
        "type": "mqtt",
        "host": broker.host,
        **without_defaults(
            port=(broker.port, 8883 if broker.tls else 1883),
            username=(broker.username or None, None),
            password=(broker.password or None, None),
            client_id=(broker.client_id, None),
            keepalive=(max(broker.keepalive, 5), 60),
            tls=(broker.tls, False),
            ca_file=(broker.ca_file if broker.tls else None, None),
        ),
    }


def _entry(sink: str, broker: MqttSink) -> dict[str, Any]:
    return {
        "dialect": "sunsniff",
        "sink": sink,
        **without_defaults(
            fields=(broker.fields.value, FieldSet.COMPATIBLE.value),
            availability=(broker.availability, True),
            discovery_prefix=(broker.discovery_prefix, "homeassistant"),
        ),
    }


def _server(server: InfluxSink) -> dict[str, Any]:
    target = server.target
    return {
        "type": "influxdb",
        **without_defaults(version=(target.version, 2)),
        "url": target.host,
        **without_defaults(
            org=(target.org, None),
            bucket=(target.bucket, None),
            token=(target.token, None),
            database=(target.database, None),
            retention_policy=(target.retention_policy or None, None),
            username=(target.username or None, None),
            password=(target.password or None, None),
        ),
        "format": "sunsniff",
        **without_defaults(
            fields=(server.fields.value, FieldSet.COMPATIBLE.value),
            spool=(server.spool, None),
            spool_size=(server.spool_max_mb * 2**20, 64 * 2**20),
            memory_points=(min(max(server.buffer_points, 100), 10_000_000), 100_000),
        ),
    }
