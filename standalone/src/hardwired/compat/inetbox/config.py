"""The configuration of inetbox.py: the YAML file of its framework miqro (spec truma g.1).

Other services may stand in the same file, and unknown keys were never an error there: they are
warnings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...config.kinds import PORTS
from ..settings import (
    ConfigError,
    Section,
    filled,
    flag,
    load_yaml,
    number,
    one_of,
    section,
    text,
    tls_name,
    topic,
    topic_level,
    whole,
    zone_name,
)
from .texts import Kind, Language, Texts, number_in

SERVICE = "truma"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVEL_NAMES = {"WARN": "WARNING", "FATAL": "CRITICAL"}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``tls``: the names are those of Python's ``ssl`` module."""

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cert_reqs: str = "CERT_REQUIRED"
    tls_version: str | None = None
    ciphers: str | None = None


@dataclass(frozen=True, slots=True)
class InetboxConfig:
    """What the file asks for. Times in seconds; ``default_heating_mode`` is the raw code."""

    host: str
    port: int = 1883
    keepalive: int = 60
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsSettings | None = None
    log_level: str = "INFO"
    ha_discovery_prefix: str = "homeassistant"
    serial_device: str = "/dev/serial0"
    baudrate: int = 9600
    texts: Texts = field(default_factory=Texts)
    default_target_temp_room: float = 5
    default_heating_mode: int = 1
    updates_buffer_time: float = 1
    set_time: bool = False
    timezone_override: str | None = None
    log_dir: str | None = None
    debug_app: bool = False
    debug_lin: bool = False
    debug_protocol: bool = False
    ha_optimistic: bool = False
    data_topic: str = "service/truma/"
    warnings: tuple[str, ...] = ()


def parse(content: str, environ: Mapping[str, str] | None = None) -> InetboxConfig:
    """Return what a configuration file asks for. Raises :class:`ConfigError`.

    *environ* are the variables of the environment that the old program heeded (``DEBUG_APP``,
    ``DEBUG_LIN``, ``DEBUG_PROTOCOL``: present is on; ``LOG_DIR``); the file wins over them.
    """
    environ = environ or {}
    top = load_yaml(content)
    broker = Section(top.take("broker", section), "broker")
    auth = top.child("auth")
    tls = top.child("tls")
    services = top.child("services")
    service = services.child(SERVICE)
    warnings: list[str] = []
    if not services.holds(SERVICE):
        warnings.append(f"services.{SERVICE} is missing: everything there has its default")
    config = InetboxConfig(
        host=broker.take("host", filled),
        port=broker.take("port", whole(*PORTS), 1883),
        keepalive=broker.take("keepalive", whole(*PORTS), 60),
        username=auth.take("username", text, None) or None,
        password=auth.take("password", text, None) or None,
        tls=_tls(tls) if top.holds("tls") else None,
        log_level=top.take("log_level", _level, "INFO"),
        ha_discovery_prefix=top.take("ha_discovery_prefix", topic_level, "homeassistant"),
        serial_device=service.take("serial_device", filled, "/dev/serial0"),
        baudrate=service.take("baudrate", whole(300, 115200), 9600),
        texts=_texts(service),
        default_target_temp_room=service.take("default_target_temp_room", _degrees, 5.0),
        updates_buffer_time=service.take("updates_buffer_time", number(0, 3600), 1.0),
        set_time=service.take("set_time", _flag, False),
        timezone_override=service.take("timezone_override", zone_name, None),
        log_dir=service.take("log_dir", filled, environ.get("LOG_DIR") or None),
        debug_app=service.take("debug_app", _flag, "DEBUG_APP" in environ),
        debug_lin=service.take("debug_lin", _flag, "DEBUG_LIN" in environ),
        debug_protocol=service.take("debug_protocol", _flag, "DEBUG_PROTOCOL" in environ),
        ha_optimistic=service.take("ha_optimistic", _flag, False),
        data_topic=service.take("data_topic", topic, "service/truma/"),
    )
    mode = _default_mode(service, config.texts)
    if service.holds("timeout"):
        service.take("timeout", number(0, 3600), 0.03)
    if not config.data_topic.endswith("/"):
        warnings.append("services.truma.data_topic does not end in a slash: keys follow at once")
    for values in (top, broker, auth, tls, service):
        warnings += values.unknown()
    return replace(config, default_heating_mode=mode, warnings=tuple(warnings))


def _tls(values: Section) -> TlsSettings:
    return TlsSettings(
        ca_certs=values.take("ca_certs", filled, None),
        certfile=values.take("certfile", filled, None),
        keyfile=values.take("keyfile", filled, None),
        cert_reqs=values.take("cert_reqs", tls_name("CERT_"), "CERT_REQUIRED"),
        tls_version=values.take("tls_version", tls_name("PROTOCOL_"), None),
        ciphers=values.take("ciphers", filled, None),
    )


def _texts(service: Section) -> Texts:
    return Texts(
        language=Language(service.take("language", one_of(*Language), Language.NONE)),
        extended=service.take("extended_texts", flag, False),
    )


def _default_mode(service: Section, texts: Texts) -> int:
    """Return the mode that switches the heating on; "off", which YAML reads as false, is none."""
    key = "default_heating_mode"

    def read(value: object) -> int:
        code = 0 if value is False else texts.code(Kind.HEATING_MODE, text(value))
        if code == 0:
            raise ValueError("takes a mode that heats")
        return code

    try:
        return service.take(key, read, 1)
    except ConfigError:
        known = ", ".join(word for code, word in texts.words(Kind.HEATING_MODE).items() if code)
        raise ConfigError(f"{service.where(key)} takes one of {known}") from None


def _degrees(value: object) -> float:
    """Read a temperature; the old program took a number in quotes, too."""
    if isinstance(value, str):
        value = float(number_in(value))
    return number(5, 30)(value)


def _flag(value: object) -> bool:
    """Read true or false; the old program took 1 and 0, too."""
    return bool(value) if value in (0, 1) else flag(value)


def _level(value: object) -> str:
    level = text(value).upper()
    level = _LEVEL_NAMES.get(level, level)
    if level not in LEVELS:
        raise ValueError(f"takes one of {', '.join(LEVELS)}")
    return level
