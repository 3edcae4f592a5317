"""LIN frames: identifiers, checksums, and the receiver that finds frames in bytes (spec b.1 - b.4).

Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

BREAK = 0x00
SYNC = 0x55
DATA_SIZE = 8
RESPONSE_SIZE = 9

MASTER_REQUEST = 0x3C
SLAVE_RESPONSE = 0x3D
BOX_POLL = 0x18
DIAGNOSTIC = frozenset({MASTER_REQUEST, SLAVE_RESPONSE})

SILENCE = 0.025
"""More than this without a byte ends whatever was in progress."""
NETWORK_SILENCE = 1.0
"""The same where bytes come in lumps, as long apart as a network likes: it says nothing then."""
_ROUNDING = 1e-6


def protected(identifier: int) -> int:
    """Return the identifier (0 to 63) with its two parity bits, as it travels (spec b.2)."""
    bit = [identifier >> place & 1 for place in range(6)]
    first = bit[0] ^ bit[1] ^ bit[2] ^ bit[4]
    second = 1 ^ bit[1] ^ bit[3] ^ bit[4] ^ bit[5]
    return identifier | first << 6 | second << 7


_IDENTIFIERS = {protected(identifier): identifier for identifier in range(64)}


def identifier_of(pid: int) -> int | None:
    """Return the identifier in a protected one; ``None`` when the parity is wrong."""
    return _IDENTIFIERS.get(pid)


def checksum(data: bytes, pid: int | None = None) -> int:
    """Return the checksum over *data*: enhanced with *pid*, classic without (spec b.3)."""
    total = pid or 0
    for byte in data:
        total += byte
        if total > 0xFF:
            total -= 0xFF
    return 0xFF - total


def frame_checksum(pid: int, data: bytes) -> int:
    """Return the checksum that a frame with this identifier has."""
    return checksum(data, None if _IDENTIFIERS.get(pid) in DIAGNOSTIC else pid)


def response(pid: int, data: bytes) -> bytes:
    """Return the nine bytes of an answer: *data* and its checksum."""
    return data + bytes((frame_checksum(pid, data),))


@dataclass(frozen=True, slots=True)
class Header:
    """A header of the master. ``last``: it was the end of the bytes that were read together."""

    pid: int
    last: bool


@dataclass(frozen=True, slots=True)
class LinFrame:
    """An answered header, checksum right. ``data`` are eight bytes."""

    pid: int
    data: bytes


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Nine bytes whose checksum is wrong."""

    pid: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A header whose slot stayed empty, or broke off after ``received`` bytes."""

    pid: int
    received: int


LinEvent = Header | LinFrame | BadFrame | Unanswered


class Receiver:
    """Finds headers and frames in a stream of bytes, whatever the UART makes of a break.

    After *silence* seconds without a byte it begins anew.
    """

    __slots__ = ("_data", "_last_byte", "_pid", "_silence", "_state", "bytes_seen", "parity_errors")

    IDLE, GOT_BREAK, GOT_SYNC, DATA = range(4)

    def __init__(self, silence: float = SILENCE) -> None:
        self._silence = silence + _ROUNDING
        self._state = self.IDLE
        self._pid = 0
        self._data = bytearray()
        self._last_byte: float | None = None
        self.bytes_seen = 0
        self.parity_errors = 0

    @property
    def pid(self) -> int:
        """The newest header's protected identifier."""
        return self._pid

    @property
    def outstanding(self) -> int:
        """How many bytes of an answer are still to come; 0 when a header may be next."""
        if self._state != self.DATA or (self._data[:1] == b"\0" and len(self._data) < 3):
            return 0
        return RESPONSE_SIZE - len(self._data)

    def receive_data(self, data: bytes, now: float) -> list[LinEvent]:
        """Take what was read at *now*; return what it means, in order."""
        events: list[LinEvent] = self.expire(now)
        if data:
            self._last_byte = now
            self.bytes_seen += len(data)
            self._take(data, events, live=True)
        return events

    def expire(self, now: float) -> list[LinEvent]:
        """End what is in progress when the line has been silent for too long."""
        events: list[LinEvent] = []
        if (
            self._last_byte is not None
            and now - self._last_byte > self._silence
            and self._state != self.IDLE
        ):
            if self._state == self.DATA:
                events.append(Unanswered(self._pid, len(self._data)))
            self._state = self.IDLE
            self._data.clear()
        return events

    def _take(self, data: bytes, events: list[LinEvent], *, live: bool) -> None:
        size = len(data)
        position = 0
        while position < size:
            byte = data[position]
            position += 1
            if self._state == self.DATA:
                self._collect(byte, events, last=live and position == size)
            elif self._state == self.GOT_SYNC:
                if byte in _IDENTIFIERS:
                    self._begin(byte, events, last=live and position == size)
                else:
                    self.parity_errors += 1
                    self._state = _AFTER.get(byte, self.IDLE)
            elif byte == SYNC:
                self._state = self.GOT_SYNC
            else:
                self._state = self.GOT_BREAK if byte == BREAK else self.IDLE

    def _begin(self, pid: int, events: list[LinEvent], *, last: bool) -> None:
        self._pid = pid
        self._state = self.DATA
        self._data.clear()
        events.append(Header(pid, last))

    def _collect(self, byte: int, events: list[LinEvent], *, last: bool) -> None:
        collected = self._data
        collected.append(byte)
        count = len(collected)
        if count == 3 and collected[0] == BREAK and collected[1] == SYNC and byte in _IDENTIFIERS:
            events.append(Unanswered(self._pid, 0))
            self._begin(byte, events, last=last)
        elif count == RESPONSE_SIZE:
            raw = bytes(collected)
            collected.clear()
            self._state = self.IDLE
            pid = self._pid
            if frame_checksum(pid, raw[:DATA_SIZE]) == raw[DATA_SIZE]:
                events.append(LinFrame(pid, raw[:DATA_SIZE]))
                return
            start = _find_header(raw)
            # Nothing but a break before it: the header before had no response.
            empty = start >= 0 and not any(raw[:start])
            events.append(Unanswered(pid, 0) if empty else BadFrame(pid, raw))
            if start >= 0:
                self._take(raw[start:], events, live=last)


_AFTER = {BREAK: Receiver.GOT_BREAK, SYNC: Receiver.GOT_SYNC}


def _find_header(raw: bytes) -> int:
    """Return where in swallowed bytes a header begins; -1: nowhere.

    One without a break may only stand at their beginning, behind a header without a response.
    """
    start = raw.find(b"\x00\x55")
    while start >= 0:
        if start + 2 < len(raw) and raw[start + 2] in _IDENTIFIERS:
            return start
        start = raw.find(b"\x00\x55", start + 1)
    return 0 if raw[0] == SYNC and raw[1] in _IDENTIFIERS else -1
