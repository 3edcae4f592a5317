"""Requests on an open link: send, wait, drain, count (spec c.1, c.4, c.8)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ...clock import Clock
from ...engine import Direction, FrameLog, LinkError, Reason, Statistics
from ...link import Stream
from ...link.priority_lock import PriorityLock
from ..scom.exchange import Exchange, Reply, ReplyKind
from ..scom.frame import Frame, ObjectType, Request
from ..scom.redaction import mask
from ..scom.values import Format
from ..settings import Timings
from .discovery import NotAsked
from .pacing import Burst, Latency, Pacer

OnFlags = Callable[[int], None]


class Line:
    """One open link with a gateway behind it.

    :meth:`exchange` raises :class:`LinkError` when the link is lost, and nothing else but what its
    caller has asked for.
    """

    def __init__(
        self,
        stream: Stream,
        clock: Clock,
        timings: Timings,
        *,
        statistics: Statistics,
        frames: FrameLog,
        latency: Latency | None = None,
        on_flags: OnFlags | None = None,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._timings = timings
        self._statistics = statistics
        self._frames = frames
        self._on_flags = on_flags
        self._pacer = Pacer(timings.pause)
        self._burst = Burst(timings.burst, timings.burst_rest)
        self._turn = PriorityLock(fair=True)
        self._pending = Exchange()
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Reply | None] | None = None
        self._late: Reply | None = None
        self._deadline = 0.0
        self._asked = asyncio.Event()
        self._error: LinkError | None = None
        self._last_end: float | None = None
        self._silent_until = 0.0
        self._counted = self._pending.drops()
        self._dropped = self._pending.dropped
        self._pump = asyncio.ensure_future(self._receive())
        self._watch = asyncio.ensure_future(self._watch_deadlines())
        self.latency = latency or Latency()
        self.busy = 0.0
        """Seconds spent in exchanges since the link was opened."""
        self.bytes_heard = 0
        self.last_byte: float | None = None
        self.last_frame: float | None = None

    @property
    def peer(self) -> str | None:
        """The network address of the other end, where it has one."""
        found: str | None = getattr(self._stream, "peer", None)
        return found

    @property
    def pause(self) -> float:
        """The pause between exchanges that the gateway needs, as far as it is known."""
        return self._pacer.pause

    @property
    def error(self) -> LinkError | None:
        """Why the link is lost; ``None`` while it is up."""
        return self._error

    async def exchange(
        self,
        request: Request,
        wire_format: Format | None = None,
        *,
        urgent: bool = False,
        timeout: float | None = None,
        blame: bool = True,
        worthwhile: Callable[[], bool] | None = None,
    ) -> Reply:
        """Ask and return the reply, a time-out included.

        *urgent* requests go before all that wait. *timeout*: seconds, less than the usual ones.
        *blame*: whether a time-out may come from asking too fast; false for a device that is
        missing anyway. *worthwhile*: whether to send it at all, asked when its turn has come.
        Raises :class:`NotAsked` when it is not.
        """
        if not self._turn.take(urgent=urgent):
            await self._turn.acquire(urgent=urgent)
        try:
            if worthwhile is not None and not worthwhile():
                raise NotAsked(f"{request.destination} has gone")
            return await self._perform(request, wire_format, timeout, blame)
        finally:
            self._turn.release()

    @asynccontextmanager
    async def exclusively(self) -> AsyncIterator[Callable[[Request], Awaitable[Reply]]]:
        """Hold the line for a dialogue of several exchanges, such as a file."""
        async with self._turn.held(urgent=True):
            yield lambda request: self._perform(request, None, None, True)

    async def _perform(
        self, request: Request, wire_format: Format | None, timeout: float | None, blame: bool
    ) -> Reply:
        await self._rest()
        if self._error is not None:
            raise self._error
        data = self._pending.ask(request, wire_format)
        answer: asyncio.Future[Reply | None] = self._loop.create_future()
        self._answer = answer
        self._late = None
        began = self._clock.monotonic()
        self._deadline = began + self._timings.answer
        self._asked.set()
        try:
            self._statistics.frames_out += 1
            self._statistics.bytes_out += len(data)
            self._frames.add(self._clock.now(), Direction.OUT, data)
            await self._stream.write(data)
            if timeout is None:
                found = await answer
            else:
                found = await self._within(timeout, answer)
            reply = found or self._late or self._pending.give_up()
        finally:
            if answer.done() and not answer.cancelled():
                answer.exception()
            self._answer = None
            self._pending.abandon()
            ended = self._clock.monotonic()
            self.busy += ended - began
            self._last_end = ended
            self._burst.ended(ended)
        if reply.kind is ReplyKind.TIMEOUT:
            self._statistics.timeouts += 1
            if blame:
                self._pacer.lost()
            self._silent_until = self._clock.monotonic() + self._timings.drain
        else:
            self._pacer.answered()
            if request.object_type != ObjectType.MULTI_INFO:
                self.latency.note(ended - began)
            if reply.flags is not None and self._on_flags is not None:
                self._on_flags(reply.flags)
        return reply

    async def _within(self, seconds: float, answer: asyncio.Future[Reply | None]) -> Reply | None:
        """Return the answer to a question that may take less than the usual time."""
        try:
            async with self._clock.timeout(seconds):
                return await answer
        except TimeoutError:
            # The answer may have come in the very turn of the loop in which the time was up.
            return answer.result() if answer.done() and not answer.cancelled() else None

    async def _watch_deadlines(self) -> None:
        """End the wait for an answer when its time is up.

        One sleeper for all questions: their deadlines follow each other, and a timer for each
        would cost more than anything else that is done for it.
        """
        while True:
            now = self._clock.monotonic()
            answer = self._answer
            if answer is None or answer.done():
                self._asked.clear()
                await self._asked.wait()
            elif now < self._deadline:
                await self._clock.sleep(self._deadline - now)
            else:
                answer.set_result(None)

    async def _rest(self) -> None:
        now = self._clock.monotonic()
        pause = self._burst.rest(now)
        if self._last_end is not None:
            pause = max(pause, self._last_end + self._pacer.pause - now)
        pause = max(pause, self._silent_until - now)
        if pause > 0:
            await self._clock.sleep(pause)

    async def _receive(self) -> None:
        exchange = self._pending
        try:
            while True:
                data: bytes | None
                if exchange.parser.pending:
                    try:
                        async with self._clock.timeout(self._timings.idle):
                            data = await self._stream.read()
                    except TimeoutError:
                        data = None
                else:
                    data = await self._stream.read()
                if data is None:
                    frames, reply = exchange.idle()
                else:
                    self.bytes_heard += len(data)
                    self.last_byte = self._clock.monotonic()
                    self._statistics.bytes_in += len(data)
                    frames, reply = exchange.receive_data(data)
                self._count(frames)
                if reply is not None and self._answer is not None:
                    if self._answer.done():
                        # Its time is up, but who asked has not woken yet.
                        self._late = reply
                    else:
                        self._answer.set_result(reply)
        except LinkError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits has to know
            self._fail(LinkError(Reason.FAILED, f"{type(error).__name__}: {error}"))

    def _fail(self, error: LinkError) -> None:
        self._error = error
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _count(self, frames: list[Frame]) -> None:
        statistics = self._statistics
        if frames:
            self.last_frame = self._clock.monotonic()
            now = self._clock.now()
            statistics.frames_in += len(frames)
            statistics.last_frame = now
            for frame, raw in zip(frames, self._pending.parser.taken, strict=True):
                shown = mask(frame)
                self._frames.add(now, Direction.IN, raw if shown is frame else shown.encode())
        if self._pending.dropped == self._dropped:
            return
        self._dropped = self._pending.dropped
        state = self._pending.drops()
        fresh = state - self._counted
        self._counted = state
        discarded = fresh.pop("bytes_discarded", 0)
        statistics.extra["bytes_discarded"] = statistics.extra.get("bytes_discarded", 0) + discarded
        statistics.checksum_errors += fresh["header_errors"] + fresh["data_errors"]
        statistics.drops.update(+fresh)

    async def release(self) -> None:
        """End the dialogue and leave the stream open for another."""
        self._fail(LinkError(Reason.DISCONNECTED, "released"))
        tasks = (self._pump, self._watch)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def close(self) -> None:
        """Close the link, never raise."""
        await self.release()
        with contextlib.suppress(Exception):
            await self._stream.close()
