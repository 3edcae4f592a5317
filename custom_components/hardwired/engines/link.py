"""A byte link by URL, and the supervisor that keeps it up.

URLs: a device path (``/dev/serial/by-id/...``, ``COM3``), ``socket://host:port`` or
``tcp://host:port``, ``rfc2217://host:port``, ``esphome://...``, ``listen://host:port?peer=...``
(we wait for the gateway to connect to us), ``udp://host:port?local_port=...`` and
``sim://?...`` (a simulated device in this process). Serial settings mean nothing on sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakKeyDictionary

from .clock import Clock, SystemClock
from .engine import LinkError, Reason, Statistics

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
WRITE_TIMEOUT = 5.0
CLOSE_TIMEOUT = 2.0
READ_SIZE = 4096


class Parity(StrEnum):
    """Parity of a serial line, by its usual letter."""

    NONE = "N"
    EVEN = "E"
    ODD = "O"


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How a serial line is set. ``stopbits`` is 1 or 2."""

    baudrate: int
    byte_size: int = 8
    parity: Parity = Parity.NONE
    stopbits: int = 1

    def __str__(self) -> str:
        return f"{self.baudrate} {self.byte_size}{self.parity.value}{self.stopbits}"


class Stream(Protocol):
    """An open link. Every method raises :class:`LinkError` when the link is lost."""

    async def read(self, maximum: int = READ_SIZE) -> bytes:
        """Return what has arrived, at least one byte."""

    async def write(self, data: bytes) -> None:
        """Send *data*; returns when the system has taken it."""

    async def close(self) -> None:
        """Close, never raise."""


class StreamPair:
    """Two ends of a link within this process: what one writes the other reads."""

    def __init__(self) -> None:
        there, back = _Pipe(), _Pipe()
        self.near: Stream = MemoryStream(back, there)
        self.far: Stream = MemoryStream(there, back)


class _Pipe:
    def __init__(self) -> None:
        self.buffer = bytearray()
        self.closed = False
        self.changed = asyncio.Event()


class MemoryStream:
    """One end of a :class:`StreamPair`."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def read(self, maximum: int = READ_SIZE) -> bytes:
        """Return what has arrived, at least one byte."""
        pipe = self._incoming
        while not pipe.buffer:
            if pipe.closed:
                raise LinkError(Reason.DISCONNECTED, "the other end has closed")
            pipe.changed.clear()
            await pipe.changed.wait()
        data = bytes(pipe.buffer[:maximum])
        del pipe.buffer[:maximum]
        return data

    async def write(self, data: bytes) -> None:
        """Hand *data* to the other end."""
        if self._outgoing.closed:
            raise LinkError(Reason.DISCONNECTED, "the other end has closed")
        self._outgoing.buffer += data
        self._outgoing.changed.set()

    async def close(self) -> None:
        """Close both directions."""
        for pipe in (self._incoming, self._outgoing):
            pipe.closed = True
            pipe.changed.set()


class AsyncioStream:
    """A pair of asyncio streams as a :class:`Stream`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def peer(self) -> str | None:
        """The address of the other end, where it has one."""
        name = self._writer.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else None

    async def read(self, maximum: int = READ_SIZE) -> bytes:
        """Return what has arrived, at least one byte."""
        try:
            data = await self._reader.read(maximum)
        except Exception as error:
            raise link_error(error, Reason.DISCONNECTED) from error
        if not data:
            raise LinkError(Reason.DISCONNECTED, "the other end has closed")
        return data

    async def write(self, data: bytes) -> None:
        """Send *data*; returns when the system has taken it."""
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                self._writer.write(data)
                await self._writer.drain()
        except Exception as error:
            raise link_error(error, Reason.DISCONNECTED) from error

    async def close(self) -> None:
        """Close, never raise."""
        with contextlib.suppress(Exception):
            self._writer.close()
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._writer.wait_closed()


class Opener(Protocol):
    """Opens one link as often as it is asked."""

    async def open(self) -> Stream:
        """Return a new stream. Raises :class:`LinkError`."""

    async def close(self) -> None:
        """Give up what is held between two streams, such as a listening socket."""


SimulatorFactory = Callable[[Mapping[str, str]], Awaitable[Stream]]
"""Makes a simulated device from the URL's query and returns our end of the line to it."""


def make_opener(
    url: str,
    settings: SerialSettings | None = None,
    *,
    simulator: SimulatorFactory | None = None,
) -> Opener:
    """Return what opens *url*. Raises :class:`LinkError` (BAD_ADDRESS) when it can't be read."""
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        match parts.scheme:
            case "sim":
                if simulator is None:
                    raise LinkError(Reason.BAD_ADDRESS, "this family has no simulator")
                return _SimulatorOpener(simulator, query)
            case "listen":
                host = parts.hostname or "0.0.0.0"  # noqa: S104 - the gateway is elsewhere
                return ListenOpener(host, _port(parts.port), query.get("peer"))
            case "udp":
                local = int(query.get("local_port", parts.port or 0))
                return _DatagramOpener(parts.hostname or "", _port(parts.port), local)
            case "tcp" | "socket":
                return _SocketOpener(parts.hostname or "", _port(parts.port))
    except ValueError as error:
        raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
    if settings is None:
        raise LinkError(Reason.BAD_ADDRESS, f"{url} needs serial settings")
    return SerialOpener(url, settings)


def _port(port: int | None) -> int:
    if port is None or not 0 < port < 65536:
        raise LinkError(Reason.BAD_ADDRESS, "the address needs a port number")
    return port


class SerialOpener:
    """Opens a serial port, or what serialx reaches by URL."""

    def __init__(self, url: str, settings: SerialSettings) -> None:
        self.url = url
        self.settings = settings

    async def open(self) -> Stream:
        """Open the port exclusively. Raises :class:`LinkError` with the reason."""
        parity = self.settings.parity
        try:
            return await self._open(parity)
        except OSError as error:
            if error.errno == errno.EINVAL and parity is not Parity.NONE and _is_pty(self.url):
                # Linux takes a parity on a pseudo-terminal once; re-opening fails with EINVAL.
                try:
                    return await self._open(Parity.NONE)
                except Exception as second:
                    raise link_error(second) from second
            raise link_error(error) from error
        except Exception as error:
            raise link_error(error) from error

    async def _open(self, parity: Parity) -> Stream:
        import serialx  # noqa: PLC0415 - codecs and simulators run without it

        reader, writer = await serialx.open_serial_connection(
            self.url,
            baudrate=self.settings.baudrate,
            byte_size=self.settings.byte_size,
            parity=parity.value,
            stopbits=self.settings.stopbits,
            exclusive=True,
            connect_timeout=CONNECT_TIMEOUT,
        )
        return AsyncioStream(reader, writer)

    async def close(self) -> None:
        """Nothing is held."""


class _SocketOpener:
    def __init__(self, host: str, port: int) -> None:
        if not host:
            raise LinkError(Reason.BAD_ADDRESS, "the address needs a host")
        self._host = host
        self._port = port

    async def open(self) -> Stream:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except Exception as error:
            raise link_error(error) from error
        keep_alive(writer)
        return AsyncioStream(reader, writer)

    async def close(self) -> None:
        """Nothing is held."""


async def stop_listening(server: asyncio.Server) -> None:
    """Close a server; who is being let in at this moment still gets in.

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
    """One listening socket of this process, for all who wait for different gateways at it."""

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
        """Let *who* wait here. Raises :class:`LinkError` when the port is taken.

        Several may, when each names another peer; otherwise nobody could tell whose a
        connection is.
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
        """*who* waits no longer; the last one closes the door."""
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
    """Return the door at a port; at any port (0) a new one."""
    doors = _doors.setdefault(asyncio.get_running_loop(), {})
    return doors.setdefault((host, port), _Door(host, port)) if port else _Door(host, port)


class ListenOpener:
    """Waits for the gateway to connect to us; the newest connection wins.

    The socket stays open between two streams. ``peer`` limits who is let in to one address;
    several with different peers share one port.
    """

    def __init__(self, host: str, port: int, peer: str | None = None) -> None:
        self._host = host
        self._port = port
        address = None if peer is None else ipaddress.ip_address(peer)
        self.peer: IPAddress | None = getattr(address, "ipv4_mapped", None) or address
        self._door: _Door | None = None
        self._arrived: deque[AsyncioStream] = deque(maxlen=1)
        self._current: AsyncioStream | None = None
        self._ring = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self.refused = 0

    async def open(self) -> Stream:
        """Return the next connection. Raises :class:`LinkError` when the port is taken."""
        if self._door is None:
            door = _door(self._host, self._port)
            await door.enter(self)
            self._door = door
        while not self._arrived:
            self._ring.clear()
            await self._ring.wait()
        self._current = self._arrived.popleft()
        return self._current

    async def close(self) -> None:
        """Stop listening and close whoever is there."""
        door, self._door = self._door, None
        for stream in (*self._arrived, *filter(None, [self._current])):
            await stream.close()
        self._arrived.clear()
        self._current = None
        if door is not None:
            await door.leave(self)
        for task in tuple(self._closing):
            await task

    @property
    def port(self) -> int | None:
        """The port listened on, once open."""
        return None if self._door is None else self._door.port

    def arrived(self, stream: AsyncioStream) -> None:
        """Somebody who is welcome has connected."""
        for older in (*self._arrived, *filter(None, [self._current])):
            task = asyncio.ensure_future(older.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._current = None
        self._arrived.append(stream)
        self._ring.set()


class _DatagramOpener:
    def __init__(self, host: str, port: int, local_port: int) -> None:
        if not host:
            raise LinkError(Reason.BAD_ADDRESS, "the address needs a host")
        self._remote = (host, port)
        self._local_port = local_port

    async def open(self) -> Stream:
        try:
            _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                _DatagramStream,
                local_addr=("0.0.0.0", self._local_port),  # noqa: S104
            )
        except OSError as error:
            raise link_error(error) from error
        protocol.remote = self._remote
        return protocol

    async def close(self) -> None:
        """Nothing is held."""


class _DatagramStream(asyncio.DatagramProtocol):
    """Datagrams of one peer as a byte stream."""

    remote: tuple[str, int]
    _transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(256)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] == self.remote[0] and data:
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def read(self, maximum: int = READ_SIZE) -> bytes:
        data = await self._queue.get()
        if data is None:
            raise LinkError(Reason.DISCONNECTED, "the socket has closed")
        return data[:maximum]

    async def write(self, data: bytes) -> None:
        try:
            self._transport.sendto(data, self.remote)
        except OSError as error:
            raise link_error(error, Reason.DISCONNECTED) from error

    async def close(self) -> None:
        self._transport.close()


class _SimulatorOpener:
    def __init__(self, factory: SimulatorFactory, query: Mapping[str, str]) -> None:
        self._factory = factory
        self._query = query

    async def open(self) -> Stream:
        return await self._factory(self._query)

    async def close(self) -> None:
        """Nothing is held."""


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the system notice a dead TCP peer within about a minute."""
    import socket  # noqa: PLC0415

    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _is_pty(url: str) -> bool:
    return os.path.realpath(url).startswith("/dev/pts/")


_REASONS_BY_ERRNO = {
    errno.EACCES: Reason.NO_PERMISSION,
    errno.EPERM: Reason.NO_PERMISSION,
    errno.EBUSY: Reason.BUSY,
    errno.EADDRINUSE: Reason.BUSY,
    errno.ENOENT: Reason.NOT_FOUND,
    errno.ENODEV: Reason.NOT_FOUND,
    errno.ENXIO: Reason.NOT_FOUND,
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.ETIMEDOUT: Reason.UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.BAD_ADDRESS,
    errno.EINVAL: Reason.BAD_ADDRESS,
    errno.ENOTTY: Reason.BAD_ADDRESS,
    errno.EIO: Reason.DISCONNECTED,
}


def link_error(error: BaseException, default: Reason = Reason.UNREACHABLE) -> LinkError:
    """Name the reason in an exception of the system or of a serial library."""
    if isinstance(error, LinkError):
        return error
    message = str(error) or type(error).__name__
    if isinstance(error, TimeoutError) and default is not Reason.DISCONNECTED:
        return LinkError(Reason.UNREACHABLE, "no answer to the connection attempt")
    if isinstance(error, OSError):
        if isinstance(error, asyncio.IncompleteReadError):
            return LinkError(Reason.DISCONNECTED, message)
        reason = _REASONS_BY_ERRNO.get(error.errno or 0, default)
        if type(error).__name__ == "gaierror":
            reason = Reason.NOT_FOUND
        return LinkError(reason, message)
    if isinstance(error, ValueError) or type(error).__name__ in (
        "UnknownUriScheme",
        "UnsupportedSetting",
    ):
        return LinkError(Reason.BAD_ADDRESS, message)
    return LinkError(default, message)


class Backoff:
    """Growing pauses with jitter: 1, 2, 4 ... seconds up to *maximum*, each ±20 %."""

    def __init__(
        self,
        initial: float = 1.0,
        maximum: float = 60.0,
        *,
        jitter: float = 0.2,
        source: random.Random | None = None,
    ) -> None:
        self._initial = initial
        self._maximum = maximum
        self._jitter = jitter
        self._random = source or random.Random()  # noqa: S311
        self._next = initial

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause = self._next
        self._next = min(self._next * 2, self._maximum)
        return pause * self._random.uniform(1 - self._jitter, 1 + self._jitter)

    def reset(self) -> None:
        """Start anew with the shortest pause."""
        self._next = self._initial


class LinkState(StrEnum):
    """What the supervisor is doing."""

    OPENING = "opening"
    UP = "up"
    WAITING = "waiting"
    CLOSED = "closed"


Resource = TypeVar("Resource")

OnLinkChange = Callable[[LinkState, Reason | None, str | None], None]


class Supervisor(Generic[Resource]):
    """Keeps a session running on a link: opens, runs, and on loss backs off and tries again.

    *open_link* returns the resource (a :class:`Stream`, a process, a socket) or raises
    :class:`LinkError`; the session works on it until it raises or returns, and closes it.
    One warning is logged when the link is lost, one info when it is :meth:`proven` again.
    """

    def __init__(
        self,
        name: str,
        open_link: Callable[[], Awaitable[Resource]],
        session: Callable[[Resource], Awaitable[None]],
        *,
        on_change: OnLinkChange,
        clock: Clock | None = None,
        statistics: Statistics | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._name = name
        self._open = open_link
        self._session = session
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._statistics = statistics or Statistics()
        self._backoff = backoff or Backoff()
        self._wake = asyncio.Event()
        self._proven = False
        self._lost = False
        self.state = LinkState.CLOSED

    def wake(self) -> None:
        """End the present pause: something was plugged in."""
        self._wake.set()

    def proven(self) -> None:
        """Tell that the device on the link is alive; the next loss starts with a short pause."""
        self._backoff.reset()
        if not self._proven:
            self._proven = True
            if self._lost:
                self._lost = False
                self._statistics.reconnects += 1
                _LOGGER.info("%s is back", self._name)

    async def run(self) -> None:
        """Live until cancelled."""
        try:
            while True:
                reason, detail = await self._once()
                self._statistics.last_error = f"{reason.value}: {detail}"
                if not self._lost:
                    self._lost = True
                    _LOGGER.warning("%s is lost: %s (%s)", self._name, reason.value, detail)
                self._change(LinkState.WAITING, reason, detail)
                await self._pause()
        finally:
            self.state = LinkState.CLOSED

    async def _once(self) -> tuple[Reason, str]:
        self._proven = False
        self._change(LinkState.OPENING, None, None)
        try:
            resource = await self._open()
            self._statistics.connects += 1
            self._change(LinkState.UP, None, None)
            await self._session(resource)
        except LinkError as error:
            return error.reason, str(error)
        except Exception as error:
            _LOGGER.exception("%s: unforeseen error", self._name)
            return Reason.FAILED, f"{type(error).__name__}: {error}"
        return Reason.DISCONNECTED, "the session has ended"

    async def _pause(self) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(self._backoff.next()):
                await self._wake.wait()

    def _change(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        self.state = state
        self._on_change(state, reason, detail)
