"""The responder's process on a real terminal. Spec c.2."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.clock import SystemClock
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.truma.box import NOTHING_TO_SEND, UPDATE_PENDING, Finished, Received, Seen
from hardwired_engines.truma.buffers import MessageId
from hardwired_engines.truma.lin import response
from hardwired_engines.truma.nodes import ResponderNode, _event, _lost
from hardwired_engines.truma.responder import Responder, Talk

from .bus import COMBI, HEATER_OFF, POLL, TELL, Bus, Process, is_alive, responding

FAST = b"\0\x55\xd6" + response(0xD6, bytes.fromhex("0006630bbe0c8185"))
"""A frame of the heater."""


async def test_polls_are_answered_in_time() -> None:
    """The bench measures finely; here, on a machine that is busy testing, the middle counts."""
    async with responding() as (bus, process):
        await bus.alive()
        delays = []
        for _ in range(60):
            await asyncio.sleep(0.012)
            began = time.perf_counter()
            bus.send(b"\0\x55\xd8")
            assert await bus.read() == NOTHING_TO_SEND
            delays.append(time.perf_counter() - began)
            bus.send(NOTHING_TO_SEND)
        assert statistics.median(delays) < 0.00375
        facts = await process.facts()
        assert facts["answered"] >= 60
        assert facts["collisions"] == facts["checksum_errors"] == 0


async def test_what_is_heard_is_reported() -> None:
    async with responding() as (bus, process):
        await bus.frame(0xD6, bytes.fromhex("0006630bbe0c8185"))
        heard = await process.hear("f")
        assert (heard["p"], heard["d"]) == (0xD6, "0006630bbe0c8185")
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
            for byte in b"\0\x55\xd8":
                bus.send(bytes((byte,)))
                await asyncio.sleep(0.001)
            assert await bus.read() == NOTHING_TO_SEND
            for byte in NOTHING_TO_SEND:
                bus.send(bytes((byte,)))
                await asyncio.sleep(0.001)
        facts = await process.facts()
        assert facts["collisions"] == facts["checksum_errors"] == 0
        assert facts["echo"] is True


async def test_a_command_goes_up_and_is_acknowledged() -> None:
    baselines = {str(int(MessageId.HEATER)): HEATER_OFF.hex()}
    async with responding(baselines=baselines) as (bus, process):
        process.say({"t": "c", "n": 7, "g": "heater", "f": {"target_temp_room": 2920}})
        async with asyncio.timeout(5):
            while await bus.header(POLL) != UPDATE_PENDING:
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
        assert await bus.header(POLL) == NOTHING_TO_SEND, "the next one is"


async def test_a_header_with_bytes_behind_is_not_answered() -> None:
    async with responding() as (bus, process):
        await bus.alive()
        await asyncio.sleep(0.05)
        bus.send(b"\0\x55\xd8" + NOTHING_TO_SEND[:4])
        assert await bus.read(0.2) == b""
        assert (await process.facts())["skipped"] >= 1


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
        assert await bus.header(POLL) == NOTHING_TO_SEND
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
        async with asyncio.timeout(2):
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
    b'{"t":"c","n":1,"g":"moon","f":{}}\n',
    b'{"t":"c","n":1e999,"g":"heater","f":{"target_temp_room":1}}\n',
    b'{"t":"c","n":1,"g":"heater","f":{"target_temp_room":1e999}}\n',
    b'{"t":"c","n":1,"g":"heater","f":5}\n',
    b'{"t":"z","offset":1e999}\n', b'{"t":"z","offset":NaN}\n', b'{"t":"z","offset":1e15}\n',
    b'{"t":"z"}\n',
    b"x" * 1_000_000,
]  # fmt: skip


async def test_garbage_on_standard_input() -> None:
    clock = bytes((1, 2, 3, 1, 1, 0, 0, 0, 0, 0)).hex()
    async with responding(baselines={str(int(MessageId.CLOCK)): clock}) as (bus, process):
        for line in GARBAGE:
            process.say_raw(line)
            assert await bus.header(POLL) == NOTHING_TO_SEND, line[:60]
        process.say_raw(b"\n")
        process.say({"t": "c", "n": 3, "g": "clock", "f": {}})
        async with asyncio.timeout(5):
            while await bus.header(POLL) != UPDATE_PENDING:
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
        assert await bus.header(POLL) == NOTHING_TO_SEND
        assert process.process.returncode is None


async def test_it_ends_when_it_is_told_to() -> None:
    async with responding() as (_, process):
        process.say({"t": "x"})
        assert await process.end() == 0


# -------------------------------------------------------------------- the node around it


async def test_a_node_ends_its_process_and_frees_the_port() -> None:
    bus = Bus()
    config = {"port": bus.path, "counter": 0, "init_request": False}
    node = await ResponderNode.start(config, SystemClock())
    assert node.hello["scheduling"] in ("fifo", "nice", "normal")
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
        "t": st.sampled_from(["f", "b", "o", "2", "c", "r", "z", "a", "e", "?"]) | json_values,
        "p": json_values, "d": st.text("0123456789abcdefx", max_size=18) | json_values,
        "id": json_values, "c": json_values, "n": json_values, "o": json_values,
        "r": json_values, "g": st.sampled_from(["heater", "clock"]) | json_values,
        "f": st.dictionaries(st.text(max_size=4), json_values, max_size=3) | json_values,
        "offset": json_values, "reason": json_values,
    },
)  # fmt: skip


@settings(max_examples=200)
@given(messages)
def test_any_message_to_the_engine(message: dict[str, object]) -> None:
    event = _event(message)
    assert event is None or isinstance(event, (Seen, Received, Finished)) or message["t"] == "2"
    assert isinstance(_lost(message), LinkError)


@settings(max_examples=100)
@given(st.lists(messages, max_size=3))
def test_any_message_to_the_responder(script: list[dict[str, object]]) -> None:
    class Said(Talk):
        def __init__(self) -> None:
            """Nothing is opened."""

        def hear(self) -> list[dict[str, object]]:
            return script

    responder = Responder({})
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
    saved = os.dup(0)
    os.dup2(theirs, 0)
    try:
        assert talk.hear() == []
        for piece in pieces:
            os.write(ours, piece or b"\n")
            for command in talk.hear() or ():
                assert isinstance(command, dict)
        os.close(ours)
        while talk.hear() is not None:
            pass
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(theirs)


async def test_a_spurious_answer_slot() -> None:
    async with responding() as (bus, _):
        await bus.alive()
        assert await bus.header(TELL, 0.1) == b""


async def test_a_header_that_came_while_we_slept_is_not_answered() -> None:
    """While somebody else answers we sleep; who asks us then has waited too long."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    try:
        responder = Responder({"init_request": False})
        responder.box.receive(b"\0\x55\x97", time.monotonic())
        os.write(theirs, b"\0\x55\xd8")
        before = time.monotonic()
        assert before < responder._rest(ours, before) <= time.monotonic()
        assert responder.box.counts.skipped == 1
        assert responder.box.counts.answered == 0
    finally:
        os.close(ours)
        os.close(theirs)
