"""The configuration file of sircuri/InventumUSB: INI (spec inventum g.1)."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..settings import ConfigError

DEVICE = "/dev/ttyACM0"
SERVER, PORT, TOPIC, CLIENT_ID = "localhost", 1883, "ventilation/inventum", "inventum-usb"
RESET = 20
LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET")

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "inventum": ("loglevel", "logfile", "device", "reset", "login_code", "challenge_code"),
    "mqtt": ("server", "port", "topic", "clientid", "username", "password"),
}


@dataclass(frozen=True, slots=True)
class InventumUsbConfig:
    """What the file asks for, texts as they are; ``reset`` in minutes.

    ``unknown`` are keys and sections.
    """

    loglevel: str = "INFO"
    logfile: str | None = None
    device: str = DEVICE
    reset: int = RESET
    login_code: str | None = field(default=None, repr=False)
    challenge_code: str | None = field(default=None, repr=False)
    server: str = SERVER
    port: int = PORT
    topic: str = TOPIC
    clientid: str = CLIENT_ID
    username: str = ""
    password: str | None = field(default=None, repr=False)
    unknown: tuple[str, ...] = ()


def parse(content: str) -> InventumUsbConfig:
    """Return what a configuration file asks for. Raises :class:`ConfigError`."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content)
    except (configparser.Error, ValueError) as error:
        raise ConfigError(f"this is not the file of inventumusb: {type(error).__name__}") from None
    told = {name: dict(parser.items(name)) for name in parser.sections()}
    inventum, mqtt = told.get("inventum", {}), told.get("mqtt", {})
    return InventumUsbConfig(
        loglevel=_level(inventum.get("loglevel", "INFO")),
        logfile=inventum.get("logfile"),
        device=inventum.get("device", DEVICE),
        reset=_reset(inventum.get("reset", str(RESET))),
        login_code=inventum.get("login_code"),
        challenge_code=inventum.get("challenge_code"),
        server=mqtt.get("server", SERVER),
        port=_port(mqtt.get("port", str(PORT))),
        topic=mqtt.get("topic", TOPIC),
        clientid=mqtt.get("clientid", CLIENT_ID),
        username=mqtt.get("username", ""),
        password=mqtt.get("password"),
        unknown=tuple(_unknown(told)),
    )


def _unknown(told: Mapping[str, Mapping[str, str]]) -> list[str]:
    found = []
    for name, values in told.items():
        if name not in _KNOWN:
            found.append(name if name.isprintable() else "a section")
        else:
            found += [
                f"{name}.{key if key.isprintable() else 'a key'}"
                for key in values
                if key not in _KNOWN[name]
            ]
    return found


def _level(value: str) -> str:
    level = value.upper()
    if level not in LEVELS:
        raise ConfigError(f"inventum.loglevel takes one of {', '.join(LEVELS)}")
    return level


def _reset(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ConfigError("inventum.reset takes a whole number of minutes") from None


def _port(value: str) -> int:
    try:
        port = int(value)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise ConfigError("mqtt.port takes a whole number from 1 to 65535")
    return port
