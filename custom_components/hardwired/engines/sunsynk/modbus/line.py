"""One request at a time over a link: time-outs, retries, pauses (spec c.6, c.7)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...clock import Clock
from ...engine import Direction, LinkError, Reason, Statistics
from ...link import Opener, PriorityLock, Stream
from ..dongle.layouts import Block
from .frames import (
    EXCEPTION,
    READ_HOLDING,
    EchoError,
    ModbusError,
    ModbusException,
    read_answer,
    read_pdu,
    write_answer,
    write_pdu,
)
from .framing import Framing, NotModbusTcp, only_echo
from .image import SERIAL_REGISTERS, pieces

_LOGGER = logging.getLogger(__name__)

TURNAROUND = 0.05
"""Seconds between an answer and the next request."""
RETRY_PAUSE = 0.2
LATE = 2
"""Time-outs after which an answer that was given up does not come any more."""
SMALL_BLOCK = 8
"""Registers that every gateway carries at once."""
CHOKED = 2
"""Time-outs of a large block after which a small one is tried."""
ILLEGAL_ADDRESS, ILLEGAL_COUNT = 0x02, 0x03
LATER = frozenset({0x05, 0x06, 0x0A, 0x0B})
"""Exception codes that mean: not now. Busy, or the gateway has had no answer."""

OnFrame = Callable[[Direction, bytes], None]


class NoAnswer(ModbusError):
    """Nothing that answers the request has come in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How requests are made: seconds, attempts, registers at once.

    ``reopens``: the port is closed and opened again after a time-out, to be rid of what is left
    in it.
    """

    timeout: float = 3.0
    attempts: int = 3
    most: int = 66
    reopens: bool = False


class Line:
    """Carries requests, one at a time; urgent ones go before the others.

    Every method raises :class:`LinkError` when the link is lost.
    """

    def __init__(
        self,
        opener: Opener,
        framing: Framing,
        clock: Clock,
        settings: LineSettings,
        *,
        statistics: Statistics | None = None,
        on_frame: OnFrame | None = None,
    ) -> None:
        self.framing = framing
        self.settings = settings
        self.most = settings.most
        """Registers that are read at once on this connection."""
        self.proven = False
        """Whether something has answered on this connection."""
        self._opener = opener
        self._clock = clock
        self._statistics = statistics or Statistics()
        self._on_frame = on_frame
        self._lock = PriorityLock(fair=True)
        self._stream: Stream | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._ready_at = 0.0
        self._given_up_at: float | None = None

    @property
    def now(self) -> float:
        """The seconds of its clock."""
        return self._clock.monotonic()

    async def open(self) -> None:
        """Open the link. Raises :class:`LinkError`."""
        self._stream = await self._opener.open()
        self._reading = asyncio.ensure_future(self._stream.read())

    async def close(self) -> None:
        """Close it, never raise."""
        stream, self._stream = self._stream, None
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, LinkError):
                await reading
        if stream is not None:
            await stream.close()

    async def reopen(self) -> None:
        """Close and open: what is left in the buffers of the port is gone."""
        async with self._lock.held(urgent=True):
            await self._reopen()

    async def _reopen(self) -> None:
        await self.close()
        await self.open()

    async def read(self, unit: int, block: Block, *, urgent: bool = False) -> tuple[int, ...]:
        """Return the words of a block, read in parts where the line carries no more at once.

        Raises :class:`ModbusException` when it is refused, :class:`ModbusError` when no answer
        came.
        """
        words: list[int] = []
        while len(words) < block.size:
            rest = Block(block.start + len(words), block.size - len(words))
            words += await self._read_part(unit, next(pieces(rest, self.most)), urgent=urgent)
        return tuple(words)

    async def _read_part(self, unit: int, block: Block, *, urgent: bool) -> Sequence[int]:
        if block.size <= SMALL_BLOCK:
            return await self._read_once(unit, block, urgent=urgent)
        try:
            return await self._read_once(unit, block, urgent=urgent, choked=CHOKED)
        except ModbusException as refused:
            if refused.code != ILLEGAL_COUNT:
                raise
            failure: ModbusError = refused
        except NoAnswer as silent:
            failure = silent
        small = Block(block.start, SMALL_BLOCK)
        try:
            words = await self._read_once(unit, small, urgent=urgent)
        except ModbusError:
            raise failure from None
        if isinstance(failure, NoAnswer):
            # Once more as a whole: two answers in a row may simply have been lost.
            with contextlib.suppress(NoAnswer):
                return await self._read_once(unit, block, urgent=urgent, choked=1)
        self.most = SMALL_BLOCK
        _LOGGER.info("the gateway carries no more than %d registers at once", SMALL_BLOCK)
        return words

    async def _read_once(
        self, unit: int, block: Block, *, urgent: bool, choked: int | None = None
    ) -> tuple[int, ...]:
        pdu = read_pdu(*block)
        answer = await self._exchange(unit, pdu, urgent=urgent, attempts=choked)
        return read_answer(pdu, answer)

    async def write(self, unit: int, register: int, word: int, *, urgent: bool = True) -> None:
        """Write one register; returns when the inverter has echoed address and count.

        Asked once only: an answer may be lost after the word was taken. Raises
        :class:`ModbusException` when it is refused, :class:`ModbusError` without a right answer.
        """
        pdu = write_pdu(register, [word])
        write_answer(pdu, await self._exchange(unit, pdu, urgent=urgent, attempts=1))

    async def _exchange(
        self, unit: int, pdu: bytes, *, urgent: bool, attempts: int | None = None
    ) -> bytes:
        failure: ModbusError = NoAnswer("no answer")
        for attempt in range(self.settings.attempts if attempts is None else attempts):
            if attempt:
                await self._clock.sleep(RETRY_PAUSE)
            async with self._lock.held(urgent=urgent):
                try:
                    answer = await self._once(unit, pdu)
                except EchoError:
                    raise
                except ModbusError as error:
                    failure = error
                    continue
            if answer[0] == pdu[0] | EXCEPTION and len(answer) > 1:
                if answer[1] not in LATER:
                    raise ModbusException(answer[1])
                failure = NoAnswer(f"exception {answer[1]}")
                continue
            return answer
        raise failure

    async def _once(self, unit: int, pdu: bytes) -> bytes:
        """Send a request and return what answers it within the time-out."""
        if (pause := self._ready_at - self._clock.monotonic()) > 0:
            await self._clock.sleep(pause)
        await self._be_sure(unit, pdu)
        self._flush()
        request = self.framing.send(unit, pdu)
        self._note(Direction.OUT, request, pdu)
        self._statistics.frames_out += 1
        self._statistics.bytes_out += len(request)
        await self._open_stream.write(request)
        wrong: ModbusError | None = None
        try:
            async with self._clock.timeout(self.settings.timeout):
                while True:
                    try:
                        answer = self.framing.answer()
                    except NotModbusTcp:
                        await self._reopen()
                        raise
                    except ModbusError as error:
                        # Waits the time-out out: what is right may be on its way.
                        wrong, answer = error, None
                    if answer is not None:
                        return self._taken(unit, pdu, answer)
                    self.framing.receive_data(await self._next())
        except TimeoutError:
            await self._give_up()
            raise wrong or NoAnswer(f"no answer in {self.settings.timeout:g} s") from None
        finally:
            self._statistics.checksum_errors = self.framing.seen["checksum"]
            self._ready_at = self._clock.monotonic() + TURNAROUND

    async def _be_sure(self, unit: int, pdu: bytes) -> None:
        """Wait for a late answer that could be taken for the one to this request."""
        left = 0.0
        if self._given_up_at is not None:
            left = self._given_up_at + LATE * self.settings.timeout - self._clock.monotonic()
        if left > 0 and self.framing.doubtful(unit, pdu):
            await self._clock.sleep(left)
            left = 0.0
        if left <= 0:
            self._given_up_at = None
            self._flush()
            self.framing.forget()

    def _taken(self, unit: int, pdu: bytes, answer: bytes) -> bytes:
        self.proven = True
        self._statistics.frames_in += 1
        self._statistics.last_frame = self._clock.now()
        self._note(Direction.IN, bytes((unit,)) + answer, pdu)
        return answer

    async def _give_up(self) -> None:
        self._statistics.timeouts += 1
        self.framing.unanswered()
        self._given_up_at = self._clock.monotonic()
        if only_echo(self.framing.seen):
            raise EchoError("only our own requests come back: switch the adapter's echo off")
        if self.settings.reopens:
            await self._reopen()

    @property
    def _open_stream(self) -> Stream:
        if self._stream is None:
            raise LinkError(Reason.DISCONNECTED, "the line is closed")
        return self._stream

    def _flush(self) -> None:
        """Look at what came unasked for, and forget it."""
        while self._reading is not None and self._reading.done():
            self.framing.receive_data(self._read_on(self._reading.result()))

    async def _next(self) -> bytes:
        reading = self._reading
        if reading is not None:
            await asyncio.wait([reading])
        if reading is None or reading is not self._reading:
            raise LinkError(Reason.DISCONNECTED, "the line is closed")
        return self._read_on(reading.result())

    def _read_on(self, data: bytes) -> bytes:
        self._statistics.bytes_in += len(data)
        self._reading = asyncio.ensure_future(self._open_stream.read())
        return data

    def _note(self, direction: Direction, frame: bytes, pdu: bytes) -> None:
        """Tell the log of raw frames; a serial number is masked."""
        if self._on_frame is None:
            return
        asked = range(start := int.from_bytes(pdu[1:3]), start + int.from_bytes(pdu[3:5]))
        identity = pdu[0] == READ_HOLDING and set(asked) & set(SERIAL_REGISTERS)
        if identity and direction is Direction.IN:
            frame = frame[:3] + b"X" * (len(frame) - 3)
        self._on_frame(direction, frame)
