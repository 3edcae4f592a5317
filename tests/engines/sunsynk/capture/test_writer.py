"""Writing captures, and recordings in which nobody can be recognised (spec b.2, b.14, h)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.packet import LinkType
from hardwired_engines.sunsynk.capture.pcap import CaptureFile, CaptureFileError, RawPacket
from hardwired_engines.sunsynk.capture.stream import Capture, Frame
from hardwired_engines.sunsynk.capture.writer import MaskedRecorder, PcapWriter, masked
from hardwired_engines.sunsynk.dongle.layouts import Block, layout_of
from hardwired_engines.sunsynk.pipeline.decoder import Decoder

from ..helpers import frame_of, polling_map, server_frame
from .test_pcap import captures

GOOD = {59: 2, 72: 100, 79: 5000, 184: 50, 192: 5000, 194: 1}
KEY, DONGLE, NETWORK = b"SECRETKY", b"E47123456789", b"my-home"


def from_dongle(kind: int, body: bytes) -> bytes:
    """Return a message of the dongle."""
    return b"\xa5\x06\x01" + server_frame(kind, body)[3:]


def recorded(*frames: tuple[bytes, bool]) -> bytes:
    """Return the recording of some messages; ``True`` comes from the dongle."""
    file = io.BytesIO()
    recorder = MaskedRecorder(file)
    time = datetime(2026, 1, 1, tzinfo=UTC)
    for data, up in frames:
        flow, reverse_flow = (b"up", b"down") if up else (b"down", b"up")
        recorder.write(Frame(data, time, flow, reverse_flow))
    return file.getvalue()


@given(
    st.lists(st.tuples(st.integers(0, 2**32 * 10**9 - 1), st.binary(max_size=90))),
    st.sampled_from([1, 101, 276]),
)
def test_what_is_written_is_read(packets: list[tuple[int, bytes]], link_type: int) -> None:
    file = io.BytesIO()
    writer = PcapWriter(file, link_type)
    for time_ns, data in packets:
        writer.write(time_ns, data)
    reader = CaptureFile(io.BytesIO(file.getvalue()))
    assert list(reader) == [RawPacket(time_ns, link_type, data) for time_ns, data in packets]
    assert reader.warnings == []


def test_no_secret_and_no_identity_is_recorded() -> None:
    login = DONGLE.ljust(16, b"\0") + KEY.ljust(16, b"\0")
    report = bytearray(frame_of(GOOD, serial="2211000042"))
    report[21:26] = b"98765"
    content = recorded(
        (from_dongle(0x01, login), True),
        (server_frame(0x01, login), False),
        (from_dongle(0x02, b"\x01" + DONGLE + b"\x02" + NETWORK + b"\x03abc"), True),
        (from_dongle(0x0B, bytes(20) + KEY + bytes(84)), True),
        (server_frame(0x0C, KEY), False),
        (bytes(report), True),
    )
    for secret in (KEY, DONGLE, DONGLE[3:], NETWORK, b"home", b"abc", b"2211000042", b"98765"):
        assert secret not in content
    kinds = [frame.data[3] for frame in Capture().read(CaptureFile(io.BytesIO(content)))]
    assert kinds == [0x02, 0x0B, 0x0C, 0x09]


def test_a_recording_reads_like_the_original() -> None:
    layout = layout_of((Block(59, 66), Block(150, 50), Block(312, 8), Block(320, 3)))
    frame = frame_of(GOOD, layout)
    lesson = server_frame(0x0B, polling_map(layout.blocks))
    content = recorded((lesson, False), (frame, True))
    decoder = Decoder(UTC)
    (received,) = decoder.read(CaptureFile(io.BytesIO(content)))
    assert received.report.layout is layout
    assert received.serial == "X" * 10
    assert received.captured == datetime(2026, 1, 1, tzinfo=UTC)
    assert received.report.registers == {**dict.fromkeys(layout.registers, 0), **GOOD}


def test_two_dongles_stay_apart() -> None:
    """The map of one teaches nothing to the other; halves of the house are not mixed up."""
    layout = layout_of((Block(59, 66), Block(150, 50), Block(312, 8), Block(320, 3)))
    file, time = io.BytesIO(), datetime(2026, 1, 1, tzinfo=UTC)
    recorder = MaskedRecorder(file)
    lesson = server_frame(0x0B, polling_map(layout.blocks))
    recorder.write(Frame(lesson, time, b"from 1", b"to 1"))
    for number in range(1, 13):
        report = frame_of(GOOD | {184: number}, layout, serial=f"22000000{number:02}")
        flow = str(number).encode()
        if number == 2:
            recorder.write(Frame(lesson, time, b"from 2", b"to 2"))
        recorder.write(Frame(report, time, b"to " + flow, b"from " + flow))
    content = file.getvalue()
    assert b"22000000" not in content
    decoder = Decoder(UTC)
    first, second = decoder.read(CaptureFile(io.BytesIO(content)))
    assert (first.serial, second.serial) == ("X" * 10, "XXXXXXXXX2")
    assert [one.values["battery_soc"] for one in (first, second)] == [1, 2]
    assert decoder.summary()["rejected"] == {"unknown_layout": 10}


def test_an_unknown_time_stays_unknown() -> None:
    file = io.BytesIO()
    MaskedRecorder(file).write(Frame(frame_of(GOOD), None, b"up", b"down"))
    (received,) = Decoder(UTC).read(CaptureFile(io.BytesIO(file.getvalue())))
    assert received.captured is None


@pytest.mark.vectors
@pytest.mark.parametrize("path", captures())
def test_recordings_of_the_captures(path: Path) -> None:
    """Every report has the same values in the recording as in the capture."""
    with path.with_suffix("").open("rb") as file:
        try:
            frames = list(Capture().read(CaptureFile(file)))
        except CaptureFileError as error:
            pytest.skip(f"there is nothing to record: {error}")
    output = io.BytesIO()
    recorder = MaskedRecorder(output)
    for frame in frames:
        recorder.write(frame)
    packets = list(CaptureFile(io.BytesIO(output.getvalue())))
    assert recorder.written == len(packets)
    assert recorder.written + recorder.left_out == len(frames)
    assert {packet.link_type for packet in packets} <= {LinkType.RAW}
    again = list(Capture().read(packets))
    kept = [frame.data for frame in frames if masked(frame.data) is not None]
    assert [(len(one.data), one.data[3]) for one in again] == [(len(one), one[3]) for one in kept]
    for one, data in zip(again, kept, strict=True):
        if data[2:4] == b"\x01\x09":
            assert one.data[37:] == data[37:]


@given(st.binary(max_size=400))
def test_any_message_keeps_its_size_and_envelope(body: bytes) -> None:
    for kind in (0x02, 0x05, 0x09, 0x0B, 0x77):
        frame = from_dongle(kind, body)
        kept = masked(frame)
        assert kept is not None
        assert (len(kept), kept[:11]) == (len(frame), frame[:11])
    assert masked(from_dongle(0x01, body)) is None
