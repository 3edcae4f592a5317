"""One connection to a broker: connect, keep alive, hand messages over.

A connection is used once. Whoever made it waits for its end and makes the next one.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..protocol import LARGEST, Message
from .packets import (
    Connack,
    Decoder,
    Malformed,
    Packet,
    Pong,
    Publish,
    Suback,
    Will,
    connect,
    disconnect,
    ping,
    subscribe,
)
from .session import Session

KEEP_ALIVE = 60
CONNECT_TIMEOUT = 20.0
"""Seconds; a broker that refuses a password takes up to 6 (spec G.2)."""
MOST_BUFFERED = 4 * 1024 * 1024
ROOM = 70_000
"""What a packet has beyond its payload, at most."""
REFUSED_LOGIN = frozenset({4, 5})
_REFUSALS = {
    1: "wrong protocol version",
    2: "client id refused",
    3: "not available",
    4: "wrong user or password",
    5: "not authorised",
}


class Unreachable(Exception):
    """No connection came about. ``code`` is the broker's refusal, ``error`` the system's."""

    def __init__(self, text: str, code: int = 0, error: BaseException | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.error = error


class WrongCertificate(Exception):
    """The broker shows another certificate than the one that is known."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where and who. ``fingerprint`` is the certificate's SHA-256, in small hex digits.

    A GX signs its own certificate, for the name ``venus.local``: there is nothing to verify, but
    it can be pinned.
    """

    host: str
    port: int = 1883
    tls: bool = False
    user: str | None = None
    password: str | None = None
    fingerprint: str | None = None


def _context() -> ssl.SSLContext:
    # Without the system's authorities: nothing is read from the disk.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


OnMessage = Callable[[str, bytes], None]


class Client(asyncio.Protocol):
    """A connection to a broker. *on_message* gets each message as it comes."""

    def __init__(self, on_message: OnMessage) -> None:
        self._on_message = on_message
        self._decoder = Decoder(LARGEST + ROOM)
        self._session = Session()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[int] = self._loop.create_future()
        self._subacks: dict[int, asyncio.Future[tuple[int, ...]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = self._sent_at = self._pinged_at = self._loop.time()
        self._pinged = False
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.dropped = 0
        self.too_large = 0
        self.bytes_in = 0
        self.bytes_out = 0

    @classmethod
    async def connect(
        cls,
        address: Address,
        client_id: str,
        on_message: OnMessage,
        will: Will | None = None,
        timeout: float = CONNECT_TIMEOUT,
    ) -> Client:
        """Connect and log in. Raises :class:`Unreachable` and :class:`WrongCertificate`."""
        try:
            async with asyncio.timeout(timeout):
                return await cls._connect(address, client_id, on_message, will)
        except TimeoutError as error:
            text = f"no answer within {timeout:.0f} s"
            raise Unreachable(text, error=error) from None
        except (OSError, ValueError) as error:
            text = str(error) or type(error).__name__
            raise Unreachable(text, error=error) from error

    @classmethod
    async def _connect(
        cls, address: Address, client_id: str, on_message: OnMessage, will: Will | None
    ) -> Client:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(
            lambda: cls(on_message),
            address.host,
            address.port,
            ssl=_context() if address.tls else None,
        )
        try:
            if address.fingerprint:
                _check(transport, address.fingerprint)
            await client.log_in(client_id, will, address.user, address.password)
        except BaseException:
            client.abort("not connected")
            raise
        return client

    async def log_in(
        self,
        client_id: str,
        will: Will | None = None,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        """Say who we are and wait for the answer. Raises :class:`Unreachable`."""
        self._send(connect(client_id, KEEP_ALIVE, will, user, password))
        code = await self._connack
        if code:
            raise Unreachable(_REFUSALS.get(code, f"refused with code {code}"), code)
        self._keep_alive()

    # ----------------------------------------------------------------- what it is used for

    @property
    def fingerprint(self) -> str | None:
        """The SHA-256 of the broker's certificate; ``None`` without TLS."""
        return None if self._transport is None else _fingerprint(self._transport)

    def publish(self, message: Message) -> bool:
        """Send a message; says whether it was, and not dropped for want of room."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        try:
            data = self._session.publish(Publish(message.topic, message.payload, message.qos))
        except (OverflowError, ValueError):
            self.dropped += 1
            return False
        if transport.get_write_buffer_size() > MOST_BUFFERED:
            self.dropped += 1
            return False
        self._send(data)
        return True

    async def subscribe(self, filters: Sequence[str], timeout: float = CONNECT_TIMEOUT) -> bool:
        """Subscribe and wait; says whether all was granted. Raises :class:`ConnectionError`."""
        number = self._session.new_number()
        answer = self._subacks[number] = self._loop.create_future()
        self._send(subscribe(number, [(one, 1) for one in filters]))
        try:
            async with asyncio.timeout(timeout):
                granted = await answer
        except TimeoutError:
            raise ConnectionError("the broker does not answer a subscription") from None
        finally:
            self._subacks.pop(number, None)
        return all(one < 128 for one in granted)

    async def close(self, timeout: float = 1.0) -> None:
        """Take leave, so that the broker does not publish the will."""
        self._send(disconnect())
        if self._transport is not None:
            self._transport.close()
        await asyncio.wait([self.ended], timeout=timeout)
        self.abort("closed")

    def abort(self, reason: str) -> None:
        """End the connection now."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    # -------------------------------------------------------------------------- the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection that came about."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        self._end(str(exc) if exc else "closed by the broker")

    def data_received(self, data: bytes) -> None:
        """Take what the broker sent."""
        self._heard_at = self._loop.time()
        self.bytes_in += len(data)
        try:
            found = self._decoder.receive_data(data)
        except Malformed as error:
            self.abort(f"the broker sends no MQTT: {error}")
            return
        for packet in found:
            self._receive(packet)

    def _receive(self, packet: Packet) -> None:
        message, answer = self._session.receive(packet)
        if answer:
            self._send(answer)
        if message is not None:
            if message.payload is None:
                self.too_large += 1
            else:
                self._on_message(message.topic, message.payload)
        match packet:
            case Connack(code) if not self._connack.done():
                self._connack.set_result(code)
            case Suback(packet_id, granted):
                self._session.done(packet_id)
                waiting = self._subacks.get(packet_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(granted)
            case Pong():
                self._pinged = False

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._sent_at = self._loop.time()
            self.bytes_out += len(data)
            self._transport.write(data)

    def _keep_alive(self) -> None:
        now = self._loop.time()
        # Bytes may come and mean nothing: what counts is the answer to a ping.
        if self._pinged and now - self._pinged_at > KEEP_ALIVE:
            self.abort("the broker does not answer a ping")
            return
        if not self._pinged and now - min(self._sent_at, self._heard_at) > KEEP_ALIVE / 2:
            self._pinged, self._pinged_at = True, now
            self._send(ping())
        self._timer = self._loop.call_later(KEEP_ALIVE / 6, self._keep_alive)

    def _end(self, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        waits: list[asyncio.Future[Any]] = [self._connack, *self._subacks.values()]
        for waiting in waits:
            if not waiting.done():
                waiting.set_exception(ConnectionError(reason))
                waiting.exception()  # whoever waits gets it; nobody need
        if not self.ended.done():
            self.ended.set_result(reason)


def _fingerprint(transport: asyncio.BaseTransport) -> str | None:
    found = transport.get_extra_info("ssl_object")
    certificate = None if found is None else found.getpeercert(binary_form=True)
    return None if certificate is None else hashlib.sha256(certificate).hexdigest()


def _check(transport: asyncio.BaseTransport, wanted: str) -> None:
    if _fingerprint(transport) != wanted:
        raise WrongCertificate("the certificate is another one")
