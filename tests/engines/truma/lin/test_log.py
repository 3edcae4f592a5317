"""Text logs of LIN analysers. Spec g.1; the README of the vectors."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.truma.lin.frames import identifier_of, protected, response
from hardwired_engines.truma.lin.log import WAKE, LogFault, LoggedFrame, read_log, write_line
from hardwired_engines.truma.lin.transport import Assembler, split
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


def test_what_inetbox2mqtt_prints() -> None:
    lines = [
        "DEBUG:lin:in < 00 55 3c 03 06 b2 20 17 46 00 1f a7",
        "INFO:lin:B2 - identifier for NAD 03",
        "in < 00 55 7d",
        "DEBUG:lin:out > 03 06 f2 17 46 00 1f 00 87",
    ]
    faults: list[LogFault] = []
    assert list(read_log(lines, faults.append)) == [
        LoggedFrame(0.0, 0x3C, bytes.fromhex("0306b2201746001f")),
        LoggedFrame(0.0, 0x7D, bytes.fromhex("0306f21746001f00")),
    ]
    assert len(faults) == 1


def esphome(what: str, clock: str = "22:35:11", room: str = "Listener:392") -> str:
    return f"[{clock}][V][truma_inetbox.LinBus{room}]: {what}"


CLOCK = "BB001F001E000022FFFFFF54010A15002B161F28010100000100".ljust(82, "0")
CLOCK_MESSAGE = "Multi package request  " + ".".join(re.findall("..", CLOCK)) + " (41)"


@pytest.mark.parametrize(
    "line, frame",
    [
        ("PID 04      3A.0C.FF.FF.FF.FF.FF.FF.F4 (9)  - SLAVE ", (0xC4, "3a0cffffffffffff", True)),
        ("PID 16      00.05.77.0B.2F.0D.1D.85.C3 (9)  - SLAVE ", (0xD6, "0005770b2f0d1d85", False)),
        ("PID 04      3A.0C.FF.FF.FF.FF.FF.FF.F4 (9)  - SLAVE INVALID",
         (0xC4, "3a0cffffffffffff", False)),
        ("PID 18 (d8) FE.FF.FF.FF.FF.FF.FF.FF.28 (9)  - SLAVE", (0xD8, "fe" + "ff" * 7, True)),
        ("PID 3D      03.06.B9.00.1F.00.00.01.1D (9)  - MASTER ", (0x3C, "0306b9001f000001", True)),
        ("PID 3d (7d) order no answer", (0x7D, None, True)),
        ("PID 18      order - unable to send response", (0xD8, None, True)),
        ("PID 3C      03.10 (2) partial data received", (0x3C, None, True)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before, after", [("", ""), ("\x1b[0;36m", "\x1b[0m"), ("22 van: ", "")])
def test_a_slot_in_a_log_of_esphome(
    line: str, frame: tuple[int, str | None, bool], before: str, after: str
) -> None:
    pid, data, sound = frame
    found = list(read_log([f"{before}{esphome(line)}{after}"]))
    assert found == [LoggedFrame(0.0, pid, data and bytes.fromhex(data), sound)]


@pytest.mark.parametrize("line", ["PID 7F      order no answer", "PID 04      3A.0C.", "PID x"])
def test_a_slot_of_esphome_that_is_none_is_named(line: str) -> None:
    (fault,) = read_faults([esphome(line)])
    assert "no LIN frame" in str(fault)


def test_what_else_esphome_says_is_passed_over() -> None:
    lines = ["[22:35:11][I][wifi:290]: connected", esphome("RESPONSE 18 FE.FF.FF.FF (8)")]
    assert list(read_log(lines)) == []


def test_the_time_of_a_log_of_esphome_runs_on_after_midnight() -> None:
    clocks = ["23:59:59", "00:00:01", "00:00:01.500", "00:00:01"]
    found = read_log(esphome("PID 3D      order no answer", clock) for clock in clocks)
    assert [frame.time for frame in found] == [0.0, 2.0, 2.5, 2.5]


@pytest.mark.parametrize("clock", ["[22:35:11]", ""])
def test_a_message_that_esphome_logs_as_a_whole(clock: str) -> None:
    """At the usual log level there is nothing else of the bus."""
    lines = [f"{clock}[D][truma_inetbox.LinBusProtocol:226]: {CLOCK_MESSAGE}"]
    frames = list(read_log(lines))
    assert [frame.data for frame in frames] == split(3, bytes.fromhex(CLOCK))
    assert {frame.pid for frame in frames} == {0x3C}


@pytest.mark.parametrize("lost", [None, 3])
def test_a_message_whose_slots_esphome_has_logged_is_there_once(lost: int | None) -> None:
    slots = [
        esphome(f"PID 3C      {'.'.join(f'{byte:02X}' for byte in frame)} (8)  - MASTER ")
        for number, frame in enumerate(split(3, bytes.fromhex(CLOCK), 0))
        if number != lost
    ]
    frames = list(read_log([*slots, esphome(CLOCK_MESSAGE, room="Protocol:226")]))
    assembler = Assembler()
    messages = [assembler.receive_data(frame.data or b"", 0) for frame in frames]
    assert [one.data.hex().upper() for one in messages if one] == [CLOCK]


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


@pytest.mark.parametrize(
    "line",
    ["0.5 3C 0310 29BB 001F 001E", "0.5 D8 FE.FF", "0.5 D8 ?", "0.5 3C 03 zz 10 29 BB 00 1F 1E"],
)
def test_a_slot_that_can_not_be_read_is_not_an_empty_one(line: str) -> None:
    (fault,) = read_faults([line])
    assert "line 1" in str(fault)


@pytest.mark.parametrize(
    "line",
    [
        "0,50 3C 03 10 29 BB 00 1F 00 1E", "0.50;3C;03;10;29;BB;00;1F;00;1E",
        "0,50;3C;03;10;29;BB;00;1F;00;1E", "0.50,3C,03,10,29,BB,00,1F,00,1E",
        "0.50 0x3C 0x03 0x10 0x29 0xBB 0x00 0x1F 0x00 0x1E",
        "0,50 3C 03 10 29 BB 00 1F 00 1E CA 19200 ok",
    ],
)  # fmt: skip
def test_a_line_as_another_analyser_writes_it(line: str) -> None:
    assert list(read_log([line])) == [LoggedFrame(0.5, 0x3C, bytes.fromhex("031029bb001f001e"))]


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
