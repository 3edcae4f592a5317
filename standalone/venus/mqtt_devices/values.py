"""What a path can hold, and how Python's kinds stand for those of D-Bus (spec B.4).

None is Victron's "invalid"; int, float, bool and str stand for themselves; a list holds texts
or numbers. Dictionaries are nothing a path can hold and come through only to be refused.
"""

from __future__ import annotations

import math
import re
from typing import Any, List, Union

Value = Union[None, bool, int, float, str, List[Any]]

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)

INVALID_SIGNATURE = "ai"


def signature(value: Value) -> str:
    """Return the D-Bus signature that a value is sent with."""
    if value is None or value == []:
        return INVALID_SIGNATURE
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int):
        return "i" if INT32[0] <= value <= INT32[1] else "x"
    if isinstance(value, float):
        return "d"
    if isinstance(value, str):
        return "s"
    inner = {signature(member) for member in value}
    return "a" + inner.pop() if len(inner) == 1 else "av"


def same(one: Value, other: Value) -> bool:
    """Whether a write of ``other`` over ``one`` changes nothing: 24 equals 24.0 (spec B.4)."""
    return bool(one == other)


def is_number(value: Any) -> bool:
    """Whether this is an int or a float, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether this is a number that D-Bus and JSON can both carry."""
    if isinstance(value, float):
        return math.isfinite(value)
    return is_number(value) and INT64[0] <= value <= INT64[1]


def is_text(value: Any, least: int = 0, most: int | None = None) -> bool:
    """Whether this is a text that D-Bus can carry, of so many characters."""
    if not isinstance(value, str) or len(value) < least:
        return False
    if most is not None and len(value) > most:
        return False
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


# What MQTT forbids in topics or allows a broker to end the connection for (MQTT 3.1.1, 1.5.3).
MOST_LEVELS = 100  # brokers have limits, 200 in mosquitto, and end the connection beyond
_NOT_IN_TOPICS = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]")


def fits_topic(value: str) -> bool:
    """Whether every broker takes this as a topic, or as a part of one."""
    if _NOT_IN_TOPICS.search(value) or "+" in value or "#" in value:
        return False
    if value.count("/") >= MOST_LEVELS or value.startswith("$"):
        return False
    return not any(ord(letter) & 0xFFFE == 0xFFFE for letter in value)


def as_int(value: Any) -> int | None:
    """Return a whole number from a registration; None for anything else (spec D.7 O9)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    return None


def as_flag(value: Any) -> int | None:
    """Return 0 or 1 from true, false, 1 or 0; None for anything else (spec D.7 O10)."""
    if isinstance(value, bool):
        return int(value)
    number = as_int(value)
    return number if number in (0, 1) else None
