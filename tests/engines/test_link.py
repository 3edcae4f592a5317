"""Links on real ports: pseudo-terminals, sockets, a port that listens; and their supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import math
import os
import random
import select
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import LinkError, Reason, Statistics
from hardwired_engines.link import (
    Backoff,
    Ended,
    LinkState,
    ListenOpener,
    Parity,
    SerialSettings,
    Stream,
    StreamPair,
    Supervisor,
    link_error,
    make_opener,
)
from hardwired_engines.simulating import PtyPort
from tests.ports import free_port

LINE = SerialSettings(38400, parity=Parity.EVEN)


@pytest.fixture
def port(tmp_path: Path):
    port = PtyPort(tmp_path / "ttyTEST")
    port.plug()
    yield port
    port.unplug()


async def read_exactly(stream: Stream, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(60):
        while len(data) < count:
            data += await stream.read()
    return data


async def test_bytes_pass_a_serial_port_both_ways(port: PtyPort) -> None:
    stream = await make_opener(str(port.link), LINE).open()
    os.write(port._master, b"\x00\xff\x0d\x0a\x11\x13")
    assert await read_exactly(stream, 6) == b"\x00\xff\x0d\x0a\x11\x13"
    await stream.write(b"\x03\x1a")
    await asyncio.to_thread(select.select, [port._master], [], [], 5)
    assert os.read(port._master, 10) == b"\x03\x1a"
    await stream.close()


async def test_a_terminal_with_parity_opens_again(port: PtyPort) -> None:
    opener = make_opener(str(port.link), LINE)
    for _ in range(3):
        await (await opener.open()).close()


async def test_a_port_that_is_taken_says_so(port: PtyPort) -> None:
    other = os.open(port.link, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(LinkError) as caught:
        await make_opener(str(port.link), LINE).open()
    os.close(other)
    assert caught.value.reason is Reason.BUSY
    assert "held by this program itself" in str(caught.value)


async def test_who_holds_a_port_that_is_taken_is_named(port: PtyPort) -> None:
    """ModemManager, for one."""
    code = (
        "import ctypes, fcntl, signal\n"
        "ctypes.CDLL(None).prctl(15, b'ModemManager', 0, 0, 0)\n"
        "fcntl.flock(0, fcntl.LOCK_EX)\n"
        "print(flush=True)\n"
        "signal.pause()"
    )
    slave = os.open(port.link, os.O_RDWR | os.O_NOCTTY)
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", code, stdin=slave, stdout=asyncio.subprocess.PIPE
    )
    os.close(slave)
    try:
        assert holder.stdout is not None
        await holder.stdout.readline()
        with pytest.raises(LinkError) as caught:
            await make_opener(str(port.link), LINE).open()
    finally:
        holder.kill()
        await holder.wait()
    assert caught.value.reason is Reason.BUSY
    assert str(caught.value).endswith(f"held by ModemManager (process {holder.pid})")


async def test_an_unplugged_port_is_a_loss_not_a_crash(port: PtyPort) -> None:
    stream = await make_opener(str(port.link), LINE).open()
    port.unplug()
    with pytest.raises(LinkError) as caught:
        async with asyncio.timeout(60):
            while True:
                await stream.read()
    assert caught.value.reason is Reason.DISCONNECTED
    await stream.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("/dev/there-is-no-such-port", Reason.NOT_FOUND),
        ("gopher://host:70", Reason.BAD_ADDRESS),
        ("socket://localhost", Reason.BAD_ADDRESS),
        ("socket://:99999", Reason.BAD_ADDRESS),
        ("tcp://localhost:0", Reason.BAD_ADDRESS),
        ("sim://", Reason.BAD_ADDRESS),
        ("listen://0.0.0.0:4001?peer=nobody", Reason.BAD_ADDRESS),
        ("udp://:4001", Reason.BAD_ADDRESS),
        ("tcp://[::1", Reason.BAD_ADDRESS),
    ],
)
async def test_a_wrong_address_has_its_reason(url: str, reason: Reason) -> None:
    with pytest.raises(LinkError) as caught:
        await make_opener(url, LINE).open()
    assert caught.value.reason is reason


async def test_a_refused_connection_says_so() -> None:
    port = free_port()
    with pytest.raises(LinkError) as caught:
        await make_opener(f"tcp://127.0.0.1:{port}").open()
    assert caught.value.reason is Reason.REFUSED


async def test_a_socket_that_ends_is_a_loss() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    stream = await make_opener(f"socket://127.0.0.1:{port}").open()
    assert await read_exactly(stream, 5) == b"hello"
    with pytest.raises(LinkError) as caught:
        await stream.read()
    assert caught.value.reason is Reason.DISCONNECTED
    await stream.close()
    server.close()


async def test_the_newest_of_two_connections_wins() -> None:
    opener = ListenOpener("127.0.0.1", 0)
    waiting = asyncio.ensure_future(opener.open())
    async with asyncio.timeout(60):
        while opener.port is None:
            await asyncio.sleep(0.01)
    _, first = await asyncio.open_connection("127.0.0.1", opener.port)
    old = await waiting
    first.write(b"old")
    assert await read_exactly(old, 3) == b"old"
    _, second = await asyncio.open_connection("127.0.0.1", opener.port)
    with pytest.raises(LinkError):
        async with asyncio.timeout(60):
            await old.read()
    new = await opener.open()
    second.write(b"new")
    assert await read_exactly(new, 3) == b"new"
    await opener.close()
    first.close()
    second.close()


async def test_a_stranger_is_turned_away() -> None:
    opener = ListenOpener("127.0.0.1", 0, peer="192.0.2.7")
    waiting = asyncio.ensure_future(opener.open())
    async with asyncio.timeout(60):
        while opener.port is None:
            await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", opener.port)
    assert await reader.read() == b""
    writer.close()
    assert opener.refused == 1
    assert not waiting.done()
    waiting.cancel()
    await opener.close()


async def _dial(port: int, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


async def test_two_who_name_their_peers_share_a_port() -> None:
    port = free_port()
    first = ListenOpener("0.0.0.0", port, peer="127.0.0.1")
    second = ListenOpener("0.0.0.0", port, peer="127.0.0.2")
    waiting = [asyncio.ensure_future(opener.open()) for opener in (first, second)]
    try:
        async with asyncio.timeout(30):
            while first.port is None or second.port is None:
                await asyncio.sleep(0)
            calls = [await _dial(port, source) for source in ("127.0.0.2", "127.0.0.1")]
            for (_, writer), text in zip(calls, (b"two", b"one"), strict=True):
                writer.write(text)
            streams = await asyncio.gather(*waiting)
            assert [await stream.read() for stream in streams] == [b"one", b"two"]
            # Nobody else is let in.
            stranger, writer = await _dial(port, "127.0.0.3")
            assert await stranger.read() == b""
            writer.close()
            assert (first.refused, second.refused) == (1, 1)
            # The one goes, the other stays; then the port is free.
            await first.close()
            (_, again) = await _dial(port, "127.0.0.2")
            again.write(b"still here")
            assert await (await second.open()).read() == b"still here"
            again.close()
            for _, writer in calls:
                writer.close()
    finally:
        await first.close()
        await second.close()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("0.0.0.0", port))


@pytest.mark.parametrize(
    ("here", "there"), [(None, None), ("127.0.0.1", None), (None, "127.0.0.1"), ("127.0.0.1",) * 2]
)
async def test_who_can_not_be_told_apart_does_not_share_a_port(
    here: str | None, there: str | None
) -> None:
    port = free_port()
    first = ListenOpener("127.0.0.1", port, here)
    waiting = asyncio.ensure_future(first.open())
    try:
        async with asyncio.timeout(30):
            while first.port is None:
                await asyncio.sleep(0)
            with pytest.raises(LinkError) as caught:
                await ListenOpener("127.0.0.1", port, there).open()
        assert caught.value.reason is Reason.BUSY
        assert str(port) in str(caught.value)
    finally:
        waiting.cancel()
        await first.close()


async def test_who_dials_in_while_the_door_closes_meets_no_closed_server() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)  # only then asyncio tells
    told: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    for turns in range(8):
        opener = ListenOpener("127.0.0.1", 0)
        waiting = asyncio.ensure_future(opener.open())
        while opener.port is None:
            await asyncio.sleep(0)
        with socket.create_connection(("127.0.0.1", opener.port), 1):
            for _ in range(turns):
                await asyncio.sleep(0)
            await opener.close()
            waiting.cancel()
            await asyncio.wait([waiting])
    loop.set_debug(False)
    assert told == []


async def test_a_listening_port_that_is_taken_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LinkError) as caught:
            await ListenOpener("127.0.0.1", taken.getsockname()[1]).open()
    assert caught.value.reason is Reason.BUSY


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_datagrams_of_the_peer_are_heard(host: str) -> None:
    """By a name too (issue 13, number 10)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        opener = make_opener(f"udp://{host}:{peer.getsockname()[1]}?local_port=0")
        stream = await opener.open()
        await stream.write(b"ask")
        data, sender = await asyncio.to_thread(peer.recvfrom, 100)
        assert data == b"ask"
        peer.sendto(b"answer", ("127.0.0.1", sender[1]))
        assert await read_exactly(stream, 6) == b"answer"
        await stream.close()


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=20), st.integers(1, 50))
def test_a_line_in_memory_loses_nothing(chunks: list[bytes], size: int) -> None:
    async def run() -> bytes:
        pair = StreamPair()
        for chunk in chunks:
            await pair.near.write(chunk)
        await pair.near.close()
        got = b""
        with contextlib.suppress(LinkError):
            while True:
                got += await pair.far.read(size)
        return got

    assert asyncio.run(run()) == b"".join(chunks)


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_pauses_grow_to_a_limit_and_jitter(count: int, seed: int) -> None:
    backoff = Backoff(1, 60, source=random.Random(seed))
    pauses = [backoff.next() for _ in range(count)]
    for index, pause in enumerate(pauses):
        nominal = min(2**index, 60)
        assert 0.8 * nominal <= pause <= 1.2 * nominal
    backoff.reset()
    assert backoff.next() <= 1.2


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EBUSY, errno.EACCES, 0, 9999])
def test_every_error_of_the_system_has_a_reason(number: int) -> None:
    assert isinstance(link_error(OSError(number, "x")), LinkError)


class Bench:
    """A supervisor whose link is up to the test."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.statistics = Statistics()
        self.opened = 0
        self.errors: list[Exception] = []
        self.changes: list[tuple[LinkState, Reason | None]] = []
        self.hold = asyncio.Event()
        self.supervisor: Supervisor[int] = Supervisor(
            "the link",
            self.open,
            self.session,
            on_change=lambda state, reason, detail: self.changes.append((state, reason)),
            clock=self.clock,
            statistics=self.statistics,
            backoff=Backoff(jitter=0),
        )

    async def open(self) -> int:
        self.opened += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.opened

    async def session(self, resource: int) -> None:
        self.supervisor.proven()
        await self.hold.wait()
        self.hold.clear()
        raise LinkError(Reason.DISCONNECTED, "gone")


async def test_the_supervisor_backs_off_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    bench.errors = [LinkError(Reason.NOT_FOUND, "none")] * 50
    task = asyncio.ensure_future(bench.supervisor.run())
    await bench.clock.advance(1 + 2 + 4 + 8 + 16 + 32 + 60 * 44 - 0.5)
    assert bench.opened == 50
    await bench.clock.advance(61)
    assert bench.supervisor.state is LinkState.UP
    bench.hold.set()
    await bench.clock.advance(0.5)
    assert bench.supervisor.state is LinkState.WAITING
    await bench.clock.advance(1)
    assert bench.supervisor.state is LinkState.UP
    assert bench.statistics.reconnects == 2
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.INFO] * 2
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert bench.supervisor.state is LinkState.CLOSED


async def test_a_plug_event_ends_the_pause() -> None:
    bench = Bench()
    bench.errors = [LinkError(Reason.NOT_FOUND, "none")] * 50
    task = asyncio.ensure_future(bench.supervisor.run())
    await bench.clock.advance(200)
    before = bench.opened
    bench.supervisor.wake()
    await bench.clock.advance(0)
    assert bench.opened == before + 1
    task.cancel()


async def test_an_unforeseen_error_is_logged_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.errors = [RuntimeError("a bug")]
    task = asyncio.ensure_future(bench.supervisor.run())
    await bench.clock.advance(0.5)
    assert bench.changes[-1] == (LinkState.WAITING, Reason.FAILED)
    assert "a bug" in caplog.text
    await bench.clock.advance(1)
    assert bench.supervisor.state is LinkState.UP
    task.cancel()


async def test_the_device_is_up_once_it_has_proved_to_be_alive() -> None:
    bench = Bench()
    task = asyncio.ensure_future(bench.supervisor.run())
    await bench.clock.advance(0)
    assert [state for state, _ in bench.changes] == [
        LinkState.OPENING,
        LinkState.HANDSHAKING,
        LinkState.UP,
    ]
    task.cancel()


async def test_for_a_permanent_reason_it_waits_until_it_is_woken() -> None:
    bench = Bench()
    bench.supervisor = Supervisor(
        "the link",
        bench.open,
        bench.session,
        on_change=lambda state, reason, detail: bench.changes.append((state, reason)),
        clock=bench.clock,
        permanent={Reason.BAD_FILTER},
    )
    bench.errors = [LinkError(Reason.BAD_FILTER, "what?")]
    task = asyncio.ensure_future(bench.supervisor.run())
    await bench.clock.advance(100_000)
    assert bench.opened == 1
    assert math.isinf(bench.supervisor.pause)
    bench.supervisor.wake()
    await bench.clock.advance(0)
    assert bench.supervisor.state is LinkState.UP
    task.cancel()


async def test_it_returns_when_the_session_has_ended_well(caplog: pytest.LogCaptureFixture) -> None:
    async def opened() -> int:
        return 1

    async def session(_resource: int) -> None:
        raise Ended

    supervisor = Supervisor(
        "the file", opened, session, on_change=lambda *_: None, clock=ManualClock()
    )
    await supervisor.run()
    assert supervisor.state is LinkState.CLOSED
    assert not caplog.records
