"""Frames of Modbus RTU and Modbus TCP, requests and answers (spec b.15).

Only functions 3 (read holding registers) and 16 (write multiple) are used.
"""

from __future__ import annotations

from collections.abc import Sequence

READ_HOLDING = 0x03
WRITE_MULTIPLE = 0x10
EXCEPTION = 0x80
MAXIMUM_READ = 125


class ModbusError(ValueError):
    """A frame that is no answer to the request. The transfer may be tried again."""


class ModbusException(ModbusError):
    """The inverter or gateway said no. ``code`` is the Modbus exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class EchoError(ModbusError):
    """The request came back: the RS-485 adapter echoes what it sends."""


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = tuple(_row(byte) for byte in range(256))


def crc(data: bytes) -> int:
    """Return the CRC-16 of Modbus RTU; it travels low byte first."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ _CRC[(register ^ byte) & 0xFF]
    return register


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Return *pdu* (function and data) as it goes on a serial line."""
    body = bytes((unit,)) + pdu
    return body + crc(body).to_bytes(2, "little")


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return *pdu* as it goes through TCP."""
    header = transaction.to_bytes(2) + bytes(2) + (len(pdu) + 1).to_bytes(2)
    return header + bytes((unit,)) + pdu


def read_pdu(start: int, count: int) -> bytes:
    """Return the request for *count* holding registers. Raises :class:`ValueError`."""
    if not 1 <= count <= MAXIMUM_READ:
        raise ValueError(f"{count} registers can't be read at once")
    return bytes((READ_HOLDING,)) + start.to_bytes(2) + count.to_bytes(2)


def write_pdu(register: int, words: Sequence[int]) -> bytes:
    """Return the request that writes *words* from *register* on."""
    data = b"".join(word.to_bytes(2) for word in words)
    return (
        bytes((WRITE_MULTIPLE,))
        + register.to_bytes(2)
        + len(words).to_bytes(2)
        + bytes((len(data),))
        + data
    )


def rtu_pdu(request: bytes, answer: bytes) -> bytes:
    """Return the checked PDU of a serial *answer* to *request*. Raises :class:`ModbusError`."""
    if answer == request:
        raise EchoError("the request came back: switch the adapter's echo off")
    if len(answer) < 5:
        raise ModbusError("too short")
    if crc(answer[:-2]) != int.from_bytes(answer[-2:], "little"):
        raise ModbusError("CRC wrong")
    if answer[0] != request[0]:
        raise ModbusError("another unit")
    return answer[1:-2]


def tcp_pdu(request: bytes, answer: bytes) -> bytes:
    """Return the checked PDU of an *answer* through TCP. Raises :class:`ModbusError`."""
    if answer == request:
        raise EchoError("the request came back")
    if len(answer) < 9 or int.from_bytes(answer[4:6]) != len(answer) - 6:
        raise ModbusError("length wrong")
    if answer[:4] != request[:4]:
        raise ModbusError("another transaction")
    if answer[6] != request[6]:
        raise ModbusError("another unit")
    return answer[7:]


def read_answer(request: bytes, pdu: bytes) -> tuple[int, ...]:
    """Return the words in the answer *pdu* to the read *request* (a PDU as well).

    Raises :class:`ModbusException` when it was refused, else :class:`ModbusError`.
    """
    _check_function(request, pdu)
    count = int.from_bytes(request[3:5])
    if len(pdu) != 2 + 2 * count or pdu[1] != 2 * count:
        raise ModbusError("byte count wrong")
    return tuple(int.from_bytes(pdu[at : at + 2]) for at in range(2, len(pdu), 2))


def write_answer(request: bytes, pdu: bytes) -> None:
    """Check that the answer *pdu* confirms the write *request*. Raises like a read."""
    _check_function(request, pdu)
    if pdu != request[:5]:
        raise ModbusError("address or count not echoed")


def _check_function(request: bytes, pdu: bytes) -> None:
    if len(pdu) >= 2 and pdu[0] == request[0] | EXCEPTION:
        raise ModbusException(pdu[1])
    if not pdu or pdu[0] != request[0]:
        raise ModbusError("another function")
