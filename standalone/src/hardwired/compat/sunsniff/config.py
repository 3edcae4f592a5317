"""The configuration file of bmerry/sunsniff: TOML, strict (spec sunsynk g.1)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from hardwired_engines.sunsynk.capture.filter import FilterError, parse_filter

from ...config.kinds import PORTS
from ..settings import (
    ConfigError,
    Section,
    base_url,
    client_id,
    filled,
    flag,
    number,
    one_of,
    section,
    text,
    topic_level,
    whole,
    zone_name,
)

MQTT_PORT = 1883
MQTTS_PORT = 8883
LONGEST_INTERVAL = 10_000_000
SHORTEST_INTERVAL = 1.0
BAUDS = (100, 4_000_000)
_MAY_BE_EMPTY = ("org", "token")
"""Some servers that speak InfluxDB's language want none."""

_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^/:\s\[\]]+):[0-9]{1,5}")


class FieldSet(StrEnum):
    """Which fields go to a sink."""

    COMPATIBLE = "compatible"
    """Those of the old program."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class CaptureSource:
    """``[pcap]``: packets of an interface, or a capture file."""

    device: str
    timezone: str
    file: bool = False
    filter: str | None = None
    promiscuous: bool = True
    snaplen: int = 65535


@dataclass(frozen=True, slots=True)
class ModbusSource:
    """``[modbus]``: the inverter's registers. Times in seconds."""

    device: str
    interval: float
    baud: int = 9600
    modbus_id: int = 1
    timeout: float = 3.0
    retries: int = 3
    write_enabled: bool = False
    max_block: int = 66

    @property
    def link_url(self) -> str:
        """The device as the engines' links write it: ``host:port`` is a socket."""
        found = None if "/" in self.device else _HOST_AND_PORT.fullmatch(self.device)
        return f"socket://{self.device}" if found else self.device


@dataclass(frozen=True, slots=True)
class InfluxTarget:
    """A database. Version 1 takes ``database``, 2 ``org`` and ``bucket``, 3 ``database``."""

    version: int
    host: str
    org: str | None = None
    bucket: str | None = None
    token: str | None = field(default=None, repr=False)
    database: str | None = None
    retention_policy: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InfluxSink:
    """``[[influxdb2]]``: a database. ``spool`` is the path of the file that outlives an outage."""

    target: InfluxTarget
    fields: FieldSet = FieldSet.COMPATIBLE
    spool: str | None = None
    spool_max_mb: int = 64
    buffer_points: int = 100_000


@dataclass(frozen=True, slots=True)
class MqttSink:
    """``[[mqtt]]``: a broker."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = None
    client_id: str | None = None
    keepalive: int = 60
    ca_file: str | None = None
    discovery_prefix: str = "homeassistant"
    availability: bool = True
    fields: FieldSet = FieldSet.COMPATIBLE

    def __repr__(self) -> str:
        return f"MqttSink({'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class SunsniffConfig:
    """What the file asks for. ``warnings`` are sentences for the user."""

    source: CaptureSource | ModbusSource
    influx: tuple[InfluxSink, ...] = ()
    mqtt: tuple[MqttSink, ...] = ()
    warnings: tuple[str, ...] = ()


def parse(content: str) -> SunsniffConfig:
    """Return what a configuration file asks for. Raises :class:`ConfigError`."""
    warnings: list[str] = []
    top = _load(content)
    sources: dict[str, Callable[[Section, list[str]], CaptureSource | ModbusSource]] = {
        "pcap": _capture,
        "modbus": _modbus,
    }
    given = [name for name in sources if top.take(name, section, None) is not None]
    if len(given) != 1:
        amount = "both [pcap] and [modbus] are" if given else "neither [pcap] nor [modbus] is"
        raise ConfigError(f"{amount} there; exactly one source is needed")
    source = sources[given[0]](top.child(given[0]), warnings)
    influx = tuple(_influx(item, warnings) for item in top.children("influxdb2"))
    mqtt = tuple(_mqtt(item) for item in top.children("mqtt"))
    top.refuse_unknown()
    _refuse_twice("influxdb2", "spool", [sink.spool for sink in influx])
    _refuse_twice(
        "mqtt",
        "client_id",
        [sink.client_id and (sink.client_id, sink.host, sink.port) for sink in mqtt],
    )
    if not influx and not mqtt:
        warnings.append("there is neither [[influxdb2]] nor [[mqtt]]: readings go nowhere")
    return SunsniffConfig(source, influx, mqtt, tuple(warnings))


def _refuse_twice(section: str, key: str, used: Sequence[object]) -> None:
    for index, one in enumerate(used):
        if one and one in used[:index]:
            raise ConfigError(f"{section}[{index + 1}].{key} is used twice")


def _load(content: str) -> Section:
    try:
        return Section(tomllib.loads(content.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}") from None
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits; brackets within brackets without end.
        raise ConfigError(f"this is not TOML: {type(error).__name__}") from None


def _capture(values: Section, warnings: list[str]) -> CaptureSource:
    source = CaptureSource(
        device=values.take("device", filled),
        timezone=values.take("timezone", zone_name),
        file=values.take("file", flag, False),
        filter=values.take("filter", text, None),
        promiscuous=values.take("promiscuous", flag, True),
        snaplen=values.take("snaplen", whole(64, 262144), 65535),
    )
    values.refuse_unknown()
    try:
        parse_filter(source.filter or "", lambda _name: ("192.0.2.1",), link_layer=source.file)
    except FilterError as error:
        raise ConfigError(f"{values.where('filter')}: {error}") from None
    if source.filter is not None and not source.filter.strip():
        warnings.append("pcap.filter is empty: taken as no filter")
        return CaptureSource(
            source.device, source.timezone, source.file, None, source.promiscuous, source.snaplen
        )
    return source


def _modbus(values: Section, warnings: list[str]) -> ModbusSource:
    interval = values.take("interval", number(0, LONGEST_INTERVAL, above=True))
    if interval < SHORTEST_INTERVAL:
        warnings.append(f"modbus.interval is raised from {interval:g} to 1 second")
        interval = SHORTEST_INTERVAL
    source = ModbusSource(
        device=values.take("device", filled),
        interval=interval,
        baud=values.take("baud", whole(*BAUDS), 9600),
        modbus_id=values.take("modbus_id", whole(1, 247), 1),
        timeout=values.take("timeout", number(0, 600, above=True), 3.0),
        retries=values.take("retries", whole(0, 100), 3),
        write_enabled=values.take("write_enabled", flag, False),
        max_block=values.take("max_block", whole(1, 125), 66),
    )
    values.refuse_unknown()
    return source


def _influx(values: Section, warnings: list[str]) -> InfluxSink:
    version = values.take("version", whole(1, 3), 2)
    needed = {1: ("database",), 2: ("org", "bucket", "token"), 3: ("database", "token")}[version]
    used = {*needed, *(("username", "password", "retention_policy") if version == 1 else ())}

    def take(key: str) -> str | None:
        read = text if key in _MAY_BE_EMPTY else filled
        given = values.take(key, read) if key in needed else values.take(key, text, None)
        if given is None or key in used:
            return given
        warnings.append(f"{values.where(key)} is not used with version {version}")
        return None

    sink = InfluxSink(
        target=InfluxTarget(
            version=version,
            host=values.take("host", base_url("http", "https"), "http://localhost:8086"),
            org=take("org"),
            bucket=take("bucket"),
            token=take("token"),
            database=take("database"),
            retention_policy=take("retention_policy"),
            username=take("username"),
            password=take("password"),
        ),
        fields=FieldSet(values.take("fields", one_of(*FieldSet), "compatible")),
        spool=values.take("spool", filled, None),
        spool_max_mb=values.take("spool_max_mb", whole(1, 1_000_000), 64),
        buffer_points=values.take("buffer_points", whole(1, 100_000_000), 100_000),
    )
    values.refuse_unknown()
    return sink


def _mqtt(values: Section) -> MqttSink:
    url = values.take("url", base_url("mqtt", "mqtts"))
    parts = urlsplit(url)
    if parts.path not in ("", "/"):
        raise ConfigError(f"{values.where('url')} must not hold a path")
    tls = parts.scheme == "mqtts"
    sink = MqttSink(
        host=parts.hostname or "",
        port=parts.port or (MQTTS_PORT if tls else MQTT_PORT),
        tls=tls,
        username=values.take("username", text, None),
        password=values.take("password", text, None),
        client_id=values.take("client_id", client_id, None),
        keepalive=values.take("keepalive", whole(*PORTS), 60),
        ca_file=values.take("ca_file", filled, None),
        discovery_prefix=values.take("discovery_prefix", topic_level, "homeassistant"),
        availability=values.take("availability", flag, True),
        fields=FieldSet(values.take("fields", one_of(*FieldSet), "compatible")),
    )
    values.refuse_unknown()
    return sink
