"""Whole captures through the decoder (spec b, f.3)."""

from __future__ import annotations

import io
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.capture.filter import parse_filter
from hardwired_engines.sunsynk.capture.packet import LinkType
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket
from hardwired_engines.sunsynk.capture.pcap import CaptureFile, CaptureFileError
from hardwired_engines.sunsynk.capture.stream import Capture
from hardwired_engines.sunsynk.diagnostics import mask_identity
from hardwired_engines.sunsynk.dongle.layouts import Block, layout_of
from hardwired_engines.sunsynk.pipeline.decoder import Decoder
from hardwired_engines.sunsynk.pipeline.report_pipeline import Received, ReportPipeline
from tests.vector_files import cases, load, vectors

from ..helpers import FAMILY, differences, frame_of, moment, polling_map, server_frame

ZONE = load_zone("Africa/Johannesburg")
GOOD = {59: 2, 72: 100, 79: 5000, 184: 50, 192: 5000, 194: 1}


def descriptions() -> list[Any]:
    """Return the captures of this set of vectors, as pytest parameters."""
    folder = vectors(FAMILY) / "captures"
    found = sorted(folder.glob("*.json"))
    if not found:
        mark = pytest.mark.skip(reason="this set of vectors has no captures")
        return [pytest.param(None, marks=mark, id="absent")]
    return [pytest.param(path, id=path.name.removesuffix(".json")) for path in found]


def as_vector(received: Received) -> dict[str, Any]:
    """Return a report as the vectors write it, without its values."""
    report = received.report
    return {
        "serial": report.serial,
        "local_time": report.local_time,
        "time_utc": received.time,
        "time_quality": received.time_quality.value,
        "layout": report.layout.name,
        "length": report.length,
        "message_no": report.message_no,
        "rssi": report.rssi,
        "quality": report.quality.value,
        "violations": set(report.violations),
    }


def expected_vector(report: dict[str, Any]) -> dict[str, Any]:
    """Return a vector's report in the same form."""
    times = {key: moment(report[key]) for key in ("local_time", "time_utc")}
    plain = ("serial", "time_quality", "layout", "length", "message_no", "rssi", "quality")
    return {
        **{key: report[key] for key in plain},
        **times,
        "violations": set(report["violations"]),
    }


@pytest.mark.vectors
@pytest.mark.parametrize("path", descriptions())
def test_captures(path: Path) -> None:
    expected = load(FAMILY, f"captures/{path.name}")
    decoder = Decoder(load_zone(expected["timezone"]))
    with path.with_suffix("").open("rb") as file:
        if "error" in expected:
            with pytest.raises(CaptureFileError) as caught:
                list(decoder.read(CaptureFile(file)))
            assert caught.value.fault == expected["error"]
            return
        reader = CaptureFile(file)
        found = list(decoder.read(reader))
    check_reports(found, expected["reports"])
    summary = decoder.summary()
    for name, count in expected["counters"].items():
        assert summary[name] == count, name
    assert [warning.value for warning in reader.warnings] == expected["warnings"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "filtered.json"))
def test_captures_through_a_filter(case: dict[str, Any]) -> None:
    path = vectors(FAMILY) / "captures" / case["file"]
    zone = load_zone(load(FAMILY, f"captures/{case['file']}.json")["timezone"])
    decoder = Decoder(zone, packet_filter=parse_filter(case["filter"]))
    with path.open("rb") as file:
        found = [(one.serial, one.time) for one in decoder.read(CaptureFile(file))]
    assert sorted(found) == sorted((serial, moment(time)) for serial, time in case["reports"])
    assert decoder.summary()["tcp_segments"] == case.get(
        "tcp_segments", decoder.summary()["tcp_segments"]
    )


def check_reports(found: list[Received], reports: list[dict[str, Any]]) -> None:
    """Compare reports as a multiset."""
    assert len(found) == len(reports)
    rest = list(found)
    for report in reports:
        same = [
            received
            for received in rest
            if as_vector(received) == expected_vector(report)
            and not differences(received.values, report["values"])
        ]
        assert same, f"nothing is like {expected_vector(report)}"
        rest.remove(same[0])


def receive(pipeline: ReportPipeline, *frames: tuple[bytes, str]) -> list[Received]:
    """Feed frames of one connection; ``"up"`` comes from the dongle."""
    other = {"up": "down", "down": "up"}
    taken = [
        pipeline.take(frame, None, flow=flow, reverse_flow=other[flow]) for frame, flow in frames
    ]
    return [received for received in taken if received is not None]


LEARNED = ((59, 66), (150, 50), (312, 8), (320, 3))


def test_a_polling_map_teaches_its_connection_only() -> None:
    layout = layout_of(tuple(Block(*block) for block in LEARNED))
    frame = frame_of(GOOD, layout)
    pipeline = ReportPipeline(ZONE)
    assert not receive(pipeline, (frame, "up"))
    assert pipeline.unknown_layouts == {layout.length: frame[:11]}
    lesson = server_frame(0x0B, polling_map(LEARNED))
    assert receive(pipeline, (lesson, "down"), (frame, "up"))[0].report.layout is layout
    other = frame_of(GOOD, layout, message_no=2, time=(25, 6, 14, 11, 0, 0))
    assert pipeline.take(other, None, flow="another", reverse_flow="one") is None
    assert pipeline.counts.rejected["unknown_layout"] == 2


def test_a_map_from_the_dongle_itself_teaches_nothing() -> None:
    pipeline = ReportPipeline(ZONE)
    claimed = bytearray(server_frame(0x0B, polling_map(LEARNED)))
    claimed[2] = 0x01
    receive(pipeline, (bytes(claimed), "up"))
    assert pipeline.polling_map_version is None


def test_a_duplicate_is_counted_once_whatever_its_number() -> None:
    pipeline = ReportPipeline(ZONE)
    frames = [(frame_of(GOOD, message_no=number), "up") for number in range(3)]
    assert len(receive(pipeline, *frames)) == 1
    assert pipeline.counts.duplicates == 2
    assert pipeline.inverters["2211000042"].reports == 1


def test_a_rejected_report_is_no_duplicate_later() -> None:
    pipeline = ReportPipeline(ZONE)
    bad = frame_of({})
    receive(pipeline, (bad, "up"), (bad, "up"))
    assert pipeline.counts.rejected["empty"] == 2
    assert pipeline.counts.duplicates == 0


def test_grid_powers_of_large_inverters() -> None:
    registers = GOOD | {167: 100, 169: 0xFFF6, 172: 50}
    small = receive(ReportPipeline(ZONE), (frame_of(registers), "up"))[0]
    assert (small.values["grid_power"], small.values["grid_power_ct"]) == (-10, 50)
    large = ReportPipeline(ZONE, grid_power_by_ten=["2211000042"])
    values = receive(large, (frame_of(registers), "up"))[0].values
    assert (values["grid_power"], values["grid_power_ct"]) == (-100, 500)
    assert values["load_power_non_essential"] == 400


def test_memory_is_bounded() -> None:
    pipeline = ReportPipeline(ZONE)
    for number in range(300):
        serial = f"{number:010}"
        pipeline.take(frame_of(GOOD, serial=serial), None, flow=number, reverse_flow=-number)
        lesson = server_frame(0x0B, polling_map(((59, 66), (150, 1 + number % 200))))
        pipeline.take(lesson, None, flow=-number, reverse_flow=number)
        pipeline.take(server_frame(number % 256, b"x"), None)
    assert len(pipeline.inverters) == 64
    assert len(pipeline.samples) <= 16
    assert pipeline.counts.reports == 300


def test_the_login_is_never_kept() -> None:
    login = bytearray(server_frame(0x01, b"E47123456789\0\0\0\0SECRETKY" + bytes(8)))
    login[2] = 0x01
    pipeline = ReportPipeline(ZONE)
    receive(pipeline, (bytes(login), "up"))
    information = server_frame(0x02, b"\x01\x02E47123456789\x03")
    receive(pipeline, (information, "down"))
    assert "SECRETKY" not in repr(vars(pipeline))
    assert "0101" not in pipeline.samples
    assert b"E47123456789" not in pipeline.samples["a102"]


@pytest.mark.parametrize("text", [b"Hm-5G", b"Van Dyk", b"10.0.0.7", b"caf1", b"a_b"])
def test_no_text_of_an_unknown_message_is_kept(text: bytes) -> None:
    """A network's name, an address: short ones, and with other signs in them; also at the end."""
    pipeline = ReportPipeline(ZONE)
    for kind, before in ((0x02, 2), (0x0A, 51)):
        message = server_frame(kind, bytes(before) + text + b"\x01" + bytes(20))
        receive(pipeline, (message, "down"))
        sample = pipeline.samples[f"a1{kind:02x}"]
        assert text[:2] not in sample
        assert len(sample) == min(64, len(message))
        assert text not in mask_identity(message)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 1 << 63)),
            st.sampled_from((0, 1, 12, 101, 108, 113, 127, 228, 229, 276)),
            st.binary(max_size=200),
        ),
        max_size=20,
    )
)
def test_any_packets_are_taken(packets: list[tuple[int | None, int, bytes]]) -> None:
    decoder = Decoder(ZONE)
    assert list(decoder.read(packets)) == []
    assert decoder.summary()["packets"] == len(packets)


@given(st.binary(max_size=2000))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    decoder = Decoder(ZONE)
    for head in (b"", bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")):
        try:
            assert list(decoder.read(CaptureFile(io.BytesIO(head + content)))) == []
        except CaptureFileError:
            assert not head


@settings(max_examples=50)
@given(st.data())
def test_a_damaged_capture_never_yields_a_wrong_report(data: st.DataObject) -> None:
    path = vectors(FAMILY) / "captures" / "real_292.pcap"
    if not path.exists():
        pytest.skip("this set of vectors has no real_292.pcap")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    decoder = Decoder(ZONE)
    try:
        found = list(decoder.read(CaptureFile(io.BytesIO(bytes(content)))))
    except CaptureFileError:
        return
    for received in found:
        assert len(received.report.violations) < 3
        assert received.serial.isalnum()


def test_capture_and_pipeline_share_nothing_but_frames() -> None:
    decoder = Decoder(ZONE)
    assert isinstance(decoder.capture, Capture)
    assert set(decoder.summary()) >= {"packets", "frames", "rejected", "gaps"}


def test_packets_that_were_cut_are_told() -> None:
    decoder = Decoder(ZONE)
    packet = TcpPacket(
        source=ipaddress.ip_address("192.168.0.21"),
        destination=ipaddress.ip_address("192.0.2.1"),
        source_port=50000,
        destination_port=51100,
        sequence=1,
        data=frame_of(GOOD),
    )
    decoder.packet(None, LinkType.ETHERNET, packet.build()[:96])
    for fragment in packet.fragments():
        decoder.packet(None, LinkType.ETHERNET, fragment)
    cut, fragments = decoder.remarks()
    assert "1 packets were cut" in cut
    assert "snap length" in cut
    assert "fragments" in fragments
    assert decoder.packet(None, LinkType.ETHERNET, packet.build())
    assert decoder.remarks() == []
