"""The MQTT library as we need it: quiet, and not waiting for what will never come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Self

import aiomqtt

from .losses import Loss


class LibraryClient(aiomqtt.Client):
    """The library's client, which forgets that a socket may be closed when its turn comes.

    Nor does it wait for somebody to hear that a connection has ended which nobody uses any more.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._disconnected.add_done_callback(_heard)

    async def __aenter__(self) -> Self:
        """Connect."""
        await super().__aenter__()
        self._disconnected.add_done_callback(_heard)
        return self

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # noqa: BLE001 - as the library does: the connection is lost
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def register() -> None:
            if sock.fileno() >= 0:
                with contextlib.suppress(OSError, ValueError):
                    self._loop.add_writer(sock.fileno(), write)

        # The library calls this from the thread in which it connects, too.
        self._loop.call_soon_threadsafe(register)


def _heard(ended: asyncio.Future[None]) -> None:
    if not ended.cancelled():
        ended.exception()


class LibraryLog(logging.Logger):
    """The library's own log of one connection: nobody reads it, but an error while connecting."""

    def __init__(self) -> None:
        super().__init__("paho", logging.ERROR)
        self.propagate = False
        self.failed = asyncio.Event()
        self.text = ""
        self._loop = asyncio.get_running_loop()

    @property
    def loss(self) -> Loss:
        """What the error means."""
        return Loss.TLS if "SSL" in self.text else Loss.CLOSED

    def handle(self, record: logging.LogRecord) -> None:
        """Take note of an error."""
        self.text = record.getMessage().removeprefix("failed to receive on socket: ")
        # The library also writes from the thread in which it connects.
        self._loop.call_soon_threadsafe(self.failed.set)
