"""Text logs of LIN analysers. Spec g.1; the README of the vectors."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.truma.lin.frames import identifier_of, protected, response
from hardwired_engines.truma.lin.log import WAKE, LogFault, LoggedFrame, read_log, write_line
from tests.vector_files import vectors

LOGS = sorted((vectors("truma") / "captures").glob("*.log"))


@pytest.mark.vectors
@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_recorded_logs(path: Path) -> None:
    lines = path.read_text(encoding="ascii").splitlines()
    frames = list(read_log(lines))
    recorded: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(frames) == len(recorded["frames"])
    for frame, (_, pid, data, role) in zip(frames, recorded["frames"], strict=True):
        if role == "wake":
            assert (frame.pid, frame.data) == (WAKE, None)
        else:
            assert frame.pid == int(pid, 16)
            assert (frame.data or b"").hex() == data
            assert frame.sound
    assert list(read_log(written(frames))) == frames


def written(frames: list[LoggedFrame]) -> list[str]:
    return [write_line(frame.time, frame.pid, frame.data) for frame in frames]


frames_of_a_log = st.builds(
    LoggedFrame,
    st.integers(0, 10**12).map(lambda micro: round(micro / 10**6, 6)),
    st.integers(0, 63).map(protected),
    st.none() | st.binary(min_size=8, max_size=8),
)


@given(st.lists(frames_of_a_log, max_size=20))
def test_what_is_written_is_read(frames: list[LoggedFrame]) -> None:
    assert list(read_log(written(frames))) == frames


@pytest.mark.parametrize(
    "line",
    [
        "12.5 d8 fe ff ff ff ff ff ff ff 28",
        "12.5: D8 FE FF FF FF FF FF FF FF 28 enhanced ok",
        "12.5 00 55 d8 fe ff ff ff ff ff ff ff 28",
        "12.5,D8,FE,FF,FF,FF,FF,FF,FF,FF,28,9600,OK",
        "12.5 55 d8 fe ff ff ff ff ff ff ff 28 1 0",
    ],
)
def test_a_whole_frame_with_its_checksum(line: str) -> None:
    assert list(read_log([line])) == [LoggedFrame(12.5, 0xD8, b"\xfe" + b"\xff" * 7)]


def test_a_wrong_checksum_is_told() -> None:
    (frame,) = read_log(["12.5 d8 fe ff ff ff ff ff ff ff 29"])
    assert not frame.sound


@given(st.integers(0, 63), st.binary(min_size=8, max_size=8))
def test_any_whole_frame(identifier: int, data: bytes) -> None:
    pid = protected(identifier)
    (frame,) = read_log([f"1.0 {bytes((pid,)).hex()} {response(pid, data).hex(' ')}"])
    assert frame == LoggedFrame(1.0, pid, data)


@pytest.mark.parametrize("before", ["", "Jan 20 13:19:26 van truma_service[512]: "])
def test_the_debug_log_that_inetbox_py_writes(before: str) -> None:
    """Its remarks, its own echo, a slot without a response, a parity error."""
    said = (
        "347  inet.lin  DEBUG \tin < 00 55 3c 7f 06 b2 00 17 46 30 03 37 → processing",
        "347  inet.lin  DEBUG \t→ → identified as transportlayer MASTER → SLAVE",
        "347  inet.lin  DEBUG \t   payload: 7f 06 b2 00 17 46 30 03",
        "399  inet.lin  DEBUG \tin < 00 55 d8 → checking if answer required",
        "400  inet.protocol  DEBUG \tResponding to 08 message (updates_to_send={})!",
        "400  inet.lin  DEBUG \tout > fe ff ff ff ff ff ff ff 28",
        "401  inet.lin  DEBUG \tin < fe ff not a proper sync -wait for sync-",
        "447  inet.lin  DEBUG \tin < 00 55 97 → processing",
        "447  inet.lin  DEBUG \t→ → skipping empty line",
        "497  inet.lin  DEBUG \tin < 00 55 7d → checking if answer required",
        "497  inet.lin  DEBUG \t→ → no need to answer",
        "547  truma.main  ERROR \tan exception, out > of place",
    )
    faults: list[LogFault] = []
    lines = [f"{before}2023-01-20 13:19:26,{one}" for one in said]
    frames = list(read_log(lines, faults.append))
    assert faults == []
    assert frames == [
        LoggedFrame(0.0, 0x3C, bytes.fromhex("7f06b20017463003")),
        LoggedFrame(0.052, 0xD8, b"\xfe" + b"\xff" * 7),
        LoggedFrame(0.1, 0x97, None),
        LoggedFrame(0.15, 0x7D, None),
    ]
    (fault,) = read_faults([lines[0].replace("55 3c", "55 3d")])
    assert "no LIN frame" in str(fault)


def read_faults(lines: list[str]) -> list[LogFault]:
    faults: list[LogFault] = []
    assert list(read_log(lines, faults.append)) == []
    return faults


def test_empty_lines_and_remarks() -> None:
    assert list(read_log(["", "# hello", "; hello", "  "])) == []


@pytest.mark.parametrize(
    "line", ["hello", "1.0", "x D8 -", "1.0 18 -", "1.0 D8 01 02", "1.0 zz -", "nan D8 -", "inf 00"]
)
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(LogFault, match="line 2"):
        list(read_log(["# first", line]))


@settings(max_examples=300)
@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_lines(lines: list[str]) -> None:
    try:
        frames = list(read_log(lines))
    except LogFault:
        return
    for frame in frames:
        assert frame.pid == WAKE or identifier_of(frame.pid) is not None
        assert frame.data is None or len(frame.data) == 8


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["1.5", "D8", "00", "55", "-", "3C", "FF", "x"]), max_size=14))
def test_any_words(words: list[str]) -> None:
    with contextlib.suppress(LogFault):
        assert len(list(read_log([" ".join(words)]))) <= 1
