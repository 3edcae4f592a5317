"""The sinks that run: each made anew when it fails, fed by its own feeder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hardwired_engines.clock import Clock
from hardwired_engines.engine import Occurrence, Snapshot
from hardwired_engines.tasks import until_any

from .feeder import Feeder
from .link import Link
from .sink import Hub, Outcome, Request, Sink, Unusable, Wish
from .sinks import make_sink
from .tasks import Restarts, cancel

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Running:
    settings: Mapping[str, Any]
    feeder: Feeder
    task: asyncio.Task[None] | None = None
    sink: Sink | None = None
    stopping: bool = False

    @property
    def full(self) -> bool:
        return self.feeder.full or (self.sink is not None and self.sink.full)

    @property
    def delivered(self) -> bool:
        return self.feeder.empty and self.sink is not None and self.sink.empty


class RunningSinks:
    """The enabled ``[sinks.NAME]``, in the order of CONFIG.

    *unusable* is told of a sink that can't be used as CONFIG has it, and returns whether the
    program ends for it; if not, the sink is tried again later.
    """

    def __init__(self, hub: Hub, clock: Clock, unusable: Callable[[Unusable], bool]) -> None:
        self._hub = hub
        self._clock = clock
        self._unusable = unusable
        self._running: dict[str, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    @property
    def by_name(self) -> dict[str, Sink]:
        """The sinks that live, by their names."""
        return {name: one.sink for name, one in self._running.items() if one.sink is not None}

    @property
    def tried(self) -> bool:
        """Whether each has tried to reach its place."""
        return all(
            one.sink is not None and one.sink.health.why != "starting"
            for one in self._running.values()
        )

    @property
    def delivered(self) -> bool:
        """Whether nothing waits."""
        return all(one.delivered for one in self._running.values())

    def answered(self, name: str, wish: Wish | Request, outcome: Outcome) -> None:
        """Tell a sink what became of its wish."""
        running = self._running.get(name)
        if running is not None and running.sink is not None:
            running.sink.answered(wish, outcome)

    def forgotten(self, link: str, device: str, asked: str) -> None:
        """Tell the other sinks of a device that was removed over *asked*."""
        for name, running in self._running.items():
            forget = getattr(running.sink, "forget", None)
            if name != asked and forget is not None:
                forget(link, device)

    # ----------------------------------------------------------------------------- feeding

    def _of(self, link: Link) -> Iterator[_Running]:
        """Yield the sinks to which a link speaks: its own list, and those of its legacy entries."""
        settings = link.settings
        for name in {*settings["sinks"], *(entry["sink"] for entry in settings["legacy"])}:
            if name in self._running:
                yield self._running[name]

    def snapshot(self, link: Link, snapshot: Snapshot) -> None:
        """Pass a link's snapshot on."""
        for running in self._of(link):
            running.feeder.snapshot(link.name, snapshot)

    def occurrence(self, link: Link, occurrence: Occurrence) -> None:
        """Pass a link's occurrence on."""
        for running in self._of(link):
            running.feeder.occurrence(link.name, occurrence)

    async def room(self, link: Link) -> None:
        """Wait while a sink of the link is over half full."""
        while any(one.full for one in self._of(link)):
            await self._clock.sleep(0.05)

    # -------------------------------------------------------------------------------- life

    def add(self, name: str, settings: Mapping[str, Any], links: Iterable[Link]) -> None:
        """Start a sink, with what *links* have said."""
        running = _Running(settings, Feeder())
        running.sink = make_sink(name, settings, self._hub)
        self._running[name] = running
        for link in links:
            if link.snapshot != Snapshot() and running in self._of(link):
                running.feeder.snapshot(link.name, link.snapshot)
        running.task = asyncio.create_task(self._live(name, running))

    async def _live(self, name: str, running: _Running) -> None:
        """Keep a sink alive; what is unforeseen is told once and it is made anew."""
        restarts = Restarts()
        while True:
            began = self._clock.monotonic()
            try:
                if running.sink is None:
                    running.sink = make_sink(name, running.settings, self._hub)
                await self._run(running, running.sink)
            except Unusable as error:
                if self._unusable(error):
                    return
                _LOGGER.error("%s: %s", name, error)
            except Exception:
                _LOGGER.exception("%s: the sink failed", name)
            if running.stopping:
                return
            lived = self._clock.monotonic() - began
            if running.sink is not None:
                with contextlib.suppress(Exception):
                    await running.sink.stop(self._clock.monotonic() + 1)
            self._hub.report(f"sink {name}", None)
            await self._clock.sleep(restarts.wait(lived))
            running.sink = None

    @staticmethod
    async def _run(running: _Running, sink: Sink) -> None:
        running.feeder.begin()

        async def feed() -> None:
            # The sink's first turn comes before the first snapshot.
            await asyncio.sleep(0)
            await running.feeder.run(sink)

        await until_any(sink.run(), feed())

    def close(self) -> None:
        """Feed no more."""
        for one in self._running.values():
            one.feeder.closed = True

    async def stop(self, deadline: float, names: Iterable[str] | None = None) -> list[str]:
        """Stop sinks, all unless *names* are given; return who had not ended by *deadline*."""
        some = {name: self._running[name] for name in (self._running if names is None else names)}
        stops = {}
        for name, one in some.items():
            one.stopping = True
            if one.sink is not None and one.task is not None and not one.task.done():
                stops[asyncio.ensure_future(one.sink.stop(deadline))] = name
        late = []
        if stops:
            left = max(0.1, deadline - self._clock.monotonic())
            _, pending = await asyncio.wait(stops, timeout=left)
            late = [stops[task] for task in pending]
            for task in stops:
                task.cancel()
            for task, name in stops.items():
                if task.done() and not task.cancelled() and (error := task.exception()):
                    _LOGGER.error("%s: %s", name, error, exc_info=error)
        await cancel([one.task for one in some.values() if one.task is not None])
        return late

    async def reload(
        self,
        wanted: Mapping[str, Mapping[str, Any]],
        links: Iterable[Link],
        deadline: float,
        *,
        all_anew: bool,
        links_changed: bool,
    ) -> None:
        """Take over new tables; what is unchanged lives on."""
        gone = []
        for name, running in self._running.items():
            lives_on = getattr(running.sink, "lives_on", False)
            same = wanted.get(name) == running.settings
            if not same or all_anew or (links_changed and not lives_on):
                gone.append(name)
        await self.stop(deadline, gone)
        for name in gone:
            del self._running[name]
            self._hub.report(f"sink {name}", None)
        for name, settings in wanted.items():
            if name not in self._running:
                self.add(name, settings, links)
        self._running = {name: self._running[name] for name in wanted}
