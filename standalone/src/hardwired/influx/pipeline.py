"""The way of a point: pending -> spool -> server (spec e.3, e.5). Lives in the event loop.

What blocks is done by two workers: one has the spool, one the connection. A server that hangs
does not delay what is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from hardwired_engines.clock import Clock
from hardwired_engines.engine import Notice, Severity

from ..bridge.sink import SinkState, Store
from ..lock import Lock
from .answers import Answer, Class
from .delivery import Result, deliver
from .spool import (
    Damaged,
    DiskSpool,
    Lost,
    MemorySpool,
    OutageSpool,
    Settled,
    Spool,
    SpoolError,
    SpoolState,
    Unwritable,
    damaged_files,
    open_spool,
    renew,
    take_lock,
)
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

FLUSH_POINTS = 500
LARGEST_BATCH = 1_000_000
LOOK_BEHIND = 2000
CONFIG_RETRY = 300.0
LONGEST_BACKOFF = 60.0
SPOOL_RETRY = 30.0
FULL_TOLD_EVERY = 3600.0
REPORT_SLACK = 60.0
CONNECT_SLACK = 15.0
"""Seconds that a request may take beside its time-out: to connect, and to be sent."""
LONGEST_REQUEST = 700.0
"""Seconds within which a request ends: the longest time-out, twice on a kept connection."""

CONFIG_ERROR = "config_error"
UNWRITABLE = "spool_unwritable"
DAMAGED = "spool_damaged"
FULL = "spool_full"
TOO_OLD = "points_too_old"
SET_ASIDE = "points_set_aside"
NAME = "server_not_found"
_ERRORS = frozenset({CONFIG_ERROR, DAMAGED})


class Sender(Protocol):
    """Posts lines; lives in the sender's worker."""

    def post(self, lines: list[str]) -> Answer:
        """Write *lines*. Never raises."""

    def abort(self) -> None:
        """End what hangs; from another thread."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How points are kept and sent: a sink's table, times in seconds."""

    flush: float = 5.0
    batch: int = 5000
    mode: str = "always"
    path: Path | None = None
    size: int = 64 * 2**20
    memory_points: int = 10_000
    rate: int = 2000
    timeout: float = 30.0

    @classmethod
    def of(cls, settings: Mapping[str, Any], folder: Path | None, name: str) -> Plan:
        """Return the plan of a sink's table; *folder* is the state folder."""
        path = None
        if settings["spool"]:
            path = Path(settings["spool"])
        elif folder is not None:
            path = folder / f"spool-{name}.db"
        return cls(
            flush=settings["flush"],
            batch=settings["batch"],
            mode=settings["spool_mode"],
            path=path,
            size=settings["spool_size"],
            memory_points=settings["memory_points"],
            rate=settings["backfill_rate"],
            timeout=settings["timeout"],
        )


def _full_jitter() -> float:
    return random.uniform(1.0, 1.2)  # noqa: S311 - no secret


class Pipeline:
    """Takes lines, keeps them, delivers them.

    *store* keeps over restarts how the server was seen last. *mask* takes secrets out of texts.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        sender: Sender,
        clock: Clock,
        *,
        store: Store,
        spool_worker: Worker,
        send_worker: Worker,
        mask: Callable[[str], str] = str,
        report: Callable[[float], None] | None = None,
        jitter: Callable[[], float] = _full_jitter,
    ) -> None:
        self._name = name
        self._plan = plan
        self._sender = sender
        self._clock = clock
        self._store = store
        self._spool_worker = spool_worker
        self._send_worker = send_worker
        self._mask = mask
        self._report = report or (lambda _due: None)
        self._jitter = jitter
        self._spool: Spool = MemorySpool(plan.memory_points)
        self._lock: Lock | None = None
        self._state_of_spool = SpoolState()
        self._pending: deque[str] = deque()
        self._dropped_early = 0
        self._first_pending: float | None = None
        self._unwritable_at: float | None = None
        self._flush_wanted = asyncio.Event()
        self._send_wanted = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._opened = False
        self._backoff = 0.0
        self._try_at = 0.0
        self._backlog = False
        self._limit = plan.batch
        self._outage_since: float | None = None
        self._told_full = -FULL_TOLD_EVERY
        self.notices: dict[str, Notice] = {}
        self.state, self.why, self.since = self._remembered()
        self._probe = True

    # --------------------------------------------------------------------------- from outside

    def offer(self, line: str) -> None:
        """Take a point."""
        if self._first_pending is None:
            self._first_pending = self._clock.monotonic()
            self._flush_wanted.set()
        self._pending.append(line)
        if len(self._pending) > max(self._plan.memory_points, FLUSH_POINTS):
            self._pending.popleft()
            self._dropped_early += 1
        if len(self._pending) == FLUSH_POINTS:
            self._flush_wanted.set()

    def wake(self) -> None:
        """Try again at once."""
        self._try_at = 0.0
        self._backoff = 0.0
        self._probe = True
        if self._unwritable_at is not None:
            self._unwritable_at -= SPOOL_RETRY
        self._send_wanted.set()
        self._flush_wanted.set()

    @property
    def full(self) -> bool:
        """Whether a source that can wait should: the spool is over half, or slow."""
        plan, spool = self._plan, self._state_of_spool
        if len(self._pending) > max(FLUSH_POINTS, plan.memory_points // 2):
            return True
        if self._spool.where == "memory":
            return spool.waiting > plan.memory_points // 2
        return spool.size > plan.size // 2

    @property
    def spool_state(self) -> SpoolState:
        """How the spool was when it was last touched."""
        return self._state_of_spool

    @property
    def spool_where(self) -> str:
        """``disk`` or ``memory``."""
        return self._spool.where

    @property
    def in_memory(self) -> int:
        """Points that are not accepted yet."""
        return len(self._pending)

    @property
    def dropped_early(self) -> int:
        """Points that were dropped before they were accepted and are not counted by the spool."""
        return self._dropped_early

    @property
    def oldest_line(self) -> str | None:
        """The line of the oldest point that is not delivered."""
        return self._state_of_spool.oldest or (self._pending[0] if self._pending else None)

    @property
    def opened(self) -> bool:
        """Whether the spool is open."""
        return self._opened

    @property
    def empty(self) -> bool:
        """Whether everything is delivered."""
        on_its_way = bool(self._pending) or self._flushing.locked()
        return self._opened and not on_its_way and not self._state_of_spool.waiting

    async def run(self) -> None:
        """Live until cancelled. Raises :class:`SpoolError` when the spool is another's."""
        await self._open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._flush_for_ever())
            tasks.create_task(self._send_for_ever())

    async def stop(self) -> None:
        """Accept what is pending; the server is not waited for. After ``run`` has ended."""
        self._sender.abort()
        if self._opened:
            with contextlib.suppress(SpoolError):
                await self._flush(last=True)
            await self._spool_worker.call(self._spool.close)
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._spool_worker.close()
        self._send_worker.close()

    # -------------------------------------------------------------------------------- opening

    async def _open(self) -> None:
        if self._opened:
            return
        plan = self._plan
        if plan.mode == "memory" or plan.path is None or not _has_sqlite():
            if plan.mode != "memory":
                why = "there is no sqlite3" if plan.path else "there is no folder to write to"
                _LOGGER.warning("%s: points wait in memory only: %s", self._name, why)
        else:
            await self._open_disk(plan.path)
        await self._look()
        self._opened = True

    async def _open_disk(self, path: Path) -> None:
        try:
            if self._lock is None:
                self._lock = await self._spool_worker.call(
                    take_lock, path.with_name(f"{path.name}.lock")
                )
            opened = await self._spool_worker.call(
                open_spool, path, self._plan.size, self._clock.now
            )
        except Unwritable as error:
            _LOGGER.warning("%s: points wait in memory only: %s", self._name, error)
            return
        if opened.damaged is not None:
            self._tell_damaged(opened.damaged, opened.saved)
        elif old := await self._spool_worker.call(damaged_files, path):
            self._tell_damaged(old[-1], None)
        disk = opened.spool
        self._spool = disk
        if self._plan.mode == "outage":
            self._spool = await self._in_outage(disk)

    async def _in_outage(self, disk: DiskSpool) -> OutageSpool:
        return await self._spool_worker.call(lambda: OutageSpool(disk, self._plan.memory_points))

    def _tell_damaged(self, path: Path, saved: int | None) -> None:
        if saved is not None:
            _LOGGER.error(
                "%s: the spool could not be read; it is now %s, %d points of it were saved",
                self._name,
                path,
                saved,
            )
        self._notice(DAMAGED, file=str(path))

    async def _look(self) -> None:
        self._state_of_spool = await self._spool_worker.call(lambda: self._spool.state)
        if self._state_of_spool.waiting:
            self._backlog = self._backlog or self.state is not SinkState.OK
            self._send_wanted.set()

    # ------------------------------------------------------------------------------- accepting

    async def _flush_for_ever(self) -> None:
        while True:
            self._flush_wanted.clear()
            wait = self._flush_in()
            if wait is None:
                await self._flush_wanted.wait()
            elif wait > 0:
                await self._wait_for(self._flush_wanted, wait)
            else:
                with contextlib.suppress(Unwritable):
                    await self._flush()

    def _flush_in(self) -> float | None:
        """Return in how many seconds what is pending is due; ``None``: nothing is pending."""
        now = self._clock.monotonic()
        if self._first_pending is not None:
            full = self._plan.flush == 0 or len(self._pending) >= FLUSH_POINTS
            if full and self._unwritable_at is None:
                return 0.0
            return self._first_pending + self._plan.flush - now
        if self._unwritable_at is not None and self._pending:
            return self._unwritable_at + SPOOL_RETRY - now
        return None

    async def _flush(self, *, last: bool = False) -> None:
        async with self._flushing:
            lines = list(self._pending)
            self._first_pending = None
            if not lines:
                return
            dropped, self._dropped_early = self._dropped_early, 0
            try:
                lost = await self._append(lines, dropped)
            except Unwritable as error:
                self._dropped_early += dropped
                self._stay_in_memory(error)
                raise
            for _ in lines:
                if self._pending:
                    self._pending.popleft()
            self._unwritable_at = None
            self._end_notice(UNWRITABLE)
            if lost is not None:
                self._tell_full(lost)
            if not last:
                await self._look()

    async def _append(self, lines: list[str], dropped: int) -> Lost | None:
        try:
            return await self._spool_worker.call(self._spool.append, lines, dropped)
        except Damaged as error:
            await self._renew(error)
            return await self._spool_worker.call(self._spool.append, lines, dropped)

    def _stay_in_memory(self, error: Unwritable) -> None:
        """The newest go on in a ring until the disk works again."""
        self._unwritable_at = self._clock.monotonic()
        over = len(self._pending) - self._plan.memory_points
        for _ in range(over):
            self._pending.popleft()
            self._dropped_early += 1
        if UNWRITABLE not in self.notices:
            _LOGGER.error("%s: the spool can't be written: %s", self._name, error)
        self._notice(UNWRITABLE, reason=str(error))

    async def _renew(self, error: Damaged) -> None:
        """The file turned out to be damaged while in use."""
        path = self._plan.path
        if path is None:
            raise Unwritable(str(error))
        _LOGGER.error("%s: the spool is damaged: %s", self._name, error)
        old = self._spool
        with contextlib.suppress(SpoolError):
            await self._spool_worker.call(old.close)
        try:
            opened = await self._spool_worker.call(renew, path, self._plan.size, self._clock.now)
        except SpoolError as again:
            self._spool = MemorySpool(self._plan.memory_points)
            raise Unwritable(str(again)) from again
        self._spool = opened.spool
        if isinstance(old, OutageSpool):
            self._spool = await self._in_outage(opened.spool)
        assert opened.damaged is not None
        self._tell_damaged(opened.damaged, opened.saved)

    def _tell_full(self, lost: Lost) -> None:
        first, last = (_time_text(line) for line in (lost.first, lost.last))
        now = self._clock.monotonic()
        if now - self._told_full >= FULL_TOLD_EVERY:
            self._told_full = now
            _LOGGER.warning(
                "%s: the spool is full; %d points from %s to %s were dropped",
                self._name,
                lost.count,
                first,
                last,
            )
            self._notice(FULL, count=str(lost.count), first=first, last=last)

    # --------------------------------------------------------------------------------- sending

    async def _send_for_ever(self) -> None:
        while True:
            self._send_wanted.clear()
            now = self._clock.monotonic()
            waiting = self._state_of_spool.waiting
            if not waiting and not self._probe:
                self._report(now + CONFIG_RETRY + REPORT_SLACK)
                await self._wait_for(self._send_wanted, CONFIG_RETRY)
            elif now < self._try_at:
                self._report(self._try_at + REPORT_SLACK)
                await self._wait_for(self._send_wanted, self._try_at - now, only_if_due=True)
            else:
                self._report(now + LONGEST_REQUEST)
                try:
                    await self._send(waiting)
                except Damaged as error:
                    with contextlib.suppress(Unwritable):
                        await self._renew(error)
                    await self._look()
                except Unwritable as error:
                    # Points can be sent but not be removed: they would be sent for ever.
                    _LOGGER.warning("%s: the spool can't be written: %s", self._name, error)
                    self._notice(UNWRITABLE, reason=str(error))
                    self._try_at = self._clock.monotonic() + SPOOL_RETRY

    async def _send(self, waiting: int) -> None:
        began = self._clock.monotonic()
        probing, self._probe = self._probe, False
        if not waiting:
            if probing:
                self._judge_probe(await self._post([]))
            return
        alone = self.state is SinkState.CONFIG_ERROR
        count = 1 if alone else min(self._limit, self._plan.batch)
        if self._backlog:
            count = min(count, self._plan.rate)
        batch = await self._spool_worker.call(self._spool.take, count, LARGEST_BATCH)
        if not batch:
            await self._look()
            return
        behind = await self._spool_worker.call(self._spool.behind, batch[-1][0], LOOK_BEHIND)
        counters = self._state_of_spool.counters
        delivery = deliver(batch, behind, stored_before=counters.delivered > 0)
        result = await self._converse(delivery)
        await self._settle(result)
        if self._backlog and result.cls is Class.STORED:
            taken = len(result.stored) + len(result.dropped) + len(result.set_aside)
            self._try_at = began + taken / self._plan.rate

    async def _converse(self, delivery: Any) -> Result:
        try:
            lines = next(delivery)
            while True:
                self._report(self._clock.monotonic() + LONGEST_REQUEST)
                lines = delivery.send(await self._post(lines))
        except StopIteration as end:
            result: Result = end.value
            return result

    async def _post(self, lines: list[str]) -> Answer:
        """Write *lines*; a server that answers a byte at a time must not hold us for ever."""
        asked = asyncio.ensure_future(self._send_worker.call(self._sender.post, lines))
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout(self._plan.timeout + CONNECT_SLACK):
                        return await asyncio.shield(asked)
                self._sender.abort()
        finally:
            asked.cancel()

    async def _settle(self, result: Result) -> None:
        why = self._mask(result.why)
        settled = Settled(
            result.stored,
            result.dropped,
            result.set_aside,
            refused=len(result.dropped),
            why=why,
        )
        if result.limit is not None:
            self._limit = result.limit
        if settled.stored or settled.dropped or settled.set_aside:
            await self._spool_worker.call(self._spool.settle, settled)
        self._tell_data(result, why)
        match result.answer:
            case None:
                self._well()
            case Answer(cls=Class.OUTAGE) as answer:
                await self._spool_worker.call(self._spool.spill)
                self._outage(answer, why)
            case answer:
                await self._spool_worker.call(self._spool.spill)
                self._configuration(why)
        await self._look()
        if not self._state_of_spool.waiting:
            self._backlog = False

    def _tell_data(self, result: Result, why: str) -> None:
        if result.too_old:
            _LOGGER.warning(
                "%s: %d points are older than what the server keeps; dropped",
                self._name,
                result.too_old,
            )
            self._notice(TOO_OLD, count=str(result.too_old))
        elif result.dropped:
            _LOGGER.warning(
                "%s: the server refused %d points: %s", self._name, len(result.dropped), why
            )
        if result.set_aside:
            _LOGGER.error(
                "%s: the server refused %d points; set aside: %s",
                self._name,
                len(result.set_aside),
                why,
            )
            self._notice(SET_ASIDE, count=str(len(result.set_aside)), reason=why)

    # ---------------------------------------------------------------------------------- states

    def _judge_probe(self, answer: Answer) -> None:
        """Judge the answer to an empty body: it finds a wrong login and a wrong database."""
        match answer.cls:
            case Class.STORED:
                self._well()
            case Class.CONFIGURATION:
                self._configuration(self._mask(answer.why))
            case _:
                self._log_outage(self._mask(answer.why))

    def _well(self) -> None:
        if self.state is not SinkState.OK:
            began = self._outage_since
            lasted = "" if began is None else f" after {self._clock.monotonic() - began:.0f} s"
            _LOGGER.info("%s: the server takes points again%s", self._name, lasted)
        self._outage_since = None
        self._backoff = self._try_at = 0.0
        self._end_notice(CONFIG_ERROR)
        self._end_notice(NAME)
        self._enter(SinkState.OK, None)

    def _outage(self, answer: Answer, why: str) -> None:
        now = self._clock.monotonic()
        self._log_outage(why)
        assert self._outage_since is not None
        if answer.tell_after is not None and now - self._outage_since >= answer.tell_after:
            self._notice(NAME, reason=why)
        self._backoff = min(LONGEST_BACKOFF, 2 * self._backoff or 1.0)
        wait = answer.wait
        if wait is None:
            wait = min(LONGEST_BACKOFF, self._backoff * self._jitter())
        self._try_at = now + wait
        self._backlog = True
        self._end_notice(CONFIG_ERROR)
        self._enter(SinkState.OUTAGE, why)

    def _log_outage(self, why: str) -> None:
        if self._outage_since is None:
            self._outage_since = self._clock.monotonic()
            _LOGGER.warning("%s: points wait: %s", self._name, why)

    def _configuration(self, why: str) -> None:
        if self.state is not SinkState.CONFIG_ERROR or self.why != why:
            _LOGGER.error("%s: the settings do not fit the server: %s", self._name, why)
        if self._outage_since is None:
            self._outage_since = self._clock.monotonic()
        self._try_at = self._clock.monotonic() + CONFIG_RETRY
        self._probe = not self._state_of_spool.waiting
        self._backlog = True
        self._notice(CONFIG_ERROR, reason=why)
        self._enter(SinkState.CONFIG_ERROR, why)

    def _enter(self, state: SinkState, why: str | None) -> None:
        if state is not self.state:
            self.since = self._clock.now()
            self._store.save({"state": state.value, "why": why, "since": self.since.isoformat()})
        self.state, self.why = state, why

    def _remembered(self) -> tuple[SinkState, str | None, datetime]:
        told = self._store.load()
        try:
            state, why = SinkState(told["state"]), told["why"]
            since = datetime.fromisoformat(told["since"]).astimezone(UTC)
        except (KeyError, ValueError, TypeError, OverflowError):
            return SinkState.OK, None, self._clock.now()
        if state not in {SinkState.OUTAGE, SinkState.OK} or not isinstance(why, (str, type(None))):
            return SinkState.OK, None, self._clock.now()
        return state, why, since

    def _notice(self, key: str, **placeholders: str) -> None:
        severity = Severity.ERROR if key in _ERRORS else Severity.WARNING
        self.notices[key] = Notice(key, {"sink": self._name, **placeholders}, severity)

    def _end_notice(self, key: str) -> None:
        self.notices.pop(key, None)

    async def _wait_for(
        self, event: asyncio.Event, seconds: float, *, only_if_due: bool = False
    ) -> None:
        """Wait for *event*, at most *seconds*; *only_if_due*: while a try lies in the future."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(left):
                    await event.wait()
            if not event.is_set():
                return
            if only_if_due and self._try_at > self._clock.monotonic():
                event.clear()
                continue
            return


def _has_sqlite() -> bool:
    try:
        import sqlite3  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def _time_text(line: str) -> str:
    """Return the time of a line for people; empty when it has none."""
    try:
        moment = datetime.fromtimestamp(int(line.rsplit(" ", 1)[1]) / 1e9, UTC)
    except (IndexError, ValueError, OverflowError, OSError):
        return "?"
    return moment.isoformat(timespec="seconds")
