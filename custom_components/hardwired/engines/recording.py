"""A recording for a bug report: raw frames as a file that ``hardwired decode`` reads.

The engines mask identities before a frame is kept; what else must not be told is masked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from .engine import RecordedFrame
from .masking import SHORT

_NOTHING = "(?!)"
_NO_TEXT = rb"\x00-\x08\x0e-\x1f\x7f-\xff"


def whole_words(names: Iterable[str]) -> re.Pattern[str]:
    """Return what finds *names* where they stand as words of their own."""
    found = "|".join(re.escape(name) for name in names)
    return re.compile(rf"(?<!\w)(?:{found or _NOTHING})(?!\w)")


def without_secrets(
    frames: Iterable[RecordedFrame], secrets: Iterable[str], names: Iterable[str] = ()
) -> Iterator[RecordedFrame]:
    """Yield the frames with each secret overwritten by ``X``, as long as it was.

    *names* only where they stand as words of their own; short secrets, such as a host ``pi``, only
    as words of a text: the same few bytes are in many frames that hold none.
    """
    told = tuple(secrets)
    hidden = tuple(secret.encode() for secret in told if len(secret) >= SHORT)
    short = b"|".join(re.escape(secret.encode()) for secret in told if 0 < len(secret) < SHORT)
    within = rb"|(?<![\w%b])(?:%b)(?![\w%b])" % (_NO_TEXT, short, _NO_TEXT) if short else b""
    words = re.compile(whole_words(names).pattern.encode() + within)
    for frame in frames:
        data = words.sub(lambda found: b"X" * len(found[0]), frame.data)
        for secret in hidden:
            data = data.replace(secret, b"X" * len(secret))
        yield frame if data == frame.data else replace(frame, data=data)


def json_lines(frames: Iterable[RecordedFrame]) -> bytes:
    """Return a JSON object a line: time (ISO 8601, UTC), direction, data (hexadecimal)."""
    lines = (
        json.dumps(
            {
                "time": frame.time.isoformat(),
                "direction": frame.direction.value,
                "data": frame.data.hex(),
            },
            separators=(",", ":"),
        )
        for frame in frames
    )
    return "".join(f"{line}\n" for line in lines).encode()
