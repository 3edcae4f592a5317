"""The responder's process on a real terminal. Spec c.2."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.clock import ManualClock, SystemClock
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.truma.inet import box as box_module, rules as rules_module
from hardwired_engines.truma.inet.box import (
    NOTHING_TO_SEND,
    UPDATE_PENDING,
    Finished,
    Outcome,
    Received,
    SecondBox,
    Seen,
)
from hardwired_engines.truma.inet.buffers import Buffer, Group, MessageId
from hardwired_engines.truma.inet.rules import HeaterKind, Terms
from hardwired_engines.truma.lin import frames as frames_module
from hardwired_engines.truma.lin.frames import LinFrame, response
from hardwired_engines.truma.node import (
    messages as messages_module,
    node as node_module,
    responder as responder_module,
)
from hardwired_engines.truma.node.liveness import (
    DOUBTFUL_AFTER,
    STARVED_FOR,
    Liveness,
    ProcessLook,
)
from hardwired_engines.truma.node.messages import (
    BusFacts,
    End,
    Hello,
    Lost,
    Order,
    Refresh,
    Sent,
    SetOffset,
    Wish,
    read_order,
    read_report,
    write_order,
    write_report,
)
from hardwired_engines.truma.node.node import (
    RESPONDER,
    TURNS_TO_CATCH_UP,
    ResponderNode,
)
from hardwired_engines.truma.node.responder import STALL, Port, Responder, Talk

from ..bus import (
    CALL_EVERY,
    CALLED_WITHIN,
    COMBI,
    HEATER_OFF,
    POLL,
    TELL,
    Bus,
    Process,
    is_alive,
    responding,
)

pytestmark = pytest.mark.slow

FAST = b"\0\x55\xd6" + response(0xD6, bytes.fromhex("0006630bbe0c8185"))
"""A frame of the heater."""

MODULES = (box_module, rules_module, frames_module, messages_module)


async def test_polls_are_answered_in_time() -> None:
    """The bench measures finely. Here a machine that is busy testing may spoil some of the
    rounds, and a slow responder spoils all.
    """
    async with responding() as (bus, process):
        await bus.alive()
        rounds: list[float] = []
        delays: list[float] = []
        while not rounds or min(rounds) >= 0.00375:
            assert len(rounds) < 20, rounds
            before = len(delays)
            for _ in range(60):
                await asyncio.sleep(0.012)
                began = time.perf_counter()
                bus.send(b"\0\x55\xd8")
                if answer := await bus.read(CALL_EVERY):
                    delays.append(time.perf_counter() - began)
                    assert answer == NOTHING_TO_SEND
                    bus.send(answer)
            answered = delays[before:]
            rounds.append(statistics.median(answered) if len(answered) >= 40 else 1.0)
        facts = await process.facts()
        assert facts["answered"] >= len(delays)
        assert facts["skipped"] >= 60 * len(rounds) - len(delays), (
            "none is lost without being counted"
        )
        assert facts["collisions"] == facts["checksum_errors"] == 0


async def test_what_is_heard_is_reported() -> None:
    async with responding() as (bus, process):
        sent = time.monotonic()
        await bus.frame(0xD6, bytes.fromhex("0006630bbe0c8185"))
        heard = await process.hear("f")
        assert (heard["p"], heard["d"]) == (0xD6, "0006630bbe0c8185")
        assert sent <= heard["m"] / 1000 + 0.001
        assert heard["m"] / 1000 <= time.monotonic()
        assert await bus.download(MessageId.DEVICE, COMBI)
        heard = await process.hear("b")
        assert (heard["id"], heard["d"]) == (0x0B, COMBI.hex())


async def test_bytes_one_by_one() -> None:
    async with responding() as (bus, process):
        for _ in range(5):
            for byte in FAST:
                bus.send(bytes((byte,)))
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.03)
            async with asyncio.timeout(CALLED_WITHIN):
                answer = b""
                while not answer:  # a gap that the machine made ends a header
                    for byte in b"\0\x55\xd8":
                        bus.send(bytes((byte,)))
                        await asyncio.sleep(0.001)
                    answer = await bus.read(CALL_EVERY)
            assert answer == NOTHING_TO_SEND
            for byte in NOTHING_TO_SEND:
                bus.send(bytes((byte,)))
                await asyncio.sleep(0.001)
        facts = await process.facts()
        assert facts["collisions"] == facts["checksum_errors"] == 0
        assert facts["echo"] is True


async def test_a_command_goes_up_and_is_acknowledged() -> None:
    baselines = {str(int(MessageId.HEATER)): HEATER_OFF.hex()}
    async with responding(baselines=baselines) as (bus, process):
        warm = {"target_temp_room": 2920}
        process.say({"t": "c", "n": {"7": warm}, "g": "heater", "f": warm})
        async with asyncio.timeout(CALLED_WITHIN):
            while await bus.call(POLL) != UPDATE_PENDING:
                pass
        buffer = await bus.fetch()
        assert buffer is not None
        assert (buffer.counter, buffer.payload[:2].hex()) == (17, "680b")
        await bus.download(MessageId.ACKNOWLEDGE, b"\0\0", 17)
        heard = await process.hear("o")
        assert (heard["n"], heard["o"], heard["r"]) == ([7], "confirmed", 0)


@pytest.mark.parametrize("stall", [0.03, 0.3])
async def test_a_header_that_has_waited_is_not_answered(stall: float) -> None:
    async with responding() as (bus, process):
        await bus.alive()
        await asyncio.sleep(0.05)
        os.kill(process.process.pid, signal.SIGSTOP)
        await asyncio.sleep(0.03)
        bus.send(b"\0\x55\xd8")
        await asyncio.sleep(stall)
        os.kill(process.process.pid, signal.SIGCONT)
        assert await bus.read(0.3) == b""
        assert (await process.facts())["skipped"] >= 1
        assert await bus.call(POLL) == NOTHING_TO_SEND, "the next one is"


async def test_a_header_with_bytes_behind_is_not_answered() -> None:
    async with responding() as (bus, process):
        await bus.alive()
        await asyncio.sleep(0.05)
        bus.send(b"\0\x55\xd8" + NOTHING_TO_SEND[:4])
        assert await bus.read(0.2) == b""
        assert (await process.facts())["skipped"] >= 1


async def test_what_we_say_is_reported() -> None:
    async with responding() as (bus, process):
        assert await bus.call(POLL) == NOTHING_TO_SEND
        heard = await process.hear("s")
        assert (heard["p"], heard["d"]) == (POLL, NOTHING_TO_SEND[:8].hex())


async def test_the_rest_of_a_silence_is_kept() -> None:
    """Another box was there when our predecessor died: we are silent as long as it would be."""
    began = time.monotonic()
    async with responding(quiet_for=1.5) as (bus, process):
        assert await bus.header(POLL, 0.1) == b""
        assert (await process.facts())["second_box"] is True
        await bus.alive()
        assert time.monotonic() - began > 1.5


async def test_an_observer_says_nothing() -> None:
    async with responding(observer=True) as (bus, process):
        for _ in range(5):
            assert await bus.header(POLL, 0.05) == b""
        facts = await process.facts()
        assert (facts["headers"], facts["answered"]) == (5, 0)


async def test_the_port_is_taken_by_one() -> None:
    async with responding() as (bus, process):
        second = await Process.start(bus.path)
        message = await second.hear("e")
        assert message["reason"] == "busy"
        assert await second.end() == 2
        assert await bus.call(POLL) == NOTHING_TO_SEND
        assert process.process.returncode is None


@pytest.mark.parametrize(
    "path, reason", [("/dev/does-not-exist", "not_found"), ("/dev/null", "bad_address")]
)
async def test_a_port_that_is_none(path: str, reason: str) -> None:
    process = await Process.start(path)
    assert (await process.hear("e"))["reason"] == reason
    assert await process.end() == 2


async def test_the_port_is_unplugged() -> None:
    async with responding() as (bus, process):
        await bus.alive()
        bus.unplug()
        assert (await process.hear("e"))["reason"] == "disconnected"
        assert await process.end() == 3


async def test_it_ends_with_its_engine() -> None:
    """Its engine is killed: the pipe ends, and the responder with it."""
    bus = Bus()
    program = (
        "import asyncio, sys\n"
        "from tests.engines.truma.bus import Process\n"
        "async def main():\n"
        "    process = await Process.start(sys.argv[1])\n"
        "    await process.hear('h')\n"
        "    print(process.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, bus.path, stdout=subprocess.PIPE
    )
    try:
        assert engine.stdout is not None
        pid = int(await engine.stdout.readline())
        await bus.alive()
        engine.kill()
        await engine.wait()
        async with asyncio.timeout(60):
            while is_alive(pid):
                await asyncio.sleep(0.01)
        assert await bus.header(POLL, 0.2) == b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            engine.kill()
        bus.unplug()


GARBAGE = [
    b"\xff\xfe\x00\n", b"{}\n", b"[]\n", b"null\n", b"{\"t\": 5}\n", b"{\"t\":\"c\"}\n",
    b"[" * 60000 + b"\n",
    b'{"t":"c","n":{"1":{}},"g":"moon","f":{}}\n',
    b'{"t":"c","n":1e999,"g":"heater","f":{"target_temp_room":1}}\n',
    b'{"t":"c","n":{"one":{}},"g":"heater","f":{"target_temp_room":1}}\n',
    b'{"t":"c","n":{"1":{}},"g":"heater","f":{"target_temp_room":1e999}}\n',
    b'{"t":"c","n":{"1":{}},"g":"heater","f":5}\n',
    b'{"t":"z","offset":1e999}\n', b'{"t":"z","offset":NaN}\n', b'{"t":"z","offset":1e15}\n',
    b'{"t":"z"}\n',
    b"x" * 1_000_000,
]  # fmt: skip


async def test_garbage_on_standard_input() -> None:
    clock = bytes((1, 2, 3, 1, 1, 0, 0, 0, 0, 0)).hex()
    async with responding(baselines={str(int(MessageId.CLOCK)): clock}) as (bus, process):
        for line in GARBAGE:
            process.say_raw(line)
            assert await bus.call(POLL) == NOTHING_TO_SEND, line[:60]
        process.say_raw(b"\n")
        process.say({"t": "c", "n": {"3": {}}, "g": "clock", "f": {}})
        async with asyncio.timeout(CALLED_WITHIN):
            while await bus.call(POLL) != UPDATE_PENDING:
                pass
        buffer = await bus.fetch()
        assert buffer is not None
        assert buffer.payload[0] == time.gmtime().tm_hour


async def test_an_engine_that_does_not_read() -> None:
    """Reports are dropped and counted; the bus is answered all the same."""
    async with responding() as (bus, process):
        await bus.alive()
        for _ in range(30):
            bus.send(FAST * 300)
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert await bus.call(POLL) == NOTHING_TO_SEND
        assert process.process.returncode is None


async def test_it_ends_when_it_is_told_to() -> None:
    async with responding() as (_, process):
        process.say({"t": "x"})
        assert await process.end() == 0


# -------------------------------------------------------------------- the node around it


class Idle:
    """Stands in for a process of which nothing is heard."""

    pid = 1

    def __init__(self) -> None:
        self.killed = False

    def kill(self) -> None:
        self.killed = True


class Sample(NamedTuple):
    """What the process did in one step of the watch; seconds."""

    state: str
    works: float = 0.0
    waits: float = 0.0
    step: float = 0.05


def hung_after(sample: Sample, limit: float = 100.0) -> float | None:
    """Return the silence after which a process that does this is taken for hanging."""
    liveness = Liveness()
    silence, worked, waited = DOUBTFUL_AFTER + 0.01, 5.0, 7.0
    while silence < limit:
        if liveness.hangs(ProcessLook(sample.state, worked, waited), silence):
            return silence
        silence += sample.step
        worked += sample.works
        waited += sample.waits
    return None


@pytest.mark.parametrize(
    "sample, least, most",
    [
        (Sample("T"), 0.2, 0.25),  # stopped
        (Sample("S"), 0.45, 0.6),  # asleep for good
        (Sample("X"), 0.45, 0.6),  # gone
        (Sample("R", works=0.05), 0.45, 0.6),  # runs in circles
        (Sample("R", works=0.006, waits=0.044), 0.45, 2.0),  # so it does where eight others run
        (Sample("S", step=0.4), 0.45, 1.5),  # asleep for good, and we are seldom let look
        # Wants to run and is not let; whatever the reason, after so long another is tried.
        (Sample("R"), STARVED_FOR, STARVED_FOR + 0.1),
        (Sample("D"), STARVED_FOR, STARVED_FOR + 0.1),
        # Gets a crumb of time now and then, in which it falls asleep until its next tick.
        (Sample("S", works=0.0001, waits=0.05), STARVED_FOR, STARVED_FOR + 0.1),
        (Sample("R", works=0.0001, waits=0.05), STARVED_FOR, STARVED_FOR + 0.1),
    ],
)
def test_who_hangs_is_told_from_who_is_not_let(sample: Sample, least: float, most: float) -> None:
    hung = hung_after(sample)
    assert hung is not None
    assert least < hung <= most


def test_who_speaks_is_never_judged_by_what_was_before() -> None:
    liveness = Liveness()
    for _ in range(1000):
        assert not liveness.hangs(ProcessLook("S", 1.0), 0.4)
        liveness.speaks()
    assert not liveness.hangs(ProcessLook("S", 1.0), 90.0 / 1000)


async def test_a_node_kills_who_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessLook, "at", lambda _pid: ProcessLook("T", 1.0))
    monkeypatch.setattr(node_module, "WATCH_EVERY", 0)
    clock, process = ManualClock(), Idle()
    node = ResponderNode(process, clock)  # type: ignore[arg-type]
    watch = asyncio.ensure_future(node._watch())
    for _ in range(10 * TURNS_TO_CATCH_UP):
        await asyncio.sleep(0)
    assert not watch.done()
    await clock.advance(0.25)
    with pytest.raises(LinkError):
        await watch
    assert process.killed


async def test_a_process_is_looked_at() -> None:
    """One that computes, on one processor with another that computes, and then is stopped."""
    spin = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    spinners = [await asyncio.create_subprocess_exec(sys.executable, "-c", spin) for _ in "12"]
    pid = spinners[0].pid
    try:
        async with asyncio.timeout(60):
            while (look := ProcessLook.at(pid)).worked < 0.1 or look.waited < 0.1:
                await asyncio.sleep(0.02)
        assert look.state == "R"
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(60):
            while not ProcessLook.at(pid).stopped:
                await asyncio.sleep(0.01)
    finally:
        for spinner in spinners:
            spinner.kill()
            await spinner.wait()
    assert ProcessLook.at(pid).state == "X"


async def test_a_responder_that_is_not_let_run_is_left_alone() -> None:
    """Its process is a stand-in that wants to run, and comes last on its processor."""
    code = (
        "import os, sys\n"
        "os.sched_setaffinity(0, {int(sys.argv[1])})\n"
        "os.sched_setscheduler(0, int(sys.argv[2]), os.sched_param(0))\n"
        "print(flush=True)\n"
        "while True: pass"
    )
    place = str(min(os.sched_getaffinity(0)))
    others, starved = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, place, str(policy), stdout=asyncio.subprocess.PIPE
        )
        for policy in (os.SCHED_OTHER, os.SCHED_IDLE)
    ]
    try:
        for process in (others, starved):
            assert process.stdout is not None
            await process.stdout.readline()
        liveness, began = Liveness(), time.monotonic()
        while (silence := DOUBTFUL_AFTER + time.monotonic() - began) < 1.5:
            assert not liveness.hangs(ProcessLook.at(starved.pid), silence)
            await asyncio.sleep(0.05)
        others.kill()
        os.sched_setscheduler(starved.pid, os.SCHED_OTHER, os.sched_param(0))
        async with asyncio.timeout(60):  # it runs, whatever else does, and says nothing
            while not liveness.hangs(ProcessLook.at(starved.pid), silence):
                await asyncio.sleep(0.05)
    finally:
        for process in (others, starved):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def test_when_a_frame_was_heard() -> None:
    line = {"t": "f", "p": 0xD6, "d": "00" * 8, "m": 99_900}
    for kind in ("f", "s"):
        event = read_report(json.dumps({**line, "t": kind}).encode(), 100.0)
        assert isinstance(event, (Seen, Sent))
        assert event.age == pytest.approx(0.1)
        for strange in (100_500, -1, 10**30, float("nan")):
            other = read_report(json.dumps({**line, "t": kind, "m": strange}).encode(), 100.0)
            assert isinstance(other, (Seen, Sent))
            assert other.age == 0


async def test_a_node_ends_its_process_and_frees_the_port() -> None:
    bus = Bus()
    config = {"port": bus.path, "counter": 0, "init_request": False}
    node = await ResponderNode.start(config, SystemClock())
    assert node.hello.scheduling in ("fifo", "nice", "normal")
    with pytest.raises(LinkError) as caught:
        await ResponderNode.start(config, SystemClock())
    assert caught.value.reason is Reason.BUSY
    await node.close()
    assert not is_alive(node.pid)
    again = await ResponderNode.start(config, SystemClock())
    await again.close()
    bus.unplug()


async def test_a_process_that_hangs_is_killed_when_the_node_closes() -> None:
    bus = Bus()
    config = {"port": bus.path, "counter": 0, "init_request": False}
    node = await ResponderNode.start(config, SystemClock())
    os.kill(node.pid, signal.SIGSTOP)
    await node.close()
    assert not is_alive(node.pid)
    bus.unplug()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "t": st.sampled_from([*"fsbo2crzae?"]) | json_values,
        "p": json_values, "d": st.text("0123456789abcdefx", max_size=18) | json_values,
        "m": json_values,
        "id": json_values, "c": json_values, "n": json_values, "o": json_values,
        "r": json_values, "g": st.sampled_from(["heater", "clock"]) | json_values,
        "f": st.dictionaries(st.text(max_size=4), json_values, max_size=3) | json_values,
        "offset": json_values, "reason": json_values,
    },
)  # fmt: skip


@settings(max_examples=200)
@given(messages)
def test_any_message_to_the_engine(message: dict[str, object]) -> None:
    known = (Seen, Sent, Received, Finished, SecondBox, BusFacts, Hello, Lost)
    report = read_report(json.dumps(message).encode(), 5.0)
    assert report is None or isinstance(report, known)


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_line_or_nothing(line: bytes) -> None:
    read_report(line)
    read_order(line)


FRAME = LinFrame(0xD6, bytes(range(8)))


@pytest.mark.parametrize(
    "report",
    [
        Seen(FRAME), Sent(FRAME), Received(Buffer(0x33, 7, bytes(20), b"")), SecondBox(),
        Finished((1, 2), Outcome.RULED_OUT, None, "fuel_with_power", "no", {"power": "900"}),
        Lost("busy", "taken"),
        Hello(True, "fifo"), BusFacts(headers=3, echo=None, pending=("heater",), worst_ms=1.5),
    ],
)  # fmt: skip
def test_reports_are_read_as_they_were_written(report: Any) -> None:
    assert read_report(write_report(report, 5.0), 5.0) == report


@pytest.mark.parametrize(
    "order",
    [
        Wish(
            Group.HEATER,
            {"heating_mode": 1},
            {3: {"heating_mode": 0}, 4: {"heating_mode": 1}},
            Terms(HeaterKind.VARIO, 3, 2930, 2950),
        ),
        Wish(Group.CLOCK, {}, {5: {}}), Refresh(), SetOffset(3600.0), End(),
    ],
)  # fmt: skip
def test_orders_are_read_as_they_were_written(order: Order) -> None:
    assert read_order(write_order(order)) == order


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*BusFacts.__dataclass_fields__, "x"]), json_values))
def test_facts_of_any_types(plain: dict[str, Any]) -> None:
    facts = BusFacts.read(plain)
    for name, item in BusFacts.__dataclass_fields__.items():
        value = getattr(facts, name)
        assert value is None or type(value) is type(item.default) or name == "echo"


@settings(max_examples=100)
@given(st.lists(messages, max_size=3))
def test_any_message_to_the_responder(script: list[dict[str, object]]) -> None:
    class Said(Talk):
        def __init__(self) -> None:
            """Nothing is opened."""

        def hear(self) -> list[Order]:
            lines = (json.dumps(one).encode() for one in script)
            return [order for one in lines if (order := read_order(one)) is not None]

    responder = Responder({}, MODULES)
    assert responder._obey(Said()) in (True, False)
    assert 0 <= responder._now_fields()["hours"] <= 23
    assert responder.box.receive(b"\0\x55\x7d", 0) == b""


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_on_the_pipe_in_any_pieces(pieces: list[bytes]) -> None:
    theirs, ours = os.pipe()
    os.set_blocking(theirs, False)
    talk = Talk.__new__(Talk)
    talk._out, talk._in, talk.dropped = bytearray(), b"", 0
    talk.messages = messages_module
    saved = os.dup(0)
    os.dup2(theirs, 0)
    try:
        assert talk.hear() == []
        for piece in pieces:
            os.write(ours, piece or b"\n")
            for command in talk.hear() or ():
                assert isinstance(command, (Wish, Refresh, SetOffset, End))
        os.close(ours)
        while talk.hear() is not None:
            pass
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(theirs)


@pytest.fixture
def line() -> Iterator[tuple[int, int]]:
    """Two ends of a line that never blocks."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours.fileno(), theirs.fileno()


def asked(responder: Responder) -> bytes:
    """Let it find the answer to a poll."""
    return responder.box.hear(b"\0\x55\xd8", time.monotonic())  # type: ignore[no-any-return]


def test_an_answer_that_has_become_late_does_not_leave(line: tuple[int, int]) -> None:
    """Between reading and writing the process may have been held up."""
    ours, theirs = line
    responder = Responder({"init_request": False}, MODULES)
    answer = asked(responder)
    assert answer == NOTHING_TO_SEND
    now = time.monotonic()
    assert not responder._answer(ours, answer, now, now - STALL - 0.001)
    with pytest.raises(BlockingIOError):
        os.read(theirs, 64)
    counts = responder.box.counts
    assert (counts.answered, counts.skipped) == (0, 1)
    answer = asked(responder)
    now = time.monotonic()
    assert responder._answer(ours, answer, now, now + 1)
    assert os.read(theirs, 64) == NOTHING_TO_SEND
    assert (counts.answered, counts.skipped) == (1, 1)


def test_an_answer_that_the_line_does_not_take_is_left_out(line: tuple[int, int]) -> None:
    ours, _ = line
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(ours, bytes(4096))
    responder = Responder({"init_request": False}, MODULES)
    answer = asked(responder)
    now = time.monotonic()
    assert not responder._answer(ours, answer, now, now)
    assert (responder.box.counts.answered, responder.box.counts.skipped) == (0, 1)


# ----------------------------------------------------------------- adapters that hold back


@pytest.mark.parametrize(
    "timer, writable, found",
    [(None, True, None), ("16\n", True, True), ("16\n", False, False), ("1\n", False, True)],
)
def test_what_the_adapter_says_of_its_latency(
    timer: str | None,
    writable: bool,
    found: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A port without such a setting is no reason to complain."""
    bus = Bus()
    monkeypatch.setattr(responder_module, "LATENCY_TIMERS", str(tmp_path))
    if timer is not None:
        folder = tmp_path / Path(bus.path).name
        folder.mkdir()
        (folder / "latency_timer").write_text(timer, encoding="ascii")

    def careful_open(path: str, mode: str = "r", **details: Any) -> IO[Any]:
        if mode == "w" and not writable:
            raise PermissionError(13, "not allowed", path)
        return Path(path).open(mode, **details)

    monkeypatch.setattr(responder_module, "open", careful_open, raising=False)
    port = Port(bus.path)
    assert port.low_latency is found
    os.close(port.fd)
    bus.unplug()


async def test_a_spurious_answer_slot() -> None:
    async with responding() as (bus, _):
        await bus.alive()
        assert await bus.header(TELL, 0.1) == b""


async def test_a_header_that_came_while_we_slept_is_not_answered() -> None:
    """While somebody else answers we sleep; who asks us then has waited too long."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    try:
        responder = Responder({"init_request": False}, MODULES)
        responder.box.receive(b"\0\x55\x97", time.monotonic())
        os.write(theirs, b"\0\x55\xd8")
        before = time.monotonic()
        assert before < responder._rest(ours, before) <= time.monotonic()
        assert responder.box.counts.skipped == 1
        assert responder.box.counts.answered == 0
    finally:
        os.close(ours)
        os.close(theirs)


async def test_the_responder_ends_with_its_parent_even_while_stopped() -> None:
    """Issue 13, number 10: a parent that is killed leaves no stopped responder on the port."""
    bus = Bus()
    script = (
        "import asyncio, sys\n"
        "from hardwired_engines.clock import SystemClock\n"
        "from hardwired_engines.truma.node.node import ResponderNode\n"
        "async def main():\n"
        "    config = {'port': sys.argv[1], 'counter': 0, 'init_request': False}\n"
        "    node = await ResponderNode.start(config, SystemClock())\n"
        "    print(node.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, bus.path, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(60):
        while is_alive(pid):
            await asyncio.sleep(0.01)
    bus.unplug()


async def test_ctrl_c_in_a_terminal_is_the_engines_to_obey() -> None:
    async with responding() as (_, process):
        process.process.send_signal(signal.SIGINT)
        await process.facts()
        assert await process.end() == 0


async def test_an_engine_that_closes_its_ends_gets_no_traceback() -> None:
    """Issue 13, number 10: BrokenPipe."""
    bus = Bus()
    theirs, ours = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(RESPONDER),
        json.dumps({"port": bus.path, "counter": 0, "init_request": False}),
        stdin=asyncio.subprocess.PIPE, stdout=ours, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(ours)
    assert os.read(theirs, 1) == b"{"
    os.close(theirs)
    async with asyncio.timeout(60):
        await process.wait()
    assert process.stderr is not None
    assert await process.stderr.read() == b""
    assert process.returncode == 0
    bus.unplug()
