"""Waits for gateways to connect to us; several may share one port."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from ..engine import LinkError, Reason
from .errors import link_error
from .stream import CLOSE_TIMEOUT, AsyncioStream, Stream, keep_alive


async def stop_listening(server: asyncio.Server) -> None:
    """Close a server; a connection that is being accepted at this moment is kept.

    A server that is closed between the accepting of a connection and the making of its transport
    drops the connection with an ``AssertionError``.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening)
    try:
        await asyncio.sleep(0)
    finally:
        server.close()


IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class _Door:
    """One listening socket of this process, shared by all that wait for a gateway on its port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._changing = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._waiting: dict[IPAddress | None, ListenOpener] = {}

    @property
    def port(self) -> int | None:
        """The port listened on, once open."""
        if self._server is None or not self._server.sockets:
            return None
        return int(self._server.sockets[0].getsockname()[1])

    async def enter(self, who: ListenOpener) -> None:
        """Let *who* wait for a connection here. Raises :class:`LinkError` when the port is taken.

        Several may wait if each names another peer; otherwise a connection could be anyone's.
        """
        async with self._changing:
            if self._waiting.get(who.peer) is who:
                return
            if self._waiting and (who.peer in self._waiting or None in (who.peer, *self._waiting)):
                raise LinkError(
                    Reason.BUSY, f"port {self._port}: each who listens must name another peer"
                )
            if self._server is None:
                try:
                    self._server = await asyncio.start_server(
                        self._accept, self._host, self._port, reuse_address=True
                    )
                except OSError as error:
                    raise link_error(error) from error
            self._waiting[who.peer] = who

    async def leave(self, who: ListenOpener) -> None:
        """End the waiting of *who*; the last one closes the socket."""
        async with self._changing:
            if self._waiting.get(who.peer) is who:
                del self._waiting[who.peer]
            server = self._server
            if self._waiting or server is None:
                return
            self._server = None
            await stop_listening(server)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = AsyncioStream(reader, writer)
        host = self._waiting.get(_peer_address(writer)) or self._waiting.get(None)
        if host is None:
            for one in self._waiting.values():
                one.refused += 1
            await stream.close()
            return
        keep_alive(writer)
        host.arrived(stream)


def _peer_address(writer: asyncio.StreamWriter) -> IPAddress:
    address = ipaddress.ip_address(writer.get_extra_info("peername")[0].partition("%")[0])
    mapped: IPAddress | None = getattr(address, "ipv4_mapped", None)
    return mapped or address


_doors: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], _Door]] = (
    WeakKeyDictionary()
)


def _door(host: str, port: int) -> _Door:
    """Return the shared socket of a port; for any port (0) a new one."""
    doors = _doors.setdefault(asyncio.get_running_loop(), {})
    return doors.setdefault((host, port), _Door(host, port)) if port else _Door(host, port)


Examine: TypeAlias = Callable[[Stream], Awaitable[bool]]
"""Whether who has connected is the gateway; may talk to it."""

MOST_FROM_ONE = 4
"""Connections from one address that are looked at or wait at the same time."""
MOST_CALLERS = 8
"""The same, from all addresses."""


class ListenOpener:
    """Waits for the gateway to connect to us; the newest connection that proves itself wins.

    The socket stays open between two streams. ``peer`` allows connections from one address only;
    several with different peers share a port. While a connection is in use, a newcomer takes its
    place only when ``examine`` says that it is the gateway; without ``examine`` it always does.
    """

    def __init__(self, host: str, port: int, peer: str | None = None) -> None:
        self._host = host
        self._port = port
        address = None if peer is None else ipaddress.ip_address(peer)
        self.peer: IPAddress | None = getattr(address, "ipv4_mapped", None) or address
        self.examine: Examine | None = None
        self._door: _Door | None = None
        self._arrived: deque[AsyncioStream] = deque(maxlen=1)
        self._current: AsyncioStream | None = None
        self._ring = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers: Counter[str | None] = Counter()
        self.refused = 0
        """Connections that were closed: from a wrong address, too many, or not the gateway."""

    async def listen(self) -> None:
        """Let gateways connect from now on. Raises :class:`LinkError` when the port is taken."""
        if self._door is None:
            door = _door(self._host, self._port)
            await door.enter(self)
            self._door = door

    async def open(self) -> Stream:
        """Return the next connection. Raises :class:`LinkError` when the port is taken."""
        await self.listen()
        if self._current is not None:
            # Whoever opens anew has done with it.
            self._dismiss(self._current)
            self._current = None
        while not self._arrived:
            self._ring.clear()
            await self._ring.wait()
        self._current = self._arrived.popleft()
        return self._current

    async def close(self) -> None:
        """Stop listening and close the connection."""
        door, self._door = self._door, None
        for task in tuple(self._tasks):
            task.cancel()
        for stream in (*self._arrived, *filter(None, [self._current])):
            await stream.close()
        self._arrived.clear()
        self._current = None
        if door is not None:
            await door.leave(self)
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def port(self) -> int | None:
        """The port listened on, once open."""
        return None if self._door is None else self._door.port

    def arrived(self, stream: AsyncioStream) -> None:
        """An allowed peer has connected."""
        in_use = self._current is not None or bool(self._arrived)
        if self.examine is None or not in_use:
            self._take(stream)
            return
        peer = stream.peer
        if self._callers[peer] >= MOST_FROM_ONE or self._callers.total() >= MOST_CALLERS:
            self.refused += 1
            self._start(stream.close())
            return
        self._callers[peer] += 1
        self._start(self._look_at(stream, peer, self.examine))

    async def _look_at(self, stream: AsyncioStream, peer: str | None, examine: Examine) -> None:
        try:
            genuine = False
            with contextlib.suppress(LinkError):
                genuine = await examine(stream)
            if genuine:
                self._take(stream)
            else:
                self.refused += 1
                await stream.close()
        except asyncio.CancelledError:
            stream.abort()
            raise
        finally:
            self._callers[peer] -= 1
            self._callers += Counter()

    def _take(self, stream: AsyncioStream) -> None:
        for older in (*self._arrived, *filter(None, [self._current])):
            self._dismiss(older)
        self._current = None
        self._arrived.append(stream)
        self._ring.set()

    def _dismiss(self, stream: AsyncioStream) -> None:
        self._start(stream.close())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
