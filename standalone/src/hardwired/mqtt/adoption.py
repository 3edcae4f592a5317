"""Moving a device from an old program's announcements to ours, and back (spec d.4). Pure.

Home Assistant keeps an entity's history, name and id when it is told first that its discovery
moves, then of the new place, then that the old one is empty; two seconds lie between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from hardwired_engines.engine import Occurrence, Snapshot

from ..bridge.sink import (
    Action,
    Dialect,
    Moment,
    Outcome,
    Publication,
    Request,
    Traffic,
    Wish,
)

PAUSE = 2.0
MIGRATE = '{"migrate_discovery":true}'


class Phase(Enum):
    """What comes next."""

    ANNOUNCE = auto()
    CLEAR = auto()


@dataclass(slots=True)
class Move:
    """A device on its way; ``due`` is when *phase* comes."""

    topics: tuple[str, ...]
    due: float
    phase: Phase = Phase.ANNOUNCE


def leaving(topics: Iterable[str]) -> list[Publication]:
    """Return the messages that say that the discovery of *topics* moves."""
    return [_retained(topic, MIGRATE) for topic in topics]


def emptied(topics: Iterable[str]) -> list[Publication]:
    """Return the messages that empty *topics*."""
    return [_retained(topic, "") for topic in topics]


def _retained(topic: str, payload: str) -> Publication:
    return Publication(topic, payload, retain=True, qos=1, traffic=Traffic.DISCOVERY)


class Returning:
    """An old program's dialect that takes its entities back from the native one.

    Says that our device messages move, two seconds later what the old program says, two seconds
    later that our messages are empty; then *done* is called, and it is the old dialect alone.
    """

    def __init__(self, dialect: Dialect, topics: Sequence[str], done: Callable[[], None]) -> None:
        self._dialect = dialect
        self._topics = tuple(topics)
        self._done = done
        self._links: Mapping[str, Snapshot] | None = None
        """What the old dialect will be told once it connects; ``None``: it is."""
        self._next: float | None = None
        self.name = dialect.name

    @property
    def links(self) -> frozenset[str]:
        """The links of which it speaks."""
        return self._dialect.links

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Topic filters, each with its QoS."""
        return self._dialect.subscriptions

    @property
    def ready(self) -> bool:
        """Whether it can connect."""
        return self._dialect.ready

    @property
    def will(self) -> Publication | None:
        """The last will."""
        return self._dialect.will

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Begin the way back, or say what the old dialect says."""
        if not self._topics:
            return self._dialect.connected(links, now)
        self._links = dict(links)
        self._next = now.monotonic + PAUSE
        return [*leaving(self._topics)]

    def disconnected(self, now: Moment) -> None:
        """The connection is lost."""
        self._links = self._next = None
        self._dialect.disconnected(now)

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Pass on, but for the two seconds in which nothing may be announced."""
        if self._links is not None:
            self._links = {**self._links, link: after}
            return []
        return self._dialect.snapshot(link, before, after, now)

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Pass on."""
        if self._links is not None:
            return []
        return self._dialect.occurrence(link, occurrence, now)

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Pass on."""
        return self._dialect.receive(topic, payload, retained, now)

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """Pass on."""
        return self._dialect.answered(wish, outcome, now)

    @property
    def due(self) -> float | None:
        """When it wants to be called next."""
        times = [one for one in (self._next, self._dialect.due) if one is not None]
        return self._next if self._links is not None else min(times, default=None)

    def tick(self, now: Moment) -> list[Action]:
        """Take the next step when it is time."""
        found: list[Action] = []
        if self._next is not None and now.monotonic >= self._next:
            if self._links is not None:
                links, self._links = self._links, None
                self._next = now.monotonic + PAUSE
                found += self._dialect.connected(links, now)
            else:
                found += emptied(self._topics)
                self._topics, self._next = (), None
                self._done()
        due = None if self._links is not None else self._dialect.due
        if due is not None and due <= now.monotonic:
            found += self._dialect.tick(now)
        return found

    def stopping(self, now: Moment) -> list[Action]:
        """Last words."""
        return self._dialect.stopping(now)
