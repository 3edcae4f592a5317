"""Packed files, unpacked while they are read: gzip, bzip2, xz, and zstd where Python can.

Each is unpacked as far as it is intact, in pieces of a bounded size.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Protocol

PACKED = 1024
"""Small pieces, because a damaged piece is lost whole."""
GZIP_WINDOW = 31
MEMORY = 128 << 20
"""Bytes that an unpacker may use."""

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
LONGEST_MAGIC = 6
OTHERS = {b"\x1f\x9d": "compress", b"\x04\x22\x4d\x18": "lz4", b"LZIP": "lzip"}


class NotUnpacked(ValueError):
    """The file is packed in a way that can't be unpacked here; the text says how."""


class Readable(Protocol):
    """What can be read: *size* bytes at most, none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return bytes."""


def read_some(file: Readable, size: int) -> bytes:
    """Return what is at hand, *size* bytes at most; waits for the first. None at the end."""
    read = getattr(file, "read1", None) or file.read
    data: bytes = read(size)
    return data


def unpacker(head: bytes, file: Readable) -> Unpacker | None:
    """Return what unpacks a file that begins with *head*; ``None``: it is not packed.

    Raises :class:`NotUnpacked`.
    """
    if head.startswith(GZIP):
        return Unpacker(head, file, GZIP, _Zlib, zlib.error)
    if head.startswith(BZIP2):
        return Unpacker(head, file, BZIP2, bz2.BZ2Decompressor, OSError)
    if head.startswith(XZ):
        return Unpacker(head, file, XZ, _xz, lzma.LZMAError)
    if head.startswith(ZSTD):
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
        except ImportError:
            raise NotUnpacked("(zstd): unpack it first with zstd -d") from None
        return Unpacker(head, file, ZSTD, zstd.ZstdDecompressor, zstd.ZstdError)
    for magic, name in OTHERS.items():
        if head.startswith(magic):
            raise NotUnpacked(f"({name}): unpack it first")
    return None


def _xz() -> Any:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)


class _Zlib:
    """zlib's decompressor with the interface that the others have."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=GZIP_WINDOW)
        self._waiting = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        unpacked = self._inner.decompress(self._waiting + data, max_length)
        self._waiting = self._inner.unconsumed_tail
        return unpacked


class Unpacker:
    """A packed file, read as what is in it. ``damaged``: the end is missing."""

    def __init__(
        self,
        head: bytes,
        file: Readable,
        magic: bytes,
        make: Callable[[], Any],
        error: type[Exception],
    ) -> None:
        self.damaged = False
        self._packed = head
        self._file = file
        self._magic = magic
        self._make = make
        self._error = error
        self._member: Any = make()

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, as soon as there are some; none at the end."""
        while not self.damaged:
            member = self._member
            if member.eof:
                if not self._next_member():
                    return b""
                continue
            if member.needs_input and not self._packed:
                self._packed = read_some(self._file, PACKED)
                if not self._packed:
                    self.damaged = True
                    break
            packed, self._packed = self._packed, b""
            try:
                data: bytes = member.decompress(packed, size)
            except (self._error, EOFError, MemoryError):
                self.damaged = True
                break
            if data:
                return data
        return b""

    def _next_member(self) -> bool:
        """Go on with what follows: another packed member, else nothing that counts."""
        rest = (self._member.unused_data + self._packed).lstrip(b"\0")
        while len(rest) < len(self._magic):
            more = read_some(self._file, PACKED)
            if not more:
                break
            rest = (rest + more).lstrip(b"\0")
        if not rest.startswith(self._magic):
            return False
        self._packed, self._member = rest, self._make()
        return True
