"""A byte link by URL.

URLs: a device path (``/dev/serial/by-id/...``, ``COM3``), ``socket://host:port`` or
``tcp://host:port``, ``rfc2217://host:port``, ``esphome://...``, ``listen://host:port?peer=...``
(we wait for the gateway to connect to us), ``udp://host:port?local_port=...`` and
``sim://?...`` (a simulated device in this process). Serial settings mean nothing on sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from ..engine import LinkError, Reason
from ..masking import masked, masked_text, secrets_of
from .errors import link_error
from .listener import ListenOpener
from .port_holder import with_holder
from .stream import READ_SIZE, AsyncioStream, Stream, keep_alive

CONNECT_TIMEOUT = 10.0


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


class Opener(Protocol):
    """Opens one link as often as it is asked."""

    async def open(self) -> Stream:
        """Return a new stream. Raises :class:`LinkError`."""

    async def close(self) -> None:
        """Release what is kept between two streams, such as a listening socket."""


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
        raise LinkError(Reason.BAD_ADDRESS, _why(error, url)) from _cause(error, url)
    if not parts.scheme and secrets_of(url):
        # No port has such a name; libraries log what they open.
        raise LinkError(Reason.BAD_ADDRESS, f"{masked(url)} is neither a port nor an address")
    if settings is None:
        raise LinkError(Reason.BAD_ADDRESS, f"{masked(url)} needs serial settings")
    return SerialOpener(url, settings)


def _why(error: ValueError, url: str) -> str:
    """Return why an address can't be read. Of one with secrets, parts may stand in the error."""
    if secrets_of(url):
        return f"{masked(url)} can't be understood"
    return masked_text(str(error), url)


def _cause(error: Exception, url: str) -> Exception | None:
    """Return the cause that a traceback may show: none that may repeat a secret."""
    return None if secrets_of(url) else error


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
        if self.url.startswith("esphome:") and find_spec("aioesphomeapi") is None:
            raise LinkError(
                Reason.BAD_ADDRESS,
                "for esphome:// the package aioesphomeapi is needed and not there",
            )
        try:
            return await self._open(parity)
        except OSError as error:
            if error.errno == errno.EINVAL and parity is not Parity.NONE and _is_pty(self.url):
                # Linux takes a parity on a pseudo-terminal once; re-opening fails with EINVAL.
                try:
                    return await self._open(Parity.NONE)
                except Exception as second:  # noqa: BLE001 - named
                    raise await self._error(second) from _cause(second, self.url)
            raise await self._error(error) from _cause(error, self.url)
        except Exception as error:  # noqa: BLE001 - named
            raise await self._error(error) from _cause(error, self.url)

    async def _error(self, error: Exception) -> LinkError:
        return await with_holder(link_error(error, address=self.url), self.url)

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


class _DatagramOpener:
    def __init__(self, host: str, port: int, local_port: int) -> None:
        if not host:
            raise LinkError(Reason.BAD_ADDRESS, "the address needs a host")
        self._remote = (host, port)
        self._local_port = local_port

    async def open(self) -> Stream:
        loop = asyncio.get_running_loop()
        host, port = self._remote
        try:
            # Datagrams are known by the address that they come from, not by its name.
            found = await loop.getaddrinfo(
                host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
            _, protocol = await loop.create_datagram_endpoint(
                _DatagramStream,
                local_addr=("0.0.0.0", self._local_port),  # noqa: S104
            )
        except OSError as error:
            raise link_error(error) from error
        protocol.remote = (str(found[0][4][0]), port)
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


def _is_pty(url: str) -> bool:
    return os.path.realpath(url).startswith("/dev/pts/")
