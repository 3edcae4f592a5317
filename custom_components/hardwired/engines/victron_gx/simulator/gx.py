"""A whole simulated GX: behind ``sim://``, or behind a TCP port."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ...clock import Clock
from ...engine import LinkError, Reason
from ..failures import as_link_error
from ..mqtt.client import Client, OnMessage, Unreachable
from ..mqtt.packets import Will
from .broker import Broker, Peer
from .driver import Driver

PORTAL = "c0ffee12ab34"

_NAMED: dict[str, SimulatedGx] = {}


class SimulatedGx:
    """Broker, portal id and driver. ``reachable`` and ``portal`` are its faults."""

    def __init__(
        self, portal: str = PORTAL, *, helper: bool = True, reference: bool = False
    ) -> None:
        self.broker = Broker()
        self.driver = Driver(self.broker, portal, reference=reference)
        self.reachable = True
        self.says_serial = True
        self._portal = portal
        self._servers: list[asyncio.Server] = []
        self._boot(helper=helper)

    def _boot(self, *, helper: bool) -> None:
        self._retain_serial()
        if helper:
            self.driver.start()

    def _retain_serial(self) -> None:
        if self.says_serial:
            payload = json.dumps({"value": self._portal}).encode()
            self.broker.publish(f"N/{self._portal}/system/0/Serial", payload, retain=True)

    def become(self, portal: str) -> None:
        """Be another GX from the next connection on."""
        self._portal = self.driver.portal = portal
        self.restart_broker()

    def restart_broker(self) -> None:
        """Restart the broker; the driver stays, and what it had registered stays on D-Bus."""
        self.broker.stop()
        self._retain_serial()
        self.driver.announce()

    def reboot(self) -> None:
        """Restart all of it."""
        self.driver.devices.clear()
        self.broker.stop()
        self._boot(helper=self.driver.running)

    async def connect(
        self, client_id: str, on_message: OnMessage, will: Will | None = None
    ) -> Client:
        """Return a connection that is logged in. Raises :class:`LinkError`."""
        if not self.reachable:
            raise LinkError(Reason.UNREACHABLE, "the simulated GX is off")
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: _Line(self.broker), theirs)
        _, client = await loop.create_connection(lambda: Client(on_message), sock=ours)
        try:
            await client.log_in(client_id, will)
        except Unreachable as error:
            client.abort("refused")
            raise as_link_error(error) from error
        except ConnectionError as error:
            raise LinkError(Reason.DISCONNECTED, str(error)) from error
        except BaseException:
            client.abort("cancelled")
            raise
        return client

    async def serve(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> int:
        """Listen on a TCP port; returns it."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Line(self.broker), host, port, ssl=tls)
        self._servers.append(server)
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Hang up, and listen no more."""
        for server in self._servers:
            server.close()
        self._servers.clear()


class _Line(asyncio.Protocol):
    """One connection to the simulated broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._peer: Peer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._peer = Peer(self._broker, transport.write, transport.close)

    def data_received(self, data: bytes) -> None:
        assert self._peer is not None
        self._peer.receive_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._peer is not None
        self._peer.lost()


def simulated(link: str, _clock: Clock | None = None) -> SimulatedGx:
    """Return the GX that a link describes; one with a name is the same whenever it is named.

    ``sim://NAME?portal=...&helper=0&reference=1``
    """
    parts = urlsplit(link)
    told: dict[str, Any] = dict(parse_qsl(parts.query))
    name = parts.netloc
    if name in _NAMED:
        return _NAMED[name]
    found = SimulatedGx(
        str(told.get("portal", PORTAL)),
        helper=told.get("helper", "1") != "0",
        reference=told.get("reference", "0") != "0",
    )
    if name:
        _NAMED[name] = found
    return found


def forget(name: str) -> None:
    """Switch a named GX off for good."""
    _NAMED.pop(name, None)
