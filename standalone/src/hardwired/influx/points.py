"""Values -> lines of line protocol (spec e.2)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, time, tzinfo

from hardwired_engines.engine import Message
from hardwired_engines.fields import Field, Quantity, Value
from hardwired_engines.plain import plain

from .line_protocol import FieldValue, Point, as_tag, line, nanoseconds

LONGEST_TEXT = 255
LONGEST_JSON = 16_384
"""Characters; a server takes no text field of more than 64 KiB."""
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""A wall clock before this has not been set yet."""


def field_value(field: Field, value: Value | None, zone: tzinfo | None = None) -> FieldValue | None:
    """Return a value as it stands in a point; ``None``: it has no place there."""
    found: FieldValue | None = None
    match field.quantity, value:
        case _, None:
            pass
        case Quantity.OPTION, str() if value in field.options:
            found = value
        case Quantity.TEXT, str():
            found = _text(value)
        case Quantity.CLOCK_TIME, time():
            found = float(value.hour * 3600 + value.minute * 60 + value.second)
        case Quantity.TIMESTAMP, datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=zone or UTC)
            found = moment.astimezone(UTC).isoformat()
        case _, bool():
            found = value if field.binary else None
        case _, int() | float() if field.numeric:
            found = _finite(value)
    return found


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: str) -> str | None:
    cleaned = "".join(sign if sign.isprintable() else " " for sign in value)
    return " ".join(cleaned.split())[:LONGEST_TEXT] or None


def native_point(
    family: str,
    tags: Mapping[str, str],
    fields: Mapping[str, Field],
    values: Mapping[str, Value | None],
    *,
    moment: datetime | None,
    zone: tzinfo | None = None,
) -> Point | None:
    """Return the point of a device and moment; ``None`` when there is nothing to say.

    *tags* are those of CONFIG and of :func:`device_tags`. A key without a field has no type that
    could be kept, so it is left out. Without *moment* the point has no time yet.
    """
    found = {}
    for key, value in values.items():
        field = fields.get(key)
        told = None if field is None else field_value(field, value, zone)
        if told is not None:
            found[key] = told
    if not found:
        return None
    return Point(family, found, tags, None if moment is None else nanoseconds(moment))


def device_tags(more: Mapping[str, str], link: str, device: str, kind: str) -> Mapping[str, str]:
    """Return the tags of a device; those of CONFIG give way to ours."""
    told = {as_tag(key): as_tag(value) for key, value in more.items()}
    return {**told, "link": link, "device": as_tag(device), "kind": as_tag(kind)}


def event_point(family: str, tags: Mapping[str, str], message: Message) -> Point:
    """Return the point of an event, without time."""
    return Point(
        f"{family}_events",
        {"text": _json(plain(message.data))},
        {**tags, "event_type": as_tag(message.type)},
    )


def _json(data: object) -> str:
    """Return data as JSON that stays JSON: not cut, without a sign that could end a line."""
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if not told.isprintable():
        told = json.dumps(data, separators=(",", ":"))
    return told if len(told) <= LONGEST_JSON else "{}"


def line_of(point: Point) -> str:
    """Return the line of a point. Raises :class:`ValueError` for a name that can't stand there."""
    return line(point)
