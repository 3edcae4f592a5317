"""Wishes of all sinks for the devices of one link: window, rates, order (spec c.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hardwired_engines.clock import Clock
from hardwired_engines.composite import Composite, Wish as PartWish
from hardwired_engines.engine import Command, DeviceState, EngineError
from hardwired_engines.fields import Value

from .sink import Outcome, Wish

_LOGGER = logging.getLogger(__name__)

WINDOW = 0.25
DEVICE_INTERVAL = 1.0
BURST = 10
PER_SECOND = 30 / 60
LONGEST_WAIT = 30.0
MOST_UNDER_WAY = 8

Asked: TypeAlias = tuple[str, Wish]
"""The sink's name, the wish."""
Execute: TypeAlias = Callable[[Command], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True, eq=False)
class _Group:
    """Wishes for one device that become one Command."""

    device: str
    ready_at: float
    since: float
    wishes: list[Asked] = field(default_factory=list)
    alone: bool = False


class WishQueue:
    """One Command at a time; what comes within the window, or while it waits, is merged.

    With *supersedes* the engine itself lets a newer command take an older one's place: it gets
    them as they come, no more than eight under way.
    *state* returns a device as it is now, *expected* makes of it what it will be once all that is
    on its way is shown, *composites* returns those of a kind. *answer* is called with
    each wish once.
    """

    def __init__(
        self,
        clock: Clock,
        execute: Execute,
        state: Callable[[str], DeviceState | None],
        composites: Callable[[str], tuple[Composite, ...]],
        answer: Callable[[str, Wish, Outcome], None],
        *,
        supersedes: bool = False,
        expected: Callable[[DeviceState], DeviceState] = lambda state: state,
    ) -> None:
        self._clock = clock
        self._execute = execute
        self._state = state
        self._expected = expected
        self._composites = composites
        self._answer = answer
        self._groups: list[_Group] = []
        self._changed = asyncio.Event()
        self._last: dict[str, float] = {}
        self._tokens = float(BURST)
        self._filled_at = clock.monotonic()
        self._closed = False
        self._most = MOST_UNDER_WAY if supersedes else 1

    def add(self, sink: str, wish: Wish) -> None:
        """Queue a wish."""
        if self._closed:
            self._answer(sink, wish, _busy("the bridge is stopping"))
            return
        now = self._clock.monotonic()
        device = wish.command.device
        plain = not wish.alone and wish.command.name == "set" and not wish.command.options
        group = None
        if plain:
            group = next(
                (one for one in self._groups if one.device == device and not one.alone), None
            )
        if group is None:
            group = _Group(device, now + (WINDOW if plain else 0.0), now, alone=not plain)
            self._groups.append(group)
        group.wishes.append((sink, wish))
        self._changed.set()

    def close(self, text: str = "the bridge is stopping") -> None:
        """Take nothing any more; answer what waits."""
        self._closed = True
        self._answer_all(self._groups, text)

    def open(self) -> None:
        """Take wishes again."""
        self._closed = False

    def _answer_all(self, groups: list[_Group], text: str) -> None:
        for group in list(groups):
            self._groups.remove(group)
            for sink, wish in group.wishes:
                self._answer(sink, wish, _busy(text))

    async def run(self) -> None:
        """Carry out what was queued, until cancelled."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._changed.clear()
                now = self._clock.monotonic()
                late = [one for one in self._groups if now - one.since >= LONGEST_WAIT]
                self._answer_all(late, "an earlier command is still being carried out")
                running = {task for task in running if not task.done()}
                if len(running) < self._most and (begun := self._begin(now)) is not None:
                    begun.add_done_callback(lambda _task: self._changed.set())
                    running.add(begun)
                await self._wait(full=len(running) >= self._most)
        finally:
            for task in running:
                task.cancel()

    def _begin(self, now: float) -> asyncio.Task[None] | None:
        for group in self._groups:
            if self._due(group) <= now:
                self._groups.remove(group)
                if not self._spend(now):
                    for sink, wish in group.wishes:
                        self._answer(sink, wish, _limited())
                    return self._begin(now)
                self._last[group.device] = now
                return asyncio.ensure_future(self._carry_out(group))
        return None

    def _due(self, group: _Group) -> float:
        last = self._last.get(group.device)
        return group.ready_at if last is None else max(group.ready_at, last + DEVICE_INTERVAL)

    def _spend(self, now: float) -> bool:
        self._tokens = min(BURST, self._tokens + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def _wait(self, *, full: bool) -> None:
        """Wait until a group is due or too old, one under way has ended, or one is added."""
        times = [one.since + LONGEST_WAIT for one in self._groups]
        if not full:
            times += [self._due(one) for one in self._groups]
        seconds = None
        if times:
            seconds = max(0.0, min(times) - self._clock.monotonic())
        try:
            async with self._clock.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    # ---------------------------------------------------------------------------- one command

    async def _carry_out(self, group: _Group) -> None:
        began = self._clock.monotonic()
        taken, values = self._merge(group)
        if not taken:
            return
        first = taken[0][1].command
        command = Command(group.device, values, first.name, first.options)
        data: Mapping[str, Any] = {}
        error: Outcome | None = None
        if values or first.name != "set":
            try:
                data = await self._execute(command)
            except EngineError as refused:
                error = Outcome(
                    key=refused.key, text=str(refused), placeholders=refused.placeholders
                )
            except asyncio.CancelledError:
                for sink, wish in taken:
                    self._answer(sink, wish, _busy("the link was restarted"))
                raise
            except Exception as unforeseen:
                _LOGGER.exception("a command ended unforeseen")
                error = Outcome(key="failed", text=str(unforeseen) or type(unforeseen).__name__)
        state = self._state(group.device)
        took = round(self._clock.monotonic() - began, 3)
        for sink, wish in taken:
            if error is not None:
                outcome = Outcome(
                    key=error.key,
                    text=error.text,
                    placeholders=error.placeholders,
                    state=state,
                    took=took,
                )
            else:
                outcome = Outcome(state=state, data=data or None, took=took)
            self._answer(sink, wish, outcome)

    def _merge(self, group: _Group) -> tuple[list[Asked], dict[str, Value]]:
        """Return the wishes that go, and the values that they become together."""
        values: dict[str, Value] = {}
        taken: list[Asked] = []
        of_composite: dict[str, list[Asked]] = {}
        for asked in group.wishes:
            if (key := asked[1].composite) is not None:
                of_composite.setdefault(key, []).append(asked)
        for asked in group.wishes:
            wish = asked[1]
            written: Mapping[str, Value] = wish.command.values
            together = [asked]
            if wish.composite is not None:
                together = of_composite[wish.composite]
                if asked is not together[-1]:
                    continue  # its place is that of the last one
                try:
                    written = self._composite(group.device, wish.composite, together, values)
                except EngineError as error:
                    outcome = Outcome(
                        key=error.key, text=str(error), placeholders=error.placeholders
                    )
                    for sink, one in together:
                        self._answer(sink, one, outcome)
                    continue
            for key, value in written.items():
                values.pop(key, None)  # the later one counts, and its place
                values[key] = value
            taken += together
        return taken, values

    def _composite(
        self, device: str, key: str, asked: list[Asked], earlier: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        """Return what wishes of a composite become behind *earlier* values of the same window."""
        wishes: list[PartWish] = [one for _, wish in asked for one in wish.parts]
        state = self._state(device)
        if state is None:
            raise EngineError(f"{device} is not there", key="not_connected")
        for composite in self._composites(state.device.kind):
            if composite.key == key:
                return composite.write(wishes, self._expected(state).with_values(**earlier))
        raise EngineError(f"{device} has no {key}", key="invalid_command")


def _busy(text: str) -> Outcome:
    return Outcome(key="busy", text=text)


def _limited() -> Outcome:
    return Outcome(key="rate_limited", text="too many commands; at most 30 a minute")
