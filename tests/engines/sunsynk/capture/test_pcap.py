"""Capture files, whole, damaged and cut (spec b.14)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.pcap import (
    CaptureFault,
    CaptureFile,
    CaptureFileError,
    CaptureWarning,
    RawPacket,
)
from tests.vector_files import load, vectors

from ..helpers import FAMILY

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
SECTION, INTERFACE, OBSOLETE, SIMPLE, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6


def read(content: bytes) -> tuple[list[RawPacket], list[str]]:
    """Return the packets and the warnings of a file."""
    reader = CaptureFile(io.BytesIO(content))
    packets = list(reader)
    return packets, [warning.value for warning in reader.warnings]


def header(
    magic: int = MICROSECONDS, order: str = "<", snaplen: int = 65535, link: int = 1
) -> bytes:
    """Return the header of a classic file."""
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)


def record(data: bytes, seconds: int = 7, fraction: int = 5, order: str = "<") -> bytes:
    """Return a record of a classic file."""
    return struct.pack(order + "IIII", seconds, fraction, len(data), len(data)) + data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a block of a pcapng file."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """Return the header of a section."""
    return block(SECTION, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    """Return an interface block."""
    return block(INTERFACE, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """Return an option of an interface block."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(data: bytes, ticks: int = 0, number: int = 0, order: str = "<") -> bytes:
    """Return an enhanced packet block."""
    stamp = ticks >> 32, ticks & 0xFFFFFFFF
    head = struct.pack(order + "IIIII", number, *stamp, len(data), len(data))
    return block(ENHANCED, head + data, order)


def captures() -> list[Any]:
    """Return the captures of this set of vectors."""
    found = sorted((vectors(FAMILY) / "captures").glob("*.json"))
    if not found:
        skip = pytest.mark.skip(reason="this set of vectors has no captures")
        return [pytest.param(None, marks=skip, id="absent")]
    return [pytest.param(path, id=path.name.removesuffix(".json")) for path in found]


@pytest.mark.vectors
@pytest.mark.parametrize("path", captures())
def test_vectors_plain_and_gzipped(path: Path) -> None:
    expected = load(FAMILY, f"captures/{path.name}")
    content = path.with_suffix("").read_bytes()
    if "error" in expected:
        for packed in (content, *([gzip.compress(content)] if content else [])):
            with pytest.raises(CaptureFileError) as caught:
                read(packed)
            assert caught.value.fault == expected["error"]
        return
    packets, warnings = read(content)
    assert len(packets) == expected["counters"]["packets"]
    assert warnings == expected["warnings"]
    assert read(gzip.compress(content)) == (packets, warnings)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic, unit", [(MICROSECONDS, 1000), (NANOSECONDS, 1)])
def test_orders_and_resolutions_of_classic_files(order: str, magic: int, unit: int) -> None:
    content = header(magic, order, link=0x1234_0065) + record(b"abc", 9, 123456, order)
    assert read(content) == ([(9 * 10**9 + 123456 * unit, 0x65, b"abc")], [])


def test_limits_of_a_record() -> None:
    large = bytes(262144)
    assert len(read(header(snaplen=96) + record(large))[0]) == 1
    assert read(header(snaplen=96) + record(large + b"x"))[1] == [CaptureWarning.CORRUPT_RECORD]
    assert len(read(header(snaplen=300000) + record(bytes(300000)))[0]) == 1
    assert len(read(header(snaplen=0) + record(bytes(300000)))[0]) == 1
    impossible = header(snaplen=0) + struct.pack("<IIII", 0, 0, (16 << 20) + 1, 0)
    assert read(record_after(impossible))[1] == [CaptureWarning.CORRUPT_RECORD]


def record_after(content: bytes) -> bytes:
    """Return *content* with something behind it, so that its end is not the trouble."""
    return content + bytes(1000)


@pytest.mark.parametrize("whole", [
    header() + record(b"first") + record(b"second", 8),
    section() + interface() + enhanced(b"first") + enhanced(b"second", 8),
])  # fmt: skip
def test_a_cut_file_keeps_what_came_before(whole: bytes) -> None:
    packets = read(whole)[0]
    assert [packet.data for packet in packets] == [b"first", b"second"]
    for end in range(4, len(whole)):
        try:
            found, warnings = read(whole[:end])
        except CaptureFileError as error:
            assert error.fault is CaptureFault.TRUNCATED_HEADER  # noqa: PT017
            assert end < 28
            continue
        assert found == packets[: len(found)]
        assert warnings in ([], ["truncated_file"])


@pytest.mark.parametrize("order", ["<", ">"])
def test_blocks(order: str) -> None:
    late = interface(101, options=option(9, b"\x09", order) + option(0, b"", order), order=order)
    binary = interface(1, options=option(9, b"\x8a", order), order=order)
    shifted = interface(1, 4, option(14, struct.pack(order + "q", 100), order), order)
    content = (
        section(order)
        + block(99, b"unknown", order)
        + shifted
        + enhanced(b"micro", 5_000_001, 0, order)
        + late
        + enhanced(b"nano", (1 << 33) + 7, 1, order)
        + block(STATISTICS, bytes(12), order)
        + binary
        + enhanced(b"binary", 3 * 1024 + 512, 2, order)
        + block(SIMPLE, struct.pack(order + "I", 9) + b"simplify!", order)
        + block(OBSOLETE, struct.pack(order + "HHIIII", 1, 0, 0, 9, 3, 3) + b"old", order)
        + section("<" if order == ">" else ">")
    )
    assert read(content) == (
        [
            (105_000_001_000, 1, b"micro"),
            ((1 << 33) + 7, 101, b"nano"),
            (3_500_000_000, 1, b"binary"),
            (None, 1, b"simp"),
            (9, 101, b"old"),
        ],
        [],
    )


@pytest.mark.parametrize("length", [0, 8, 13, 14, (16 << 20) + 4])
def test_impossible_blocks_end_the_reading(length: int) -> None:
    broken = struct.pack("<II", ENHANCED, length) + bytes(40)
    content = section() + interface() + enhanced(b"good") + broken
    packets, warnings = read(content)
    assert [packet.data for packet in packets] == [b"good"]
    assert warnings == ["corrupt_block"]


def test_a_packet_of_an_interface_that_is_not_declared_is_passed_over() -> None:
    content = (
        section() + enhanced(b"early") + interface() + enhanced(b"good") + enhanced(b"no", 0, 5)
    )
    assert [packet.data for packet in read(content)[0]] == [b"good"]


def test_refused_files_are_named() -> None:
    for content, fault in ((b"", "empty"), (b"GIF89a", "not_capture"), (b"x", "not_capture")):
        with pytest.raises(CaptureFileError, match=r"house\.pcap: ") as caught:
            list(CaptureFile(io.BytesIO(content), "house.pcap"))
        assert caught.value.fault == fault


@given(
    st.binary(max_size=400), st.sampled_from((b"", header(), section(), section() + interface()))
)
def test_any_bytes_are_read_or_refused(content: bytes, head: bytes) -> None:
    try:
        packets, warnings = read(head + content)
    except CaptureFileError:
        assert not head
        return
    assert sum(len(packet.data) for packet in packets) <= len(content)
    assert len(warnings) <= 1


@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(1, 50))
def test_small_reads_change_nothing(datas: list[bytes], size: int) -> None:
    class Dripping(io.BytesIO):
        """A pipe that never gives much at a time."""

        def read(self, wanted: int | None = -1) -> bytes:
            return super().read(size if wanted is None or wanted < 0 else min(wanted, size))

    for content in (
        header() + b"".join(record(data) for data in datas),
        section() + interface() + b"".join(enhanced(data) for data in datas),
    ):
        reader = CaptureFile(Dripping(content))
        assert [packet.data for packet in reader] == datas
        assert reader.warnings == []


class Endless(io.RawIOBase):
    """A capture of many megabytes that nobody stores."""

    def __init__(self, piece: bytes, count: int) -> None:
        self._pieces = iter([header(), *([piece] * count)])
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def test_memory_does_not_grow_with_the_file() -> None:
    piece = record(bytes(1400)) * 100
    peaks = []
    for count in (20, 400):
        tracemalloc.start()
        total = sum(1 for _ in CaptureFile(Endless(piece, count)))  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == count * 100
    assert peaks[1] < peaks[0] * 1.5
    assert peaks[1] < 8 << 20


def test_a_gzipped_file_may_have_several_members() -> None:
    first, second = header() + record(b"one"), record(b"two")
    packets, warnings = read(gzip.compress(first) + gzip.compress(second))
    assert [packet.data for packet in packets] == [b"one", b"two"]
    assert warnings == []


def test_a_damaged_gzip_file_keeps_what_came_before() -> None:
    random = Random(1)
    content = header() + b"".join(record(random.randbytes(300)) for _ in range(1000))
    whole = read(content)[0]
    packed = gzip.compress(content)
    damaged = packed[: len(packed) // 2] + b"\xff" * 8 + packed[len(packed) // 2 + 8 :]
    for broken in (packed[:-1], packed[:-9], packed[: len(packed) // 2], damaged):
        packets, warnings = read(broken)
        # What is damaged may show only at the end, in the checksum.
        assert len(packets) >= 490
        assert packets[:490] == whole[:490]
        assert warnings


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_of_several_kinds(pack: Any) -> None:
    """Issue 12.11; several members, damage at the end."""
    path = vectors(FAMILY) / "captures" / "real_292.pcap"
    if not path.exists():
        pytest.skip("this set of vectors has no real_292.pcap")
    content = path.read_bytes()
    for packed in (pack(content), pack(content[:200]) + pack(content[200:]), pack(content) + b"\0"):
        reader = CaptureFile(io.BytesIO(packed))
        assert len(list(reader)) == 1
        assert reader.warnings == []
    reader = CaptureFile(io.BytesIO(pack(content)[:-9]))
    list(reader)
    assert reader.warnings == [CaptureWarning.TRUNCATED_FILE]


@pytest.mark.parametrize(
    ("head", "words"),
    [(b"PK\3\4", "ZIP"), (b"snoop\0\0\0", "snoop"), (b"\x04\x22\x4d\x18", "lz4")],
)
def test_other_files_are_named(head: bytes, words: str) -> None:
    with pytest.raises(CaptureFileError, match=words):
        CaptureFile(io.BytesIO(head + bytes(100))).batches()


def test_zstd_where_python_can() -> None:
    zstd = pytest.importorskip("compression.zstd", reason="this Python has no zstd")
    packed = zstd.compress(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    assert list(CaptureFile(io.BytesIO(packed))) == []
