"""Writes capture files, and recordings without identities (spec b.14, h)."""

from __future__ import annotations

import ipaddress
import re
import struct
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

    Logins are left out, since they hold the register key; serial numbers become ``X``; addresses
    are those of the documentation.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._writer = PcapWriter(file, LinkType.RAW)
        self._sequences = {True: 1, False: 1}
        self.written = 0
        self.left_out = 0

    def write(self, frame: Frame) -> None:
        """Write one message."""
        data = masked(frame.data)
        if data is None:
            self.left_out += 1
            return
        up = frame.data[2] == FROM_DONGLE
        packet = TcpPacket(
            source=DONGLE if up else SERVER,
            destination=SERVER if up else DONGLE,
            source_port=DONGLE_PORT if up else SERVER_PORT,
            destination_port=SERVER_PORT if up else DONGLE_PORT,
            sequence=self._sequences[up],
            data=data,
            link_type=LinkType.RAW,
        )
        self._sequences[up] += len(data)
        # 1970 reads as "not known".
        moment = frame.time or datetime(1970, 1, 1, tzinfo=UTC)
        self._writer.write(int(moment.timestamp() * 1_000_000) * 1000, packet.build())
        self.written += 1


def masked(frame: bytes) -> bytes | None:
    """Return a message without identities; ``None`` for one that must not be kept."""
    if len(frame) < HEADER_SIZE or frame[3] == MessageType.LOGIN:
        return None
    direction, kind, body = frame[2], frame[3], frame[HEADER_SIZE:]
    if direction == FROM_DONGLE and kind == MessageType.REPORT and len(frame) >= IDENTITY_END:
        serial = b"X" * (SERIAL.stop - SERIAL.start)
        rest = bytes(ord("X") if byte else 0 for byte in frame[SERIAL.stop : IDENTITY_END])
        return frame[: SERIAL.start] + serial + rest + frame[IDENTITY_END:]
    if direction == FROM_SERVER and kind == MessageType.POLLING_MAP and read_polling_map(body):
        return frame
    return frame[:HEADER_SIZE] + _PRINTABLE.sub(lambda found: b"X" * len(found[0]), body)
