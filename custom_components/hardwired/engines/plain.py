"""Values of the engines as JSON knows them, and JSON from anybody."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Return *value* in JSON's types.

    Times become ISO 8601, bytes hex, enums their values, sets sorted lists; a number that is
    none (NaN, infinity) becomes ``None``; what is unknown becomes its text.
    """
    match value:
        case Enum():
            return plain(value.value)
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            items = [plain(item) for item in value]
            return items if isinstance(value, (list, tuple)) else sorted(items, key=str)
        case _:
            return str(value)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_LONG = 300
"""Digits; as many are within a float's range."""


def read_json(content: bytes | str) -> Any:
    """Return what JSON from anybody says. Raises :class:`ValueError`.

    Refused is what Python takes and JSON does not know, or what nobody can say again: NaN,
    infinity, a number beyond a float's range, half a character, brackets without end.
    """
    if not isinstance(content, str):
        content = content.decode(json.detect_encoding(content))
    try:
        found = json.loads(
            content, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
        if _SURROGATE.search(content):
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _whole(text: str) -> int:
    if len(text) > _LONG:
        _finite(text)
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)
