"""What lives longer than a link: plant, rules, counters, and the publication of snapshots."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from ...clock import Clock
from ...engine import Occurrence, Statistics
from ..datapoints.datapoint import Datapoint
from ..datapoints.plausibility import History
from ..plant.plant import Plant
from ..plant.stored_state import StoredState
from ..plant.unit import Identity
from ..scom.families import Family
from ..scom.messages import PlantMessage
from ..settings import StuderSettings
from .discovery import nominal_ac, nominal_battery
from .schedule import Scheduler
from .write_order import WriteOrder

EMIT_EVERY = 0.25
"""Seconds between two snapshots, unless something is urgent."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the owner should know, until it is withdrawn or expires."""

    words: Mapping[str, str]
    until: float = math.inf
    """On the monotonic clock."""


@dataclass(slots=True)
class SessionContext:
    """What every part of a session needs."""

    settings: StuderSettings
    clock: Clock
    plant: Plant
    history: History
    scheduler: Scheduler
    statistics: Statistics
    stored: StoredState
    emit: Callable[[], None]
    emit_event: Callable[[Occurrence], None]
    requested: frozenset[tuple[Family, int]]
    own_intervals: Mapping[tuple[str, int], float]
    zone: tzinfo | None
    live: bool = False
    """Whether the plant is known, so that it can be published."""
    fast_until: float = -math.inf
    """Until when the fast class is read near realtime and nothing is hidden, monotonic."""
    messages_read: bool = False
    """Whether messages were read since the start."""
    order: WriteOrder = field(default_factory=WriteOrder)
    """What was written before and after the messages that were read."""
    reapply: dict[tuple[str, int], tuple[Datapoint, float]] = field(default_factory=dict)
    """What is to be written to RAM again, by device and parameter."""
    denials_count_from: float = -math.inf
    """From when on, monotonic, a gateway knows what it says: it has started, and seeks devices."""
    messages_unread: bool = True
    """Whether the gateway may have messages that were not read."""
    troubles: dict[str, Note] = field(default_factory=dict)
    recent: deque[PlantMessage] = field(default_factory=lambda: deque(maxlen=50))
    _told: float = -math.inf
    _soon: asyncio.Task[None] | None = None

    @property
    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self.clock.monotonic()

    @property
    def quiet_now(self) -> float | None:
        """The time, for what may hide noise; ``None`` while every value is wanted."""
        now = self.now
        return None if now < self.fast_until or not self.settings.hide_noise else now

    def hurry(self, minutes: float) -> None:
        """Read the fast class near realtime, and show every value, for a while; 0 ends it."""
        self.fast_until = self.now + 60.0 * minutes

    def count(self, what: str) -> None:
        """Count a reason for which a value or frame was refused."""
        self.statistics.drops[what] += 1

    def interval(self, point: Datapoint) -> float:
        """Return the interval at which a datapoint is really read."""
        own = self.own_intervals.get((point.family.value, point.id))
        return self.scheduler.interval(point, own)

    def learn_nominals(self, found: Collection[tuple[Family, Identity]]) -> None:
        """Take the plant's nominal voltages from the owner's settings, else from its devices."""
        settings, plant = self.settings, self.plant
        if settings.battery_voltage is not None:
            plant.nominal_battery = float(settings.battery_voltage)
        elif (battery := nominal_battery(found)) is not None:
            plant.nominal_battery = battery
        if settings.ac_voltage is not None:
            plant.nominal_ac = float(settings.ac_voltage)
        elif (ac := nominal_ac(found)) is not None:
            plant.nominal_ac = ac
        plant.describe_all()

    def warn(self, key: str, *, lasts: float = math.inf, **words: str) -> None:
        """Tell the owner something, for a while or until it is withdrawn."""
        self.troubles[key] = Note(words, self.now + lasts)

    def publish(self, *, urgent: bool = False) -> None:
        """Publish what has changed: at once, or when the last snapshot is old enough.

        All published values have been checked, so publication waits for no open request.
        """
        if not self.live or not any(unit.changed for unit in self.plant):
            return
        wait = 0.0 if urgent else self._told + EMIT_EVERY - self.now
        if wait <= 0:
            self._told = self.now
            self.emit()
        elif self._soon is None:
            self._soon = asyncio.ensure_future(self._publish_soon(wait))

    async def _publish_soon(self, wait: float) -> None:
        await self.clock.sleep(wait)
        self._soon = None
        self.publish(urgent=True)

    def cancel_publish(self) -> None:
        """Publish nothing more."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
