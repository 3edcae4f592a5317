"""How the command line prints: one JSON object a line, plain text for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from hardwired_engines.plain import plain


def emit(record: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Print one record as one line of JSON."""
    stream = stream or sys.stdout
    json.dump(plain(record), stream, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    stream.write("\n")


def tell(text: str) -> None:
    """Say something to the person at the terminal."""
    print(text, file=sys.stderr)
