"""The owner's settings: a JSON file and the command line (spec G.1).

A member that can't be used is reported and its default holds, so that a slip in the file does
not take every device off the GX.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .mqtt.client import Broker
from .values import as_int, is_text

_LOG = logging.getLogger("config")

PROXY_MODES = ("publish", "direct")
PROXY_SCOPES = ("own", "registered", "any")
LOG_LEVELS = ("debug", "info", "warning", "error")


class Config(NamedTuple):
    """All settings; every one has a default. ``energy_save`` is in seconds."""

    mqtt: Broker = Broker()
    dbus: str | None = None
    proxy_mode: str = "publish"
    proxy_scope: str = "own"
    legacy_device_instance: bool = False
    announce: bool = True
    restore: bool = False
    follow_instance: bool = True
    allow_vebus: bool = False
    allow_commands: bool = False
    max_devices: int = 64
    max_services: int = 64
    types_file: str | None = None
    log_level: str = "info"
    energy_save: int = 900


Check = Callable[[Any], Any]


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if is_text(value, 1, 4096) else None


def _any_text(value: Any) -> str | None:
    return value if is_text(value, 0, 4096) else None


def _one_of(words: tuple[str, ...]) -> Check:
    return lambda value: value if value in words else None


def _between(low: int, high: int) -> Check:
    def check(value: Any) -> int | None:
        number = as_int(value)
        return number if number is not None and low <= number <= high else None

    return check


_CHECKS: dict[str, Check] = {
    "dbus": _text,
    "proxy_mode": _one_of(PROXY_MODES),
    "proxy_scope": _one_of(PROXY_SCOPES),
    "legacy_device_instance": _flag,
    "announce": _flag,
    "restore": _flag,
    "follow_instance": _flag,
    "allow_vebus": _flag,
    "allow_commands": _flag,
    "max_devices": _between(1, 1000),
    "max_services": _between(1, 200),
    "types_file": _text,
    "log_level": _one_of(LOG_LEVELS),
    "energy_save": _between(60, 3600),
}
_BROKER_CHECKS: dict[str, Check] = {
    "host": _text,
    "port": _between(1, 65535),
    "user": _any_text,
    "password": _any_text,
    "ca": _text,
}


def parse_config(message: Any) -> tuple[Config, list[str]]:
    """Return the settings of a parsed file, and what is wrong with it."""
    if not isinstance(message, dict):
        return Config(), ["the configuration is not an object"]
    problems: list[str] = []
    found = _checked(message, _CHECKS, "", problems, ("mqtt",))
    broker: dict[str, Any] = {}
    if isinstance(message.get("mqtt"), dict):
        broker = _checked(message["mqtt"], _BROKER_CHECKS, "mqtt.", problems, ())
    elif message.get("mqtt") is not None:
        problems.append("mqtt is not an object")
    if "ca" in broker and "port" not in broker:
        broker["port"] = 8883
    return Config(mqtt=Broker(**broker), **found), problems


def _checked(
    message: dict[str, Any],
    checks: dict[str, Check],
    prefix: str,
    problems: list[str],
    others: tuple[str, ...],
) -> dict[str, Any]:
    found = {}
    for key, value in message.items():
        if key in others or value is None:
            continue
        usable = checks[key](value) if key in checks else None
        if key not in checks:
            problems.append(f"{prefix}{key[:60]} is unknown")
        elif usable is None:
            problems.append(f"{prefix}{key} has an unusable value")
        else:
            found[key] = usable
    return found


def read_config(path: Path | None) -> tuple[Config, list[str]]:
    """Read a configuration file; without one, or with an absent one, the defaults hold."""
    if path is None or not path.exists():
        return Config(), []
    try:
        message = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        return Config(), [f"{path} can't be read: {error}"]
    return parse_config(message)
