"""What a simulator is, and the small runners that put it on a wire.

A simulator is a pure state machine: bytes in, bytes out, the time given. The runners serve it
in this process, on a pseudo-terminal, on a TCP port, or by connecting out as a gateway does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import socket
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from .clock import Clock, SystemClock
from .engine import LinkError
from .link import READ_SIZE, AsyncioStream, ReadAhead, Stream, StreamPair, stop_listening

Entry = TypeVar("Entry")

LOOK_EVERY = 0.02
"""Seconds between two looks at what tells nobody that it has changed."""
REPLUG = 0.5
"""Seconds for which a device that has hung up is away."""

REMEMBERED = 10_000
"""How many of its events a simulator remembers at most, for whoever checks it."""


def remember(events: list[Entry], event: Entry) -> None:
    """Add an event to those that are remembered; the older half goes when there are too many.

    A simulated device may run for years, in Home Assistant too.
    """
    events.append(event)
    if len(events) > REMEMBERED:
        del events[: REMEMBERED // 2]


class Simulator(Protocol):
    """The other end of the wire. Times are seconds of the runner's monotonic clock."""

    def connected(self, now: float) -> None:
        """Somebody has opened the line."""

    def disconnected(self, now: float) -> None:
        """The line was closed."""

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have arrived."""

    def transmit(self, now: float) -> bytes:
        """Return the bytes that leave at *now*; empty when none are due."""

    def next_due(self, now: float) -> float | None:
        """Return when :meth:`transmit` wants to be called; ``None``: only after bytes came."""

    @property
    def hung_up(self) -> bool:
        """Whether the device drops the line now (unplugged, rebooting)."""


@asynccontextmanager
async def plugged_in(
    simulator: Simulator, stream: Stream, clock: Clock
) -> AsyncIterator[ReadAhead]:
    """Hold one connection: the simulator is told of its start and its end.

    A lost link ends the block, as does the block itself; the stream is closed then.
    """
    simulator.connected(clock.monotonic())
    intake = ReadAhead(stream)
    try:
        with contextlib.suppress(LinkError):
            yield intake
    finally:
        await intake.stop()
        simulator.disconnected(clock.monotonic())
        await stream.close()


async def serve(simulator: Simulator, stream: Stream, clock: Clock | None = None) -> None:
    """Drive *simulator* on *stream* until the other end closes or the device hangs up."""
    clock = clock or SystemClock()
    async with plugged_in(simulator, stream, clock) as intake:
        while not simulator.hung_up:
            now = clock.monotonic()
            if data := simulator.transmit(now):
                await stream.write(data)
                continue
            due = simulator.next_due(now)
            if data := await intake.within(None if due is None else max(0.0, due - now), clock):
                simulator.receive(data, clock.monotonic())


class InProcess:
    """Serves a simulator within this process; :meth:`open` is what ``sim://`` calls."""

    def __init__(self, simulator: Simulator, clock: Clock | None = None) -> None:
        self.simulator = simulator
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> Stream:
        """Return our end of a new line to the simulated device."""
        pair = StreamPair()
        task = asyncio.ensure_future(serve(self.simulator, pair.far, self._clock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _Tethered(pair.near, task)


class _Tethered:
    """A stream whose closing also ends the simulator's task behind it."""

    def __init__(self, stream: Stream, task: asyncio.Task[None]) -> None:
        self._stream = stream
        self._task = task

    async def read(self, maximum: int = READ_SIZE) -> bytes:
        return await self._stream.read(maximum)

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def close(self) -> None:
        await self._stream.close()
        self._task.cancel()
        await asyncio.wait([self._task])


OnEnd = Callable[[Simulator], None]
"""Called when a connection has ended, with its simulator; all bytes have left."""


def nothing_to_do(_: object) -> None:
    """Take what nobody wants to know."""


@asynccontextmanager
async def on_tcp_port(
    make: Callable[[], Simulator],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    on_end: OnEnd = nothing_to_do,
) -> AsyncIterator[int]:
    """Serve on a TCP port; a simulator for each connection. Yields the port."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulator = make()
        await serve(simulator, AsyncioStream(reader, writer))
        on_end(simulator)

    server = await asyncio.start_server(accept, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_listening(server)


async def connecting_out(
    make: Callable[[], Simulator],
    host: str,
    port: int,
    retry: float = 1.0,
    *,
    on_end: OnEnd = nothing_to_do,
    on_trouble: Callable[[OSError | None], None] = nothing_to_do,
) -> None:
    """Connect to *host* again and again, as a gateway in TCP client mode does.

    *on_trouble* is called with the reason for a missing connection, with ``None`` for each that
    there is.
    """
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            on_trouble(error)
        else:
            on_trouble(None)
            simulator = make()
            await serve(simulator, AsyncioStream(reader, writer))
            on_end(simulator)
        await asyncio.sleep(retry)


class PtyPort:
    """A pseudo-terminal behind a stable symlink; a new one after each hang-up."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._master = -1
        self._claim: socket.socket | None = None

    def plug(self) -> int:
        """Make a new pseudo-terminal, let the link point at it, return the device's end.

        Raises :class:`OSError` when another simulator has this name now.
        """
        self.unplug()
        self._claim = _claimed(self.link)
        master, slave = os.openpty()
        tty.setraw(master)
        tty.setraw(slave, termios.TCSANOW)
        os.set_blocking(master, False)
        temporary = self.link.with_name(self.link.name + ".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.ttyname(slave))
        temporary.replace(self.link)
        os.close(slave)
        self._master = master
        return master

    def unplug(self) -> None:
        """Take the terminal away, as pulling the USB plug does."""
        if self._master >= 0:
            self.link.unlink(missing_ok=True)
            os.close(self._master)
            self._master = -1
        if self._claim is not None:
            self._claim.close()
            self._claim = None


def _claimed(link: Path) -> socket.socket | None:
    """Return what keeps other simulators from the name *link*; it ends with the process.

    Only Linux has such names; elsewhere the later simulator has it.
    """
    if sys.platform != "linux":
        return None
    claim = socket.socket(socket.AF_UNIX)
    name = hashlib.sha256(os.fsencode(link.absolute())).hexdigest()
    try:
        claim.bind(f"\0hardwired-pty-{name}")
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        text = "another simulator has this name"
        raise OSError(errno.EADDRINUSE, text, str(link)) from None
    return claim


class PtyStream:
    """The device's end of a :class:`PtyPort` as a :class:`Stream`."""

    def __init__(self, master: int) -> None:
        self._master = master

    async def read(self, maximum: int = READ_SIZE) -> bytes:
        """Return what the port's user wrote; waits while the port is not open."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = os.read(self._master, maximum)
            except BlockingIOError:
                await once(loop.add_reader, loop.remove_reader, self._master)
            except OSError:
                # EIO: the other end is not open.
                await self._not_open()
            else:
                if data:
                    return data

    async def _not_open(self) -> None:
        await asyncio.sleep(LOOK_EVERY)

    async def write(self, data: bytes) -> None:
        """Write; bytes that are not read are lost, as on a real line."""
        with contextlib.suppress(OSError):
            os.write(self._master, data)

    async def close(self) -> None:
        """The port closes its terminal itself."""


async def once(add: Callable[..., None], remove: Callable[[int], object], descriptor: int) -> None:
    """Wait until a file can be read or written: by the loop's *add* and *remove* for that."""
    ready = asyncio.get_running_loop().create_future()

    def go_on() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, go_on)
    try:
        await ready
    finally:
        remove(descriptor)


async def on_pty(make: Callable[[], Simulator], link: Path) -> None:
    """Serve on a pseudo-terminal at *link* until cancelled; replugged after each hang-up."""
    port = PtyPort(link)
    try:
        while True:
            await serve(make(), PtyStream(port.plug()))
            port.unplug()
            await asyncio.sleep(REPLUG)
    finally:
        port.unplug()
