"""The Proxy message: a batch of values for one service (spec B.2, C.6)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .payload import parse


class BadProxy(ValueError):
    """Nothing of the message can be used; the text says why."""


class Proxy(NamedTuple):
    """Values in order; ``topic_path`` is ``W/<portal>/<type>/<instance>``, paths lack the slash."""

    topic_path: str
    values: list[tuple[str, Any]]

    def topics(self) -> list[tuple[str, Any]]:
        """Return the messages for the gateway: topic and value."""
        return [(f"{self.topic_path}/{path}", value) for path, value in self.values]


def parse_proxy(data: bytes) -> Proxy:
    """Return what a payload asks for; values that JSON can't say are left out.

    Raises BadProxy, or BadPayload when it is not even JSON.
    """
    message = parse(data)
    if not isinstance(message, dict):
        raise BadProxy("not an object")
    topic_path, values = message.get("topicPath"), message.get("values")
    if not isinstance(topic_path, str) or not _fits_topic(topic_path):
        raise BadProxy("topicPath is no topic")
    levels = topic_path.split("/")
    if len(levels) != 4 or levels[0] != "W":
        raise BadProxy("topicPath is not W/<portal>/<type>/<instance>")
    if not isinstance(values, dict) or not values:
        raise BadProxy("values is no object, or empty")
    for path in values:
        if not path or path[0] != path[0].upper():
            raise BadProxy(f"{path[:60]!r} begins with a small letter or is empty")
        if not _fits_topic(path):
            raise BadProxy(f"{path[:60]!r} fits no topic")
    return Proxy(topic_path, [it for it in values.items() if not _has_unsayable(it[1])])


def _fits_topic(text: str) -> bool:
    if "+" in text or "#" in text or "\0" in text:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _has_unsayable(value: Any) -> bool:
    """Whether NaN or an infinity is anywhere in here: the gateway could not parse it."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, list):
        return any(map(_has_unsayable, value))
    if isinstance(value, dict):
        return any(map(_has_unsayable, value.values()))
    return False
