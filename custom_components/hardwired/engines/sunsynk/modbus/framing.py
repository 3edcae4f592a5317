"""Finds the answer to a request among what a line brings (spec b.15, c.7). Sans-I/O.

A bus may carry another master's frames, noise, our own echo, and late answers to what was asked
before. What can't be told from the answer to another request is no answer.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from .frames import (
    EXCEPTION,
    READ_HOLDING,
    WRITE_MULTIPLE,
    ModbusError,
    crc,
    rtu_frame,
    rtu_pdu,
    tcp_frame,
    tcp_pdu,
)

LONGEST = 4096
"""Bytes kept of what was no answer."""
REQUEST_SIZE = 8
"""A read request on a serial line: unit, function, start, count, CRC."""
MBAP = 7
LONGEST_PDU = 253


class AnotherMaster(ModbusError):
    """Another master has asked for as many registers: whose answer this is, nobody can tell."""


class NotModbusTcp(ModbusError):
    """The bytes are no frames of Modbus TCP: the stream can't be read any further."""


class Framing(Protocol):
    """One kind of frames on one line.

    ``seen`` counts what passes: ``bytes``, ``foreign`` requests of another master, ``echo`` (and
    ``echo_bytes``), ``checksum`` errors, ``stale`` answers.
    """

    seen: Counter[str]

    def send(self, unit: int, pdu: bytes) -> bytes:
        """Return a request as it goes out; what came before it is forgotten."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes in."""

    def answer(self) -> bytes | None:
        """Return the PDU of the answer; ``None``: not yet. Raises :class:`ModbusError`."""

    def doubtful(self, unit: int, pdu: bytes) -> bool:
        """Whether a late answer could be taken for the answer to this request."""

    def unanswered(self) -> None:
        """Note that the request was given up: its answer may still come."""

    def forget(self) -> None:
        """No answer to an earlier request can come any more."""


class RtuFraming:
    """Frames of a serial line: no length, no number, so all hangs on shape and CRC."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._request = b""
        self._buffer = bytearray()
        self._contended = False
        self._owed: dict[bytes, bool] = {}
        """Requests, ours that were given up and another master's, whose answers may still come.
        Whether something was written since, so that even the same question's answer is old."""

    def send(self, unit: int, pdu: bytes) -> bytes:
        """Return a request as it goes out; what came before it is forgotten."""
        self._request = rtu_frame(unit, pdu)
        self._contended = False
        if pdu[0] == WRITE_MULTIPLE:
            self._owed = dict.fromkeys(self._owed, True)
        at = 0
        while at + REQUEST_SIZE <= len(self._buffer):
            at += not self._cut_foreign(at)
        self._buffer.clear()
        return self._request

    def receive_data(self, data: bytes) -> None:
        """Take bytes in."""
        self.seen["bytes"] += len(data)
        self._buffer += data
        del self._buffer[:-LONGEST]

    def answer(self) -> bytes | None:
        """Return the PDU of the answer; ``None``: not yet. Raises :class:`AnotherMaster`."""
        buffer, request = self._buffer, self._request
        if buffer[: len(request)] == request:
            self.seen["echo"] += 1
            self.seen["echo_bytes"] += len(request)
            del buffer[: len(request)]
        elif request.startswith(buffer):
            return None
        at = 0
        while at < len(buffer):
            if self._cut_foreign(at):
                continue
            if (found := self._match(at)) is not None:
                del buffer[: at + len(found)]
                if self._is_answer():
                    return rtu_pdu(request, found)
                at = 0
            else:
                at += 1
        return None

    def _is_answer(self) -> bool:
        """Whether a frame of the right shape answers this request, and no other.

        Raises :class:`AnotherMaster` when nobody can tell.
        """
        rival = self._rival(self._request)
        if rival is not None:
            # It may be the late answer to that one.
            del self._owed[rival]
            self.seen["stale"] += 1
        if self._contended:
            raise AnotherMaster("another master asks at the same time")
        return rival is None

    def _rival(self, request: bytes) -> bytes | None:
        """Return a request whose answer, still to come, can't be told from that to *request*."""
        shape = _shape(request)
        for owed, outdated in self._owed.items():
            if _shape(owed) == shape and (owed != request or outdated):
                return owed
        return None

    def doubtful(self, unit: int, pdu: bytes) -> bool:
        """Whether a late answer could be taken for the answer to this request."""
        return self._rival(rtu_frame(unit, pdu)) is not None

    def _match(self, at: int) -> bytes | None:
        """Return the frame at a place if it has the shape of the answer."""
        buffer, request = self._buffer, self._request
        if buffer[at] != request[0] or at + 2 >= len(buffer):
            return None
        function = request[1]
        if buffer[at + 1] == function | EXCEPTION:
            size = 5
        elif buffer[at + 1] != function:
            return None
        elif function == READ_HOLDING:
            count = int.from_bytes(request[4:6])
            size = 5 + 2 * count
            if buffer[at + 2] != 2 * count:
                return None
        else:
            size = 8
            if not request.startswith(buffer[at : at + 6]):
                return None
        frame = bytes(buffer[at : at + size])
        if len(frame) < size:
            return None
        if crc(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            self.seen["checksum"] += 1
            buffer[at] ^= 0xFF  # looked at: its head is not taken for one again
            return None
        return frame

    def _cut_foreign(self, at: int) -> bool:
        """Cut out and count another master's request at a place; returns whether one was there."""
        frame = bytes(self._buffer[at : at + REQUEST_SIZE])
        if not _is_request(frame) or frame == self._request:
            return False
        self.seen["foreign"] += 1
        self._owed[frame] = False
        if _shape(frame) == _shape(self._request):
            self._contended = True
        del self._buffer[at : at + REQUEST_SIZE]
        return True

    def unanswered(self) -> None:
        """Note that the request was given up: its answer may still come."""
        self._owed[self._request] = False

    def forget(self) -> None:
        """No answer to an earlier request can come any more."""
        self._owed.clear()


def only_echo(seen: Counter[str]) -> bool:
    """Whether nothing has come but our own requests."""
    return 0 < seen["bytes"] == seen["echo_bytes"]


def _shape(request: bytes) -> tuple[int, int, bytes]:
    """Return what an answer can be told by: unit, function, and the count or the register."""
    part = request[4:6] if request[1] == READ_HOLDING else request[2:6]
    return request[0], request[1], part


def _is_request(frame: bytes) -> bool:
    """Whether eight bytes are a request to read registers, with a right CRC."""
    return (
        len(frame) == REQUEST_SIZE
        and frame[1] in (READ_HOLDING, 0x04)
        and 0 < int.from_bytes(frame[4:6]) <= 125
        and crc(frame[:-2]) == int.from_bytes(frame[-2:], "little")
    )


class TcpFraming:
    """Frames of Modbus TCP, told apart by their transaction number."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._transaction = 0
        self._request = b""
        self._buffer = bytearray()

    def send(self, unit: int, pdu: bytes) -> bytes:
        """Return a request as it goes out, under a new number."""
        self._transaction = self._transaction % 0xFFFF + 1
        self._request = tcp_frame(self._transaction, unit, pdu)
        return self._request

    def receive_data(self, data: bytes) -> None:
        """Take bytes in."""
        self.seen["bytes"] += len(data)
        self._buffer += data

    def answer(self) -> bytes | None:
        """Return the PDU of the answer; ``None``: not yet.

        Raises :class:`NotModbusTcp`, or another :class:`ModbusError`.
        """
        buffer = self._buffer
        while len(buffer) >= MBAP:
            length = int.from_bytes(buffer[4:6])
            if buffer[2] or buffer[3] or not 2 <= length <= LONGEST_PDU + 1:
                buffer.clear()
                raise NotModbusTcp("what comes is not Modbus TCP; the gateway may pass on raw RTU")
            if len(buffer) < 6 + length:
                return None
            frame = bytes(buffer[: 6 + length])
            del buffer[: 6 + length]
            if frame[:2] != self._request[:2]:
                self.seen["stale"] += 1
                continue
            if frame == self._request:
                self.seen["echo"] += 1
                self.seen["echo_bytes"] += len(frame)
                continue
            return tcp_pdu(self._request, frame)
        return None

    def doubtful(self, unit: int, pdu: bytes) -> bool:
        """Never: answers are numbered."""
        return False

    def unanswered(self) -> None:
        """Nothing to note: a late answer bears an old number."""

    def forget(self) -> None:
        """Drop what is left of an earlier connection."""
        self._buffer.clear()
