"""``hardwired replay studer``: our own session reads a recorded plant."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.recording import Chunk
from hardwired.cli.replaying import BETWEEN_ROUNDS, Pace, Tally
from hardwired.cli.verbs.studer.exchanges import ANSWER_TIME, exchanges_of
from hardwired.cli.verbs.studer.replay import Gateway
from hardwired_engines.engine import Direction, RecordedFrame, Snapshot
from hardwired_engines.factory import Surroundings
from hardwired_engines.recording import json_lines
from hardwired_engines.studer import FACTORY
from hardwired_engines.studer.scom import multi_info
from hardwired_engines.studer.scom.errors import ErrorCode
from hardwired_engines.studer.scom.families import FAMILIES
from hardwired_engines.studer.scom.frame import (
    Frame,
    ObjectType,
    Request,
    Service,
    read_info,
    read_parameter,
    write_parameter,
)
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.tasks import until_any
from tests.standalone.cli.played import played
from tests.standalone.command import run

PLANT = "sim://?xtenders=2&phases=2&variotracks=1&variostrings=0&baud=0&latency_ms=0&messages=0&time_scale=60"
KINDS = ("xt", "vt", "bsp")
Values = Mapping[tuple[str | None, str], set[float]]
Keep = Callable[[RecordedFrame], None]


async def watched(link: str, frames: int, keep: Keep | None = None) -> Values:
    """Run our engine on a plant until it has heard so many frames; returns all that it showed.

    It hides no noise: what one has hidden another may show.
    """
    settings = {"link": link, "read_messages": False, "hide_noise": False}
    engine = FACTORY.make(FACTORY.read(settings), Surroundings())
    if keep is not None:
        engine.frames.listen(keep)
    seen: dict[tuple[str | None, str], set[float]] = defaultdict(set)
    enough = asyncio.Event()

    def take(snapshot: Snapshot) -> None:
        for state in snapshot.devices.values():
            if state.device.kind in KINDS and state.available:
                for key, value in state.values.items():
                    if isinstance(value, float):
                        seen[state.device.address, key].add(value)
        if engine.statistics.frames_in >= frames and ("101", "battery_voltage") in seen:
            enough.set()

    async with asyncio.timeout(90):
        await until_any(engine.run(take), enough.wait())
    return seen


def said(frames: Iterable[RecordedFrame]) -> Mapping[str, set[float]]:
    """Return all numbers that the devices at each address have said."""
    numbers: dict[str, set[float]] = defaultdict(set)
    parser = Parser()
    for raw in frames:
        if raw.direction is Direction.OUT:
            continue
        for frame in parser.receive_data(raw.data):
            body = frame.body()
            if body is None or body.is_error:
                continue
            if body.object_type == ObjectType.MULTI_INFO:
                for item, value in multi_info.decode(body.data).values().items():
                    for family in FAMILIES.values():
                        numbers[str(family.first + item.aggregation - 1)].add(value)
            elif len(body.data) == 4:
                numbers[str(frame.source)].add(*struct.unpack("<f", body.data))
    return numbers


def check_said(shown: Values, frames: Iterable[RecordedFrame]) -> None:
    """Check that each number that was shown is one that its device has said.

    They are shown as short as they are the same 32-bit float, the state of charge in tenths.
    """
    numbers = said(frames)
    for (address, key), values in shown.items():
        tolerance = 0.05 if key == "state_of_charge" else 0.0
        for value in values:
            assert any(
                math.isclose(value, number, rel_tol=2**-23, abs_tol=tolerance)
                for number in numbers[str(address)]
            ), (address, key, value)


@pytest.mark.slow
async def test_our_engine_sees_the_values_of_a_recorded_plant(tmp_path: Path) -> None:
    kept: list[RecordedFrame] = []
    original = await watched(PLANT, 138, kept.append)
    file = tmp_path / "plant.jsonl"
    file.write_bytes(json_lines(kept))
    async with played("studer", file, "--listen", "0") as replay:
        again = await watched(replay.where, 120)
        replay.interrupt()
        counts = await replay.end()
    assert replay.code == 130, replay.told
    assert again.keys() == original.keys()
    check_said(again, kept)
    assert {address for address, _ in again} == {"101", "102", "301", "601"}
    assert counts["unanswered"] == 0, replay.told
    assert counts["answered"] > 50


@pytest.mark.slow
async def test_a_part_of_a_recording_on_a_terminal(tmp_path: Path) -> None:
    """As Home Assistant makes it: without the search for devices, broken off in the middle."""
    kept: list[RecordedFrame] = []
    await watched(PLANT, 138, kept.append)
    many = next(
        place
        for place, frame in enumerate(kept)
        if frame.direction is Direction.OUT and len(frame.data) > 100
    )
    file = tmp_path / "part.jsonl"
    file.write_bytes(json_lines(kept[many:])[:-40])
    async with played("studer", file, "--pty", str(tmp_path / "port")) as replay:
        again = await watched(replay.where, 60)
        replay.interrupt()
        counts = await replay.end()
    assert "only what comes before is played" in replay.told
    assert counts["unanswered"] > 0
    assert {"101", "102"} <= {address for address, _ in again}
    check_said(again, kept[many:])


async def test_a_reader_that_goes_away_and_returns(tmp_path: Path) -> None:
    lines = [
        {"direction": "out", "data": read_info(101, 3000).encode().hex()},
        {"direction": "in", "data": voltage(48.5).encode().hex()},
    ]
    file = tmp_path / "two.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    async with played("studer", file, "--listen", "0") as replay:
        host, port = replay.where.removeprefix("socket://").split(":")
        for _ in range(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"\xff\xaa noise" + read_info(101, 3000).encode())
            async with asyncio.timeout(60):
                assert await reader.readexactly(30) == voltage(48.5).encode()
            writer.close()
            await writer.wait_closed()
        replay.interrupt()
        counts = await replay.end()
    assert counts == {"connections": 2, "frames": 2, "answered": 2, "unanswered": 0}


async def test_requests_alone_are_nothing_to_play(tmp_path: Path) -> None:
    file = tmp_path / "requests.txt"
    file.write_text(f"> {read_info(101, 3000).encode().hex(' ')}\n")
    code, _, told = await run("replay", "studer", str(file))
    assert code == 3
    assert "no answer of a gateway" in told


# ------------------------------------------------------------------------------ the answers


def voltage(value: float, address: int = 101) -> Frame:
    """Return the answer about the battery's voltage."""
    return read_info(address, 3000).answer(struct.pack("<f", value))


def at(second: float, *frames: Frame | Request) -> list[Chunk]:
    """Return frames as they were recorded at a second."""
    return [
        Chunk(
            frame.encode(),
            Direction.OUT if isinstance(frame, Request) else Direction.IN,
            f"2026-01-01T00:{int(second) // 60:02}:{second % 60:09.6f}+00:00",
        )
        for frame in frames
    ]


def gateway(*chunks: list[Chunk], speed: float = 1.0, loop: bool = False) -> Gateway:
    """Return a gateway of a recording; somebody has connected at 0."""
    found = Gateway(exchanges_of(chain(*chunks)), Pace(speed, loop), Tally())
    found.connected(0.0)
    return found


def asked(device: Gateway, request: Request, now: float, after: float = 0.0) -> Frame | None:
    """Return what is answered to a request so many seconds later."""
    device.receive(request.encode(), now)
    frames = Parser().receive_data(device.transmit(now + after))
    assert len(frames) <= 1
    return frames[0] if frames else None


def error_of(frame: Frame | None) -> int | None:
    assert frame is not None
    body = frame.body()
    assert body is not None
    return body.error_code


ASK = read_info(101, 3000)
COURSE = (
    at(0, ASK), at(0.1, voltage(48.0)), at(10, ASK), at(10.5, voltage(49.0)),
    at(20, ASK), at(20.1, voltage(50.0)),
)  # fmt: skip


def test_answers_come_by_the_recorded_time_and_the_last_stays() -> None:
    device = gateway(*COURSE)
    for now, wanted in ((0.0, 48.0), (9.9, 48.0), (11.0, 49.0), (25.0, 50.0), (9e5, 50.0)):
        assert asked(device, ASK, now, 0.6) == voltage(wanted)
    assert (device._tally.answered, device._tally.unanswered) == (5, 0)


def test_an_answer_takes_as_long_as_then() -> None:
    device = gateway(*COURSE, speed=2.0)
    assert asked(device, ASK, 6.0, 0.2) is None
    assert device.next_due(6.2) == pytest.approx(6.25)
    assert device.transmit(6.26) == voltage(49.0).encode()


def test_at_full_speed_each_answer_comes_in_turn() -> None:
    device = gateway(*COURSE, speed=0.0)
    heard = [asked(device, ASK, 0.0) for _ in range(4)]
    assert heard == [voltage(48.0), voltage(49.0), voltage(50.0), voltage(50.0)]
    device = gateway(*COURSE, speed=0.0, loop=True)
    heard = [asked(device, ASK, 0.0) for _ in range(4)]
    assert heard == [voltage(48.0), voltage(49.0), voltage(50.0), voltage(48.0)]


def test_it_begins_again_where_that_is_wished() -> None:
    device = gateway(*COURSE, loop=True)
    assert asked(device, ASK, 20.1 + BETWEEN_ROUNDS + 1.0, 1.0) == voltage(48.0)


def test_another_master_is_answered_by_its_name() -> None:
    other = Request(101, Service.READ, ObjectType.INFO, 3000, 1, source=7)
    answer = asked(gateway(*COURSE), other, 0.0, 1.0)
    assert answer == voltage(48.0)._replace(destination=7)


def test_what_was_not_asked_is_refused_and_counted() -> None:
    device = gateway(*COURSE)
    unknown = error_of(asked(device, read_info(101, 3001), 0.0))
    assert unknown == ErrorCode.OBJECT_ID_NOT_FOUND
    assert error_of(asked(device, read_info(102, 3000), 0.0)) == ErrorCode.DEVICE_NOT_FOUND
    assert error_of(asked(device, read_parameter(501, 5002), 0.0)) == ErrorCode.OBJECT_ID_NOT_FOUND
    written = asked(device, write_parameter(101, 1107, bytes(4)), 0.0)
    assert error_of(written) == ErrorCode.OBJECT_ID_NOT_FOUND
    many = asked(device, multi_info.request([multi_info.Item(3000, 1)], 5), 0.0)
    assert error_of(many) == ErrorCode.TYPE_NOT_SUPPORTED
    assert (device._tally.answered, device._tally.unanswered) == (0, 5)


def test_a_write_is_confirmed_only_with_the_value_of_then() -> None:
    write = write_parameter(101, 1107, struct.pack("<f", 10.0))
    device = gateway(at(0, write), at(0.2, write.answer()), at(9, ASK))
    assert asked(device, write, 0.0, 0.3) == write.answer()
    other = write_parameter(101, 1107, struct.pack("<f", 11.0))
    assert error_of(asked(device, other, 1.0)) == ErrorCode.OBJECT_ID_NOT_FOUND


def test_who_asked_in_vain_then_asks_in_vain() -> None:
    device = gateway(at(0, ASK), at(3, ASK), at(3.1, voltage(48.0)))
    assert asked(device, ASK, 3.1, 1.0) == voltage(48.0)
    device = gateway(at(0, ASK), at(ANSWER_TIME + 1, read_info(101, 3001)))
    assert asked(device, ASK, 0.0, 60.0) is None
    assert device._tally.unanswered == 1


def test_a_request_at_the_end_of_a_recording_is_no_silence() -> None:
    device = gateway(*COURSE, at(21, ASK))
    assert asked(device, ASK, 30.0, 1.0) == voltage(50.0)


def test_answers_without_their_requests() -> None:
    """A log of another program that holds what it received."""
    level = read_parameter(101, 1107, 8)
    device = gateway(at(0, voltage(48.0)), at(1, level.answer(bytes(4))))
    assert asked(device, ASK, 0.0) == voltage(48.0)
    assert asked(device, level, 0.0) == level.answer(bytes(4))


def test_a_late_answer_belongs_to_its_request() -> None:
    device = gateway(at(0, ASK), at(3, read_info(102, 3000)), at(3.5, voltage(48.0)))
    assert asked(device, ASK, 0.0, 3.4) is None
    assert device.transmit(3.6) == voltage(48.0).encode()


# ------------------------------------------------------------------------------ many values


def many(number: int, **values: float) -> tuple[Request, Frame]:
    """Return a request for voltages by unit, and its answer."""
    items = {multi_info.Item(3000, int(unit[1:])): value for unit, value in values.items()}
    request = multi_info.request(list(items), number)
    data = multi_info.encode(multi_info.MultiInfo(0x21, 1_800_000_000, tuple(items.items())))
    return request, request.answer(data)


def test_many_values_are_put_together_anew() -> None:
    first, one = many(1, u1=48.0, u2=47.0)
    second, two = many(2, u3=46.0)
    device = gateway(at(0, first), at(0, one), at(1, second), at(1, two))
    wanted, answer = many(77, u3=46.0, u1=48.0)
    assert asked(device, wanted, 5.0) == answer
    items = [multi_info.Item(3000, 2), multi_info.Item(3001, 1)]
    found = asked(device, multi_info.request(items, 78), 5.0)
    assert found is not None
    assert found == many(78, u2=47.0)[1]


def test_many_values_are_known_one_by_one() -> None:
    request, answer = many(1, u1=48.0, u2=47.0)
    device = gateway(at(0, request), at(0, answer))
    assert asked(device, read_info(102, 3000), 0.0) == voltage(47.0, 102)
    assert error_of(asked(device, read_info(103, 3000), 0.0)) == ErrorCode.DEVICE_NOT_FOUND
    clock = asked(device, read_parameter(501, 5002), 0.0)
    assert clock == read_parameter(501, 5002).answer(struct.pack("<I", 1_800_000_000))


def test_single_values_are_known_among_many() -> None:
    request, answer = many(1, u1=48.0)
    alone = at(0, read_info(102, 3000), voltage(47.0, 102))
    device = gateway(at(0, request), at(0, answer), alone)
    wanted, both = many(5, u1=48.0, u2=47.0)
    assert asked(device, wanted, 0.0) == both


@given(
    st.lists(
        st.builds(
            Chunk,
            st.binary(max_size=60)
            | st.builds(
                lambda address, info, data: read_info(address, info).answer(data).encode(),
                st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=20),
            )
            | st.builds(
                lambda number, data: multi_info.request([multi_info.Item(3000, 1)], number)
                .answer(data)
                .encode(),
                st.integers(0, 0xFFFF), st.binary(max_size=40),
            )
            | st.just(ASK.encode()),
            st.none() | st.sampled_from(Direction),
            st.none() | st.datetimes().map(str) | st.text(max_size=10),
        ),
        max_size=20,
    ),
    st.binary(max_size=60),
)  # fmt: skip
def test_any_recording_answers_whatever_is_asked(chunks: list[Chunk], noise: bytes) -> None:
    device = gateway(chunks)
    for request in (ASK, read_info(102, 3000), read_parameter(501, 5002), many(3, u1=1.0)[0]):
        device.receive(noise + request.encode() + noise, 100.0)
    for frame in Parser().receive_data(device.transmit(1e9)):
        assert frame.destination == 1
