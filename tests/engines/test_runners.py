"""A simulator on each kind of wire: in process, on a terminal, on TCP both ways."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hardwired_engines.attended_pty import on_attended_pty
from hardwired_engines.clock import ManualClock
from hardwired_engines.link import ListenOpener, SerialSettings, Stream, make_opener
from hardwired_engines.simulating import (
    InProcess,
    Simulator,
    connecting_out,
    on_pty,
    on_tcp_port,
)
from tests.ports import free_port


class Parrot:
    """Answers every byte with the next one, 10 ms later; hangs up at 0xFF; ticks each second."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, bytes]] = []
        self.opened = 0
        self.closed = 0
        self.hung_up = False

    def connected(self, now: float) -> None:
        self.opened += 1
        self.hung_up = False

    def disconnected(self, now: float) -> None:
        self.closed += 1

    def receive(self, data: bytes, now: float) -> None:
        if b"\xff" in data:
            self.hung_up = True
        self.waiting.append((now + 0.01, bytes((byte + 1) % 256 for byte in data)))

    def transmit(self, now: float) -> bytes:
        if self.waiting and self.waiting[0][0] <= now:
            return self.waiting.pop(0)[1]
        return b""

    def next_due(self, now: float) -> float | None:
        return self.waiting[0][0] if self.waiting else None


async def converse(stream: Stream) -> bytes:
    await stream.write(b"HAL")
    got = b""
    async with asyncio.timeout(60):
        while len(got) < 3:
            got += await stream.read()
    return got


async def test_in_process_with_a_clock_turned_by_hand() -> None:
    clock = ManualClock()
    parrot = Parrot()
    stream = await InProcess(parrot, clock).open()
    await stream.write(b"HAL")
    await clock.advance(0.005)
    reading = asyncio.ensure_future(stream.read())
    await clock.advance(0.001)
    assert not reading.done()
    await clock.advance(0.01)
    assert await reading == b"IBM"
    await stream.close()
    assert (parrot.opened, parrot.closed) == (1, 1)


async def test_on_a_terminal_that_comes_back_after_a_hang_up(tmp_path: Path) -> None:
    link = tmp_path / "ttySIM"
    task = asyncio.ensure_future(on_pty(Parrot, link))
    opener = make_opener(str(link), SerialSettings(9600))
    async with asyncio.timeout(60):
        while not link.exists():
            await asyncio.sleep(0.01)
        stream = await opener.open()
        assert await converse(stream) == b"IBM"
        before = link.readlink()
        await stream.write(b"\xff")
        with contextlib.suppress(Exception):
            while True:
                await stream.read()
        await stream.close()
        while not link.exists() or link.readlink() == before:
            await asyncio.sleep(0.01)
            if link.exists():
                break
        stream = await opener.open()
        assert await converse(stream) == b"IBM"
        await stream.close()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not link.exists()


async def test_on_a_tcp_port() -> None:
    async with on_tcp_port(Parrot) as port:
        stream = await make_opener(f"tcp://127.0.0.1:{port}").open()
        assert await converse(stream) == b"IBM"
        await stream.close()


async def test_connecting_out_as_a_gateway_does() -> None:
    opener = ListenOpener("127.0.0.1", 0)
    waiting = asyncio.ensure_future(opener.open())
    async with asyncio.timeout(60):
        while opener.port is None:
            await asyncio.sleep(0.01)
        gateway = asyncio.ensure_future(connecting_out(Parrot, "127.0.0.1", opener.port, 0.05))
        stream = await waiting
        assert await converse(stream) == b"IBM"
        await stream.close()
        again = await opener.open()
        assert await converse(again) == b"IBM"
        await again.close()
    gateway.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gateway
    await opener.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


class Speaker(Parrot):
    """Says what it has to say at once, and hangs up."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    def connected(self, now: float) -> None:
        super().connected(now)
        self.waiting = [(now, self._text)]

    def transmit(self, now: float) -> bytes:
        self.hung_up = not self.waiting
        return super().transmit(now)

    def next_due(self, now: float) -> float | None:
        return now


def opened(link: Path) -> int:
    """Open a terminal as a program that reads only when it wants to."""
    return os.open(link, os.O_RDWR | os.O_NOCTTY)


def all_of(terminal: int) -> bytes:
    """Read to the end, slowly."""
    heard = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 3000):
            heard += data
            time.sleep(0.001)
    os.close(terminal)
    return heard


@pytest.mark.parametrize("size", [2500, 250_000])
async def test_an_attended_terminal_is_read_to_its_end(size: int, tmp_path: Path) -> None:
    """More than the system keeps, or less, by somebody who comes late and reads late."""
    link, text = tmp_path / "ttySIM", bytes(range(1, 251)) * (size // 250)
    ended: list[Simulator] = []
    task = asyncio.ensure_future(on_attended_pty(lambda: Speaker(text), link, on_end=ended.append))
    for number in range(2):
        await until(lambda: os.path.lexists(link))
        terminal = opened(link)
        await asyncio.sleep(1)
        assert len(ended) == number
        assert await asyncio.to_thread(all_of, terminal) == text
        await until(lambda at=number: len(ended) > at)
    task.cancel()
    await asyncio.wait([task])
    assert [one.hung_up for one in ended] == [True, True]
    assert not list(await asyncio.to_thread(os.listdir, tmp_path))


async def test_each_user_of_an_attended_terminal_has_a_device_of_their_own(tmp_path: Path) -> None:
    link = tmp_path / "ttySIM"
    devices: list[Parrot] = []

    def make() -> Parrot:
        devices.append(Parrot())
        return devices[-1]

    ended: list[Simulator] = []
    task = asyncio.ensure_future(on_attended_pty(make, link, on_end=ended.append))
    await until(lambda: os.path.lexists(link))
    for number in range(3):
        terminal = opened(link)
        os.write(terminal, b"HAL")
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(os.read, terminal, 10) == b"IBM"
        # What is not read is not there for the next one.
        os.write(terminal, b"not read")
        await until(lambda at=terminal: select.select([at], [], [], 0)[0])
        os.close(terminal)
        await until(lambda at=number: len(ended) > at)
    task.cancel()
    await asyncio.wait([task])
    assert [(one.opened, one.closed) for one in devices] == [(1, 1)] * 3


async def test_connecting_out_says_when_nobody_listens() -> None:
    troubles: list[OSError | None] = []
    ended: list[Simulator] = []
    port = free_port()
    task = asyncio.ensure_future(
        connecting_out(
            Parrot, "127.0.0.1", port, 0.05, on_trouble=troubles.append, on_end=ended.append
        )
    )
    await until(lambda: troubles)
    async with asyncio.timeout(60):
        stream = await ListenOpener("127.0.0.1", port).open()
    assert await converse(stream) == b"IBM"
    await stream.close()
    await until(lambda: ended)
    task.cancel()
    await asyncio.wait([task])
    assert isinstance(troubles[0], ConnectionRefusedError)
    assert None in troubles
