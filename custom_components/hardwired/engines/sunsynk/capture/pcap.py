"""Capture files: pcap and pcapng, plain or packed, read in constant memory (spec b.14).

A stream that is still open gives each packet as it comes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple, TypeAlias

from .unpacking import LONGEST_MAGIC, NotUnpacked, Readable, Unpacker, read_some, unpacker

CHUNK = 1 << 16
"""Larger ones cost more: the system allocates new memory for each."""
FILE_HEADER = 24
GENEROUS_SNAPLEN = 262144
MAXIMUM_RECORD = 16 << 20
NANOSECOND = 1_000_000_000

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
CLASSIC_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
"""Byte order, how many nanoseconds a unit of the fraction is, and the size of a record's header.
The "modified" kind, as a Fritz!Box makes, has interface, protocol and packet type in it, too."""
OTHER_FILES = {
    b"snoop\0": "a snoop file of Solaris",
    b"RTSS": "a file of Network Monitor",
    b"GMBU": "a file of Network Monitor",
    b"TRSNIFF": "a file of Sniffer",
    b"XCP\0": "a file of NetXRay",
    b"PK\x03\x04": "a ZIP archive: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"SQLite": "a database",
}
"""Files that are taken for captures, or hold them, and are not read."""
MAXIMUM_INTERFACES = 65536


class CaptureFault(StrEnum):
    """Why a file is refused as a whole."""

    EMPTY = "empty"
    NOT_CAPTURE = "not_capture"
    TRUNCATED_HEADER = "truncated_header"
    PACKED = "packed"


class CaptureWarning(StrEnum):
    """Why reading stopped before the end; what was read before stays valid."""

    TRUNCATED_FILE = "truncated_file"
    CORRUPT_RECORD = "corrupt_record"
    CORRUPT_BLOCK = "corrupt_block"


_FAULT_TEXTS = {
    CaptureFault.EMPTY: "the file is empty",
    CaptureFault.NOT_CAPTURE: "not a capture file",
    CaptureFault.TRUNCATED_HEADER: "not a whole capture file: its header is cut",
    CaptureFault.PACKED: "packed in a way that can't be unpacked here",
}


class CaptureFileError(ValueError):
    """The file is no capture."""

    def __init__(self, fault: CaptureFault, name: str = "", more: str = "") -> None:
        text = " ".join(filter(None, (_FAULT_TEXTS[fault], more)))
        super().__init__(f"{name}: {text}" if name else text)
        self.fault = fault


class RawPacket(NamedTuple):
    """One captured packet: nanoseconds since 1970 (``None``: no time), link type, bytes."""

    time_ns: int | None
    link_type: int
    data: bytes


Span: TypeAlias = tuple[int | None, int, bytes, int, int]
"""A packet that was not copied: time in ns, link type, a buffer, start and end in it."""


class CaptureFile:
    """Reads the packets of an open binary file, once. Nothing is seeked.

    Iterating yields :class:`RawPacket`; :attr:`warnings` then says whether the end was reached.
    Raises :class:`CaptureFileError` when it is no capture, ``OSError`` when it can't be read.
    """

    def __init__(self, file: Readable, name: str = "") -> None:
        self.warnings: list[CaptureWarning] = []
        self._name = name
        self._buffer = b""
        self._start = 0
        self._packed: Unpacker | None = None
        self._file: Readable = file
        head = self._read(LONGEST_MAGIC)
        try:
            self._packed = unpacker(head, file)
        except NotUnpacked as error:
            raise CaptureFileError(CaptureFault.PACKED, name, str(error)) from error
        if self._packed is not None:
            self._file = self._packed
        else:
            self._buffer = head

    def _read(self, size: int, most: int = 0) -> bytes:
        """Read until *size* bytes are there or the file ends; more, up to *most*, if at hand."""
        parts = []
        while size > 0:
            part = read_some(self._file, max(size, most))
            if not part:
                break
            parts.append(part)
            size -= len(part)
            most -= len(part)
        return b"".join(parts)

    def _need(self, size: int) -> bool:
        """Make *size* bytes available at ``_start``; returns whether there are so many."""
        missing = size - (len(self._buffer) - self._start)
        if missing > 0:
            more = self._read(missing, CHUNK)
            self._buffer = self._buffer[self._start :] + more
            self._start = 0
        return len(self._buffer) >= self._start + size

    def __iter__(self) -> Iterator[RawPacket]:
        """Yield the packets."""
        return (
            RawPacket(time_ns, link_type, buffer[start:stop])
            for batch in self.batches()
            for time_ns, link_type, buffer, start, stop in batch
        )

    def batches(self) -> Iterator[Sequence[Span]]:
        """Yield the packets without copying them, in batches of one buffer."""
        if not self._need(1):
            raise CaptureFileError(CaptureFault.EMPTY, self._name)
        self._need(4)
        magic = self._buffer[:4]
        if magic == SECTION_MAGIC:
            return self._blocks()
        if magic in CLASSIC_MAGICS:
            if not self._need(FILE_HEADER):
                raise CaptureFileError(CaptureFault.TRUNCATED_HEADER, self._name)
            return self._records(*CLASSIC_MAGICS[magic])
        for start, kind in OTHER_FILES.items():
            if self._buffer.startswith(start):
                raise CaptureFileError(CaptureFault.NOT_CAPTURE, self._name, f"but {kind}")
        raise CaptureFileError(CaptureFault.NOT_CAPTURE, self._name)

    def _end(self) -> None:
        """Note when the file ends too early."""
        damaged = self._packed is not None and self._packed.damaged
        if damaged or len(self._buffer) > self._start:
            self.warnings.append(CaptureWarning.TRUNCATED_FILE)

    def _records(self, order: str, unit: int, header: int) -> Iterator[Sequence[Span]]:
        snaplen, network = struct.unpack_from(order + "II", self._buffer, 16)
        link_type = network & 0xFFFF
        limit = min(max(GENEROUS_SNAPLEN, snaplen or MAXIMUM_RECORD), MAXIMUM_RECORD)
        unpack = struct.Struct(order + "III").unpack_from
        self._start = FILE_HEADER
        while True:
            buffer = self._buffer
            start = self._start
            end = len(buffer)
            batch: list[Span] = []
            wanted = header
            while start + header <= end:
                seconds, fraction, length = unpack(buffer, start)
                first = start + header
                last = first + length
                if last > end:
                    wanted += length
                    break
                time_ns = seconds * NANOSECOND + fraction * unit
                batch.append((time_ns, link_type, buffer, first, last))
                start = last
            self._start = start
            yield batch
            # Nothing fits into the buffer beyond the limit.
            if wanted > limit + header:
                self.warnings.append(CaptureWarning.CORRUPT_RECORD)
                return
            if not self._need(wanted):
                self._end()
                return

    def _blocks(self) -> Iterator[Sequence[Span]]:
        section = _Section("<")
        passed = 0
        while True:
            if passed > CHUNK:
                # Whoever reads may want to stop, also where no packet comes for long.
                passed = 0
                yield ()
            if not self._need(12):
                self._end()
                return
            buffer, start = self._buffer, self._start
            if buffer[start : start + 4] == SECTION_MAGIC:
                order = _ORDERS.get(buffer[start + 8 : start + 12])
                if order is None:
                    self.warnings.append(CaptureWarning.CORRUPT_BLOCK)
                    return
                section = _Section(order)
            kind, length = struct.unpack_from(section.order + "II", buffer, start)
            if length < 12 or length % 4 or length > MAXIMUM_RECORD:
                self.warnings.append(CaptureWarning.CORRUPT_BLOCK)
                return
            if not self._need(length):
                self.warnings.append(CaptureWarning.TRUNCATED_FILE)
                return
            body = self._buffer[self._start + 8 : self._start + length - 4]
            self._start += length
            passed += length
            packet = section.read(kind, body)
            if packet is not None:
                passed = 0
                yield ((*packet, 0, len(packet.data)),)


_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}


class _Block(IntEnum):
    INTERFACE = 1
    OBSOLETE_PACKET = 2
    SIMPLE_PACKET = 3
    ENHANCED_PACKET = 6


OPTION_END = 0
OPTION_RESOLUTION = 9
OPTION_OFFSET = 14


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snaplen: int
    resolution: int = 1_000_000
    offset: int = 0

    def time_ns(self, high: int, low: int) -> int:
        return self.offset * NANOSECOND + (high << 32 | low) * NANOSECOND // self.resolution


class _Section:
    """One section of a pcapng file: its byte order and the interfaces declared so far."""

    def __init__(self, order: str) -> None:
        self.order = order
        self._interfaces: list[_Interface] = []
        self._kinds: dict[_Interface, _Interface] = {}

    def read(self, kind: int, body: bytes) -> RawPacket | None:
        """Return the packet in a block; ``None`` for every other block, and for damaged ones."""
        try:
            match kind:
                case _Block.INTERFACE:
                    self._add(self._interface(body))
                case _Block.ENHANCED_PACKET:
                    number, high, low, captured = self._unpack("IIII", body)
                    return self._packet(number, (high, low), body[20 : 20 + captured])
                case _Block.SIMPLE_PACKET:
                    (original,) = self._unpack("I", body)
                    length = min(original, self._interfaces[0].snaplen or original)
                    return self._packet(0, None, body[4 : 4 + length])
                case _Block.OBSOLETE_PACKET:
                    number, _, high, low, captured = self._unpack("HHIII", body)
                    return self._packet(number, (high, low), body[20 : 20 + captured])
        except (struct.error, IndexError):
            return None
        return None

    def _add(self, interface: _Interface) -> None:
        """Note an interface; alike ones are one object. Packets of one too many are lost."""
        if len(self._interfaces) < MAXIMUM_INTERFACES:
            self._interfaces.append(self._kinds.setdefault(interface, interface))

    def _unpack(self, layout: str, body: bytes, start: int = 0) -> tuple[int, ...]:
        return struct.unpack_from(self.order + layout, body, start)

    def _packet(self, number: int, stamp: tuple[int, int] | None, data: bytes) -> RawPacket:
        interface = self._interfaces[number]
        time_ns = None if stamp is None else interface.time_ns(*stamp)
        return RawPacket(time_ns, interface.link_type, data)

    def _interface(self, body: bytes) -> _Interface:
        link_type, _, snaplen = self._unpack("HHI", body)
        resolution, offset = 1_000_000, 0
        start = 8
        while start + 4 <= len(body):
            code, length = self._unpack("HH", body, start)
            if code == OPTION_END:
                break
            value = body[start + 4 : start + 4 + length]
            if code == OPTION_RESOLUTION and len(value) == 1:
                exponent = value[0] & 0x7F
                base = 2 if value[0] & 0x80 else 10
                resolution = base**exponent
            elif code == OPTION_OFFSET and len(value) == 8:
                (offset,) = struct.unpack(self.order + "q", value)
            start += 4 + (length + 3) // 4 * 4
        return _Interface(link_type, snaplen, resolution, offset)
