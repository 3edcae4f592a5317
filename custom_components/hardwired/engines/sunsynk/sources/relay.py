"""A transparent relay for the dongle's connection (spec c.8): listens, connects on, copies.

Bytes go both ways unchanged; a copy of them is decoded. Nothing is ever added. The server is
connected to when the client has sent what a dongle sends, so that nobody else reaches it through
us; when it can't be reached, the dongle's connection is closed, as the network would. Silence
holds no place: who says nothing, or nothing more, gives way.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import itertools
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...clock import Clock, SystemClock
from ...engine import LinkError, Reason
from ...link import keep_alive, link_error, stop_listening
from ..dongle.envelope import FROM_DONGLE, HEADER_SIZE, START, FrameCutter, header_ok
from ..pipeline.report_pipeline import ReportPipeline
from ..settings import SunsynkSettings
from .base import Batch, OnBatch, OnTrouble

_LOGGER = logging.getLogger(__name__)

CHUNK = 8192
"""Bytes read at once: so many reports are decoded in a few milliseconds."""
CONNECT_TIMEOUT = 10.0
HELLO_TIMEOUT = 30.0
"""Seconds within which a client must have sent the beginning of a message."""
IDLE_TIMEOUT = 1800.0
"""Seconds without a byte after which a connection is over."""
MAXIMUM_CONNECTIONS = 64
MAXIMUM_OF_ONE_ADDRESS = 32
"""A dongle holds two connections, and behind a router that hides addresses all have one."""


@dataclass(slots=True, eq=False)
class RelayedConnection:
    """One dongle's connection through the relay. ``number`` is never used twice."""

    number: int
    peer: str
    port: int = 0
    task: asyncio.Task[None] | None = None
    local_port: int | None = None
    """Our own port towards the server, once it is connected to."""
    last_data: float = 0.0
    trusted: bool = False
    """It has delivered a report that was accepted: it keeps its place."""
    evicted: bool = False
    hello: bytes = field(default=b"", repr=False)


OnData = Callable[[RelayedConnection, bool, bytes], bool]
"""Called for every chunk: the connection, whether it came from the dongle, the bytes. Returns
whether a report was in it."""

OnClosed = Callable[[RelayedConnection], None]
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Relay:
    """Listens on a port and relays each connection to the server.

    *peers* are the networks from which dongles may come; none: from anywhere.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        server: tuple[str, int],
        on_data: OnData,
        on_closed: OnClosed,
        *,
        clock: Clock | None = None,
        peers: Networks = (),
    ) -> None:
        self._listen = listen
        self._server_address = server
        self._on_data = on_data
        self._on_closed = on_closed
        self._clock = clock or SystemClock()
        self._peers = peers
        self._numbers = itertools.count(1)
        self._open: dict[int, RelayedConnection] = {}
        self._server: asyncio.Server | None = None
        self.connections = 0
        """Connections that are open to the server now."""
        self.refused: Counter[str] = Counter()
        """Connections that were closed at once or gave way, by reason."""
        self.unreachable = 0
        """Connections that had to be closed because the server could not be reached."""
        self.looped = False
        """Our own connection to the server has come back to us."""
        self.last_error: str | None = None
        """Why the server could not be reached the last time; ``None``: it could."""

    @property
    def port(self) -> int | None:
        """The port listened on, once open."""
        if self._server is None or not self._server.sockets:
            return None
        return int(self._server.sockets[0].getsockname()[1])

    async def run(self, on_listening: Callable[[], None]) -> None:
        """Live until cancelled. Raises :class:`LinkError` when the port can't be had."""
        host, port = self._listen
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=CHUNK)
        except OSError as error:
            raise link_error(error, Reason.BAD_ADDRESS) from error
        except OverflowError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        on_listening()
        try:
            await asyncio.Event().wait()
        finally:
            await stop_listening(self._server)
            tasks = [one.task for one in self._open.values() if one.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername") or ("", 0)
        connection = RelayedConnection(
            next(self._numbers), str(peer[0]), int(peer[1]), asyncio.current_task()
        )
        connection.last_data = self._clock.monotonic()
        listening = self._server is not None and self._server.is_serving()
        if not listening or (reason := self._refusal(connection)) is not None:
            if listening:
                self._refuse(reason or "", connection)
            writer.close()
            return
        self._open[connection.number] = connection
        try:
            await self._lead(connection, reader, writer)
        except asyncio.CancelledError:
            # The relay is being stopped, or it gives way; asyncio would log it as an error.
            return
        except (OSError, TimeoutError):
            return
        finally:
            del self._open[connection.number]
            writer.close()

    def _refusal(self, connection: RelayedConnection) -> str | None:
        """Return why a connection is not taken; makes room where silence holds the places."""
        if self._peers and not _within(connection.peer, self._peers):
            return "not_allowed"
        own = [one for one in self._open.values() if one.peer == connection.peer]
        if len(own) >= MAXIMUM_OF_ONE_ADDRESS and not self._make_room(own):
            return "too_many_of_one"
        if len(self._open) >= MAXIMUM_CONNECTIONS and not self._make_room(self._open.values()):
            return "too_many"
        return None

    def _make_room(self, among: Any) -> bool:
        """Close the one that has been silent longest; not one that has delivered reports."""
        candidates = [one for one in among if not one.trusted and not one.evicted]
        if not candidates:
            return False
        silent = min(candidates, key=lambda one: (one.local_port is not None, one.last_data))
        silent.evicted = True
        self._refuse("gave_way", silent)
        if silent.task is not None:
            silent.task.cancel()
        return True

    def _refuse(self, reason: str, connection: RelayedConnection) -> None:
        first = not self.refused[reason]
        self.refused[reason] += 1
        if first:
            _LOGGER.warning("a connection from %s is refused: %s", connection.peer, reason)

    async def _hello(self, connection: RelayedConnection, reader: asyncio.StreamReader) -> bool:
        """Wait for the beginning of a message; whether it is what a dongle sends."""
        heard = b""
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(HELLO_TIMEOUT):
                while len(heard) < HEADER_SIZE and (data := await reader.read(CHUNK)):
                    heard += data
                    if not _can_begin(heard):
                        break
        connection.hello = heard
        return len(heard) >= HEADER_SIZE and _can_begin(heard)

    async def _lead(
        self,
        connection: RelayedConnection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if not await self._hello(connection, reader):
            self._refuse("no_dongle" if connection.hello else "silent", connection)
            return
        if self._is_own(connection):
            self.looped = True
            self._refuse("loop", connection)
            return
        try:
            async with self._clock.timeout(CONNECT_TIMEOUT):
                far_reader, far_writer = await asyncio.open_connection(
                    *self._server_address, limit=CHUNK
                )
        except (OSError, TimeoutError) as error:
            if self.last_error is None:
                _LOGGER.warning("the relay's server can't be reached: %s", error or "no answer")
            self.unreachable += 1
            self.last_error = str(error) or "no answer"
            return
        connection.local_port = int(far_writer.get_extra_info("sockname")[1])
        self.last_error = None
        keep_alive(writer)
        keep_alive(far_writer)
        self.connections += 1
        try:
            await self._pass_on(far_writer, connection, connection.hello, from_dongle=True)
            await self._both(connection, (reader, writer), (far_reader, far_writer))
        except OSError:
            # One side was reset: reset the other.
            for side in (writer, far_writer):
                side.transport.abort()
        finally:
            self.connections -= 1
            far_writer.close()
            with contextlib.suppress(Exception):
                self._on_closed(connection)

    async def _both(
        self,
        connection: RelayedConnection,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Copy both ways until both have ended, or nothing has come for long."""
        tasks = [
            asyncio.ensure_future(self._copy(near[0], far[1], connection, from_dongle=True)),
            asyncio.ensure_future(self._copy(far[0], near[1], connection, from_dongle=False)),
        ]
        pending = set(tasks)
        try:
            while pending:
                left = connection.last_data + IDLE_TIMEOUT - self._clock.monotonic()
                if left <= 0:
                    self._refuse("idle", connection)
                    return
                done: set[asyncio.Task[None]] = set()
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout(left):
                        done, pending = await asyncio.wait(
                            pending, return_when=asyncio.FIRST_EXCEPTION
                        )
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _is_own(self, connection: RelayedConnection) -> bool:
        """Whether it is our own connection to the server, redirected to us again."""
        return any(
            other.local_port == connection.port and other.hello == connection.hello
            for other in self._open.values()
            if other is not connection
        )

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: RelayedConnection,
        *,
        from_dongle: bool,
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._pass_on(writer, connection, data, from_dongle=from_dongle)
            # A burst must not hold the loop: a read that finds bytes does not wait.
            await asyncio.sleep(0)
        if writer.can_write_eof():
            writer.write_eof()

    async def _pass_on(
        self,
        writer: asyncio.StreamWriter,
        connection: RelayedConnection,
        data: bytes,
        *,
        from_dongle: bool,
    ) -> None:
        connection.last_data = self._clock.monotonic()
        writer.write(data)
        try:
            if self._on_data(connection, from_dongle, data):
                connection.trusted = True
                self.looped = False
        except Exception:
            # An error in decoding must not disturb the dongle's connection.
            _LOGGER.exception("unforeseen error in reading along")
        await writer.drain()


def _can_begin(data: bytes) -> bool:
    """Whether *data* can begin a message of a dongle."""
    if data[0] != START or (len(data) > 2 and data[2] != FROM_DONGLE):
        return False
    return len(data) < HEADER_SIZE or header_ok(data)


def _within(address: str, networks: Networks) -> bool:
    try:
        host = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    return any(host in network for network in networks)


async def check_server(settings: SunsynkSettings, clock: Clock, listening: int | None) -> None:
    """Find out whether the relay's server can be reached; nothing is sent.

    *listening* is the port that the relay has. Raises :class:`LinkError`: not found, refused,
    unreachable, or our own relay.
    """
    host, port = settings.server_address()
    loop = asyncio.get_running_loop()
    try:
        async with clock.timeout(CONNECT_TIMEOUT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            if port == listening and any(_is_local(one[4][0]) for one in found):
                raise LinkError(
                    Reason.BAD_ADDRESS, f"{host}:{port} is this relay itself, not the server"
                )
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except socket.gaierror as error:
        raise LinkError(Reason.NOT_FOUND, f"there is no host {host}: {error.strerror}") from error
    except TimeoutError as error:
        raise LinkError(Reason.UNREACHABLE, f"{host}:{port} does not answer") from error
    except OSError as error:
        raise link_error(error, Reason.UNREACHABLE) from error


def _is_local(address: object) -> bool:
    """Whether an address is one of this host's."""
    family = socket.AF_INET6 if ":" in str(address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EINVAL, errno.EAFNOSUPPORT)
    return True


class RelaySource:
    """Decodes the relayed connections."""

    def __init__(self, settings: SunsynkSettings, pipeline: ReportPipeline, clock: Clock) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._cutters: dict[tuple[int, bool], FrameCutter] = {}
        self._chunks = 0
        self._resyncs = 0
        self._partial_dropped = 0
        self._on_batch: OnBatch | None = None
        self.relay = Relay(
            settings.listen_address(),
            settings.server_address(),
            self._read_along,
            self._closed,
            clock=clock,
            peers=settings.peer_networks(),
        )

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Listen until cancelled. Raises :class:`LinkError` when the port can't be had."""
        self._on_batch = on_batch
        await self.relay.run(lambda: on_trouble(None))

    def _read_along(self, connection: RelayedConnection, from_dongle: bool, data: bytes) -> bool:
        self._chunks += 1
        key = (connection.number, from_dongle)
        cutter = self._cutters.setdefault(key, FrameCutter())
        now = self._clock.now()
        frames = [(frame, now) for frame in cutter.append(data)]
        reports = [
            received
            for frame, _ in frames
            if (
                received := self._pipeline.take(
                    frame,
                    now,
                    flow=key,
                    reverse_flow=(connection.number, not from_dongle),
                    arrival=self.arrival_now(),
                )
            )
        ]
        if self._on_batch is not None:
            self._on_batch(Batch(frames, reports))
        return bool(reports)

    def _closed(self, connection: RelayedConnection) -> None:
        for from_dongle in (True, False):
            cutter = self._cutters.pop((connection.number, from_dongle), None)
            if cutter is not None:
                cutter.drop()
                self._resyncs += cutter.resyncs
                self._partial_dropped += cutter.partial_dropped

    def counters(self) -> Mapping[str, Any]:
        """Return the counters; a chunk of the stream counts as a packet."""
        cutters = list(self._cutters.values())
        return {
            "packets": self._chunks,
            "partial_dropped": self._partial_dropped + sum(one.partial_dropped for one in cutters),
            "resyncs": self._resyncs + sum(one.resyncs for one in cutters),
            **self._pipeline.summary(),
            "connections": self.relay.connections,
            "unreachable": self.relay.unreachable,
            "refused": dict(self.relay.refused),
            "relay_looped": self.relay.looped,
            "server_error": self.relay.last_error,
        }

    def arrival_now(self) -> float:
        """Return the monotonic clock."""
        return self._clock.monotonic()
