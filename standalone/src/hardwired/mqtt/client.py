"""One connection to a broker, made anew until it is not wanted any more (spec c.2, c.4).

Each connection is a new client object: a used one sends its unacknowledged messages again after
newer ones, and an old text would stay retained. Losses are told apart; none ends the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiomqtt

from hardwired_engines.clock import Clock

from ..bridge.sink import Publication
from .broker import BrokerSettings
from .lives import SETTLED, Life, ShortLives
from .losses import ConnectionLost, Loss, code_of, lost_by
from .outbox import Outbox
from .quiet_client import LibraryClient, LibraryLog
from .window import IN_FLIGHT, Window

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
SILENCE = 30.0
"""Seconds without an acknowledgement, with messages in flight, after which a connection is lost."""
POLL = 0.02
LAST_WORDS = 2.0
"""Seconds that the last words may take."""
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 60.0
SPREAD = 0.2
INCOMING = 1000
"""Messages of others that wait at most; the oldest go first."""


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

    @property
    def opening(self) -> bool:
        """Whether more of what is said first is still to come."""

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


@contextlib.asynccontextmanager
async def logged_in(
    settings: BrokerSettings,
    client_id: str,
    will: Publication | None = None,
    queue_type: type[asyncio.Queue[Any]] = asyncio.Queue,
) -> AsyncIterator[aiomqtt.Client]:
    """Connect and log in for the length of a block. Raises :class:`ConnectionLost`."""
    context = None
    if settings.tls is not None:
        context = await asyncio.to_thread(settings.tls.context)
    five = settings.protocol == 5
    library = LibraryLog()
    client = LibraryClient(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        clean_session=None if five else True,
        keepalive=settings.keepalive,
        tls_context=context,
        will=None
        if will is None
        else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
        queue_type=queue_type,
        max_queued_incoming_messages=INCOMING,
        max_inflight_messages=IN_FLIGHT,
        timeout=CONNECT_TIMEOUT,
        logger=library,
    )
    client.pending_calls_threshold = 2 * IN_FLIGHT
    try:
        await _enter(client, library)
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


async def _enter(client: aiomqtt.Client, library: LibraryLog) -> None:
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
        self._lives = ShortLives()
        self._life = Life()
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

    @property
    def idle(self) -> bool:
        """Whether it stands and all that was said has arrived."""
        waits = self._unconfirmed or len(self._outbox) or self._talker.opening
        return self.up and not waits

    async def run(self) -> None:
        """Connect, talk, connect again, until :meth:`finish` or cancelled."""
        wait = SHORTEST_WAIT
        while not self._stopping.is_set():
            self._life = Life()
            try:
                await self._once()
            except ConnectionLost as error:
                lost = error
            except Exception as error:
                _LOGGER.debug("unforeseen", exc_info=True)
                lost = ConnectionLost(Loss.FAILED, f"{type(error).__name__}: {error}")
            else:
                wait = SHORTEST_WAIT
                self._lives.forget()
                continue
            finally:
                self.up = False
            if self._settled:
                wait = SHORTEST_WAIT
                self._lives.forget()
            elif self._life.since is not None:
                lost = self._lives.ended(lost, self._life)
            pause = wait * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311
            if lost.loss is Loss.OTHER_BRIDGE:
                pause = LONGEST_WAIT
            self._talker.lost(lost, again_in=pause)
            wait = min(wait * 2, LONGEST_WAIT)
            if not self._stopping.is_set() and await self._pause(pause):
                wait = SHORTEST_WAIT

    @property
    def _settled(self) -> bool:
        """Whether this connection has held."""
        since = self._life.since
        return since is not None and self._clock.monotonic() - since >= SETTLED

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
        queue_type = self._incoming_queue()
        async with logged_in(self._settings, self._client_id, will, queue_type) as client:
            self._life.since = self._clock.monotonic()
            session = Session(client)
            await self._talker.before(session)
            refused = await self._subscribe(client)
            first = self._talker.opened(refused)
            now = self._clock.monotonic()
            self._outbox.connected(first, now, more=self._talker.opening)
            self.up = True
            try:
                await self._talk(client)
            finally:
                unconfirmed = self._unconfirmed.values()
                more = self._outbox.next or ("more" if self._talker.opening else None)
                self._life.unsaid = next((one.topic for one in unconfirmed), more)
                self._outbox.disconnected(unconfirmed, self._clock.monotonic())
                self._unconfirmed.clear()

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
            topic for (topic, _), code in zip(wanted, codes, strict=False) if code_of(code) >= 0x80
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
            if self._stopping.is_set():
                await self._say_what_waits(tasks)
        finally:
            for end in (*tasks, *ends):
                end.cancel()
            await asyncio.gather(*tasks, *ends, return_exceptions=True)
        if self._stopping.is_set():
            await self._say_last_words(client)

    async def _say_what_waits(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Let what waits at the end arrive, as long as it does so soon."""
        until = self._clock.monotonic() + LAST_WORDS
        while not self.idle and self._clock.monotonic() < until:
            if any(task.done() for task in tasks):
                return
            await self._clock.sleep(POLL)

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
        window = Window()
        try:
            while True:
                if self._lives.careful and not self._settled:
                    await window.empty()
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
        if message.qos:
            self._life.acknowledged = message.topic
        self.published += 1
