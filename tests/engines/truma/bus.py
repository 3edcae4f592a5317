"""A scripted panel on a real pseudo-terminal, for tests of the responder and the engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hardwired_engines.truma.inet.box import NOTHING_TO_SEND, UPDATE_PENDING
from hardwired_engines.truma.inet.buffers import (
    DOWNLOAD,
    TAIL_FF,
    Buffer,
    MessageId,
    build_buffer,
    read_buffer,
)
from hardwired_engines.truma.lin.frames import response
from hardwired_engines.truma.lin.transport import Assembler, split
from hardwired_engines.truma.node.node import RESPONDER

POLL, ASK, TELL = 0xD8, 0x3C, 0x7D
HEATER_OFF = bytes.fromhex("0000000000000000000001010000680b05000000")
CLOCK = bytes((10, 20, 30, 1, 1, 0, 0, 1, 0, 0))
PANEL = bytes.fromhex("020001005000000403 02ad10")
COMBI = bytes.fromhex("020101004003000203010000")
BA = bytes.fromhex("ba001f001e000022") + TAIL_FF
PATIENCE = 1.0
CALL_EVERY = 0.5
CALLED_WITHIN = 60.0
TRIES = 3
SLOT = 0.02


class Bus:
    """The panel's end of a terminal."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        os.set_blocking(self.master, False)
        self.echo = True
        self.left_out = 0

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def read_now(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self.master, 4096)
        return b""

    async def read(self, patience: float = PATIENCE) -> bytes:
        """Return what is answered within *patience*; empty: nothing."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self.master, lambda: ready.done() or ready.set_result(None))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await ready
        finally:
            loop.remove_reader(self.master)
        return self.read_now()

    async def header(self, pid: int, patience: float = PATIENCE) -> bytes:
        """Send a header in the rhythm of a bus; return the answer."""
        await self._slot()
        self.send(bytes((0, 0x55, pid)))
        answer = await self.read(patience)
        self._return(answer)
        return answer

    async def _slot(self) -> None:
        """Wait for the next slot. What came too late to be seen has stood on the bus, too: a
        terminal's bytes are carried by the system's own workers, which a busy machine holds up.
        """
        await asyncio.sleep(SLOT)
        self._return(self.read_now())

    def _return(self, data: bytes) -> None:
        if data and self.echo:
            self.send(data)

    async def call(self, pid: int) -> bytes:
        """Send a header until it is answered, as a panel does: a box may leave out what it can't
        answer in time, which a machine that is busy makes happen. ``left_out`` counts.
        """
        async with asyncio.timeout(CALLED_WITHIN):
            while not (answer := await self.header(pid, CALL_EVERY)):
                self.left_out += 1
        return answer

    async def frame(self, pid: int, data: bytes) -> None:
        await self._slot()
        self.send(bytes((0, 0x55, pid)) + response(pid, data))

    async def ask(self, message: bytes, nad: int = 3) -> bytes:
        """Send a request; return the first frame of its answer, or nothing after some tries."""
        for frame in split(nad, message):
            await self.frame(ASK, frame)
        return await self._tell()

    async def _tell(self) -> bytes:
        for _ in range(TRIES):
            if answer := await self.header(TELL, CALL_EVERY):
                return answer
        return b""

    async def download(self, number: int, payload: bytes, counter: int = 0) -> bytes:
        return await self.ask(build_buffer(DOWNLOAD, number, counter, payload))

    async def fetch(self) -> Buffer | None:
        """Take what is uploaded; ``None`` when nothing is."""
        answer = await self.ask(BA)
        assembler = Assembler()
        for _ in range(60):
            if not answer:
                return None
            message = assembler.receive_data(answer[:8], 0)
            if message is not None:
                buffer = read_buffer(message.data)
                assert isinstance(buffer, Buffer)
                return buffer
            answer = await self._tell()
        return None

    async def alive(self, seconds: float = 5) -> None:
        """Poll until somebody answers."""
        async with asyncio.timeout(seconds):
            while not await self.header(POLL, 0.1):
                pass

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            os.close(self._slave)
            self.master = -1


class Panel:
    """Lives on a :class:`Bus`: registered, downloads, uploads, acknowledges."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.heater = HEATER_OFF
        self.clock = CLOCK
        self.result = 0
        self.fetches = True
        self.acknowledges = True
        self.shows = True
        self.registered = True
        self.uploads: list[Buffer] = []
        self.answers: list[bytes] = []
        self.polled = 0
        self._due: list[Callable[[], Any]] = []

    def dump(self) -> None:
        """Download everything."""
        self.say(MessageId.DEVICE, PANEL)
        self.say(MessageId.DEVICE, COMBI)
        self.say(MessageId.HEATER, self.heater)
        self.say(MessageId.CLOCK, self.clock)

    def say(self, number: int, payload: bytes, counter: int = 0) -> None:
        self._due.append(lambda: self.bus.download(number, payload, counter))

    async def run(self) -> None:
        """Live until cancelled."""
        while True:
            await self.bus.frame(0xD6, bytes.fromhex("0006630bbe0c8185"))
            if not self.registered:
                continue
            if self._due:
                await self._due.pop(0)()
                continue
            answer = await self.bus.header(POLL, CALL_EVERY)
            self.polled += 1
            if answer:
                self.answers.append(answer)
                assert answer in (NOTHING_TO_SEND, UPDATE_PENDING), answer.hex()
            if answer == UPDATE_PENDING and self.fetches:
                buffer = await self.bus.fetch()
                if buffer is not None:
                    self._take(buffer)

    def _take(self, buffer: Buffer) -> None:
        self.uploads.append(buffer)
        if buffer.message_id == MessageId.INIT_REQUEST:
            self.dump()
            return
        if self.acknowledges:
            self.say(MessageId.ACKNOWLEDGE, bytes((self.result, 0)), buffer.counter)
        if self.result == 0 and self.shows:
            if buffer.message_id == MessageId.HEATER_SET:
                self.heater = buffer.payload[:12] + self.heater[12:]
                self.say(MessageId.HEATER, self.heater)
            elif buffer.message_id == MessageId.CLOCK_SET:
                self.clock = buffer.payload
                self.say(MessageId.CLOCK, self.clock)

    @property
    def settings(self) -> list[Buffer]:
        """What was uploaded, without the requests for everything."""
        return [one for one in self.uploads if one.message_id != MessageId.INIT_REQUEST]


class Process:
    """The responder's process, spoken to by hand."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.heard: list[dict[str, Any]] = []

    @classmethod
    async def start(cls, path: str, **config: Any) -> Process:
        config = {"port": path, "counter": 16, "init_request": False, **config}
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(RESPONDER), json.dumps(config),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )  # fmt: skip

    def say(self, message: Any) -> None:
        self.say_raw(json.dumps(message).encode() + b"\n")

    def say_raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def hear(self, kind: str, limit: float = 60) -> dict[str, Any]:
        """Return the next message of a kind."""
        assert self.process.stdout is not None
        async with asyncio.timeout(limit):
            while True:
                line = await self.process.stdout.readline()
                assert line, "the responder has ended"
                message: dict[str, Any] = json.loads(line)
                self.heard.append(message)
                if message["t"] == kind:
                    return message

    async def facts(self) -> dict[str, Any]:
        """Return counters that are newer than this call."""
        await self.drain()
        facts: dict[str, Any] = (await self.hear("a"))["facts"]
        return facts

    async def drain(self) -> None:
        assert self.process.stdout is not None
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    line = await self.process.stdout.readline()
                    if line:
                        self.heard.append(json.loads(line))

    async def end(self) -> int:
        """Let it end by itself; return the exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        async with asyncio.timeout(60):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def responding(**config: Any) -> AsyncIterator[tuple[Bus, Process]]:
    bus = Bus()
    process = await Process.start(bus.path, **config)
    try:
        await process.hear("h")
        yield bus, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.process.kill()
        await process.process.communicate()
        bus.unplug()


class Replacement:
    """Times how long a responder takes to be replaced, beside what the machine takes for anything.

    To start a process costs what it costs on a busy machine: one like the responder is started
    before, again and again meanwhile, and after. That is all that is granted beyond the second.
    """

    def __init__(self) -> None:
        self.took = 0.0
        self._starts: list[float] = []
        self._beside: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Replacement:
        await self._start_something()
        self.took = -time.monotonic()
        self._beside = asyncio.ensure_future(self._go_on())
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self.took += time.monotonic()
        assert self._beside is not None
        if kind is None:
            await self._start_something()
        self._beside.cancel()
        await asyncio.wait([self._beside])
        if kind is None:
            assert self.took < 1.0 + 3 * max(self._starts), self._starts

    async def _go_on(self) -> None:
        while True:
            await self._start_something()

    async def _start_something(self) -> None:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-X", "utf8", str(RESPONDER),
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        self._starts.append(time.monotonic() - began)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
