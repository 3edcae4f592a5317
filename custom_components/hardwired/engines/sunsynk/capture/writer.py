"""Writes capture files, and recordings without identities (spec b.14, h)."""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO

from ..dongle.envelope import FROM_DONGLE, FROM_SERVER, HEADER_SIZE
from ..dongle.messages import MessageType, read_polling_map
from .packet import LinkType
from .packet_builder import TcpPacket
from .stream import Frame

MAGIC_NANOSECONDS = 0xA1B23C4D
SNAPLEN = 65535
SERIAL = slice(11, 21)
IDENTITY_END = 37
"""What lies between the serial number and here is most likely more of it (spec b.3)."""

_PRINTABLE = re.compile(rb"[\x20-\x7e]{3,}")
"""Bodies of unknown content may hold serial numbers, network names, keys."""

DONGLE = ipaddress.IPv4Address("192.0.2.1")
SERVER = ipaddress.IPv4Address("192.0.2.2")
"""Addresses reserved for documentation, which replace the real ones."""
DONGLE_PORT, SERVER_PORT = 50000, 51100
MAXIMUM_CONNECTIONS = 1000
MASKED_SERIAL = b"X" * (SERIAL.stop - SERIAL.start)
MAXIMUM_INVERTERS = 64
"""Inverters that are told apart in a recording."""


class PcapWriter:
    """Writes packets into a classic capture file with nanoseconds."""

    def __init__(self, file: BinaryIO, link_type: int = LinkType.ETHERNET) -> None:
        self._file = file
        file.write(struct.pack("<IHHiIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAPLEN, link_type))

    def write(self, time_ns: int, packet: bytes, original: int | None = None) -> None:
        """Write one packet; *original* is its length on the wire when it was cut."""
        seconds, fraction = divmod(time_ns, 1_000_000_000)
        size = len(packet)
        header = struct.pack("<IIII", seconds & 0xFFFFFFFF, fraction, size, original or size)
        self._file.write(header + packet)


class MaskedRecorder:
    """Writes the dongle's messages as a capture file, with what identifies the owner masked.

    Logins are left out, since they hold the register key; serial numbers become ``X``, with a
    number at the end from the second inverter on; addresses are those of the documentation. Each
    connection keeps to itself.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._writer = PcapWriter(file, LinkType.RAW)
        self._ports: dict[bytes, int] = {}
        self._sequences: dict[tuple[int, bool], int] = {}
        self._serials: dict[bytes, bytes] = {}
        self.written = 0
        self.left_out = 0

    def write(self, frame: Frame) -> None:
        """Write one message."""
        data = masked(frame.data, self._serial)
        if data is None:
            self.left_out += 1
            return
        up = frame.data[2] == FROM_DONGLE
        port = self._port(frame)
        sequence = self._sequences.get((port, up), 1)
        packet = TcpPacket(
            source=DONGLE if up else SERVER,
            destination=SERVER if up else DONGLE,
            source_port=port if up else SERVER_PORT,
            destination_port=SERVER_PORT if up else port,
            sequence=sequence,
            data=data,
            link_type=LinkType.RAW,
        )
        self._sequences[port, up] = sequence + len(data)
        # 1970 reads as "not known".
        moment = frame.time or datetime(1970, 1, 1, tzinfo=UTC)
        self._writer.write(int(moment.timestamp() * 1_000_000) * 1000, packet.build())
        self.written += 1

    def _port(self, frame: Frame) -> int:
        """Return the dongle's port in the recording; one for each connection."""
        connection = min(frame.flow, frame.reverse_flow)
        if connection not in self._ports and len(self._ports) >= MAXIMUM_CONNECTIONS:
            self._ports.clear()
        return self._ports.setdefault(connection, DONGLE_PORT + len(self._ports))

    def _serial(self, serial: bytes) -> bytes:
        """Return what stands for a serial number."""
        if serial not in self._serials and len(self._serials) >= MAXIMUM_INVERTERS:
            return MASKED_SERIAL
        number = len(self._serials) + 1
        ending = b"" if number == 1 else str(number).encode()
        return self._serials.setdefault(serial, MASKED_SERIAL[len(ending) :] + ending)


def _unknown(_serial: bytes) -> bytes:
    return MASKED_SERIAL


def masked(frame: bytes, stand_in: Callable[[bytes], bytes] = _unknown) -> bytes | None:
    """Return a message without identities; ``None`` for one that must not be kept.

    *stand_in* returns what takes the place of an inverter's serial number.
    """
    if len(frame) < HEADER_SIZE or frame[3] == MessageType.LOGIN:
        return None
    direction, kind, body = frame[2], frame[3], frame[HEADER_SIZE:]
    if direction == FROM_DONGLE and kind == MessageType.REPORT and len(frame) >= IDENTITY_END:
        serial = stand_in(frame[SERIAL])
        rest = bytes(ord("X") if byte else 0 for byte in frame[SERIAL.stop : IDENTITY_END])
        return frame[: SERIAL.start] + serial + rest + frame[IDENTITY_END:]
    if direction == FROM_SERVER and kind == MessageType.POLLING_MAP and read_polling_map(body):
        return frame
    return frame[:HEADER_SIZE] + _PRINTABLE.sub(lambda found: b"X" * len(found[0]), body)
