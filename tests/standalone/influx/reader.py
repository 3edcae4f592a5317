"""Reads a line of the line protocol as a server does, to check what was written."""

from __future__ import annotations

import math
import re

from hardwired.influx.line_protocol import FieldValue, Point

_ESCAPED = (",", "=", " ")
_TIME = re.compile(r"-?[0-9]{1,19}")


def parse_line(content: str) -> Point:
    """Return the point of one line, as :func:`line` writes them. Raises :class:`ValueError`."""
    end = _next(content, " ", 0)
    measurement, *pairs = _split(content[:end], ",")
    rest = content[end + 1 :]
    end = _next(rest, " ", 0, quotes=True)
    fields, time = rest[:end], rest[end + 1 :]
    if not measurement or not fields or (len(rest) > end and not _TIME.fullmatch(time)):
        raise ValueError("a line has a series, fields and perhaps a time")
    return Point(
        _unescaped(measurement),
        {key: _value(value) for key, value in map(_pair, _split(fields, ",", quotes=True))},
        {key: _unescaped(value) for key, value in map(_pair, pairs)},
        int(time) if time else None,
    )


def _next(content: str, separator: str, start: int, *, quotes: bool = False) -> int:
    """Return where the next separator stands that is neither escaped nor, if wanted, quoted."""
    index, quoted, before = start, False, ""
    while index < len(content):
        char = content[index]
        if char == "\\" and content[index + 1 : index + 2] in (('"', "\\") if quoted else _ESCAPED):
            index, before = index + 2, ""
            continue
        if quotes and char == '"' and (quoted or before == "="):
            quoted = not quoted
        elif char == separator and not quoted:
            return index
        index, before = index + 1, char
    return len(content)


def _split(content: str, separator: str, *, quotes: bool = False) -> list[str]:
    parts, start = [], 0
    while (end := _next(content, separator, start, quotes=quotes)) < len(content):
        parts.append(content[start:end])
        start = end + 1
    return [*parts, content[start:]]


def _pair(content: str) -> tuple[str, str]:
    end = _next(content, "=", 0)
    if end in (0, len(content)):
        raise ValueError("a tag or field is a name, an equals sign and a value")
    return _unescaped(content[:end]), content[end + 1 :]


def _unescaped(content: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", content)


def _value(content: str) -> FieldValue:
    if content in ("true", "false"):
        return content == "true"
    if len(content) > 1 and content[0] == content[-1] == '"':
        return re.sub(r'\\([\\"])', r"\1", content[1:-1])
    number = float(content)
    if not math.isfinite(number):
        raise ValueError("a field is a finite number")
    return number
