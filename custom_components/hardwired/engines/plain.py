"""Values of the engines as JSON knows them."""

from __future__ import annotations

import math
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
