"""A recording for a bug report: raw frames as a file that ``hardwired decode`` reads.

The engines mask identities before a frame is kept; what else must not be told is masked here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from .engine import RecordedFrame


def without_secrets(
    frames: Iterable[RecordedFrame], secrets: Iterable[str]
) -> Iterator[RecordedFrame]:
    """Yield the frames with each secret overwritten by ``X``, as long as it was."""
    hidden = tuple(secret.encode() for secret in secrets)
    for frame in frames:
        data = frame.data
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
