"""Capture files: pcap and pcapng, plain or gzip, read in constant memory (spec b.14)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NamedTuple, Protocol, TypeAlias

CHUNK = 1 << 16
"""Larger ones cost more: the system allocates new memory for each."""
FILE_HEADER = 24
RECORD_HEADER = 16
GENEROUS_SNAPLEN = 262144
MAXIMUM_RECORD = 16 << 20
NANOSECOND = 1_000_000_000

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31
PACKED = 1024
SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
CLASSIC_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order, and how many nanoseconds a unit of the fraction is."""


class CaptureFault(StrEnum):
    """Why a file is refused as a whole."""

    EMPTY = "empty"
    NOT_CAPTURE = "not_capture"
    TRUNCATED_HEADER = "truncated_header"


class CaptureWarning(StrEnum):
    """Why reading stopped before the end; what was read before stays valid."""

    TRUNCATED_FILE = "truncated_file"
    CORRUPT_RECORD = "corrupt_record"
    CORRUPT_BLOCK = "corrupt_block"


_FAULT_TEXTS = {
    CaptureFault.EMPTY: "the file is empty",
    CaptureFault.NOT_CAPTURE: "not a capture file",
    CaptureFault.TRUNCATED_HEADER: "not a whole capture file: its header is cut",
}


class CaptureFileError(ValueError):
    """The file is no capture."""

    def __init__(self, fault: CaptureFault, name: str = "") -> None:
        text = _FAULT_TEXTS[fault]
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

    def __init__(self, file: BinaryIO, name: str = "") -> None:
        self.warnings: list[CaptureWarning] = []
        self._name = name
        self._buffer = b""
        self._start = 0
        self._packed: _Gunzip | None = None
        self._file: _Readable = file
        head = self._read(2)
        if head == GZIP_MAGIC:
            self._file = self._packed = _Gunzip(head, file)
        else:
            self._buffer = head

    def _read(self, size: int) -> bytes:
        """Read until *size* bytes are there or the file ends."""
        parts = []
        while size > 0:
            part = self._file.read(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _need(self, size: int) -> bool:
        """Make *size* bytes available at ``_start``; returns whether there are so many."""
        missing = size - (len(self._buffer) - self._start)
        if missing > 0:
            more = self._read(max(missing, CHUNK))
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
        raise CaptureFileError(CaptureFault.NOT_CAPTURE, self._name)

    def _end(self) -> None:
        """Note when the file ends too early."""
        damaged = self._packed is not None and self._packed.damaged
        if damaged or len(self._buffer) > self._start:
            self.warnings.append(CaptureWarning.TRUNCATED_FILE)

    def _records(self, order: str, unit: int) -> Iterator[Sequence[Span]]:
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
            wanted = RECORD_HEADER
            while start + RECORD_HEADER <= end:
                seconds, fraction, length = unpack(buffer, start)
                first = start + RECORD_HEADER
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
            if wanted > limit + RECORD_HEADER:
                self.warnings.append(CaptureWarning.CORRUPT_RECORD)
                return
            if not self._need(wanted):
                self._end()
                return

    def _blocks(self) -> Iterator[Sequence[Span]]:
        section = _Section("<")
        while True:
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
            packet = section.read(kind, body)
            if packet is not None:
                yield ((*packet, 0, len(packet.data)),)


_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

INTERFACE_BLOCK = 1
OBSOLETE_PACKET_BLOCK = 2
SIMPLE_PACKET_BLOCK = 3
ENHANCED_PACKET_BLOCK = 6
OPTION_END = 0
OPTION_RESOLUTION = 9
OPTION_OFFSET = 14


@dataclass(slots=True)
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

    def read(self, kind: int, body: bytes) -> RawPacket | None:
        """Return the packet in a block; ``None`` for every other block, and for damaged ones."""
        try:
            match kind:
                case 1:
                    self._interfaces.append(self._interface(body))
                case 6:
                    number, high, low, captured = self._unpack("IIII", body)
                    return self._packet(number, (high, low), body[20 : 20 + captured])
                case 3:
                    (original,) = self._unpack("I", body)
                    length = min(original, self._interfaces[0].snaplen or original)
                    return self._packet(0, None, body[4 : 4 + length])
                case 2:
                    number, _, high, low, captured = self._unpack("HHIII", body)
                    return self._packet(number, (high, low), body[20 : 20 + captured])
        except (struct.error, IndexError):
            return None
        return None

    def _unpack(self, layout: str, body: bytes, start: int = 0) -> tuple[int, ...]:
        return struct.unpack_from(self.order + layout, body, start)

    def _packet(self, number: int, stamp: tuple[int, int] | None, data: bytes) -> RawPacket:
        interface = self._interfaces[number]
        time_ns = None if stamp is None else interface.time_ns(*stamp)
        return RawPacket(time_ns, interface.link_type, data)

    def _interface(self, body: bytes) -> _Interface:
        link_type, _, snaplen = self._unpack("HHI", body)
        interface = _Interface(link_type, snaplen)
        start = 8
        while start + 4 <= len(body):
            code, length = self._unpack("HH", body, start)
            if code == OPTION_END:
                break
            value = body[start + 4 : start + 4 + length]
            if code == OPTION_RESOLUTION and len(value) == 1:
                exponent = value[0] & 0x7F
                base = 2 if value[0] & 0x80 else 10
                interface.resolution = base**exponent
            elif code == OPTION_OFFSET and len(value) == 8:
                (interface.offset,) = struct.unpack(self.order + "q", value)
            start += 4 + (length + 3) // 4 * 4
        return interface


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Gunzip:
    """Unpacks a gzip file as far as it is intact; ``damaged``: the end is missing.

    The standard library's class loses up to a megabyte before the damage.
    """

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.damaged = False
        self._packed = head
        self._file = file
        self._member = zlib.decompressobj(wbits=GZIP_WINDOW)

    def read(self, size: int) -> bytes:
        """Return at most *size* bytes; none at the end."""
        while not self.damaged:
            if self._member.eof:
                self._packed = self._member.unused_data.lstrip(b"\0") or self._file.read(PACKED)
                if not self._packed.startswith(GZIP_MAGIC[:1]):
                    return b""
                self._member = zlib.decompressobj(wbits=GZIP_WINDOW)
            # Small pieces, because a damaged piece is lost whole.
            packed = self._packed or self._file.read(PACKED)
            try:
                data = self._member.decompress(packed, size)
            except zlib.error:
                self.damaged = True
                break
            self._packed = self._member.unconsumed_tail
            if data:
                return data
            if not packed and not self._member.eof:
                self.damaged = True
        return b""
