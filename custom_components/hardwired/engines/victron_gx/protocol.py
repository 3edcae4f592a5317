"""The messages of the registration protocol, as a device speaks it (spec B.2, B.3, E.4, E.5).

Payloads from the broker are anybody's: what does not hold is ``None``, never an exception.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from ..plain import read_json
from .config import CLIENT_ID
from .home import Json

LARGEST = 65_536
MOST_WORDS = 1000
HELPER_TOPIC = "dbus-mqtt-devices/status"
COMMAND_TOPIC = "dbus-mqtt-devices/command"
DEVICES_TOPIC = "dbus-mqtt-devices/devices"
DISCOVERY_TOPIC = "device_discovery"
SERIAL_FILTER = "N/+/system/0/Serial"
KEEP_SECONDS = 600
"""How long devices stay after the connection was lost, when the owner wants them to."""
REFERENCE_TYPES = frozenset(
    {"temperature", "tank", "pvinverter", "grid", "gps", "evcharger", "battery", "vebus"}
)
"""What the reference driver knows, which says nothing of itself (spec D.2)."""
NEEDED_FEATURES = frozenset({"notify", "options"})
"""A helper without these is older than what is supported."""

_PORTAL = re.compile(r"[0-9A-Za-z]{6,40}")
_TYPE = re.compile(r"[a-z0-9_]+")
_SERVICE_ID = re.compile(r"[A-Za-z0-9_]*")


class Message(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int = 0


def status_topic(client_id: str) -> str:
    """Return the topic on which a device registers."""
    return f"device/{client_id}/Status"


def reply_topic(client_id: str) -> str:
    """Return the topic on which the driver answers."""
    return f"device/{client_id}/DBus"


def set_topic(client_id: str) -> str:
    """Return the topic on which the driver tells what the GX has set."""
    return f"device/{client_id}/Set"


def error_topic(client_id: str) -> str:
    """Return the topic on which the driver says why it refuses."""
    return f"device/{client_id}/Error"


def _dumps(value: Json) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace")


def loads(payload: bytes) -> Json:
    """Return what a payload says, ``None`` when it is no JSON or too large."""
    if not payload or len(payload) > LARGEST:
        return None
    try:
        found: Json = read_json(payload)
    except ValueError:
        return None
    return found


# -------------------------------------------------------------------------------- the helper


@dataclass(frozen=True, slots=True)
class Helper:
    """The driver on the GX, as it tells of itself."""

    version: str = ""
    portal: str | None = None
    types: frozenset[str] | None = None
    features: frozenset[str] = frozenset()
    started: float | None = None
    devices: int | None = None

    def knows(self, kind: str) -> bool:
        """Whether it knows a type of service; one that lists none is asked."""
        return self.types is None or kind in self.types

    @property
    def sufficient(self) -> bool:
        """Whether it knows what controls need."""
        return self.features >= NEEDED_FEATURES

    def same_run(self, other: Helper) -> bool:
        """Whether it has not been restarted since."""
        return (self.started, self.version) == (other.started, other.version)


REFERENCE = Helper(types=REFERENCE_TYPES)


class Offline(NamedTuple):
    """The helper has gone."""


def read_helper(payload: bytes) -> Helper | Offline | None:
    """Return what the helper's status says; ``None`` for nonsense, and when it was cleared."""
    told = loads(payload)
    if not isinstance(told, dict):
        return None
    if told.get("state") != "online":
        return Offline() if told.get("state") == "offline" else None
    types, features = _texts(told.get("types")), _texts(told.get("features", []))
    if features is None or (types is None and "types" in told):
        return None
    return Helper(
        version=_text(told.get("version")),
        portal=read_portal(told.get("portalId")),
        types=types,
        features=features,
        started=_moment(told.get("started")),
        devices=_count(told.get("devices")),
    )


def _text(value: Json) -> str:
    return value[:40] if isinstance(value, str) else ""


def _texts(value: Json) -> frozenset[str] | None:
    if not isinstance(value, list) or len(value) > MOST_WORDS:
        return None
    return frozenset(value) if all(isinstance(one, str) for one in value) else None


def _moment(value: Json) -> float | None:
    """Return a time in seconds since 1970 that a clock can show."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < 1e11 else None


def _count(value: Json) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6
    return value if is_count else None


# ---------------------------------------------------------------------------------- the portal


def read_portal(value: Json) -> str | None:
    """Return a portal id, ``None`` for what can be none."""
    return value if isinstance(value, str) and _PORTAL.fullmatch(value) else None


def read_serial(topic: str, payload: bytes) -> str | None:
    """Return the portal id that ``N/<portal>/system/0/Serial`` tells; both places must agree."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[0] != "N" or parts[2:] != ["system", "0", "Serial"]:
        return None
    told = loads(payload)
    if not isinstance(told, dict) or told.get("value") != parts[1]:
        return None
    return read_portal(parts[1])


def keep_alive(portal: str, *, quiet: bool) -> Message:
    """Return what keeps the gateway's notifications coming; *quiet*: without all values anew."""
    options = _dumps({"keepalive-options": ["suppress-republish"]}) if quiet else b""
    return Message(f"R/{portal}/keepalive", options)


def read_notification(topic: str, payload: bytes) -> tuple[str, Json] | None:
    """Return path and value of ``N/<portal>/<type>/<instance>/<path>``."""
    parts = topic.split("/", 4)
    told = loads(payload)
    if len(parts) != 5 or parts[0] != "N" or not isinstance(told, dict) or "value" not in told:
        return None
    return parts[4], told["value"]


# -------------------------------------------------------------------------------- registering


def register(
    client_id: str,
    version: str,
    services: Mapping[str, str],
    options: Mapping[str, Any],
    *,
    keep: bool = False,
) -> dict[str, Any]:
    """Return the Status that registers a device."""
    told: dict[str, Any] = {
        "clientId": client_id,
        "connected": 1,
        "version": version,
        "services": dict(services),
        "options": dict(options),
        "notify": True,
    }
    if keep:
        told["ttl"] = KEEP_SECONDS
    return told


def status(told: Mapping[str, Any]) -> Message:
    """Return a Status as a message."""
    return Message(status_topic(str(told["clientId"])), _dumps(told), 1)


def leave(client_id: str) -> Message:
    """Return the Status that removes a device."""
    return status({"clientId": client_id, "connected": 0})


def check_client_id(client_id: str) -> bool:
    """Whether it can be a client id (spec B.3)."""
    return CLIENT_ID.fullmatch(client_id) is not None


def check_services(services: Mapping[Any, Any]) -> bool:
    """Whether they can be services (spec B.3)."""
    return all(
        isinstance(ident, str)
        and isinstance(kind, str)
        and _SERVICE_ID.fullmatch(ident)
        and _TYPE.fullmatch(kind)
        for ident, kind in services.items()
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the driver has answered. ``topics`` are where each service is written to.

    ``proxy``: it knows batches of values. ``extensions``: it has read the options.
    """

    portal: str
    instances: Mapping[str, int]
    topics: Mapping[str, str]
    proxy: bool
    extensions: bool
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    raw: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def read_reply(payload: bytes, services: Mapping[str, str]) -> Reply | None:
    """Return the driver's reply for *services*; ``None`` when it does not hold.

    A topic must be exactly the one that portal, type and instance make: anybody may publish a
    reply, and nobody shall have us write elsewhere.
    """
    told = loads(payload)
    if not isinstance(told, dict):
        return None
    portal, numbers = read_portal(told.get("portalId")), told.get("deviceInstance")
    if portal is None or not isinstance(numbers, dict):
        return None
    paths = told.get("topicPath")
    instances: dict[str, int] = {}
    topics: dict[str, str] = {}
    for ident, kind in services.items():
        instance = _instance(numbers.get(ident))
        if instance is None:
            continue
        topic = f"W/{portal}/{kind}/{instance}"
        if isinstance(paths, dict):
            path = paths.get(ident)
            if not isinstance(path, dict) or path.get("W") != topic:
                continue
        instances[ident], topics[ident] = instance, topic
    errors = told.get("errors")
    return Reply(
        portal,
        instances,
        topics,
        isinstance(paths, dict),
        bool(told.get("extensions")),
        {str(key)[:80]: str(text)[:200] for key, text in list(errors.items())[:50]}
        if isinstance(errors, dict)
        else {},
        told,
    )


def _instance(value: Json) -> int | None:
    """Return an instance; drivers before 0.8.0 told it as a text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        return None
    return value


# ------------------------------------------------------------------------------------- values


def values(client_id: str, reply: Reply, ident: str, told: Mapping[str, Json]) -> list[Message]:
    """Return the messages that send values of a service."""
    topic = reply.topics[ident]
    if reply.proxy:
        payload = {"topicPath": topic, "values": dict(told)}
        return [Message(f"device/{client_id}/Proxy", _dumps(payload))]
    return [Message(f"{topic}/{path}", _dumps({"value": one})) for path, one in told.items()]


class Setting(NamedTuple):
    """Something that the GX has set."""

    service: str
    path: str
    value: Json


def read_set(payload: bytes) -> Setting | None:
    """Return what a ``Set`` says."""
    told = loads(payload)
    if not isinstance(told, dict) or "value" not in told:
        return None
    service, path = told.get("service"), told.get("path")
    if not isinstance(service, str) or not isinstance(path, str):
        return None
    return Setting(service, path.removeprefix("/"), told["value"])


def read_error(payload: bytes) -> str | None:
    """Return why the driver refuses."""
    told = loads(payload)
    if not isinstance(told, dict) or not isinstance(told.get("error"), str):
        return None
    return str(told["error"])[:200]
