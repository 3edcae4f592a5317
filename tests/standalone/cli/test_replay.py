"""``hardwired replay``: what all families have in common, on real terminals and sockets."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.main import main
from hardwired.cli.replaying import LONGEST_PAUSE, Pace, Piece, Player, Tally, gaps, readable
from hardwired.cli.verbs.inventum.recording import chunks_of
from hardwired_engines.engine import Direction, RecordedFrame
from hardwired_engines.link import SerialSettings, Stream, make_opener
from hardwired_engines.recording import json_lines
from tests.standalone.cli.played import played
from tests.standalone.command import run

CAPTURES = Path(__file__).parents[2] / "captures"
FAMILIES = ("inventum", "studer", "sunsynk", "truma")
FOREIGN = {
    "passwd": b"root:x:0:0:root:/root:/bin/bash\nbin:x:1:1::/:/usr/sbin/nologin\n",
    "program": b"\x7fELF\x02\x01\x01\0" + bytes(range(256)) * 20,
    "empty": b"",
    "frames": b'{"time":"2026-01-01T00:00:00+00:00","direction":"in","data":"4849"}\n',
}
ROW = b"0,49.8,0,45.0\r\n"
HEADING = b"Interval : 00:00:01\r\nSt,Temp. boiler boven (C),St,Temp. boiler onder (C)\r\n"


def recorded(family: str) -> Path:
    """Return a recording of a simulated device."""
    found = (CAPTURES / family / "simulated").glob("first.*")
    [file] = [path for path in found if not path.name.endswith(".expect.json")]
    return file


def where(family: str, folder: Path) -> tuple[str, ...]:
    """Return where a replay of a family is served that nobody connects to."""
    return ("--server", "0") if family == "sunsynk" else ("--pty", str(folder / "port"))


def printed(folder: Path, *said: bytes, seconds: float = 0.0) -> Path:
    """Return a recording of an Ecolution's terminal to which nobody has typed."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frames = [
        RecordedFrame(start + number * timedelta(seconds=seconds), Direction.IN, data)
        for number, data in enumerate((HEADING, *said))
    ]
    file = folder / "printed.jsonl"
    file.write_bytes(json_lines(frames))
    return file


async def opened(port: str) -> Stream:
    return await make_opener(port, SerialSettings(9600)).open()


async def read_until(stream: Stream, end: bytes) -> bytes:
    """Return what comes until *end* has come."""
    heard = b""
    async with asyncio.timeout(60):
        while not heard.endswith(end):
            heard += await stream.read()
    return heard


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_no_recording_of_a_family_is_refused(
    family: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(FOREIGN[name])
    assert main(["replay", family, str(file), *where(family, tmp_path)]) in (1, 3)
    told = capsys.readouterr()
    assert told.err.strip()
    assert not told.out
    assert not os.path.lexists(tmp_path / "port")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_recordings_of_other_families_are_refused(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in set(FAMILIES) - {family}:
        file = recorded(other)
        assert main(["replay", family, str(file), *where(family, tmp_path)]) in (1, 3), other
        assert str(file) in (told := capsys.readouterr().err) or "line" in told


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("sunsynk", "FILE"), 2),
        (("sunsynk", "FILE", "--connect", "here"), 2),
        (("sunsynk", "FILE", "--server", "65536"), 2),
        (("inventum", "FILE", "--listen", "here"), 2),
        (("truma", "FILE", "--speed", "-1"), 2),
        (("truma", "FILE", "--speed", "fast"), 2),
        (("studer", "FILE", "--pty", "/nowhere/port"), 1),
        (("studer", "/nowhere/file"), 1),
        (("gx", "FILE"), 1),
        (("gx",), 1),
    ],
)
def test_arguments_that_can_not_be(
    arguments: tuple[str, ...], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes((CAPTURES / "studer/simulated/first.jsonl").read_bytes())
    given_code: int | str | None = None
    try:
        given_code = main(["replay", *(str(file) if one == "FILE" else one for one in arguments)])
    except SystemExit as ended:
        given_code = ended.code
    assert given_code == code
    assert capsys.readouterr().err.strip()


def test_a_gx_is_refused_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "gx", "recording.jsonl"]) == 1
    assert "simulate gx" in capsys.readouterr().err


# ------------------------------------------------------------------------------ the rhythm


def heard_at(player: Player, until: float) -> list[tuple[float, bytes]]:
    """Return what a player says, and when, by a clock that jumps from due to due."""
    now, heard = 100.0, []
    player.connected(now)
    while not player.hung_up and now <= 100.0 + until:
        if data := player.transmit(now):
            heard.append((round(now - 100.0, 6), data))
        due = player.next_due(now)
        assert due is not None
        now = max(now, due)
    return heard


PIECES = [Piece(7.0, b"a"), Piece(1.5, b"b"), Piece(0.0, b"c"), Piece(2.0, b"d")]


@pytest.mark.parametrize(
    ("speed", "times"),
    [(1.0, [0, 1.5, 1.5, 3.5]), (2.0, [0, 0.75, 0.75, 1.75]), (0.0, [0, 0, 0, 0])],
)
def test_the_rhythm_is_the_recorded_one(speed: float, times: list[float]) -> None:
    tally = Tally()
    heard = heard_at(Player(PIECES, Pace(speed), tally), 60)
    assert [moment for moment, _ in heard] == times
    assert b"".join(data for _, data in heard) == b"abcd"
    assert (tally.frames, tally.position) == (4, 1.0)


def test_a_late_piece_does_not_hurry_the_others() -> None:
    player = Player(PIECES, Pace(), Tally())
    player.connected(0.0)
    assert player.transmit(0.0) == b"a"
    player.transmit(0.0)
    assert player.transmit(9.0) == b"b"
    player.transmit(9.0)
    assert player.transmit(9.0) == b"c"
    assert player.next_due(9.0) == 11.0


def test_it_begins_again_where_that_is_wished() -> None:
    heard = heard_at(Player(PIECES, Pace(0.0, loop=True), Tally()), 2.5)
    assert b"".join(data for _, data in heard) == b"abcdabcdabcd"


def test_a_clock_that_was_set_makes_no_long_pause() -> None:
    assert Pace().seconds(1e9) == LONGEST_PAUSE
    assert Pace(2.0).seconds(-5.0) == 0.0
    assert gaps([5.0, None, 7.0, 3.0, 4.0]) == [0.0, 0.0, 2.0, 0.0, 1.0]


# ------------------------------------------------------------------------------ readers


async def test_who_comes_back_hears_it_from_the_beginning(tmp_path: Path) -> None:
    file = printed(tmp_path, *[ROW] * 3, b"end\r\n", seconds=0.4)
    async with played("inventum", file, "--pty", str(tmp_path / "port")) as replay:
        first = await opened(replay.where)
        assert await read_until(first, b"onder (C)\r\n" + ROW) == HEADING + ROW
        await first.close()
        # Who opens a port again before that is noticed goes on reading.
        await replay.until_told("the connection has ended")
        second = await opened(replay.where)
        assert await read_until(second, b"end\r\n") == HEADING + 3 * ROW + b"end\r\n"
        counts = await replay.end()
        await second.close()
    assert replay.code == 0, replay.told
    assert counts["connections"] == 2
    assert counts["frames"] >= 7
    assert "all was heard" in replay.told
    assert await asyncio.to_thread(os.listdir, tmp_path) == [file.name]


async def test_nothing_is_lost_at_full_speed(tmp_path: Path) -> None:
    """More than a terminal's buffers hold, to a reader that takes its time."""
    rows = [b"0,%d.0,0,45.0\r\n" % number for number in range(12_000)]
    file = printed(tmp_path, *rows, seconds=1.0)
    async with played("inventum", file, "--pty", str(tmp_path / "port"), "--speed", "0") as replay:
        stream = await opened(replay.where)
        await asyncio.sleep(2)
        assert await read_until(stream, rows[-1]) == HEADING + b"".join(rows)
        counts = await replay.end()
        await stream.close()
    assert replay.code == 0, replay.told
    assert counts["frames"] == 12_001


async def test_two_on_a_tcp_port_and_again(tmp_path: Path) -> None:
    file = printed(tmp_path, ROW, b"end\r\n", seconds=0.1)
    async with played("inventum", file, "--listen", "0", "--loop") as replay:
        streams = [await opened(replay.where) for _ in range(2)]
        whole = HEADING + ROW + b"end\r\n"
        for stream in streams:
            heard = b""
            while len(heard) < 2 * len(whole):
                heard += await read_until(stream, b"end\r\n")
            assert heard == len(heard) // len(whole) * whole
            await stream.close()
        replay.interrupt()
        counts = await replay.end()
    assert replay.code == 130
    assert counts["connections"] == 2
    assert "frames sent in 2 connections" in replay.told


@pytest.mark.parametrize("family", FAMILIES)
async def test_ctrl_c_says_what_was_played(family: str, tmp_path: Path) -> None:
    # The dongle's server is there; nobody opens the ports of the others.
    arguments = (*where(family, tmp_path), *(() if family != "sunsynk" else ("--speed", "0.001")))
    async with played(family, recorded(family), *arguments) as replay:
        replay.interrupt()
        counts = await replay.end()
    assert replay.code == 130, replay.told
    assert "frames sent" in replay.told
    assert counts.keys() == {"connections", "frames", "answered", "unanswered"}


async def test_a_port_that_another_has_is_an_error(tmp_path: Path) -> None:
    file = printed(tmp_path, ROW)
    async with played("inventum", file, "--pty", str(tmp_path / "port")) as replay:
        code, _, told = await run("replay", "inventum", str(file), "--pty", replay.where)
    assert code == 1
    assert "another simulator has this name" in told


@given(st.lists(st.none() | st.floats(-1e12, 1e12), max_size=20))
def test_gaps_are_never_negative(moments: list[float | None]) -> None:
    found = gaps(moments)
    assert len(found) == len(moments)
    assert all(gap >= 0 for gap in found)


def test_a_recording_that_breaks_off_is_played_until_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = printed(tmp_path, ROW, ROW).read_bytes()
    assert len(list(readable(chunks_of(raw[:-20])))) == 2
    assert "line 3" in capsys.readouterr().err
    with pytest.raises(ValueError, match="line 1"):
        list(readable(chunks_of(raw[:20])))
