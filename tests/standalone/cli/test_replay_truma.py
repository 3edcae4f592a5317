"""``hardwired replay truma``: our own box takes part in a recorded bus."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.replaying import Pace, Tally
from hardwired.cli.verbs.truma.replay import ANSWER_TIME, Bus, Slot, frames_of, slots_of
from hardwired_engines.engine import Direction
from hardwired_engines.factory import Surroundings, running
from hardwired_engines.truma import FACTORY
from hardwired_engines.truma.lin.frames import Receiver, protected, response
from hardwired_engines.truma.lin.log import LoggedFrame, read_log, write_line
from tests.standalone.cli.played import played, recorded
from tests.standalone.command import run

CAPTURE = Path(__file__).parents[2] / "captures/truma/simulated/first.log"
POLL, REQUEST, ANSWER = protected(0x18), protected(0x3C), protected(0x3D)
PIDS = [protected(one) for one in range(64)]


def of_the_box(frame: LoggedFrame) -> bool:
    """Whether a frame of the capture is the box's, which has the address 3 there."""
    return frame.pid == POLL or (frame.pid == ANSWER and (frame.data or b"-")[0] == 3)


@pytest.mark.parametrize("speed", ["0", "1"])
async def test_a_listener_hears_all_but_the_box(speed: str, tmp_path: Path) -> None:
    again = tmp_path / "again.log"
    where = ("--pty", str(tmp_path / "port")) if speed == "0" else ("--listen", "0")
    async with played("truma", CAPTURE, "--speed", speed, *where) as replay:
        async with recorded("truma", replay.where, again):
            counts = await replay.end()
    assert replay.code == 0, replay.told
    original = list(read_log(CAPTURE.read_text().splitlines()))
    heard = list(read_log(again.read_text().splitlines()))
    assert [(one.pid, one.data) for one in heard] == [
        (one.pid, None if of_the_box(one) else one.data) for one in original
    ]
    boxes = sum(map(of_the_box, original))
    assert (counts["frames"], counts["unanswered"]) == (len(original), boxes)
    assert boxes > 20


async def test_our_box_answers_and_sees_the_same_values(tmp_path: Path) -> None:
    async with played("truma", CAPTURE, "--pty", str(tmp_path / "port")) as replay:
        engine = FACTORY.make(FACTORY.read({"link": replay.where}), Surroundings())
        said: list[tuple[int, bytes]] = []
        engine.frames.listen(
            lambda frame: (
                said.append((frame.data[0], frame.data[1:]))
                if frame.direction is Direction.OUT
                else None
            )
        )
        async with running(engine):
            counts = await replay.end()
            heater = next(
                one for one in engine.snapshot.devices.values() if one.device.kind == "heater"
            )
    original = [one for one in read_log(CAPTURE.read_text().splitlines()) if of_the_box(one)]
    # On a busy machine some come late, and are not sent.
    assert counts["answered"] > len(original) / 2, replay.told
    assert counts["answered"] + counts["unanswered"] == len(original)
    answers = {(one.pid, one.data) for one in original}
    assert {one for one in said if one[0] == ANSWER} <= answers
    # As decode says of the status buffers and signals of this capture.
    assert heater.values["current_temp_room"] == 14.0
    assert heater.values["current_temp_water"] == 12.0
    assert heater.values["voltage"] == 14.08


async def test_noise_in_the_log_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "noisy.log"
    lines = CAPTURE.read_text().splitlines()[:40]
    file.write_text("\n".join([*lines[:20], "no frame", "3.0 zz", *lines[20:]])[:-9])
    again = tmp_path / "again.log"
    where = ("--pty", str(tmp_path / "port"))
    async with played("truma", file, "--speed", "0", *where) as replay:
        async with recorded("truma", replay.where, again):
            await replay.end()
    assert "lines left out: 3; line 21" in replay.told
    assert len(list(read_log(again.read_text().splitlines()))) == 38


def slots(*frames: tuple[int, str | None]) -> list[Slot]:
    """Return the slots of frames that come every 0.1 s."""
    return slots_of(
        LoggedFrame(number / 10, pid, None if data is None else bytes.fromhex(data))
        for number, (pid, data) in enumerate(frames)
    )


def test_a_box_that_is_given_another_address_stays_the_box() -> None:
    found = slots(
        (ANSWER, "0302f900ffffffff"),
        (ANSWER, "0702f900ffffffff"),
        (REQUEST, "0306b01746001f07"),
        (ANSWER, "0301f0ffffffffff"),
        (ANSWER, "0702f900ffffffff"),
        (ANSWER, "0102f900ffffffff"),
        (POLL, None),
    )
    assert [one.was_answered for one in found] == [
        True, False, False, True, True, False, False,
    ]  # fmt: skip
    assert found[-1].is_empty


def test_what_was_damaged_stays_damaged() -> None:
    [slot] = slots_of([LoggedFrame(0.0, 0x03, bytes(8), sound=False)])
    *_, event = Receiver().receive_data(slot.data, 0.0)
    assert type(event).__name__ == "BadFrame"


def test_a_box_hears_itself_where_it_may_answer() -> None:
    bus = Bus(slots((POLL, "fe" * 8), (0x03, "00" * 8)), Pace(), Tally())
    bus.connected(0.0)
    assert bus.transmit(0.0) == bytes((0, 0x55, POLL))
    answer = response(POLL, b"\xff" * 8)
    bus.receive(answer[:4], 0.001)
    assert bus.transmit(0.002) == answer[:4]
    bus.receive(answer[4:] + b"more", 0.003)
    assert bus.transmit(0.004) == answer[4:]
    bus.transmit(0.004)
    assert bus.transmit(0.1) == bytes((0, 0x55, 0x03)) + response(0x03, bytes(8))
    bus.receive(answer, 0.101)
    assert bus.transmit(0.102) == b""
    assert (bus.tally.answered, bus.tally.unanswered) == (1, 0)


def test_a_box_is_waited_for_at_full_speed() -> None:
    bus = Bus(slots((POLL, "fe" * 8), (0x03, "00" * 8)), Pace(0.0), Tally())
    bus.connected(0.0)
    bus.transmit(0.0)
    assert bus.next_due(0.0) == ANSWER_TIME
    bus.receive(response(POLL, bytes(8)), 0.002)
    assert bus.next_due(0.002) == 0.002


@given(st.binary(min_size=1, max_size=400))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(raw or b"x")
    try:
        found = slots_of(frames_of(str(file)))
    except ValueError:
        return
    assert all(slot.gap >= 0 and slot.data for slot in found)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([protected(one) for one in range(64)]),
            st.binary(min_size=8, max_size=8),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_frames_are_heard_as_they_were(frames: list[tuple[int, bytes]]) -> None:
    logged = read_log(write_line(number / 10, *one) for number, one in enumerate(frames))
    bus = Bus(slots_of(logged), Pace(), Tally())
    receiver, now, heard = Receiver(), 0.0, []
    bus.connected(now)
    while not bus.hung_up:
        heard += [
            (event.pid, event.data)
            for event in receiver.receive_data(bus.transmit(now), now)
            if type(event).__name__ == "LinFrame"
        ]
        now = max(now, bus.next_due(now) or 0.0)
    boxes = {POLL, ANSWER}
    assert [one for one in heard if one[0] not in boxes] == [
        one for one in frames if one[0] not in boxes
    ]


async def test_the_end_of_a_serial_port_is_an_error(tmp_path: Path) -> None:
    code, _, told = await run("replay", "truma", str(CAPTURE), "--port", str(tmp_path / "none"))
    assert code == 1
    assert "No such file" in told
