"""Text logs of LIN analysers and of other programs, read as frames (spec g.1, vectors).

Three formats: ``seconds PID data...`` (``-`` for an empty slot); ``time b0 b1 ... x y`` whose
bytes are a whole frame with its checksum; and the debug logs of inetbox.py, ``2023-01-20
13:19:26,347  inet.lin  DEBUG  in < 00 55 3c 7f ...``, whose answers follow in a line of their own,
``out > ...``. Their times become seconds since the first line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from .frames import (
    BREAK,
    DATA_SIZE,
    SYNC,
    checksum,
    frame_checksum,
    identifier_of,
)

WAKE = 0
_BYTE = re.compile(r"[0-9A-Fa-f]{2}")
_SAID = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)[,.](\d{1,6})\s+"
    r"[\w.]+\s+(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b"
)
"""How a line of inetbox.py begins, perhaps behind what the system's journal puts before it."""
_BYTES = re.compile(r"\b(in <|out >)\s*((?:[0-9A-Fa-f]{2}(?:\s+|$))+)(.*)")
_NO_SYNC = "not a proper sync"
"""What inetbox.py says behind bytes that are no slot, such as its own echo."""


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
    debug = _DebugLog()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        if (found := debug.receive_line(text)) is not None:
            yield from found
            continue
        frame = _read_line(text)
        if frame is not None:
            yield frame
            continue
        fault = LogFault(f"line {number} is no LIN frame: {text[:60]!r}")
        if on_fault is None:
            raise fault
        on_fault(fault)
    yield from debug.end()


class _DebugLog:
    """Lines of inetbox.py: a header that we answer and the answer are two lines.

    What it says between them, and behind the bytes, is passed over.
    """

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._header: LoggedFrame | None = None

    def receive_line(self, text: str) -> list[LoggedFrame] | None:
        """Return the slots that are complete with a line; ``None``: it is no line of inetbox.py."""
        said = _SAID.search(text)
        if said is None:
            return None
        found = _BYTES.search(text, said.end())
        if found is None or _NO_SYNC in found[3]:
            return []
        day, clock, fraction = said.groups()
        direction, shown = found[1], found[2]
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}.{fraction:0<6}")
        except ValueError:
            return None
        self._began = self._began or moment
        time = (moment - self._began).total_seconds()
        data = bytes.fromhex(shown)
        if direction == "out >":
            return self._answered(data)
        frame = _slot(time, data)
        if frame is None:
            return None
        slots = self.end()
        if frame.data is None:
            self._header = frame
            return slots
        return [*slots, frame]

    def _answered(self, data: bytes) -> list[LoggedFrame] | None:
        header, self._header = self._header, None
        if header is None or len(data) not in (DATA_SIZE, DATA_SIZE + 1):
            return None if header is None else [header]
        return [LoggedFrame(header.time, header.pid, data[:DATA_SIZE])]

    def end(self) -> list[LoggedFrame]:
        """Return the header that stayed without an answer."""
        header, self._header = self._header, None
        return [] if header is None else [header]


def _slot(time: float, data: bytes) -> LoggedFrame | None:
    """Return the slot in bytes that begin with a break or a sync byte."""
    rest = data.lstrip(bytes((BREAK,)))
    if not rest.startswith(bytes((SYNC,))) or len(rest) not in (2, 2 + DATA_SIZE, 3 + DATA_SIZE):
        return None
    pid, body = rest[1], rest[2:]
    if not body:
        return _framed(time, pid, None)
    payload, sent = body[:DATA_SIZE], body[DATA_SIZE:]
    sound = not sent or sent[0] in (frame_checksum(pid, payload), checksum(payload))
    return _framed(time, pid, payload, sound=sound)


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
