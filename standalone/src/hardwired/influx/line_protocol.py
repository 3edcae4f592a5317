"""InfluxDB line protocol: points to lines.

Comma, equals sign and space are escaped in names and tags, quote and backslash in text fields.
A backslash *before* one of those or at the end of a tag is read differently by every server, and
control characters end lines: such names are refused; :func:`as_tag` makes any text fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias

from ..mqtt.message import plain_number

FieldValue: TypeAlias = bool | int | float | str
"""Numbers are floats to the server, whatever they are here: a series never changes its type."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNFIT = re.compile(r"[\x00-\x1f\x7f]|\\(?=[,= ]|\Z)")
_SPECIAL = re.compile(r"([,= ])")
_SPECIAL_OF_MEASUREMENT = re.compile(r"([, ])")


def _no_tags() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Point:
    """One point. ``time`` is in nanoseconds since 1970; ``None`` lets the server choose."""

    measurement: str
    fields: Mapping[str, FieldValue]
    tags: Mapping[str, str] = field(default_factory=_no_tags)
    time: int | None = None


def nanoseconds(moment: datetime) -> int:
    """Return an aware moment as the wire has it, exact to the microsecond."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def as_tag(text: str) -> str:
    """Return *text* fit for a tag: control characters become spaces, backslashes slashes."""
    cleaned = re.sub(r"[\x00-\x1f\x7f]+", " ", text).replace("\\", "/").strip()
    return cleaned or "-"


def escape(name: str) -> str:
    """Return a tag or the name of a field as it stands in a line. Raises :class:`ValueError`."""
    return _SPECIAL.sub(r"\\\1", _fit(name))


def _fit(name: str) -> str:
    if not name or _UNFIT.search(name):
        raise ValueError(f"{name!r} can't stand in a line")
    return name


def _text(value: FieldValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return plain_number(float(value))
        case str():
            if "\n" in value or "\r" in value:
                raise ValueError("a text field can't hold a line break")
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def line(point: Point) -> str:
    """Return a point as one line, tags in sorted order. Raises :class:`ValueError`."""
    if not point.fields:
        raise ValueError("a point needs a field")
    measurement = _SPECIAL_OF_MEASUREMENT.sub(r"\\\1", _fit(point.measurement))
    if measurement.startswith(("#", "_")):
        raise ValueError(f"{point.measurement!r} can't stand at the start of a line")
    series = "".join(f",{escape(key)}={escape(point.tags[key])}" for key in sorted(point.tags))
    fields = ",".join(f"{escape(key)}={_text(value)}" for key, value in point.fields.items())
    time = "" if point.time is None else f" {point.time}"
    return f"{measurement}{series} {fields}{time}"
