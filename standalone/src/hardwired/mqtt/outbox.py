"""What waits for the broker: the latest text of each topic, and what passes (spec c.4).

Bounded whatever the broker does. What is retained has one slot a topic: a later text takes the
place of an earlier one. What is said once stands in line, and the least important goes first
when the line is full. Discovery, availability, notices and states are never dropped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from enum import StrEnum

from ..bridge.sink import Publication, Traffic


class Kind(StrEnum):
    """How a publication waits."""

    LATEST = "state"
    """Retained: the latest text of a topic is kept."""
    STEP = "discovery"
    """An announcement: all are sent, in their order; one may take away what the next leaves out."""
    PASSING_STATE = "passing_state"
    """A state of an old program, not retained: it passes; while away, the latest is kept."""
    EVENT = "event"
    RESULT = "result"
    RESPONSE = "response"
    HEALTH = "health"


_ONCE = {
    Traffic.EVENT: Kind.EVENT,
    Traffic.RESULT: Kind.RESULT,
    Traffic.RESPONSE: Kind.RESPONSE,
    Traffic.HEALTH: Kind.HEALTH,
    Traffic.DISCOVERY: Kind.STEP,
}


def kind_of(message: Publication) -> Kind:
    """Return how a publication waits."""
    if (found := _ONCE.get(message.traffic)) is not None:
        return found
    return Kind.LATEST if message.retain else Kind.PASSING_STATE


YOUNG = 60.0
"""Seconds for which a result or a response is worth sending after an interruption."""

_DROP_FIRST = (Kind.HEALTH, Kind.RESULT, Kind.RESPONSE, Kind.EVENT)
_AGING = frozenset({Kind.RESULT, Kind.RESPONSE})


class Outbox:
    """The messages of one connection. *size* bounds what passes."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._opening: deque[Publication] = deque()
        self._steps: deque[Publication] = deque(maxlen=size)
        self._passing: deque[tuple[float, Publication]] = deque()
        self._latest: dict[str, Publication] = {}
        self._connected = False
        self.coalesced = 0
        self.dropped: Counter[str] = Counter()
        """Messages dropped, by kind."""

    def __len__(self) -> int:
        return len(self._opening) + len(self._steps) + len(self._passing) + len(self._latest)

    @property
    def next(self) -> str | None:
        """The topic of a message that waits."""
        waiting = (*self._opening, *self._steps, *(message for _, message in self._passing))
        return next((one.topic for one in waiting), next(iter(self._latest), None))

    def put(self, messages: Iterable[Publication], now: float) -> None:
        """Let *messages* wait; *now* is in seconds of a clock that never runs back."""
        for message in messages:
            match kind_of(message):
                case Kind.LATEST:
                    self._slot(message)
                case Kind.STEP:
                    self._steps.append(message)
                case Kind.PASSING_STATE if self._must_wait():
                    self._slot(message)
                case Kind.HEALTH if not self._connected:
                    self.dropped[Kind.HEALTH.value] += 1
                case _:
                    self._passing.append((now, message))
                    self._bound()

    def connected(self, messages: Iterable[Publication], now: float, *, more: bool = False) -> None:
        """Begin a connection with all that a dialect says at first, in this order.

        What it does not say anew (a removal) goes before; what passes comes after, as far as it
        is young enough. What an earlier connection has not sent is kept. With *more* the rest
        comes by :meth:`add`, and every text that still holds is in it.
        """
        if self._connected:
            self.disconnected([], now)
        opening = list(messages)
        anew = {message.topic for message in opening}
        before = [
            message
            for topic, message in self._latest.items()
            if topic not in anew and not (more and message.payload)
        ]
        said = {(message.topic, message.payload) for message in opening}
        steps = [step for step in self._steps if (step.topic, step.payload) not in said]
        if more:  # the last of a topic is how it is, and comes anew; those before take away
            last = {step.topic: step for step in steps}
            steps = [step for step in steps if not step.payload or step is not last[step.topic]]
        self._opening = deque([*steps, *before, *opening])
        self._steps.clear()
        self._latest.clear()
        young = deque[tuple[float, Publication]]()
        for since, message in self._passing:
            if kind_of(message) in _AGING and now - since > YOUNG:
                self.dropped[kind_of(message).value] += 1
            else:
                young.append((since, message))
        self._passing = young
        self._connected = True

    def add(self, messages: Iterable[Publication]) -> None:
        """Add to what is said at first, behind it."""
        self._opening.extend(messages)

    def disconnected(self, unsent: Iterable[Publication], now: float) -> None:
        """End a connection; *unsent* are messages whose arrival was never confirmed, in order."""
        self._connected = False
        again = [*unsent, *self._opening]
        again += [message for _, message in self._passing]
        since = {id(message): moment for moment, message in self._passing}
        newer, self._latest = self._latest, {}
        steps = [message for message in again if kind_of(message) is Kind.STEP]
        once = {(step.topic, step.payload): step for step in (*steps, *self._steps)}
        self._steps = deque(once.values(), maxlen=self._size)
        self._opening.clear()
        self._passing.clear()
        for message in again:
            match kind_of(message):
                case Kind.LATEST | Kind.PASSING_STATE:
                    self._latest[message.topic] = message
                case Kind.HEALTH:
                    self.dropped[Kind.HEALTH.value] += 1
                case Kind.STEP:
                    pass
                case _:
                    self._passing.append((since.get(id(message), now), message))
        self._latest |= newer
        self._bound()

    def take(self) -> Publication | None:
        """Return the next message to send, and forget it."""
        if self._opening:
            return self._opening.popleft()
        if self._steps:
            return self._steps.popleft()
        if self._passing:
            return self._passing.popleft()[1]
        if self._latest:
            return self._latest.pop(next(iter(self._latest)))
        return None

    def _must_wait(self) -> bool:
        """Whether states that pass are kept like others: nobody listens, or not fast enough."""
        return not self._connected or len(self._passing) > self._size // 2

    def _slot(self, message: Publication) -> None:
        if message.topic in self._latest:
            self.coalesced += 1
        self._latest[message.topic] = message

    def _bound(self) -> None:
        while len(self._passing) > self._size:
            self._drop_one()

    def _drop_one(self) -> None:
        for kind in _DROP_FIRST:
            for place, (_, message) in enumerate(self._passing):
                if kind_of(message) is kind:
                    del self._passing[place]
                    self.dropped[kind.value] += 1
                    return
        _, message = self._passing.popleft()
        self.dropped[kind_of(message).value] += 1
