"""What links report, on its way to one sink: the newest snapshot of each, occurrences in order."""

from __future__ import annotations

import asyncio
from collections import deque

from hardwired_engines.engine import Occurrence, Snapshot

from .sink import Sink

MOST = 10_000


class Feeder:
    """The sink's letter box (spec c.11). It outlives a sink that is made anew."""

    def __init__(self) -> None:
        self._newest: dict[str, Snapshot] = {}
        self._taken: dict[str, Snapshot] = {}
        self._occurrences: deque[tuple[str, Occurrence]] = deque()
        self._changed = asyncio.Event()
        self.dropped = 0
        self.closed = False

    def snapshot(self, link: str, snapshot: Snapshot) -> None:
        """Put the newest in the place of an older one."""
        if not self.closed:
            self._newest[link] = snapshot
            self._changed.set()

    def occurrence(self, link: str, occurrence: Occurrence) -> None:
        """Put one behind the others; too many: the oldest is dropped and counted."""
        if self.closed:
            return
        if len(self._occurrences) >= MOST:
            self._occurrences.popleft()
            self.dropped += 1
        self._occurrences.append((link, occurrence))
        self._changed.set()

    @property
    def full(self) -> bool:
        """Whether a source that can wait should."""
        return len(self._occurrences) > MOST // 2

    @property
    def empty(self) -> bool:
        """Whether everything was handed over."""
        return not self._occurrences and all(
            self._taken.get(link) is snapshot for link, snapshot in self._newest.items()
        )

    def begin(self) -> None:
        """A new sink has seen nothing yet."""
        self._taken.clear()
        self._changed.set()

    async def run(self, sink: Sink) -> None:
        """Hand over until cancelled; one thing a turn of the loop."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for link, snapshot in list(self._newest.items()):
                before = self._taken.get(link)
                if before is not snapshot:
                    self._taken[link] = snapshot
                    sink.snapshot(link, before, snapshot)
                    await asyncio.sleep(0)
            while self._occurrences:
                sink.occurrence(*self._occurrences.popleft())
                await asyncio.sleep(0)
