"""How the command line prints: one JSON object a line, plain text for people on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO


def emit(record: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Print one record as one line of JSON."""
    import json  # noqa: PLC0415 - not for what only tells something

    from hardwired_engines.plain import plain  # noqa: PLC0415

    stream = stream or sys.stdout
    json.dump(plain(record), stream, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    stream.write("\n")


def tell(text: str) -> None:
    """Say something to the person at the terminal."""
    print(text, file=sys.stderr)
