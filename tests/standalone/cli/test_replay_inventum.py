"""``hardwired replay inventum``: our own engine hears again what the owner's heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.recording import Chunk
from hardwired.cli.replaying import Pace, Tally
from hardwired.cli.verbs.inventum.recording import chunks_of
from hardwired.cli.verbs.inventum.replay import PATIENCE, Step, Terminal, steps_of
from hardwired_engines.engine import Direction
from tests.standalone.cli.played import played, recorded
from tests.standalone.command import run

CAPTURE = Path(__file__).parents[2] / "captures/inventum/simulated/first.jsonl"


async def rows_of(file: Path) -> list[dict[str, object]]:
    """Return what was heard on the wire, a row each, and the columns before them."""
    code, decoded, told = await run("decode", "inventum", str(file))
    assert code == 0, told
    return [one for one in decoded if one["event"] in ("columns", "row")]


@pytest.mark.slow
async def test_the_engine_logs_in_and_sees_the_same_rows(tmp_path: Path) -> None:
    again = tmp_path / "again.jsonl"
    async with played(
        "inventum", CAPTURE, "--pty", str(tmp_path / "port"), "--speed", "3"
    ) as replay:
        async with recorded("inventum", replay.where, again):
            counts = await replay.end()
    assert replay.code == 0, replay.told
    assert await rows_of(again) == await rows_of(CAPTURE)
    sent = [one for one in chunks_of(CAPTURE.read_bytes()) if one.direction is Direction.OUT]
    assert (counts["answered"], counts["unanswered"]) == (len(sent), 0)


@pytest.mark.slow
async def test_a_part_without_the_login(tmp_path: Path) -> None:
    """As Home Assistant records it, where the data logger runs; and it breaks off."""
    lines = CAPTURE.read_bytes().splitlines(keepends=True)
    part, again = tmp_path / "part.jsonl", tmp_path / "again.jsonl"
    part.write_bytes(b"".join(lines[20:])[:-30])
    async with played("inventum", part, "--listen", "0", "--speed", "2") as replay:
        async with recorded("inventum", replay.where, again):
            await replay.end()
    assert replay.code == 0
    assert "only what comes before is played" in replay.told
    rows = await rows_of(CAPTURE)
    assert len(rows) == 11
    assert await rows_of(again) == rows[:-1]


KEYS = [
    Chunk(b"menu", Direction.IN, "2026-01-01T00:00:00Z"),
    Chunk(b"9", Direction.OUT, "2026-01-01T00:00:20Z"),
    Chunk(b"logger", Direction.IN, "2026-01-01T00:00:21Z"),
    Chunk(b"<code>", Direction.OUT, "2026-01-01T00:00:22Z"),
    Chunk(b"\r", Direction.OUT, "2026-01-01T00:00:23Z"),
    Chunk(b"rows", Direction.IN, "2026-01-01T00:00:24Z"),
]


def terminal(speed: float = 1.0) -> Terminal:
    """Return a terminal that was typed at, somebody connected."""
    found = Terminal(steps_of(KEYS), Pace(speed), Tally())
    found.connected(0.0)
    assert found.transmit(0.0) == b"menu"
    found.transmit(0.0)
    return found


def test_steps() -> None:
    assert steps_of(KEYS) == [
        Step(0.0, b"menu"),
        Step(1.0, b"logger", (b"9",), 20.0),
        Step(1.0, b"rows", (b"<code>", b"\r"), 2.0),
    ]


def test_raw_bytes_come_as_fast_as_a_slow_line() -> None:
    steps = steps_of(chunks_of(b"\x1b[2Jone\r\n" + b"x" * 958 + b"\r\nend"))
    assert [step.gap for step in steps] == [0.0, 9 / 960, 1.0]


def test_a_key_is_answered_when_it_was_pressed_then() -> None:
    device = terminal()
    device.receive(b"x", 1.0)
    assert device.tally.unanswered == 1
    device.receive(b"9", 2.0)
    assert device.transmit(2.9) == b""
    assert device.transmit(3.0) == b"logger"
    device.transmit(3.0)
    device.receive(b"4", 4.0)
    device.receive(b"\r", 4.5)
    assert device.next_due(4.5) == 5.5
    assert device.transmit(5.5) == b"rows"
    assert (device.tally.answered, device.tally.unanswered) == (3, 1)


def test_a_key_that_came_early_is_kept() -> None:
    device = terminal()
    device.receive(b"94\r", 0.1)
    assert device.transmit(1.1) == b"logger"
    device.transmit(1.1)
    assert device.transmit(2.1) == b"rows"


def test_it_goes_on_where_the_key_does_not_come() -> None:
    device = terminal()
    device.receive(b"x", 1.0)
    assert device.transmit(PATIENCE - 0.1) == b""
    assert device.transmit(PATIENCE) == b"logger"
    device.transmit(PATIENCE)
    assert device.next_due(PATIENCE) == 2 * PATIENCE


def test_who_only_listens_hears_the_rhythm() -> None:
    device = terminal()
    assert device.transmit(PATIENCE) == b"logger"
    device.transmit(PATIENCE)
    assert device.next_due(PATIENCE) == PATIENCE + 1.0 + 2.0


@given(
    st.lists(
        st.builds(
            Chunk,
            st.binary(max_size=30),
            st.sampled_from(Direction),
            st.none() | st.datetimes().map(str) | st.text(max_size=10),
        ),
        max_size=20,
    ),
    st.lists(st.binary(max_size=5), max_size=20),
)
def test_any_recording_is_played_to_its_end(chunks: list[Chunk], keys: list[bytes]) -> None:
    steps = steps_of(chunks)
    device, now, heard = Terminal(steps, Pace(), Tally()), 0.0, b""
    device.connected(now)
    for _ in range(4 * len(steps) + 4):
        heard += device.transmit(now)
        now = max(now, device.next_due(now) or 0.0)
        if keys:
            device.receive(keys.pop(), now)
    assert device.hung_up
    assert heard == b"".join(one.data for one in chunks if one.direction is Direction.IN)
