"""Settings on their way to the panel: collected, handed to our node, waited for (spec c.7, e)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from ..clock import Clock
from ..engine import (
    CommandError,
    InvalidCommand,
    NotConfirmed,
    NotConnected,
    Refused,
)
from .inet.box import Finished, Outcome
from .inet.buffers import STATUS_LAYOUTS, UPLOADS, Buffer, Group, with_settings, with_twins
from .inet.rules import Terms, completed, merged, superseded
from .node.messages import Refresh, Wish
from .wishes import refusals

COLLECT_FOR = 1.0
"""Settings that are made within this time are sent together (spec c.7 step 1)."""
UPLOAD_PAUSE = 3.0
SHOWN_WITHIN = 10.0
"""Seconds in which the panel shows what it has taken: 3.3 in recordings (spec c.7 step 6). It does
so once; when that was lost on the bus, it is asked for everything."""
COMMAND_WITHIN = 190.0
"""120 s to be fetched, 60 s to be acknowledged, and the time for collecting."""


_Asked: TypeAlias = tuple[Mapping[str, int], asyncio.Future[None]]
"""A wish, and who waits for its outcome."""


@dataclass(slots=True)
class _Collected:
    """Wishes of one group that are being collected."""

    wish: dict[str, int] = field(default_factory=dict)
    waiting: list[_Asked] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Uploads:
    """What was wished, until the panel has taken it.

    *order* hands a wish to our node, *terms* are what the rules have to know now.
    """

    def __init__(
        self, clock: Clock, order: Callable[[Wish | Refresh], None], terms: Callable[[], Terms]
    ) -> None:
        self._clock = clock
        self._order = order
        self._terms = terms
        self._joined = False
        self.baselines: dict[int, bytes] = {}
        """The newest status of each group, by its message id: a change is made to it."""
        self._number = 0
        self._results: dict[int, asyncio.Future[None]] = {}
        self._collected: dict[Group, _Collected] = {}
        self._last: dict[Group, float] = {}
        self._unsure: set[Group] = set()
        """Groups that the panel has not shown since our node is on the bus."""
        self._taken: dict[Group, dict[str, int]] = {}
        """What the panel has taken and not shown yet, by group."""
        self._sent: dict[int, tuple[Group, Mapping[str, int]]] = {}
        """What is under way, by the number of its command."""
        self._expecting: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------- what the panel says

    def take_status(self, buffer: Buffer) -> None:
        """The panel shows a group's settings."""
        self.baselines[buffer.message_id] = buffer.payload
        for group, upload in UPLOADS.items():
            if upload.baseline_id == buffer.message_id:
                self._taken.pop(group, None)
                self._unsure.discard(group)

    def finish(self, finished: Finished) -> None:
        """Our node tells what became of wishes."""
        confirmed: dict[Group, Mapping[str, int]] = {}
        for number in finished.commands:
            waiting, sent = self._results.pop(number, None), self._sent.pop(number, None)
            error = _error_of(finished)
            if error is None and sent is not None:
                group, wanted = sent
                confirmed[group] = wanted
            if waiting is None or waiting.done():
                continue
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)
        for group, wanted in confirmed.items():
            self._confirmed(group, wanted)

    def _confirmed(self, group: Group, wanted: Mapping[str, int]) -> None:
        if group in self._taken or not self._shows(group, wanted):
            self._taken.setdefault(group, {}).update(wanted)
        if group is not Group.CLOCK:
            task = asyncio.ensure_future(self._expect(group, wanted))
            self._expecting.add(task)
            task.add_done_callback(self._expecting.discard)

    def joined(self) -> None:
        """Our node is on the bus."""
        self._joined = True
        self._unsure = set(Group)

    def left(self) -> None:
        """Our node is gone: nobody will tell what became of what is under way."""
        self._joined = False
        for waiting in self._results.values():
            if not waiting.done():
                waiting.set_exception(NotConfirmed(key="lost_meanwhile"))
        self._results.clear()
        self._sent.clear()

    def close(self) -> None:
        """Send nothing more."""
        for task in self._expecting:
            task.cancel()
        for collected in self._collected.values():
            if collected.task is not None:
                collected.task.cancel()

    @property
    def newest(self) -> dict[int, bytes]:
        """The newest status of each group with what the panel has taken since, by message id."""
        newest = dict(self.baselines)
        for group, taken in self._taken.items():
            number = UPLOADS[group].baseline_id
            if number in newest:
                newest[number] = with_settings(group, newest[number], taken)
        return newest

    # ----------------------------------------------------------------------------- wishes

    def require_baseline(self, group: Group) -> None:
        """Raise :class:`NotConnected` while the panel has not shown a group's settings."""
        if UPLOADS[group].baseline_id not in self.baselines:
            raise NotConnected(key="no_baseline")

    async def set(self, wishes: Mapping[Group, Mapping[str, int]]) -> None:
        """Have raw fields changed; return when the panel has acknowledged all of them.

        Raises a :class:`CommandError`; nothing is sent when one of them can't be.
        """
        for group, wish in wishes.items():
            self.require_baseline(group)
            self._completed(group, self._merged(group, wish))
        await asyncio.gather(*(self._collect(group, wish) for group, wish in wishes.items()))

    def _shown(self, group: Group) -> dict[str, int]:
        number = UPLOADS[group].baseline_id
        return STATUS_LAYOUTS[number].read(self.baselines.get(number, b"")) or {}

    def _shows(self, group: Group, wanted: Mapping[str, int]) -> bool:
        shown = self._shown(group)
        return all(shown.get(name) == value for name, value in wanted.items())

    def _expected(self, group: Group) -> dict[str, int]:
        """Return how a group will be once what is taken and under way is shown."""
        expected = self._shown(group) | self._taken.get(group, {})
        for sent, wanted in self._sent.values():
            if sent is group:
                expected |= wanted
        return expected

    def expected(self, group: Group) -> dict[str, int]:
        """Return how a group will be, with what is only collected yet."""
        collected = self._collected.get(group)
        if collected is None:
            return self._expected(group)
        return self._expected(group) | with_twins(self._completed(group, collected.wish))

    def _merged(self, group: Group, wish: Mapping[str, int]) -> dict[str, int]:
        collected = self._collected.get(group)
        return merged(group, collected.wish if collected else {}, wish)

    def _completed(self, group: Group, wish: Mapping[str, int]) -> dict[str, int]:
        """Return a wish together with what would have to change with it now."""
        with refusals():
            return completed(group, wish, self._expected(group), self._terms())

    async def _collect(self, group: Group, wish: Mapping[str, int]) -> None:
        whole = self._merged(group, wish)
        collected = self._collected.setdefault(group, _Collected())
        collected.wish = whole
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        collected.waiting.append((wish, waiting))
        for asked, earlier in collected.waiting:
            if superseded(asked, whole) and not earlier.done():
                earlier.set_exception(_superseded())
        if collected.task is None:
            collected.task = asyncio.ensure_future(self._send_collected(group))
        await self._outcome(waiting)

    async def _outcome(self, waiting: asyncio.Future[None]) -> None:
        try:
            async with self._clock.timeout(COMMAND_WITHIN):
                await waiting
        except TimeoutError as error:
            raise NotConfirmed(key="not_acknowledged") from error

    async def _send_collected(self, group: Group) -> None:
        since = self._clock.monotonic() - self._last.get(group, -UPLOAD_PAUSE)
        await self._clock.sleep(max(COLLECT_FOR, UPLOAD_PAUSE - since))
        collected = self._collected.pop(group)
        asked = [(wish, waiting) for wish, waiting in collected.waiting if not waiting.done()]
        if not asked:
            return
        try:
            self._hand_over(group, collected.wish, asked)
        except CommandError as error:
            for _, waiting in asked:
                waiting.set_exception(error)

    async def send(self, group: Group, wish: Mapping[str, int]) -> None:
        """Hand a wish to our node at once and wait for its outcome."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hand_over(group, wish, [(wish, waiting)])
        await self._outcome(waiting)

    def _hand_over(self, group: Group, whole: Mapping[str, int], asked: Sequence[_Asked]) -> None:
        """Give our node what is *asked*, which is the *whole* together.

        Each has an outcome of its own: a later wish may take the place of one of them and leave
        the others. What has to change with it is added when the panel fetches it, to what it shows
        then.
        """
        if not self._joined:
            raise NotConnected
        wanted = with_twins(self._completed(group, whole))
        if whole and not self._may_differ(group) and self._shows(group, wanted):
            for _, waiting in asked:
                waiting.set_result(None)
            return
        numbers = range(self._number + 1, self._number + 1 + len(asked))
        self._number += len(asked)
        parts = {number: wish for number, (wish, _) in zip(numbers, asked, strict=True)}
        self._order(Wish(group, whole, parts, self._terms()))
        self._last[group] = self._clock.monotonic()
        for number, (_, waiting) in zip(numbers, asked, strict=True):
            self._results[number] = waiting
            self._sent[number] = group, wanted
            waiting.add_done_callback(partial(self._forget, number))

    def _forget(self, number: int, _waiting: asyncio.Future[None]) -> None:
        """Nobody waits for the outcome of a command any more."""
        self._results.pop(number, None)
        self._sent.pop(number, None)

    def _is_under_way(self, group: Group) -> bool:
        return any(sent is group for sent, _ in self._sent.values())

    def _may_differ(self, group: Group) -> bool:
        """Whether what is shown of a group may have changed or is about to."""
        return group in self._unsure or group in self._taken or self._is_under_way(group)

    async def _expect(self, group: Group, wanted: Mapping[str, int]) -> None:
        """Ask the panel for everything when it does not show what it has acknowledged."""
        await self._clock.sleep(SHOWN_WITHIN)
        if self._joined and not self._shows(group, wanted) and not self._is_under_way(group):
            self._order(Refresh())


def _superseded() -> CommandError:
    return CommandError(key="wish_superseded")


def _error_of(finished: Finished) -> CommandError | None:
    match finished.outcome:
        case Outcome.CONFIRMED:
            return None
        case Outcome.REJECTED:
            return Refused(key="rejected", result=str(finished.result))
        case Outcome.SUPERSEDED:
            return _superseded()
        case Outcome.RULED_OUT:
            key = finished.key or "invalid_command"
            return InvalidCommand(finished.message, key=key, **finished.placeholders)
        case Outcome.NOT_FETCHED:
            return NotConfirmed(key="not_fetched")
        case _:
            return NotConfirmed(key="not_acknowledged")
