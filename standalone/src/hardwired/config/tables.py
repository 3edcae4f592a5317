"""The tables of CONFIG.toml: every key with its kind and default (spec b.2).

The reader and the JSON schema are made of these rows. A family that takes more than a link and a
time zone brings its own, see families/.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hardwired_engines.factory import linked_families as engines

from . import families
from .kinds import (
    Kind,
    base_url,
    choice,
    client_id,
    duration,
    filled,
    flag,
    host_port,
    identity,
    mapping,
    option,
    secret,
    size,
    texts,
    topic_prefix,
    whole,
)

DAY, HOUR = 86400, 3600
KIB, MIB, GIB = 2**10, 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table. ``default`` is as the program uses it; ``None`` is absent.

    An ``added`` key came after the first release: it stands in the settings only when it is told,
    so that those of every older file stay what they were.
    """

    name: str
    kind: Kind
    default: Any = None
    needed: bool = False
    added: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """With *value* in *key*, the keys *names* must be there; *text* says why."""

    key: str
    value: Any
    names: tuple[str, ...]
    text: str
    unused: tuple[str, ...] = ()
    """Keys that are not used then: a warning."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its keys and what belongs together."""

    keys: tuple[Key, ...]
    needs: tuple[Needs, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of its keys."""
        return [key.name for key in self.keys]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What an old program's dialect takes in ``[[devices.NAME.legacy]]``.

    ``topics`` names the keys in which two entries on one sink must differ; ``adoptable`` says
    whether ``adopt`` may name it.
    """

    name: str
    keys: tuple[Key, ...]
    topics: tuple[str, ...] = ()
    adoptable: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """What a device family takes in ``[devices.NAME]``."""

    name: str
    table: Table
    dialects: tuple[Dialect, ...] = ()


PLAIN = Table((Key("link", filled, needed=True), Key("time_zone", filled)))
"""What a family takes that brings no tables."""
LEVEL = option("debug", "info", "warning", "error")

BRIDGE = Table(
    (
        Key("id", identity, "hardwired"),
        Key("name", filled, "Hardwired"),
        Key("state_dir", filled),
        Key("language", option("en", "nl", "de", "fr"), "en"),
        Key("read_only", flag, False),
        Key("stop_timeout", duration(1, 120), 10.0),
    )
)
LOG = Table(
    (
        Key("level", LEVEL, "info"),
        Key("format", option("auto", "people", "journal", "json"), "auto"),
        Key("levels", mapping(LEVEL), {}),
    )
)
HTTP = Table(
    (
        Key("listen", host_port("127.0.0.1:9469"), needed=True),
        Key("health", flag, True),
        Key("metrics", flag, True),
        Key("values", flag, False),
        Key("token", secret),
        Key("allow_remote", flag, False),
    )
)
DEVICE = (
    Key("enabled", flag, True),
    Key("area", filled),
    Key("sinks", texts()),
    Key("native", flag, True),
    Key("read_only", flag, False),
    Key("include", texts(), []),
    Key("exclude", texts(), []),
)
LEGACY = (
    Key("sink", filled),
    Key("discovery", flag, True),
    Key("discovery_prefix", topic_prefix, "homeassistant"),
)

_VERIFY = Key("verify", option("full", "certificate", "none"), "full")
_ENABLED = Key("enabled", flag, True)
_BROKER = (
    Key("port", whole(1, 65535)),
    Key("username", filled),
    Key("password", secret),
    Key("client_id", client_id),
    Key("keepalive", whole(5, 65535), 60),
    Key("protocol", option("3.1.1", "5"), "3.1.1"),
    Key("tls", flag),
    Key("ca_file", filled),
    Key("cert_file", filled),
    Key("key_file", filled),
    Key("key_password", secret),
    _VERIFY,
)

SINKS: Mapping[str, Table] = {
    "mqtt": Table(
        (
            _ENABLED,
            Key("host", filled, needed=True),
            *_BROKER,
            Key("prefix", topic_prefix, "hardwired"),
            Key("discovery", flag, True),
            Key("discovery_prefix", topic_prefix, "homeassistant"),
            Key("times", option("entities", "text"), "entities"),
            Key("extras", flag, True),
            Key("json", flag, False),
            Key("qos", choice(0, 1), 0),
            Key("min_interval", duration(0, HOUR), 1.0),
            Key("read_only", flag, False),
            Key("requests", flag, True),
            Key("allow_stop", flag, False),
            Key("max_payload", size(4 * KIB, 16 * MIB), 128 * KIB),
            Key("queue", whole(10, 100_000), 1000),
        )
    ),
    "influxdb": Table(
        (
            _ENABLED,
            Key("version", choice(1, 2, 3), 2),
            Key("url", base_url, "http://localhost:8086"),
            Key("org", filled),
            Key("bucket", filled),
            Key("token", secret),
            Key("database", filled),
            Key("retention_policy", filled),
            Key("username", filled),
            Key("password", secret),
            Key("ca_file", filled),
            _VERIFY,
            Key("format", option("native", "sunsniff"), "native"),
            Key("fields", option("compatible", "all"), "compatible"),
            Key("tags", mapping(filled), {}),
            Key("sample", duration(1, HOUR), 10.0),
            Key("repeat", duration(10, DAY), 600.0),
            Key("flush", duration(0, 60), 5.0),
            Key("batch", whole(1, 50_000), 5000),
            Key("timeout", duration(1, 300), 30.0),
            Key("gzip", flag, True),
            Key("spool", filled),
            Key("spool_mode", option("always", "outage", "memory"), "always"),
            Key("spool_size", size(MIB, 1024 * GIB), 64 * MIB),
            Key("memory_points", whole(100, 10_000_000), 10_000),
            Key("backfill_rate", whole(1, 1_000_000), 2000),
        ),
        tuple(
            Needs("version", version, names, f"version {version} needs it", unused)
            for version, names, unused in (
                (1, ("database",), ("org", "bucket", "token")),
                (
                    2,
                    ("org", "bucket", "token"),
                    ("database", "retention_policy", "username", "password"),
                ),
                (
                    3,
                    ("database", "token"),
                    ("org", "bucket", "retention_policy", "username", "password"),
                ),
            )
        ),
    ),
    "venus": Table(
        (
            _ENABLED,
            Key("host", filled, "127.0.0.1"),
            *_BROKER,
            Key("profile", option("safe", "energy"), "safe"),
            Key("skip", texts(), []),
            Key("read_only", flag, False),
        )
    ),
}
MQTT, VENUS = "mqtt", "venus"


def family_names() -> tuple[str, ...]:
    """Return the families that CONFIG knows, in alphabetical order."""
    return engines()


@cache
def family(name: str) -> Family:
    """Return the tables of a family."""
    if name not in {module.name for module in pkgutil.iter_modules(families.__path__)}:
        return Family(name, PLAIN)
    found: Family = importlib.import_module(f"{families.__name__}.{name}").FAMILY
    return found


@cache
def dialects() -> Mapping[str, str]:
    """Return the dialects of old programs, each with its family, in the order of the families."""
    order = ("truma", "studer", "sunsynk", "inventum")
    names = sorted(family_names(), key=lambda name: order.index(name) if name in order else 99)
    return {dialect.name: name for name in names for dialect in family(name).dialects}


def adoptable() -> list[str]:
    """Return the dialects that ``adopt`` may name."""
    return [
        name
        for name, owner in dialects().items()
        if any(one.adoptable for one in family(owner).dialects if one.name == name)
    ]
