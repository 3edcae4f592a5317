"""As much of JSON Schema draft-07 as the schema of CONFIG.toml uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_KNOWN = {
    "$schema",
    "title",
    "default",
    "type",
    "enum",
    "const",
    "oneOf",
    "minimum",
    "maximum",
    "minLength",
    "pattern",
    "items",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "minProperties",
}


def accepts(schema: Mapping[str, Any], value: Any) -> bool:
    """Return whether *value* fits; fails on a word of the schema that is not understood."""
    assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
    return all(
        (
            "type" not in schema or _is(schema["type"], value),
            "enum" not in schema or any(_same(value, one) for one in schema["enum"]),
            "const" not in schema or _same(value, schema["const"]),
            "oneOf" not in schema or sum(accepts(one, value) for one in schema["oneOf"]) == 1,
            _number_fits(schema, value),
            not isinstance(value, str) or _text_fits(schema, value),
            not isinstance(value, list)
            or all(accepts(schema.get("items", {}), item) for item in value),
            not isinstance(value, dict) or _object_fits(schema, value),
        )
    )


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _is(name: str, value: Any) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _number_fits(schema: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    return bool(low <= value <= high) or not ({"minimum", "maximum"} & schema.keys())


def _text_fits(schema: Mapping[str, Any], value: str) -> bool:
    long_enough = len(value) >= schema.get("minLength", 0)
    return long_enough and re.search(schema.get("pattern", ""), value) is not None


def _object_fits(schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    if (
        len(value) < schema.get("minProperties", 0)
        or set(schema.get("required", ())) - value.keys()
    ):
        return False
    for key, item in value.items():
        rules = [one for name, one in schema.get("properties", {}).items() if name == key]
        rules += [
            one
            for expression, one in schema.get("patternProperties", {}).items()
            if re.search(expression, key)
        ]
        more = schema.get("additionalProperties", True)
        if not rules and more is False:
            return False
        if not rules and isinstance(more, dict):
            rules = [more]
        if not all(accepts(rule, item) for rule in rules):
            return False
    return True
