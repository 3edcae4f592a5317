"""How the command line prints: one JSON object a line, plain text for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any, TextIO


def plain(value: Any) -> Any:
    """Return *value* as JSON knows it: times in ISO 8601, bytes in hex, sets sorted."""
    match value:
        case Enum():
            return value.value
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted(plain(item) for item in value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def emit(record: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Print one record as one line of JSON."""
    stream = stream or sys.stdout
    json.dump(plain(record), stream, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    stream.write("\n")


def tell(text: str) -> None:
    """Say something to the person at the terminal."""
    print(text, file=sys.stderr)
