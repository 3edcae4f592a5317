"""Stands between a broker and its clients and spoils the line between them (spec I.1, broker).

All faults can be changed while it runs. The packets of MQTT are told apart, since a message is
to come twice as a whole, and the answer to CONNECT late or never.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Callable, Iterator, List, NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
NOT_AUTHORISED = bytes((CONNACK << 4, 2, 0, 5))
DUP = 0x08
_CHUNK = 65536

Change = Callable[[bytes], List[bytes]]


class Line(NamedTuple):
    """What is wrong with the line. Times are in seconds.

    ``twice``: every message of QoS 1 comes again, marked as a duplicate.
    """

    latency: float = 0.0
    refuse: bool = False
    slow_login: float = 0.0
    twice: bool = False


class Splitter:
    """Bytes in, whole packets out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take bytes and return the packets that are complete."""
        self._buffer += data
        return list(self._packets())

    def _packets(self) -> Iterator[bytes]:
        while True:
            length, shift = 0, 0
            for index in range(1, 5):
                if index >= len(self._buffer):
                    return
                length |= (self._buffer[index] & 0x7F) << shift
                shift += 7
                if not self._buffer[index] & 0x80:
                    break
            end = index + 1 + length
            if len(self._buffer) < end:
                return
            yield bytes(self._buffer[:end])
            del self._buffer[:end]


def packet_id(packet: bytes) -> int | None:
    """Return the number of a message of QoS 1; None for anything else."""
    if packet[0] >> 4 != PUBLISH or packet[0] >> 1 & 3 != 1:
        return None
    start = 2
    while packet[start - 1] & 0x80:
        start += 1
    topic = int.from_bytes(packet[start : start + 2], "big")
    return int.from_bytes(packet[start + 2 + topic : start + 4 + topic], "big")


class Relay:
    """Listens for clients and passes them on to a broker."""

    def __init__(self, host: str, port: int) -> None:
        self.line = Line()
        self._upstream = (host, port)
        self._server: asyncio.AbstractServer | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Begin to listen; returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, and cut all connections."""
        if self._server is not None:
            self._server.close()
        links = list(self._links)
        self.drop()
        await asyncio.gather(*links, return_exceptions=True)

    def drop(self) -> int:
        """Cut all connections; returns how many there were."""
        for link in self._links:
            link.cancel()
        return len(self._links)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            await _Link(self, reader, writer).run(*self._upstream)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            writer.close()


class _Link:
    """One client's connection."""

    def __init__(
        self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._relay = relay
        self._reader = reader
        self._writer = writer
        self._twice: dict[int, int] = {}  # packet number -> acknowledgements to keep back

    async def run(self, host: str, port: int) -> None:
        if self._relay.line.refuse:
            await self._reader.read(_CHUNK)
            self._writer.write(NOT_AUTHORISED)
            await self._writer.drain()
            return
        reader, writer = await asyncio.open_connection(host, port)
        ways = [
            asyncio.ensure_future(self._pump(self._reader, writer, self._to_broker)),
            asyncio.ensure_future(self._pump(reader, self._writer, self._to_client)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Change
    ) -> None:
        loop = asyncio.get_running_loop()
        splitter, due = Splitter(), 0.0
        while True:
            data = await reader.read(_CHUNK)
            if not data:
                return
            line = self._relay.line
            for packet in splitter.receive_data(data):
                late = line.latency + (line.slow_login if packet[0] >> 4 == CONNACK else 0.0)
                # One after the other, also when the line has just become faster.
                due = max(loop.time() + late, due + 1e-6)
                for changed in change(packet):
                    if late or due > loop.time() + 0.001:
                        loop.call_at(due, writer.write, changed)
                    else:
                        writer.write(changed)
            with contextlib.suppress(ConnectionError):
                await writer.drain()

    def _to_broker(self, packet: bytes) -> list[bytes]:
        """Keep back the second acknowledgement: the broker sent one message."""
        if packet[0] >> 4 == PUBACK:
            number = int.from_bytes(packet[2:4], "big")
            if self._twice.get(number):
                self._twice[number] -= 1
                return []
        return [packet]

    def _to_client(self, packet: bytes) -> list[bytes]:
        number = packet_id(packet) if self._relay.line.twice else None
        if number is None:
            return [packet]
        self._twice[number] = self._twice.get(number, 0) + 1
        return [packet, bytes((packet[0] | DUP,)) + packet[1:]]
