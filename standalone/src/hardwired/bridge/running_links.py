"""The links that run: each its engine, its queue of wishes, and their tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hardwired_engines.clock import Clock
from hardwired_engines.engine import DeviceState, Occurrence, Snapshot
from hardwired_engines.factory import Surroundings, factory_of

from ..ops.watchdog import Patient
from .link import Link
from .settings import engine_part
from .sink import Outcome, Wish
from .state import State
from .tasks import cancel, keep_alive
from .wishes import WishQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Where what the links say goes."""

    snapshot: Callable[[Link, Snapshot], None]
    occurrence: Callable[[Link, Occurrence], None]
    answer: Callable[[str, Wish, Outcome], None]
    room: Callable[[Link], Awaitable[None]]
    mask: Callable[[str], str]


@dataclass(slots=True, eq=False)
class _Running:
    link: Link
    queue: WishQueue
    tasks: list[asyncio.Task[None]]


class RunningLinks:
    """The enabled ``[devices.NAME]``, in the order of CONFIG."""

    def __init__(self, state: State, clock: Clock, outlets: Outlets) -> None:
        self._state = state
        self._clock = clock
        self._outlets = outlets
        self._running: dict[str, _Running] = {}

    def __iter__(self) -> Iterator[Link]:
        return (one.link for one in self._running.values())

    def __len__(self) -> int:
        return len(self._running)

    @property
    def by_name(self) -> dict[str, Link]:
        """The links by their names."""
        return {name: one.link for name, one in self._running.items()}

    def get(self, name: str) -> Link | None:
        """Return a link."""
        running = self._running.get(name)
        return None if running is None else running.link

    def wish(self, sink: str, wish: Wish) -> None:
        """Queue a wish for a link that is there."""
        self._running[wish.link].queue.add(sink, wish)

    def patients(self) -> dict[str, Patient]:
        """Return the links as the watchdog sees them."""
        return {f"link {link.name}": link for link in self}

    def add(self, name: str, settings: Mapping[str, Any], bridge: Mapping[str, Any]) -> None:
        """Start a link; *bridge* is the ``[bridge]`` table."""
        link = Link(
            name,
            settings,
            factory_of(settings["family"]),
            clock=self._clock,
            surroundings=Surroundings(
                clock=self._clock,
                zone=datetime.now().astimezone().tzinfo,
                storage=self._state.file(f"link-{name}"),
                folder=self._state.files_folder(),
                room=lambda: self._outlets.room(link),
            ),
            known=self._state.file("bridge"),
            on_snapshot=self._take_snapshot,
            on_occurrence=self._take_occurrence,
            read_only=bridge["read_only"],
            language=bridge["language"],
            mask=self._outlets.mask,
        )

        def composites(kind: str) -> Any:
            return link.factory.composites(kind)

        def state(device: str) -> DeviceState | None:
            return link.snapshot.devices.get(device)

        queue = WishQueue(
            self._clock,
            link.execute,
            state,
            composites,
            self._outlets.answer,
            supersedes=link.factory.supersedes,
            expected=link.expected,
        )
        tasks = [
            asyncio.create_task(keep_alive(self._clock, f"link {name}", live))
            for live in (link.run, queue.run)
        ]
        self._running[name] = _Running(link, queue, tasks)

    def _take_snapshot(self, name: str, snapshot: Snapshot) -> None:
        link = self.get(name)  # none: what is taken out says no more
        if link is not None:
            self._outlets.snapshot(link, snapshot)

    def _take_occurrence(self, name: str, occurrence: Occurrence) -> None:
        link = self.get(name)
        if link is not None:
            self._outlets.occurrence(link, occurrence)

    async def remove(self, name: str) -> None:
        """End a link; wishes that wait are told."""
        running = self._running.pop(name)
        running.queue.close("the link was taken out")
        await cancel(running.tasks)

    def close(self) -> None:
        """Take no more wishes."""
        for one in self._running.values():
            one.queue.close()

    async def stop(self) -> None:
        """End all links."""
        await cancel([task for one in self._running.values() for task in one.tasks])

    async def reload(self, before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
        """Take over a new CONFIG; return whether what the sinks know of the links has changed."""
        wanted = {name: one for name, one in value["devices"].items() if one["enabled"]}
        ours_changed = any(
            before["bridge"][key] != value["bridge"][key] for key in ("read_only", "language")
        )
        changed = False
        for name, running in list(self._running.items()):
            old, new = running.link.settings, wanted.get(name)
            if new is None or engine_part(old) != engine_part(new) or ours_changed:
                await self.remove(name)
                changed = True
            elif old != new:
                running.link.settings = new
                running.link.forget_wants()
                changed = True
        for name, settings in wanted.items():
            if name not in self._running:
                self.add(name, settings, value["bridge"])
                changed = True
        self._running = {name: self._running[name] for name in wanted}
        return changed
