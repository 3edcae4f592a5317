"""The Status message of a device: registration or removal (spec B.2, B.3)."""

from __future__ import annotations

import json
import math
from typing import Any, Mapping, NamedTuple, Union

from .names import CLIENT_ID, LONGEST_BUS_NAME, SERVICE_ID, bus_name, service_name
from .payload import BadPayload, parse
from .tables import Tables
from .values import fits_topic, is_finite, is_text

NO_OPTIONS = object()  # the Status had no member "options"

LONGEST_TOPIC = 65535
RESERVED_TOPICS = ("W/", "N/", "dbus-mqtt-devices/")


class Registration(NamedTuple):
    """A device says what it has.

    ``options`` is the member as it came, or NO_OPTIONS. ``ttl`` is in seconds.
    ``lwt_error`` says why a last-will topic is not watched.
    """

    client_id: str
    services: Mapping[str, str]
    version: Any = None
    options: Any = NO_OPTIONS
    lwt_topic: str | None = None
    lwt_value: str = "false"
    lwt_error: str | None = None
    ttl: float | None = None
    notify: bool = False


class Removal(NamedTuple):
    """A device takes its leave."""

    client_id: str


class Rejected(NamedTuple):
    """The message is refused. ``client_id`` is None when it is not valid itself."""

    reason: str
    client_id: str | None = None


class Nothing(NamedTuple):
    """The message asks for nothing (``connected`` between 0 and 1), or is empty."""


Status = Union[Registration, Removal, Rejected, Nothing]


def parse_status(data: bytes, tables: Tables) -> Status:
    """Judge one payload by the rules of spec B.3; never raises."""
    if not data:
        return Nothing()
    try:
        message = parse(data)
    except BadPayload as error:
        return Rejected(str(error))
    return judge(message, tables)


def judge(message: Any, tables: Tables) -> Status:
    """Judge a Status that is JSON already; never raises."""
    if not isinstance(message, dict):
        return Rejected("not an object")
    client_id = message.get("clientId")
    known = client_id if isinstance(client_id, str) and CLIENT_ID.fullmatch(client_id) else None
    connected = message.get("connected")
    if connected is None or connected == "":
        return Rejected("connected is missing", known)
    if not isinstance(connected, (bool, int, float)) or not 0 <= connected <= 1:
        return Rejected("connected is neither 0 nor 1", known)
    if known is None:
        return Rejected("clientId is missing or has other letters than A-Z a-z 0-9 _")
    if connected == 0:
        return Removal(known)
    if connected != 1:
        return Nothing()
    services = message.get("services")
    reason = _refuse_services(known, services, tables)
    if reason is not None or not isinstance(services, dict):
        return Rejected(reason or "services is not an object", known)
    return _registration(known, services, message)


def _refuse_services(client_id: str, services: Any, tables: Tables) -> str | None:
    if not isinstance(services, dict):
        return "services is not an object"
    for service_id, kind in services.items():
        if not SERVICE_ID.fullmatch(service_id):
            return f"service id {service_id[:60]!r} has other letters than A-Z a-z 0-9 _"
        known = tables.types.get(kind) if isinstance(kind, str) else None
        if known is None:
            return f"service {service_id}: no type {str(kind)[:60]!r}"
        if known.lacks is not None:
            return f"type {kind} lacks {known.lacks}"
        if len(bus_name(kind, service_name(client_id, service_id))) > LONGEST_BUS_NAME:
            return f"service {service_id[:60]}: ids are too long"
    return None


def _registration(client_id: str, services: Mapping[str, str], message: Any) -> Registration:
    lwt_topic, lwt_error = _lwt_topic(message.get("lwt_topic"))
    return Registration(
        client_id,
        services,
        message.get("version"),
        message.get("options", NO_OPTIONS),
        lwt_topic,
        _lwt_value(message),
        lwt_error,
        _ttl(message.get("ttl")),
        message.get("notify") in (True, 1),
    )


def _lwt_topic(topic: Any) -> tuple[str | None, str | None]:
    if topic is None or topic == "":
        return None, None
    if not is_text(topic) or len(topic.encode()) > LONGEST_TOPIC:
        return None, "lwt_topic is no topic"
    if not fits_topic(topic):
        return None, "lwt_topic has a wildcard, or a letter that no topic may have"
    levels = topic.split("/")
    ours = len(levels) == 3 and levels[0] == "device" and levels[2] in ("Status", "Proxy")
    if ours or topic.startswith(RESERVED_TOPICS):
        return None, "lwt_topic is not allowed"
    return topic, None


def _lwt_value(message: Mapping[str, Any]) -> str:
    value = message.get("lwt_value")
    if value is None:
        return "false"
    return value if isinstance(value, str) else json.dumps(value)


def _ttl(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(min(value, 10**9)) if value > 0 else None


def firmware_version(kind: str, version: Any) -> int | float | str | None:
    """Return what ``/FirmwareVersion`` holds (spec D.1)."""
    if kind in ("solarcharger", "vebus", "multi"):
        plain = isinstance(version, int) and not isinstance(version, bool)
        return version if plain and is_finite(version) else None
    if version is None or (isinstance(version, str) and not is_text(version)):
        return None
    if isinstance(version, str):
        return version
    if isinstance(version, float) and not math.isfinite(version):
        return None
    if isinstance(version, (bool, list, dict)) or not is_finite(version):
        return json.dumps(version)
    return version  # type: ignore[no-any-return]
