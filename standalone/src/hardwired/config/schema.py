"""The JSON schema of CONFIG.toml (draft-07), made of the reader's own tables (spec b.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import tables
from .kinds import NAME, option
from .tables import Dialect, Family, Key, Table


def json_schema() -> dict[str, Any]:
    """Return the schema."""
    families = [tables.family(name) for name in _families()]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Hardwired: CONFIG.toml",
        "type": "object",
        "additionalProperties": False,
        "required": ["devices"],
        "properties": {
            "bridge": _object(tables.BRIDGE.keys),
            "log": _object(tables.LOG.keys),
            "http": _object(tables.HTTP.keys),
            "devices": {"minProperties": 1, **_named(_family(family) for family in families)},
            "sinks": _named(_sink(kind, table) for kind, table in tables.SINKS.items()),
        },
    }


def _families() -> list[str]:
    return list(dict.fromkeys(tables.dialects().values())) + [
        name for name in tables.family_names() if name not in tables.dialects().values()
    ]


def _named(options: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {f"^{NAME}$": {"oneOf": list(options)}},
    }


def _key(key: Key) -> dict[str, Any]:
    found = dict(key.kind.schema)
    if key.default is not None and key.default not in ([], {}):
        found["default"] = key.default
    return found


def _object(
    keys: Iterable[Key], fixed: Mapping[str, str] | None = None, title: str | None = None
) -> dict[str, Any]:
    keys = tuple(keys)
    fixed = fixed or {}
    properties: dict[str, Any] = {name: {"const": value} for name, value in fixed.items()}
    properties |= {key.name: _key(key) for key in keys}
    found = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [*fixed, *(key.name for key in keys if key.needed)],
    }
    return found if title is None else {**found, "title": title}


def _sink(kind: str, table: Table) -> dict[str, Any]:
    found = _object(table.keys, {"type": kind}, kind)
    return {**found, "required": sorted(found["required"])}


def _family(family: Family) -> dict[str, Any]:
    found = _object((*tables.DEVICE, *family.table.keys), {"family": family.name}, family.name)
    properties = found["properties"]
    common = ["family", *(key.name for key in tables.DEVICE)]
    ordered = {name: properties[name] for name in common}
    ordered["adopt"] = dict(option(*tables.adoptable()).schema)
    ordered |= properties
    if family.dialects:
        entries = [_dialect(dialect) for dialect in family.dialects]
        ordered["legacy"] = {"type": "array", "items": {"oneOf": entries}}
    return {**found, "properties": ordered}


def _dialect(dialect: Dialect) -> dict[str, Any]:
    return _object((*tables.LEGACY, *dialect.keys), {"dialect": dialect.name}, dialect.name)
