"""An open link: bytes in, bytes out, and what the system must know of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from ..engine import LinkError, Reason
from .errors import link_error

WRITE_TIMEOUT = 5.0
CLOSE_TIMEOUT = 2.0
READ_SIZE = 4096


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
            self._writer.write(data)
            if _is_sent(self._writer.transport):
                return
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self._writer.drain()
        except Exception as error:
            raise link_error(error, Reason.DISCONNECTED) from error

    def abort(self) -> None:
        """Close at once: nothing that was written need arrive."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close, never raise."""
        with contextlib.suppress(Exception):
            self._writer.close()
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._writer.wait_closed()


def _is_sent(transport: asyncio.WriteTransport) -> bool:
    """Whether the system has taken all that was written: there is nothing to wait for."""
    try:
        return not transport.is_closing() and transport.get_write_buffer_size() == 0
    except (AttributeError, NotImplementedError):
        return False


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
