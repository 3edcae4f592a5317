"""What follows Home Assistant's birth message: all is said again, once, spread (spec c.2)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set as AbstractSet

from ..bridge.sink import Publication, Traffic
from .topics import Topics

BIRTH_WAIT = (1.0, 3.0)
BIRTHS_ARE_ONE = 10.0
BIRTH_SLICE, BIRTH_PAUSE = 50, 0.25
"""At most 200 messages a second."""


class Births:
    """Births that were heard, and what is still to be said after them. Times are monotonic.

    *texts* are the retained texts by topic as they are, *availabilities* returns the topics that
    come last, *qos* is that of states.
    """

    def __init__(
        self,
        topics: Topics,
        texts: Mapping[str, str],
        availabilities: Callable[[], AbstractSet[str]],
        qos: int,
        chance: random.Random,
    ) -> None:
        self._topics = topics
        self._texts = texts
        self._availabilities = availabilities
        self._qos = qos
        self._chance = chance
        self._at: float | None = None
        self._last: float | None = None
        self._waiting: deque[tuple[str, Traffic]] = deque()
        self._next = 0.0

    def heard(self, now: float) -> None:
        """Take note of a birth; several within ten seconds are one."""
        if self._last is None or now - self._last >= BIRTHS_ARE_ONE:
            self._last = now
            self._at = now + self._chance.uniform(*BIRTH_WAIT)

    def forget(self) -> None:
        """All is said anyway, or nobody listens."""
        self._waiting.clear()
        self._at = None

    @property
    def due(self) -> Iterable[float]:
        """When something is to be said."""
        if self._at is not None:
            yield self._at
        if self._waiting:
            yield self._next

    def say(self, now: float) -> list[Publication]:
        """Return what is due; each text is as it is when it is said."""
        if self._at is not None and now >= self._at:
            self._at = None
            self._waiting = deque(self._anew())
            self._next = now
        if not self._waiting or now < self._next:
            return []
        found: list[Publication] = []
        while self._waiting and len(found) < BIRTH_SLICE:
            topic, traffic = self._waiting.popleft()
            text = self._texts.get(topic)
            if text is not None and topic != self._topics.state:
                qos = self._qos if traffic is Traffic.STATE else 1
                found.append(Publication(topic, text, True, qos, traffic, at_once=True))
        self._next = now + BIRTH_PAUSE
        return found

    def _anew(self) -> Iterator[tuple[str, Traffic]]:
        """Yield the topics: announcements, states, availability."""
        last = self._availabilities()
        for topic in self._texts:
            if topic.startswith(f"{self._topics.discovery}/device/"):
                yield topic, Traffic.DISCOVERY
        for topic in self._texts:
            if topic not in last and topic.startswith(f"{self._topics.prefix}/"):
                yield topic, Traffic.STATE
        for topic in last:
            yield topic, Traffic.OTHER
