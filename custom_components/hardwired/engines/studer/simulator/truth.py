"""The events of a simulated plant, and the true values with their times (spec i.8).

An engine may publish a value of a device only if the device held it. The truth has the value that
each device held at every read and write of it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Number = float | int

REMEMBERED = 512
"""How many values are kept of each datapoint of each device."""
NOTED = 5000
"""How many events are kept."""


@dataclass(frozen=True, slots=True)
class Held:
    """A value that a device held at a moment of the line's clock."""

    time: float
    value: Number


class Truth:
    """Which device held which value when; devices by their FID, the gateway as ``xcom``."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], deque[Held]] = {}

    def tell(self, owner: str, number: int, value: Number, now: float) -> None:
        """Note that *owner* holds a value of a datapoint now."""
        key = (owner, number)
        kept = self._held.get(key)
        if kept is None:
            kept = self._held[key] = deque(maxlen=REMEMBERED)
        kept.append(Held(now, value))

    def held(
        self, owner: str, number: int, since: float = 0.0, until: float = float("inf")
    ) -> tuple[Held, ...]:
        """Return the values of a datapoint that *owner* held at the reads in that time."""
        found: list[Held] = []
        for entry in reversed(self._held.get((owner, number), ())):
            if entry.time < since:
                break
            if entry.time <= until:
                found.append(entry)
        return tuple(reversed(found))

    def was(
        self, owner: str, number: int, value: Number, since: float = 0.0,
        until: float = float("inf"),
    ) -> bool:  # fmt: skip
        """Return whether *owner* held this very value in that time."""
        return any(entry.value == value for entry in self.held(owner, number, since, until))

    def owners(self) -> frozenset[str]:
        """Return all devices that were ever asked."""
        return frozenset(owner for owner, _ in self._held)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for the log. ``time`` is the line's clock, in seconds."""

    time: float
    kind: str
    details: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {"time": round(self.time, 4), "event": self.kind, **self.details}


class Journal:
    """The last events, and the number of each kind."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=NOTED)
        self._listeners: list[Callable[[Event], None]] = []
        self.counts: Counter[str] = Counter()

    def note(self, now: float, kind: str, **details: Any) -> None:
        """Add an event and call the listeners."""
        event = Event(now, kind, MappingProxyType(details))
        self._events.append(event)
        self.counts[kind] += 1
        for listener in tuple(self._listeners):
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call *listener* for each event from now on; returns the way to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events))

    def of(self, *kinds: str) -> list[Event]:
        """Return the events of some kinds that are still remembered."""
        return [event for event in self._events if event.kind in kinds]
