"""What a value in CONFIG.toml can be: its reader and its JSON schema (spec b.1).

A reader returns the value as the program uses it (times in seconds, sizes in bytes); it raises
:class:`ValueError` with the rest of a sentence that begins with the key.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hardwired_engines.clock import load_zone

PORTS = (1, 65535)

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "a section"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: its reader and its JSON schema."""

    read: Callable[[object], Any]
    schema: Mapping[str, Any]
    secret: bool = field(default=False)


def kind_of(value: object) -> str:
    """Return what a value is, in the user's words; never the value itself."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "a date or time")


def read_text(value: object) -> str:
    """Read a text without control characters; it may be empty."""
    if not isinstance(value, str):
        hint = " (put it in quotes)" if isinstance(value, (bool, int, float)) else ""
        raise ValueError(f"takes a text, not {kind_of(value)}{hint}")
    if not value.isprintable():
        raise ValueError("holds a character that can't be printed")
    return value


def read_filled(value: object) -> str:
    """Read a text that is not empty."""
    found = read_text(value)
    if not found.strip():
        raise ValueError("must not be empty")
    return found


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"takes true or false, not {kind_of(value)}")
    return value


def _read_whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"takes a whole number, not {kind_of(value)}")
    return value


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"takes a number, not {kind_of(value)}")
    return value


_TEXT_SCHEMA: Mapping[str, Any] = {"type": "string"}
_FILLED_SCHEMA: Mapping[str, Any] = {"type": "string", "minLength": 1}

any_text = Kind(read_text, _TEXT_SCHEMA)
filled = Kind(read_filled, _FILLED_SCHEMA)
flag = Kind(_read_flag, {"type": "boolean"})


def whole(low: int, high: int) -> Kind:
    """Return the kind of a whole number from *low* to *high*."""

    def read(value: object) -> int:
        found = _read_whole(value)
        if not low <= found <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return found

    return Kind(read, {"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float, *, exact: bool = False) -> Kind:
    """Return the kind of a number from *low* to *high*; *exact* keeps whole numbers whole."""

    def read(value: object) -> float:
        found = _read_number(value)
        if not low <= found <= high:  # false for nan; a huge integer is compared as it is
            raise ValueError(f"takes a number from {low:g} to {high:g}")
        return found if exact else float(found)

    return Kind(read, {"type": "number", "minimum": low, "maximum": high})


def nearest(word: str, options: tuple[str, ...] | list[str], cutoff: float) -> str:
    """Return the end of a sentence that asks for the likely word, or nothing."""
    likely = difflib.get_close_matches(word, options, 1, cutoff)
    return f"; is {likely[0]} meant?" if likely else ""


def option(*options: str) -> Kind:
    """Return the kind of one of these texts."""

    def read(value: object) -> str:
        found = read_text(value)
        if found not in options:
            raise ValueError(
                f"takes one of {', '.join(options)}, not {found[:60]!r}"
                f"{nearest(found, options, 0.6)}"
            )
        return found

    return Kind(read, {"enum": list(options)})


def choice(*options: int) -> Kind:
    """Return the kind of one of these whole numbers."""

    def read(value: object) -> int:
        found = _read_whole(value)
        if found not in options:
            shown = str(found) if abs(found) < 10**18 else "a number of many digits"
            raise ValueError(f"takes one of {', '.join(map(str, options))}, not {shown}")
        return found

    return Kind(read, {"enum": list(options)})


def pattern(expression: str, takes: str) -> Kind:
    """Return the kind of a text of a certain form; *takes* says which."""
    compiled = re.compile(expression)

    def read(value: object) -> str:
        found = read_text(value)
        if not compiled.fullmatch(found):
            raise ValueError(f"takes {takes}")
        return found

    return Kind(read, {"type": "string", "pattern": f"^(?:{expression})$"})


# ------------------------------------------------------------------------------ times and sizes

_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_SECONDS: Mapping[str, float] = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB)?")
_BYTES: Mapping[str, int] = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}


def _time_text(seconds: float) -> str:
    if seconds == 0:
        return "0"
    for unit, length in _SECONDS.items():
        if seconds >= length and math.isclose(seconds % length, 0, abs_tol=1e-9):
            return f"{round(seconds / length)}{unit}"
    return f"{seconds:g}s"


def _size_text(size: int) -> str:
    unit, length = next(item for item in _BYTES.items() if size % item[1] == 0)
    return f"{size // length}{unit}"


def duration(low: float, high: float) -> Kind:
    """Return the kind of a time from *low* to *high* seconds."""

    def read(value: object) -> float:
        match value:
            case bool():
                found = None
            case int() | float():
                found = value
            case str() if told := _TIME.fullmatch(value):
                found = round(float(told[1]) * _SECONDS[told[2]], 6)
            case _:
                found = None
        if found is None:
            raise ValueError('takes a time such as 30, "30s", "10m", "2h" or "1d"')
        if not low <= found <= high:
            raise ValueError(f"takes a time from {_time_text(low)} to {_time_text(high)}")
        return float(found)

    schema = {
        "oneOf": [
            {"type": "number", "minimum": low, "maximum": high},
            {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$"},
        ]
    }
    return Kind(read, schema)


def size(low: int, high: int) -> Kind:
    """Return the kind of a size from *low* to *high* bytes."""

    def read(value: object) -> int:
        match value:
            case bool():
                found = None
            case int():
                found = value
            case str() if told := _SIZE.fullmatch(value):
                found = int(told[1]) * _BYTES[told[2] or "B"]
            case _:
                found = None
        if found is None:
            raise ValueError('takes a size such as 67108864 or "64MiB"')
        if not low <= found <= high:
            raise ValueError(f"takes a size from {_size_text(low)} to {_size_text(high)}")
        return found

    schema = {
        "oneOf": [
            {"type": "integer", "minimum": low, "maximum": high},
            {"type": "string", "pattern": "^[0-9]{1,12} ?(B|KiB|MiB|GiB)?$"},
        ]
    }
    return Kind(read, schema)


# --------------------------------------------------------------------------- texts with a meaning


def _read_zone(value: object) -> str:
    name = read_filled(value)
    try:
        load_zone(name)
    except ValueError:
        raise ValueError(
            f"takes the name of a time zone such as Europe/Berlin, not {name[:60]!r}"
        ) from None
    return name


def _read_topic(value: object) -> str:
    found = read_filled(value)
    if any(sign in found for sign in "+#"):
        raise ValueError("takes a topic without the wildcards + and #")
    if len(found.encode()) > 1000:
        raise ValueError("takes a shorter topic")
    return found


def _read_prefix(value: object) -> str:
    found = _read_topic(value)
    if found.startswith("/") or found.endswith("/"):
        raise ValueError("takes a topic without a slash at its ends")
    if found.startswith("$"):
        raise ValueError("takes a topic that does not begin with $")
    return found


def _read_url(value: object) -> str:
    found = read_filled(value)
    try:
        parts = urlsplit(found)
        host, port, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host, port, scheme = None, None, ""
    begins = found.lower().startswith(("http://", "https://"))
    if (
        scheme not in {"http", "https"}
        or not begins
        or not host
        or port == 0
        or any(sign in found for sign in "?#@")
        or any(sign.isspace() for sign in found)
    ):
        raise ValueError("takes an address such as http://localhost:8086, without login, ? and #")
    return found


_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[^\s:\[\]/]+):(?P<port>[0-9]{1,5})")


def split_host_port(text: str) -> tuple[str, int]:
    """Return host (without brackets) and port of ``host:port``. Raises :class:`ValueError`."""
    told = _HOST_PORT.fullmatch(text)
    if not told or not PORTS[0] <= int(told["port"]) <= PORTS[1]:
        raise ValueError("takes host:port")
    return told["host"].strip("[]"), int(told["port"])


def host_port(example: str) -> Kind:
    """Return the kind of a host and a port."""

    def read(value: object) -> str:
        found = read_text(value)
        try:
            split_host_port(found)
        except ValueError:
            raise ValueError(f"takes host:port, such as {example}") from None
        return found

    expression = r"^(\[[0-9A-Fa-f:]+\]|[^\s:\[\]/]+):[0-9]{1,5}$"
    return Kind(read, {"type": "string", "pattern": expression})


zone_name = Kind(_read_zone, _FILLED_SCHEMA)
topic = Kind(_read_topic, {"type": "string", "minLength": 1, "pattern": "^[^+#]+$"})
topic_prefix = Kind(
    _read_prefix,
    {"type": "string", "minLength": 1, "pattern": "^[^+#/$]([^+#]*[^+#/])?$"},
)
base_url = Kind(_read_url, {"type": "string", "pattern": r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"})
serial_line = pattern(
    "[0-9]{3,7} [78][NEO][12]", "the settings of a serial line, such as 38400 8E1"
)
NAME = "[a-z0-9][a-z0-9_-]{0,31}"
identity = pattern(
    NAME, "small letters, digits, _ and -, at most 32, beginning with a letter or digit"
)
CLIENT_ID = re.compile("[ -~]{1,64}")
client_id = pattern(CLIENT_ID.pattern, "1 to 64 printable ASCII characters")


# ------------------------------------------------------------------------------------ collections


def texts() -> Kind:
    """Return the kind of a list of filled texts."""

    def read(value: object) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError("takes a list of texts")
        return [read_filled(item) for item in value]

    return Kind(read, {"type": "array", "items": dict(_FILLED_SCHEMA)})


def minutes(low: int, high: int) -> Kind:
    """Return the kind of a time from *low* to *high* whole minutes; a bare number is minutes."""
    bare, text = whole(low, high), duration(60 * low, 60 * high)

    def read(value: object) -> int:
        if not isinstance(value, str):
            return int(bare.read(value))
        found = float(text.read(value))
        if found % 60:
            raise ValueError('takes whole minutes, such as 20 or "20m"')
        return int(found) // 60

    schema = {
        "oneOf": [
            {"type": "integer", "minimum": low, "maximum": high},
            {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$"},
        ]
    }
    return Kind(read, schema)


def wholes(low: int, high: int) -> Kind:
    """Return the kind of a list of whole numbers."""
    item = whole(low, high)

    def read(value: object) -> list[int]:
        if not isinstance(value, list):
            raise ValueError("takes a list of whole numbers")
        try:
            return [item.read(one) for one in value]
        except ValueError:
            raise ValueError(f"takes a list of whole numbers from {low} to {high}") from None

    return Kind(read, {"type": "array", "items": dict(item.schema)})


def mapping(item: Kind) -> Kind:
    """Return the kind of a table whose values are all of one kind."""

    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"takes a section, not {kind_of(value)}")
        found = {}
        for key, one in value.items():
            if not key or not key.isprintable():
                raise ValueError("holds a key that can't be printed")
            try:
                found[key] = item.read(one)
            except ValueError as error:
                raise ValueError(f"{key[:60]}: {error}") from None
        return found

    return Kind(read, {"type": "object", "additionalProperties": dict(item.schema)})


# ---------------------------------------------------------------------------------------- secrets

SECRET_WAYS = ("file", "env", "credential")


def _read_secret(value: object) -> str | dict[str, str]:
    if isinstance(value, dict):
        if len(value) != 1 or (way := next(iter(value))) not in SECRET_WAYS:
            ways = ", ".join(f'{{ {way} = "..." }}' for way in SECRET_WAYS)
            raise ValueError(f"takes a text, or one of {ways}")
        place = value[way]
        if not isinstance(place, str) or not place.strip() or not place.isprintable():
            raise ValueError(f"takes a filled text for {way}")
        return {way: place}
    found = read_text(value)
    if not found:
        raise ValueError("must not be empty")
    return found


secret = Kind(
    _read_secret,
    {
        "oneOf": [
            dict(_FILLED_SCHEMA),
            *(
                {
                    "type": "object",
                    "properties": {way: dict(_FILLED_SCHEMA)},
                    "required": [way],
                    "additionalProperties": False,
                }
                for way in SECRET_WAYS
            ),
        ]
    },
    secret=True,
)
