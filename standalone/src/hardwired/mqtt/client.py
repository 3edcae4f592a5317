"""One connection to a broker, made anew until it is not wanted any more (spec c.2, c.4).

Each connection is a new client object: a used one sends its unacknowledged messages again after
newer ones, and an old text would stay retained. Losses are told apart; none ends the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from hardwired_engines.clock import Clock

from ..bridge.sink import Publication
from .outbox import Outbox

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
SILENCE = 30.0
"""Seconds without an acknowledgement, with messages in flight, after which a connection is lost."""
LAST_WORDS = 2.0
"""Seconds that the last words may take."""
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 60.0
SPREAD = 0.2
SETTLED = 10.0
"""Seconds after which a connection counts as one that holds."""
SHORT_LIVES = 3
"""Losses within :data:`SETTLED` in a row that point to another client of the same id."""
IN_FLIGHT, BYTES_IN_FLIGHT = 20, 256 * 1024
INCOMING = 1000
"""Messages of others that wait at most; the oldest go first."""


class Loss(StrEnum):
    """Why there is no connection."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    NAME_NOT_FOUND = "name_not_found"
    UNREACHABLE = "unreachable"
    TLS_CERTIFICATE = "tls_certificate"
    TLS_HOST_NAME = "tls_host_name"
    TLS_VERSION = "tls_version"
    TLS_FILES = "tls_files"
    TLS = "tls"
    NOT_AUTHORISED = "not_authorised"
    WRONG_PROTOCOL = "wrong_protocol"
    CLIENT_ID = "client_id_refused"
    BUSY = "server_unavailable"
    TAKEN_OVER = "taken_over"
    NO_RIGHT = "no_right_to_publish"
    NO_ACKNOWLEDGEMENT = "no_acknowledgement"
    CLOSED = "closed"
    OTHER_BRIDGE = "other_bridge"
    FAILED = "failed"


_WORDS = {
    Loss.REFUSED: "nobody listens there",
    Loss.TIMEOUT: "no answer",
    Loss.NAME_NOT_FOUND: "the name is not known",
    Loss.UNREACHABLE: "the host can't be reached",
    Loss.TLS_CERTIFICATE: "its certificate is not trusted",
    Loss.TLS_HOST_NAME: "its certificate is for another host name",
    Loss.TLS_VERSION: "no common TLS version; is this a port with TLS?",
    Loss.TLS_FILES: "the certificate files can't be used",
    Loss.TLS: "TLS failed: a port without TLS, or does it want another client certificate?",
    Loss.NOT_AUTHORISED: "user name or password is wrong, or the user has no rights",
    Loss.WRONG_PROTOCOL: "it does not speak this version of MQTT",
    Loss.CLIENT_ID: "it refuses the client id",
    Loss.BUSY: "the broker says that it is not available",
    Loss.TAKEN_OVER: "another client with the same id has taken over",
    Loss.NO_RIGHT: "it closes at our first message: has the user the right to publish?",
    Loss.NO_ACKNOWLEDGEMENT: "no acknowledgement in 30 s",
    Loss.CLOSED: "the connection was closed",
    Loss.OTHER_BRIDGE: "another bridge uses this prefix",
    Loss.FAILED: "failed",
}

_CODES = {
    0x84: Loss.WRONG_PROTOCOL,
    0x85: Loss.CLIENT_ID,
    0x86: Loss.NOT_AUTHORISED,
    0x87: Loss.NOT_AUTHORISED,
    0x88: Loss.BUSY,
    0x89: Loss.BUSY,
    0x8A: Loss.NOT_AUTHORISED,
    0x8B: Loss.BUSY,
    0x8E: Loss.TAKEN_OVER,
}
_OLD_CODES = {
    1: Loss.WRONG_PROTOCOL,
    2: Loss.CLIENT_ID,
    3: Loss.BUSY,
    4: Loss.NOT_AUTHORISED,
    5: Loss.NOT_AUTHORISED,
}


class ConnectionLost(Exception):
    """There is no connection, or no longer. ``loss`` says why, the text in plain words."""

    def __init__(self, loss: Loss, detail: str = "") -> None:
        super().__init__(f"{_WORDS[loss]} ({detail})" if detail else _WORDS[loss])
        self.loss = loss


class Verify(StrEnum):
    """How much of the broker's certificate is checked."""

    FULL = "full"
    CERTIFICATE = "certificate"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS to a broker; without *ca_file* the system's authorities count."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    verify: Verify = Verify.FULL

    def context(self) -> ssl.SSLContext:
        """Return the context; reads files. Raises :class:`ConnectionLost`."""
        try:
            found = ssl.create_default_context(cafile=self.ca_file)
            found.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.verify is not Verify.FULL:
                found.check_hostname = False
            if self.verify is Verify.NONE:
                found.verify_mode = ssl.CERT_NONE
            if self.cert_file is not None:
                found.load_cert_chain(self.cert_file, self.key_file, self.key_password or "")
        except (OSError, ValueError) as error:
            raise ConnectionLost(Loss.TLS_FILES, str(error)) from error
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where a broker is and how it is spoken to. Times in seconds."""

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive: int = 60
    protocol: int = 4
    """4 is MQTT 3.1.1, 5 is MQTT 5."""
    tls: TlsSettings | None = None

    @property
    def address(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that has come."""

    topic: str
    payload: bytes
    retained: bool


class Talker(Protocol):
    """What is said on a connection; a channel of the sink."""

    @property
    def ready(self) -> bool:
        """Whether there may be a connection."""

    def will(self) -> Publication | None:
        """Return the will of the next connection."""

    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Return what to subscribe to, each with its QoS."""

    async def before(self, session: Session) -> None:
        """Look round on a new connection before anything is said on it."""

    def opened(self, refused: Sequence[str]) -> Iterable[Publication]:
        """Return what is said first; *refused* are subscriptions that the broker refuses."""

    def received(self, message: Incoming) -> None:
        """Take a message."""

    def lost(self, error: ConnectionLost, *, again_in: float) -> None:
        """Take note that there is no connection."""

    def last_words(self) -> Iterable[Publication]:
        """Return what is said before an orderly end."""


class Session:
    """A connection that stands, while nothing else goes on over it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def retained(self, topics: Sequence[str], seconds: float) -> dict[str, bytes]:
        """Return what is retained on *topics* (no wildcards), waiting *seconds* at most."""
        found: dict[str, bytes] = {}
        await self._client.subscribe([(topic, 1) for topic in topics])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in self._client.messages:
                    if isinstance(message.payload, bytes):
                        found[message.topic.value] = message.payload
                    if len(found) == len(topics):
                        break
        await self._client.unsubscribe(list(topics))
        return found

    async def below(self, pattern: str, seconds: float) -> dict[str, bytes]:
        """Return what is retained under a pattern, as far as it comes within *seconds*."""
        found: dict[str, bytes] = {}
        await self._client.subscribe(pattern, 1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in self._client.messages:
                    if isinstance(message.payload, bytes) and message.retain:
                        found[message.topic.value] = message.payload
        await self._client.unsubscribe(pattern)
        return found


class Connection:
    """Keeps one connection of a dialect to its broker."""

    def __init__(
        self, settings: BrokerSettings, client_id: str, talker: Talker, outbox: Outbox, clock: Clock
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._talker = talker
        self._outbox = outbox
        self._clock = clock
        self._wake = asyncio.Event()
        self._filled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._renewing = asyncio.Event()
        self._unconfirmed: dict[int, Publication] = {}
        self._numbers = 0
        self.up = False
        self._accepted = False
        self._said = self._acknowledged = 0
        self.published = 0
        self.ignored = 0
        """Messages of others that were dropped because too many came at once."""

    def poke(self) -> None:
        """Say that the outbox holds something."""
        self._filled.set()

    def wake(self) -> None:
        """Try again at once."""
        self._wake.set()

    def renew(self) -> None:
        """End this connection and make another: the will has changed."""
        self._renewing.set()
        self._wake.set()

    def finish(self) -> None:
        """Say the last words and end; :meth:`run` returns."""
        self._stopping.set()
        self._wake.set()
        self._filled.set()

    async def run(self) -> None:
        """Connect, talk, connect again, until :meth:`finish` or cancelled."""
        wait, short_lives = SHORTEST_WAIT, 0
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            try:
                await self._once()
            except ConnectionLost as error:
                lost = error
            except Exception as error:
                _LOGGER.debug("unforeseen", exc_info=True)
                lost = ConnectionLost(Loss.FAILED, f"{type(error).__name__}: {error}")
            else:
                wait, short_lives = SHORTEST_WAIT, 0
                continue
            finally:
                self.up = False
                accepted, self._accepted = self._accepted, False
            lived = self._clock.monotonic() - began
            if accepted and lived >= SETTLED:
                wait, short_lives = SHORTEST_WAIT, 0
            elif accepted and lost.loss is Loss.CLOSED:
                short_lives += 1
                if short_lives >= SHORT_LIVES:
                    # Mosquitto closes when a message with QoS 1 is not allowed; where another
                    # client takes over, several of ours were acknowledged before.
                    first = self._said and self._acknowledged <= 1
                    lost = ConnectionLost(Loss.NO_RIGHT if first else Loss.TAKEN_OVER)
            pause = wait * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311
            if lost.loss is Loss.OTHER_BRIDGE:
                pause = LONGEST_WAIT
            self._talker.lost(lost, again_in=pause)
            wait = min(wait * 2, LONGEST_WAIT)
            if not self._stopping.is_set() and await self._pause(pause):
                wait = SHORTEST_WAIT

    async def _pause(self, seconds: float) -> bool:
        """Wait; return whether somebody woke us."""
        self._wake.clear()
        waiting = asyncio.ensure_future(self._wake.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done()
        finally:
            waiting.cancel()
            sleeping.cancel()

    # ------------------------------------------------------------------------ one connection

    async def _once(self) -> None:
        while not self._talker.ready:
            if self._stopping.is_set():
                return
            await self._pause(LONGEST_WAIT)
        self._renewing.clear()
        will = self._talker.will()
        context = None
        if self._settings.tls is not None:
            context = await asyncio.to_thread(self._settings.tls.context)
        async with self._open(will, context) as client:
            self._accepted = True
            self._said = self._acknowledged = 0
            session = Session(client)
            await self._talker.before(session)
            refused = await self._subscribe(client)
            self._outbox.connected(self._talker.opened(refused), self._clock.monotonic())
            self.up = True
            try:
                await self._talk(client)
            finally:
                self._outbox.disconnected(self._unconfirmed.values(), self._clock.monotonic())
                self._unconfirmed.clear()

    @contextlib.asynccontextmanager
    async def _open(
        self, will: Publication | None, context: ssl.SSLContext | None
    ) -> AsyncIterator[aiomqtt.Client]:
        settings = self._settings
        five = settings.protocol == 5
        library = _LibraryLog()
        client = _Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
            clean_session=None if five else True,
            keepalive=settings.keepalive,
            tls_context=context,
            will=None
            if will is None
            else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
            queue_type=self._incoming_queue(),
            max_queued_incoming_messages=INCOMING,
            max_inflight_messages=IN_FLIGHT,
            timeout=CONNECT_TIMEOUT,
            logger=library,
        )
        client.pending_calls_threshold = 2 * IN_FLIGHT
        try:
            await self._enter(client, library)
        except aiomqtt.MqttError as error:
            lost = lost_by(error)
            if context is not None and lost.loss is Loss.CLOSED:
                lost = ConnectionLost(Loss.TLS, "closed in the handshake")
            raise lost from error
        try:
            yield client
        except aiomqtt.MqttError as error:
            raise lost_by(error) from error
        finally:
            client.timeout = LAST_WORDS
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    @staticmethod
    async def _enter(client: aiomqtt.Client, library: _LibraryLog) -> None:
        """Connect. The library waits on for an answer when the broker has closed: we do not."""
        entering = asyncio.ensure_future(client.__aenter__())
        failing = asyncio.ensure_future(library.failed.wait())
        try:
            await asyncio.wait({entering, failing}, return_when=asyncio.FIRST_COMPLETED)
            if entering.done():
                entering.result()
            else:
                raise ConnectionLost(library.loss, library.text)
        finally:
            failing.cancel()
            entering.cancel()
            if entering.done() and not entering.cancelled():
                entering.exception()

    def _incoming_queue(self) -> type[asyncio.Queue[Any]]:
        owner = self

        class Newest(asyncio.Queue[Any]):
            """Drops the oldest when full: the newest wish counts."""

            def put_nowait(self, item: Any) -> None:
                if self.full():
                    self.get_nowait()
                    owner.ignored += 1
                super().put_nowait(item)

        return Newest

    async def _subscribe(self, client: aiomqtt.Client) -> list[str]:
        """Subscribe; return what the broker refuses."""
        wanted = list(self._talker.subscriptions())
        if not wanted:
            return []
        codes = await client.subscribe(wanted)
        return [
            topic for (topic, _), code in zip(wanted, codes, strict=False) if _code_of(code) >= 0x80
        ]

    async def _talk(self, client: aiomqtt.Client) -> None:
        tasks = {
            asyncio.create_task(self._read(client)),
            asyncio.create_task(self._publish(client)),
        }
        ends = {
            asyncio.create_task(self._stopping.wait()),
            asyncio.create_task(self._renewing.wait()),
        }
        try:
            done, _ = await asyncio.wait({*tasks, *ends}, return_when=asyncio.FIRST_COMPLETED)
            for task in done & tasks:
                task.result()
        finally:
            for end in (*tasks, *ends):
                end.cancel()
            await asyncio.gather(*tasks, *ends, return_exceptions=True)
        if self._stopping.is_set():
            await self._say_last_words(client)

    async def _say_last_words(self, client: aiomqtt.Client) -> None:
        with contextlib.suppress(TimeoutError, aiomqtt.MqttError):
            async with asyncio.timeout(LAST_WORDS):
                for message in self._talker.last_words():
                    await client.publish(
                        message.topic, message.payload, message.qos, message.retain
                    )
                    self.published += 1

    async def _read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload
            if isinstance(payload, (bytes, bytearray)):
                self._talker.received(
                    Incoming(message.topic.value, bytes(payload), bool(message.retain))
                )

    async def _publish(self, client: aiomqtt.Client) -> None:
        window = _Window()
        try:
            while True:
                message = self._outbox.take()
                if message is None:
                    self._filled.clear()
                    await window.wait_or(self._filled)
                    continue
                if message.qos == 0:
                    await self._send(client, message)
                else:
                    size = len(message.payload) + len(message.topic)
                    await window.room(size)
                    window.add(asyncio.create_task(self._send(client, message)), size)
                    # Its first step hands it to the library: the order stays.
                    await asyncio.sleep(0)
        finally:
            window.close()

    async def _send(self, client: aiomqtt.Client, message: Publication) -> None:
        self._numbers += 1
        number = self._numbers
        self._unconfirmed[number] = message
        self._said += 1
        try:
            await client.publish(
                message.topic, message.payload, message.qos, message.retain, timeout=SILENCE
            )
        except ValueError as error:
            # What the library does not take (a text too long) would be tried for ever.
            _LOGGER.error("a message for %s can't be sent: %s", message.topic, error)
        except aiomqtt.MqttError as error:
            if "timed out" in str(error):
                raise ConnectionLost(Loss.NO_ACKNOWLEDGEMENT) from error
            raise
        del self._unconfirmed[number]
        self._acknowledged += 1
        self.published += 1


class _Window:
    """The messages in flight: at most so many, at most so many bytes (one may be larger)."""

    def __init__(self) -> None:
        self._flying: deque[tuple[asyncio.Task[None], int]] = deque()
        self._bytes = 0

    def add(self, task: asyncio.Task[None], size: int) -> None:
        self._flying.append((task, size))
        self._bytes += size

    async def room(self, size: int) -> None:
        """Wait for room. Raises what a message in flight has met."""
        self._clear()
        while self._flying and (
            len(self._flying) >= IN_FLIGHT or self._bytes + size > BYTES_IN_FLIGHT
        ):
            await asyncio.wait(
                [task for task, _ in self._flying], return_when=asyncio.FIRST_COMPLETED
            )
            self._clear()

    async def wait_or(self, event: asyncio.Event) -> None:
        """Wait for *event*, or for a message in flight to have failed."""
        waiting = asyncio.ensure_future(event.wait())
        try:
            while not waiting.done():
                self._clear()
                flying = [task for task, _ in self._flying]
                await asyncio.wait({waiting, *flying}, return_when=asyncio.FIRST_COMPLETED)
            self._clear()
        finally:
            waiting.cancel()

    def close(self) -> None:
        """Leave what flies to its fate."""
        for task, _ in self._flying:
            task.cancel()
            task.add_done_callback(_forget)

    def _clear(self) -> None:
        for _ in range(len(self._flying)):
            task, size = self._flying.popleft()
            if task.done():
                self._bytes -= size
                task.result()
            else:
                self._flying.append((task, size))


def _forget(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


class _Client(aiomqtt.Client):
    """The library's client, which forgets that a socket may be closed when its turn comes."""

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


class _LibraryLog(logging.Logger):
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


def _code_of(code: object) -> int:
    if isinstance(code, ReasonCode):
        return int(code.value)
    return code if isinstance(code, int) else 0


def lost_by(error: BaseException) -> ConnectionLost:
    """Return what an exception of the library means; its cause hangs in ``__context__``."""
    seen: BaseException | None = error
    while seen is not None:
        if (loss := _loss_of(seen)) is not None:
            return ConnectionLost(loss, _detail(seen))
        seen = seen.__cause__ or seen.__context__
    if "timed out" in str(error):
        return ConnectionLost(Loss.TIMEOUT)
    return ConnectionLost(Loss.CLOSED)


_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another name, or of another IP address."""
_BY_TYPE: tuple[tuple[type[BaseException], Loss], ...] = (
    (ConnectionRefusedError, Loss.REFUSED),
    (socket.gaierror, Loss.NAME_NOT_FOUND),
    (TimeoutError, Loss.TIMEOUT),
    (ConnectionError, Loss.CLOSED),
    (OSError, Loss.UNREACHABLE),
)


def _loss_of(error: BaseException) -> Loss | None:
    match error:
        case ConnectionLost():
            return error.loss
        case aiomqtt.exceptions.MqttConnectError():
            code = _code_of(error.rc)
            return _CODES.get(code) or _OLD_CODES.get(code) or Loss.FAILED
        case aiomqtt.MqttCodeError() if isinstance(error.rc, ReasonCode):
            return _CODES.get(error.rc.value)
        case ssl.SSLCertVerificationError():
            other = error.verify_code in _OTHER_HOST
            return Loss.TLS_HOST_NAME if other else Loss.TLS_CERTIFICATE
        case ssl.SSLError():
            return _tls_loss(error)
        case _:
            return next((loss for kind, loss in _BY_TYPE if isinstance(error, kind)), None)


def _tls_loss(error: ssl.SSLError) -> Loss:
    reason = error.reason or ""
    versions = ("VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS", "HTTP_REQUEST", "EOF")
    return Loss.TLS_VERSION if any(word in reason for word in versions) else Loss.TLS


def _detail(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return "" if isinstance(error, (aiomqtt.MqttError, ConnectionLost)) else str(error)
