"""Text logs of LIN analysers and of other programs, read as frames (spec g.1, vectors).

Two formats: ``seconds PID data...`` (``-`` for an empty slot), and ``time b0 b1 ... x y`` whose
bytes are a whole frame with its checksum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .frames import BREAK, DATA_SIZE, SYNC, checksum, frame_checksum, identifier_of

WAKE = 0
_BYTE = re.compile(r"[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """A frame of a log: seconds, protected identifier, eight bytes (``None``: no answer).

    A wake-up pulse has the identifier 0, which no frame has.
    """

    time: float
    pid: int
    data: bytes | None
    sound: bool = True


class LogFault(ValueError):
    """A line can't be read; the message names it."""


def read_log(
    lines: Iterable[str], on_fault: Callable[[LogFault], None] | None = None
) -> Iterator[LoggedFrame]:
    """Yield the frames of a log.

    A line that can't be read is passed to *on_fault* and left out; without it :class:`LogFault` is
    raised.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        frame = _read_line(text)
        if frame is not None:
            yield frame
            continue
        fault = LogFault(f"line {number} is no LIN frame: {text[:60]!r}")
        if on_fault is None:
            raise fault
        on_fault(fault)


def _read_line(text: str) -> LoggedFrame | None:
    words = text.replace(",", " ").split()
    try:
        time = float(words[0].rstrip(":"))
    except (ValueError, IndexError):
        return None
    if not math.isfinite(time):
        return None
    values = [int(word, 16) for word in words[1:] if _BYTE.fullmatch(word)]
    if len(words) >= 3 and words[2] == "-" and values:
        return _framed(time, values[0], None)
    if len(values) == 1 + DATA_SIZE and len(words) == 2 + DATA_SIZE:
        return _framed(time, values[0], bytes(values[1:]))
    while len(values) > 1 + DATA_SIZE and values[0] == BREAK:
        values = values[1:]
    if len(values) > 2 + DATA_SIZE and values[0] == SYNC:
        # Only then: a sync byte alone is an identifier, too.
        values = values[1:]
    if len(values) >= 2 + DATA_SIZE:
        data, sent = bytes(values[1 : 1 + DATA_SIZE]), values[1 + DATA_SIZE]
        sound = sent in (frame_checksum(values[0], data), checksum(data))
        return _framed(time, values[0], data, sound=sound)
    if len(values) != 1:
        return None
    return LoggedFrame(time, WAKE, None) if values == [WAKE] else _framed(time, values[0], None)


def _framed(time: float, pid: int, data: bytes | None, *, sound: bool = True) -> LoggedFrame | None:
    if identifier_of(pid) is None:
        return None
    return LoggedFrame(time, pid, data, sound)


def write_line(time: float, pid: int, data: bytes | None) -> str:
    """Return a frame as a line of the first format, without a line end."""
    if pid == WAKE:
        return f"{time:.6f} {pid:02X}"
    shown = "-" if data is None else data.hex(" ").upper()
    return f"{time:.6f} {pid:02X} {shown}"
