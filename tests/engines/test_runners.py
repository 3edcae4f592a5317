"""A simulator on each kind of wire: in process, on a terminal, on TCP both ways."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from hardwired_engines.clock import ManualClock
from hardwired_engines.link import ListenOpener, SerialSettings, Stream, make_opener
from hardwired_engines.simulating import InProcess, connecting_out, on_pty, on_tcp_port


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
