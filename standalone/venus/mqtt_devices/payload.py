"""A payload from MQTT as JSON, within limits (spec B.3, E.6)."""

from __future__ import annotations

import json
from typing import Any

LARGEST = 64 * 1024
DEEPEST = 20


class BadPayload(ValueError):
    """The payload can't be used; the text says why."""


def parse(data: bytes) -> Any:
    """Return what a payload says: UTF-8 with or without BOM, UTF-16 or UTF-32.

    Raises BadPayload for what is empty, too large, too deep, not text or not JSON.
    """
    if not data:
        raise BadPayload("empty")
    if len(data) > LARGEST:
        raise BadPayload(f"larger than {LARGEST} bytes")
    try:
        value = json.loads(data)
    except RecursionError:
        raise BadPayload("nested too deeply") from None
    except ValueError as error:
        raise BadPayload(f"not JSON: {str(error)[:100]}") from None
    if _too_deep(value):
        raise BadPayload("nested too deeply")
    return value


def _too_deep(value: Any) -> bool:
    """Whether arrays and objects lie in each other more than DEEPEST times."""
    level = [value]
    for _ in range(DEEPEST):
        following: list[Any] = []
        for member in level:
            if isinstance(member, dict):
                following.extend(member.values())
            elif isinstance(member, list):
                following.extend(member)
        level = following
    return any(isinstance(member, (dict, list)) for member in level)
