"""One connection to a broker: connect, keep alive, hand messages over.

A connection is used once. Whoever made it waits for its end and makes the next one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any, Callable, NamedTuple, Sequence

from . import packets
from .packets import Connack, Decoder, Malformed, Publish, Suback, Will
from .session import Session

_LOG = logging.getLogger("mqtt")

KEEP_ALIVE = 60  # s
CONNECT_TIMEOUT = 20.0  # s; a broker that refuses a password may take 6 s (spec G.2)
MOST_BUFFERED = 4 * 1024 * 1024  # bytes that the broker has not taken yet
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_REFUSALS = {
    1: "wrong protocol version",
    2: "client id refused",
    3: "not available",
    4: "wrong user or password",
    5: "not authorised",
}


class Unreachable(Exception):
    """No connection came about; the text says why."""


class Broker(NamedTuple):
    """Where and who: ``ca`` is a file that the broker's certificate must agree with."""

    host: str = "127.0.0.1"
    port: int = 1883
    user: str | None = None
    password: str | None = None
    ca: str | None = None


def _tls(ca: str) -> ssl.SSLContext:
    # The GX's own certificate is for venus.local and is reached by any name: what is checked is
    # that it is the very certificate, or of the very authority, that the owner named.
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    return context


class Client(asyncio.Protocol):
    """A connection to a broker. ``on_message`` gets each message as it comes."""

    def __init__(self, on_message: Callable[[Publish], None], largest: int) -> None:
        self._on_message = on_message
        self._decoder = Decoder(largest + 70000)
        self._session = Session()
        self._transport: asyncio.Transport | None = None
        self._socket: Any | None = None
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[int] = self._loop.create_future()
        self._waiting: dict[int, asyncio.Future[tuple[int, ...]]] = {}
        self._pinged = False
        self._sent_at = self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.dropped = 0

    @classmethod
    async def connect(
        cls,
        broker: Broker,
        client_id: str,
        on_message: Callable[[Publish], None],
        will: Will | None = None,
        largest: int = 64 * 1024,
    ) -> Client:
        """Connect and log in; raises Unreachable."""
        try:
            return await asyncio.wait_for(
                cls._connect(broker, client_id, on_message, will, largest), CONNECT_TIMEOUT
            )
        except asyncio.TimeoutError:
            raise Unreachable(f"no answer within {CONNECT_TIMEOUT:.0f} s") from None
        except (OSError, ssl.SSLError, ValueError) as error:
            raise Unreachable(str(error) or type(error).__name__) from error

    @classmethod
    async def _connect(
        cls,
        broker: Broker,
        client_id: str,
        on_message: Callable[[Publish], None],
        will: Will | None,
        largest: int,
    ) -> Client:
        loop = asyncio.get_running_loop()
        context = None
        if broker.ca is not None:
            context = _tls(broker.ca)
        _, client = await loop.create_connection(
            lambda: cls(on_message, largest), broker.host, broker.port, ssl=context
        )
        login = packets.connect(client_id, KEEP_ALIVE, will, broker.user, broker.password)
        await client.log_in(login)
        return client

    async def log_in(self, packet: bytes) -> None:
        """Send CONNECT and wait for the answer; raises Unreachable or ConnectionError."""
        try:
            self._send(packet)
            code = await self._connack
        except BaseException:
            self.abort("not connected")
            raise
        if code:
            self.abort("refused")
            raise Unreachable(_REFUSALS.get(code, f"refused with code {code}"))
        self._keep_alive()

    # ----------------------------------------------------------- what it is used for

    def publish(self, topic: str, payload: str | bytes, qos: int = 0, retain: bool = False) -> bool:
        """Send a message; says whether it was sent, and not dropped for want of room.

        Raises ValueError for what is no topic.
        """
        data = payload.encode("utf-8") if isinstance(payload, str) else payload
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > MOST_BUFFERED:
            self.dropped += 1
            return False
        try:
            self._send(self._session.publish(Publish(topic, data, qos, retain)))
        except OverflowError:
            self.dropped += 1
            return False
        return True

    async def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[bool]:
        """Subscribe and wait; returns which filters were granted.

        Raises ConnectionError, or OverflowError while the broker acknowledges nothing.
        """
        if self.ended.done():
            raise ConnectionError(self.ended.result())
        number = self._session.new_id()
        answer = self._waiting[number] = self._loop.create_future()
        self._send(packets.subscribe(number, filters))
        granted = await answer
        return [qos < 128 for qos in granted]

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe, without waiting."""
        self._send(packets.unsubscribe(self._session.new_id(), filters))

    async def close(self, timeout: float = 1.0) -> None:
        """Take leave properly, so that the broker does not publish the will."""
        self._send(packets.disconnect())
        if self._transport is not None:
            self._transport.close()
        await asyncio.wait([self.ended], timeout=timeout)
        self.abort("closed")

    def abort(self, reason: str) -> None:
        """End the connection now."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    # -------------------------------------------------------------------- the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection that came about."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket = transport.get_extra_info("socket")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        self._end(str(exc) if exc else "closed by the broker")

    def data_received(self, data: bytes) -> None:
        """Take what the broker sent."""
        self._heard_at = self._loop.time()
        self._acknowledge_at_once()
        try:
            found = self._decoder.receive_data(data)
        except Malformed as error:
            self.abort(f"the broker sends no MQTT: {error}")
            return
        for packet in found:
            messages, answer = self._session.received(packet)
            if answer:
                self._send(answer)
            for message in messages:
                self._hand_over(message)
            if isinstance(packet, Connack) and not self._connack.done():
                self._connack.set_result(packet.code)
            elif isinstance(packet, Suback):
                self._session.done(packet.packet_id)
                waiting = self._waiting.pop(packet.packet_id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(packet.granted)
            elif isinstance(packet, packets.Pong):
                self._pinged = False

    def _acknowledge_at_once(self) -> None:
        """Ask the kernel for acknowledgements now: brokers wait 40 ms for a delayed one."""
        if _QUICKACK is None or self._socket is None:
            return
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except OSError:
            self._socket = None

    def _hand_over(self, message: Publish) -> None:
        try:
            self._on_message(message)
        except Exception:  # noqa: BLE001 - no message may end the driver
            _LOG.exception("a message on %.100r was not dealt with", message.topic)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._sent_at = self._loop.time()
            self._transport.write(data)

    def _keep_alive(self) -> None:
        now = self._loop.time()
        if now - self._heard_at > KEEP_ALIVE * 1.5:
            self.abort("the broker is silent")
            return
        if not self._pinged and max(now - self._sent_at, now - self._heard_at) > KEEP_ALIVE / 2:
            self._pinged = True
            self._send(packets.ping())
        self._timer = self._loop.call_later(KEEP_ALIVE / 6, self._keep_alive)

    def _end(self, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        lost = ConnectionError(reason)
        waits: list[asyncio.Future[Any]] = [self._connack, *self._waiting.values()]
        for waiting in waits:
            if not waiting.done():
                waiting.set_exception(lost)
                waiting.exception()  # whoever waits gets it; nobody need
        self._waiting.clear()
        if not self.ended.done():
            self.ended.set_result(reason)
