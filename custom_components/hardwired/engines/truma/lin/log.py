"""Text logs of LIN analysers and of other programs, read as frames (spec g.1, vectors).

Four formats: ``seconds PID data...`` (``-`` for an empty slot); ``time b0 b1 ... x y`` whose
bytes are a whole frame with its checksum; the debug logs of inetbox.py, ``2023-01-20
13:19:26,347  inet.lin  DEBUG  in < 00 55 3c 7f ...``, whose answers follow in a line of their own,
``out > ...`` (inetbox2mqtt's have no time); and those of ESPHome,
``[22:35:11][V][truma_inetbox.LinBusListener:392]: PID 04 3A.0C. ... .F4 (9)  - SLAVE``.
Their times become seconds since the first line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from .frames import (
    BREAK,
    DATA_SIZE,
    MASTER_REQUEST,
    SLAVE_RESPONSE,
    SYNC,
    checksum,
    frame_checksum,
    identifier_of,
    protected,
)
from .transport import MAXIMUM_SIZE, Assembler, split

WAKE = 0
_BYTE = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{2}")
_EMPTY = re.compile(r"-+")
_SEPARATOR = re.compile(r"[,;\s]+")
_DECIMAL_COMMA = re.compile(r"^(-?[0-9]+),([0-9]+)(?=[;\s])")
_SAID = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)[,.](\d{1,6})\s+"
    r"[\w.]+\s+(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b"
)
"""How a line of inetbox.py begins, perhaps behind what the system's journal puts before it."""
_BYTES = re.compile(r"(?<![\w-])(in <|out >)\s*((?:[0-9A-Fa-f]{2}(?:\s+|$))+)(.*)")
_NO_SYNC = "not a proper sync"
"""What inetbox.py says behind bytes that are no slot, such as its own echo."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ESPHOME = re.compile(
    r"(?:\[(\d\d):(\d\d):(\d\d(?:\.\d{1,6})?)\])?\[(?:[EWICDV]|VV)\]\[[\w.-]+(?::\d+)?\]:?\s*(.*)"
)
"""How a line of ESPHome begins, whatever stands before it."""
_ESPHOME_SLOT = re.compile(
    r"PID ([0-9A-Fa-f]{2})(?: \([0-9A-Fa-f]{2}\))?\s+"
    r"(?:order\b|((?:[0-9A-Fa-f]{2}\.)*[0-9A-Fa-f]{2})\b(?: \(\d+\))?)(.*)"
)
_ESPHOME_MESSAGE = re.compile(
    r"Multi package (request|response)\s+((?:[0-9A-Fa-f]{2}\.)*[0-9A-Fa-f]{2})\b"
)
_BOX_NAD = 0x03
"""Whose messages ESPHome logs as a whole: its own node's."""
DAY = 86400.0


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
    debug, esphome = _DebugLog(), _EspHomeLog()
    for number, line in enumerate(lines, 1):
        text = _COLOUR.sub("", line).strip()
        if not text or text.startswith(("#", ";")):
            continue
        found = esphome.receive_line(text)
        if found is None:
            found = debug.receive_line(text)
        if found is not None:
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
        self._time = 0.0
        self._header: LoggedFrame | None = None

    def receive_line(self, text: str) -> list[LoggedFrame] | None:
        """Return the slots that are complete with a line; ``None``: it is no line of inetbox.py."""
        said = _SAID.search(text)
        found = _BYTES.search(text, said.end() if said is not None else 0)
        if said is None and found is None:
            return None
        if found is None or _NO_SYNC in found[3]:
            return []
        if said is not None and not self._set_time(*said.groups()):
            return None
        time, direction, shown = self._time, found[1], found[2]
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

    def _set_time(self, day: str, clock: str, fraction: str) -> bool:
        """Take the time of a line; without one it is that of the line before."""
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}.{fraction:0<6}")
        except ValueError:
            return False
        self._began = self._began or moment
        self._time = (moment - self._began).total_seconds()
        return True

    def _answered(self, data: bytes) -> list[LoggedFrame] | None:
        header, self._header = self._header, None
        if header is None or len(data) not in (DATA_SIZE, DATA_SIZE + 1):
            return None if header is None else [header]
        return [LoggedFrame(header.time, header.pid, data[:DATA_SIZE])]

    def end(self) -> list[LoggedFrame]:
        """Return the header that stayed without an answer."""
        header, self._header = self._header, None
        return [] if header is None else [header]


class _EspHomeLog:
    """Lines of ESPHome's truma_inetbox. Its log level decides what there is: slots, or messages.

    Of slots some are missing, even where the message that they carried is there as a whole.
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._days = 0
        self._began: float | None = None
        self._requests, self._responses = Assembler(), Assembler()
        self._known: dict[str, bytes] = {}
        """The messages that slots have completed last."""

    def receive_line(self, text: str) -> list[LoggedFrame] | None:
        """Return the slots in a line; ``None``: it is no line of ESPHome, or can't be read."""
        line = _ESPHOME.search(text)
        if line is None:
            return None
        time = self._time(line)
        if (message := _ESPHOME_MESSAGE.match(line[4])) is not None:
            return self._message(time, message[1], _dotted(message[2]))
        if not line[4].startswith("PID "):
            return []
        slot = _ESPHOME_SLOT.match(line[4])
        if slot is None or int(slot[1], 16) not in range(64):
            return None
        return self._slot(time, int(slot[1], 16), _dotted(slot[2] or ""), slot[3])

    def _time(self, line: re.Match[str]) -> float:
        if line[1] is not None:
            of_day = int(line[1]) * 3600 + int(line[2]) * 60 + float(line[3])
            if self._days * DAY + of_day < self._last - DAY / 2:
                self._days += 1
            self._last = max(self._last, self._days * DAY + of_day)
            self._began = self._last if self._began is None else self._began
        return self._last - (self._began or 0.0)

    def _slot(
        self, time: float, identifier: int, body: bytes, remark: str
    ) -> list[LoggedFrame] | None:
        if identifier == SLAVE_RESPONSE and "MASTER" in remark:
            # The next header had come before the line was written.
            identifier = MASTER_REQUEST
        pid = protected(identifier)
        if not body or (len(body) < DATA_SIZE and "partial" in remark):
            # Nobody answered, or the answer broke off.
            return [LoggedFrame(time, pid, None)]
        if len(body) not in (DATA_SIZE, DATA_SIZE + 1):
            return None
        data, sent = body[:DATA_SIZE], body[DATA_SIZE:]
        sound = "INVALID" not in remark and (
            not sent or sent[0] in (frame_checksum(pid, data), checksum(data))
        )
        way = {MASTER_REQUEST: "request", SLAVE_RESPONSE: "response"}.get(identifier)
        if way is not None and sound:
            assembler = self._requests if way == "request" else self._responses
            whole = assembler.receive_data(data, 0.0)
            if whole is not None and whole.nad == _BOX_NAD:
                self._known[way] = whole.data
        return [LoggedFrame(time, pid, data, sound)]

    def _message(self, time: float, way: str, message: bytes) -> list[LoggedFrame] | None:
        if not 1 <= len(message) <= MAXIMUM_SIZE:
            return None
        if self._known.pop(way, None) == message:
            return []
        pid = protected(MASTER_REQUEST if way == "request" else SLAVE_RESPONSE)
        return [LoggedFrame(time, pid, frame) for frame in split(_BOX_NAD, message)]


def _dotted(text: str) -> bytes:
    return bytes.fromhex(text.replace(".", " "))


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
    words = _SEPARATOR.split(_DECIMAL_COMMA.sub(r"\1.\2", text))
    try:
        time = float(words[0].rstrip(":"))
    except (ValueError, IndexError):
        return None
    if not math.isfinite(time):
        return None
    # What stands behind the bytes is the analyser's own; between them it is a damage.
    values = [int(word, 16) for word in takewhile(_BYTE.fullmatch, words[1:])]
    if len(values) == 1 and len(words) >= 3:
        return _framed(time, values[0], None) if _EMPTY.fullmatch(words[2]) else None
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
