"""A transparent relay for the dongle's connection (spec c.8): listens, connects on, copies.

Bytes go both ways unchanged and at once; a copy of them is decoded. Nothing is ever added. When
the server can't be reached, the dongle's connection is closed, as the network would.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...clock import Clock
from ...engine import LinkError, Reason
from ...link import keep_alive, link_error, stop_listening
from ..dongle.envelope import FrameCutter
from ..pipeline.report_pipeline import ReportPipeline
from ..settings import SunsynkSettings
from .base import Batch, OnBatch, OnTrouble

_LOGGER = logging.getLogger(__name__)

CHUNK = 65536
CONNECT_TIMEOUT = 10.0
MAXIMUM_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class RelayedConnection:
    """One dongle's connection through the relay. ``number`` is never used twice."""

    number: int
    peer: str


OnData = Callable[[RelayedConnection, bool, bytes], None]
"""Called for every chunk: the connection, whether it came from the dongle, the bytes."""

OnClosed = Callable[[RelayedConnection], None]


class Relay:
    """Listens on a port and relays each connection to the server."""

    def __init__(
        self,
        listen: tuple[str, int],
        server: tuple[str, int],
        on_data: OnData,
        on_closed: OnClosed,
    ) -> None:
        self._listen = listen
        self._server_address = server
        self._on_data = on_data
        self._on_closed = on_closed
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        """Connections that are open now."""
        self.unreachable = 0
        """Connections that had to be closed because the server could not be reached."""
        self.last_error: str | None = None

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
            self._server = await asyncio.start_server(self._accept, host, port)
        except OSError as error:
            raise link_error(error, Reason.BAD_ADDRESS) from error
        except OverflowError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        on_listening()
        try:
            await asyncio.Event().wait()
        finally:
            await stop_listening(self._server)
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        listening = self._server is not None and self._server.is_serving()
        if not listening or len(self._tasks) >= MAXIMUM_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._lead(reader, writer)
        except asyncio.CancelledError:
            # The relay is being stopped; asyncio would log the task's cancellation as an error.
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                far_reader, far_writer = await asyncio.open_connection(*self._server_address)
        except OSError as error:
            self.unreachable += 1
            self.last_error = str(error) or "no answer"
            _LOGGER.info("the server can't be reached (%s): closing", self.last_error)
            return
        keep_alive(writer)
        keep_alive(far_writer)
        peer = str(writer.get_extra_info("peername"))
        connection = RelayedConnection(next(self._numbers), peer)
        self.connections += 1
        try:
            await asyncio.gather(
                self._copy(reader, far_writer, connection, from_dongle=True),
                self._copy(far_reader, writer, connection, from_dongle=False),
            )
        except OSError:
            # One side was reset: reset the other.
            for side in (writer, far_writer):
                side.transport.abort()
        finally:
            self.connections -= 1
            far_writer.close()
            with contextlib.suppress(Exception):
                self._on_closed(connection)

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: RelayedConnection,
        *,
        from_dongle: bool,
    ) -> None:
        while data := await reader.read(CHUNK):
            writer.write(data)
            try:
                self._on_data(connection, from_dongle, data)
            except Exception:
                # An error in decoding must not disturb the dongle's connection.
                _LOGGER.exception("unforeseen error in reading along")
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


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
        )

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Listen until cancelled. Raises :class:`LinkError` when the port can't be had."""
        self._on_batch = on_batch
        await self.relay.run(lambda: on_trouble(None))

    def _read_along(self, connection: RelayedConnection, from_dongle: bool, data: bytes) -> None:
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
        }

    def arrival_now(self) -> float:
        """Return the monotonic clock."""
        return self._clock.monotonic()
