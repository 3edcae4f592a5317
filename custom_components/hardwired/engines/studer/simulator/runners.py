"""Puts a simulated Xcom on real links: a terminal that checks its settings, a Moxa, UDP.

The plain runners are in :mod:`...simulating`; here is what only a Moxa or a serial line does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from ...clock import SystemClock
from ...link import AsyncioStream, SerialSettings, Stream, link_error, make_opener, stop_listening
from ...simulating import PtyPort, PtyStream, plugged_in
from ..moxa import PORT as SEARCH_PORT, is_search
from .truth import Event
from .world import Port, World

REDIAL = 1.0
FINE = 0.0012
"""Seconds before a byte is due during which we do not sleep."""
_SPEEDS = {
    termios.B9600: 9600, termios.B19200: 19200, termios.B38400: 38400, termios.B57600: 57600,
    termios.B115200: 115200,
}  # fmt: skip


async def serve(port: Port, stream: Stream) -> None:
    """Drive *port* on *stream* until the other end closes or the gateway hangs up.

    Unlike the plain runner it wakes up when another host's request causes traffic, and keeps the
    timing of a serial line, which the system's timers miss by up to a millisecond.
    """
    clock = SystemClock()
    stirred = asyncio.Event()
    port.on_stir = stirred.set
    async with plugged_in(port, stream, clock) as intake:
        while not port.hung_up:
            stirred.clear()
            now = clock.monotonic()
            if data := port.transmit(now):
                await stream.write(data)
                continue
            due = port.next_due(now)
            if due is not None and due - now < FINE:
                await asyncio.sleep(0)
            else:
                await _wait(intake.reading, stirred, None if due is None else due - now - FINE)
            if data := intake.take():
                port.receive(data, clock.monotonic())


async def _wait(
    reader: asyncio.Future[bytes], stirred: asyncio.Event, seconds: float | None
) -> None:
    """Wait for bytes, a wake-up, or the time-out."""
    stir = asyncio.ensure_future(stirred.wait())
    waiting: tuple[asyncio.Future[Any], ...] = (reader, stir)
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stir.cancel()


class StrictPtyStream(PtyStream):
    """The gateway's end of a terminal; it receives only from a host with the right speed.

    A pseudo-terminal tells the speed of its other end, but no parity.
    """

    def __init__(self, master: int, world: World) -> None:
        super().__init__(master)
        self._terminal = master
        self._world = world

    async def read(self, maximum: int = 4096) -> bytes:
        """Return what the port's user wrote, after a look at its settings."""
        data = await super().read(maximum)
        wanted = self._world.settings.serial
        speed = _speed(self._terminal)
        if wanted is not None and speed is not None:
            self._world.client = SerialSettings(speed, parity=wanted.parity)
        return data


def _speed(terminal: int) -> int | None:
    with contextlib.suppress(OSError, termios.error):
        return _SPEEDS.get(termios.tcgetattr(terminal)[5])
    return None


async def on_terminal(
    world: World,
    link: Path,
    *,
    strict: bool = False,
    on_plug: Callable[[], None] | None = None,
) -> None:
    """Serve on a pseudo-terminal at *link* until cancelled; replugged after each hang-up.

    *on_plug* is called whenever the link is there.
    """
    plug = PtyPort(link)
    port = world.port()
    clock = SystemClock()
    try:
        while True:
            master = plug.plug()
            if on_plug is not None:
                on_plug()
            stream = StrictPtyStream(master, world) if strict else PtyStream(master)
            await serve(port, stream)
            plug.unplug()
            await asyncio.sleep(0.1 + world.cut_left(clock.monotonic()))
    finally:
        plug.unplug()


class Moxa:
    """An NPort in TCP client mode: connects to a host again and again, on request twice."""

    def __init__(self, world: World, host: str, port: int, *, redial: float = REDIAL) -> None:
        self._world = world
        self._host = host
        self._port = port
        self._redial = redial
        self._clock = SystemClock()
        self._calls: dict[asyncio.Task[None], Port] = {}
        self._second = False
        self._ring = asyncio.Event()
        self.dialled = 0

    async def run(self) -> None:
        """Live until cancelled."""
        stop = self._world.journal.listen(self._listen)
        try:
            while True:
                await asyncio.sleep(self._world.cut_left(self._clock.monotonic()))
                await self._dial()
                await self._until_needed()
        finally:
            stop()
            calls = tuple(self._calls)
            for task in calls:
                task.cancel()
            if calls:
                await asyncio.wait(calls)

    def _listen(self, event: Event) -> None:
        if event.kind == "incident":
            self._second = self._second or event.details.get("fault") == "second"
            self._ring.set()

    async def _until_needed(self) -> None:
        while True:
            self._ring.clear()
            if self._second:
                self._second = False
                return
            if all(port.dead for port in self._calls.values()):
                await asyncio.sleep(self._redial)
                return
            await self._ring.wait()

    async def _dial(self) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            self.dialled += 1
            port = self._world.port()
            stream = AsyncioStream(reader, writer)
            task = asyncio.ensure_future(serve(port, stream))
            self._calls[task] = port
            task.add_done_callback(self._hung_up)

    def _hung_up(self, task: asyncio.Task[None]) -> None:
        self._calls.pop(task, None)
        self._ring.set()


@asynccontextmanager
async def on_tcp(world: World, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Serve as a TCP server, several hosts at a time. Yields the port."""
    calls: set[asyncio.Task[None]] = set()

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(world.port(), AsyncioStream(reader, writer))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(call(reader, writer))
        calls.add(task)
        task.add_done_callback(calls.discard)

    server = await asyncio.start_server(accept, host, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        await stop_listening(server)
        for task in tuple(calls):
            task.cancel()
        if calls:
            await asyncio.wait(calls)


async def on_udp(world: World, host: str, port: int, local_port: int) -> None:
    """Serve by datagrams: listen on *local_port*, send to the fixed *host* and *port*."""
    opener = make_opener(f"udp://{host}:{port}?local_port={local_port}")
    gateway = world.port()
    while True:
        await serve(gateway, await opener.open())
        await asyncio.sleep(0.1)


class MoxaSearch(asyncio.DatagramProtocol):
    """Answers the search for a Moxa, and the question for its name (spec c.9)."""

    MODEL = bytes.fromhex("005101801a51")

    def __init__(self, mac: bytes, address: str, name: str = "Xcom-LAN") -> None:
        self._token = self.MODEL + mac
        self._address = bytes(int(part) for part in address.split("."))
        self._name = name.encode("ascii")
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer."""
        answer = self.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

    def answer(self, data: bytes) -> bytes | None:
        """Return the answer to a datagram; ``None`` when it means nothing."""
        if is_search(data):
            return _datagram(0x81, self._token + self._address)
        if data[:1] == b"\x10" and len(data) == 20 and data[8:] == self._token:
            return _datagram(0x90, self._token + self._name.ljust(40, b"\0"))
        if data[:1] == b"\x26" and len(data) == 22 and data[8:20] == self._token:
            network = self._address + bytes((255, 255, 255, 0)) + self._address[:3] + b"\x01"
            return _datagram(0xA6, self._token + bytes.fromhex("0100000000000100") + network)
        return None


def _datagram(first: int, payload: bytes) -> bytes:
    return bytes((first, 0)) + (8 + len(payload)).to_bytes(2, "big") + bytes(4) + payload


async def answering_searches(
    address: str,
    mac: bytes,
    host: str = "0.0.0.0",  # noqa: S104 - only such a socket hears broadcasts
    port: int = SEARCH_PORT,
    *,
    name: str = "Xcom-LAN",
) -> asyncio.DatagramTransport:
    """Answer searches on UDP, as the Moxa at *address*, until the transport is closed.

    Raises :class:`LinkError` when *address* is none or the port is taken.
    """
    try:
        ipaddress.IPv4Address(address)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: MoxaSearch(mac, address, name), local_addr=(host, port), allow_broadcast=True
        )
    except (OSError, ValueError) as error:
        raise link_error(error) from error
    return transport


__all__ = ["Moxa", "answering_searches", "on_tcp", "on_terminal", "on_udp"]
