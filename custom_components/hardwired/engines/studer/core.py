"""What outlives a link: the plant, its rules and counters, and the way to tell the world."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from ..clock import Clock
from ..engine import Occurrence, Statistics
from .datapoints import Datapoint, Family
from .gate import Memory
from .messages import PlantMessage
from .plant import Plant
from .scheduler import Scheduler
from .settings import StuderSettings
from .vault import Vault

EMIT_EVERY = 0.25
"""Seconds between two snapshots, unless something is urgent."""


@dataclass(slots=True)
class Core:
    """What every part of a session needs."""

    settings: StuderSettings
    clock: Clock
    plant: Plant
    memory: Memory
    scheduler: Scheduler
    statistics: Statistics
    vault: Vault
    emit: Callable[[], None]
    occur: Callable[[Occurrence], None]
    reshape: Callable[[], None]
    """The limits of the catalogues have to be made anew."""
    requested: frozenset[tuple[Family, int]]
    own_intervals: Mapping[tuple[str, int], float]
    zone: tzinfo | None
    live: bool = False
    """Whether the plant is known, so that it can be told of."""
    troubles: dict[str, dict[str, str]] = field(default_factory=dict)
    recent: deque[PlantMessage] = field(default_factory=lambda: deque(maxlen=50))
    _told: float = -math.inf

    @property
    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self.clock.monotonic()

    def count(self, what: str) -> None:
        """Count a reason for which a value or frame was not believed."""
        self.statistics.drops[what] += 1

    def interval(self, point: Datapoint) -> float:
        """Return the interval at which a datapoint is really read."""
        own = self.own_intervals.get((point.family.value, point.id))
        return self.scheduler.interval(point, own)

    def tell(self, *, urgent: bool = False) -> None:
        """Tell the world what has changed, at once or soon."""
        if not self.live or not any(unit.changed for unit in self.plant):
            return
        if urgent or self.now - self._told >= EMIT_EVERY:
            self._told = self.now
            self.emit()
