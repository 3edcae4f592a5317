"""What to read next (spec c.4, c.5). Pure: times are given, nothing is sent.

Values are polled in classes. A class is never started again before its last round has ended. Of the
rounds in progress, the one whose next start is nearest goes first, so that none is starved. When
the line would be too busy, all intervals are stretched by the same factor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..datapoints.datapoint import Datapoint, Poll
from ..settings import BUSY_LIMIT, DEFAULT_INTERVALS

MAX_STRETCH = 60.0
MEASURED_MARGIN = 1.1
"""The line may be busier in the next minute than in the last."""


@dataclass(frozen=True, slots=True)
class Task:
    """One datapoint of one device, to be read."""

    unit: str
    point: Datapoint


@dataclass(slots=True)
class _Round:
    interval: float
    due: float
    tasks: tuple[Task, ...] = ()
    queue: deque[Task] = field(default_factory=deque)
    started: float | None = None
    achieved: float | None = None


Batchable = Callable[[Task], bool]


class Scheduler:
    """The poll plan of one plant."""

    def __init__(
        self,
        intervals: Mapping[Poll, float] = DEFAULT_INTERVALS,
        *,
        busy_limit: float = BUSY_LIMIT,
        batch_size: int = 76,
    ) -> None:
        self._intervals = dict(intervals)
        self._busy_limit = busy_limit
        self._batch_size = batch_size
        self._rounds = {poll: _Round(span, 0.0) for poll, span in self._intervals.items()}
        self._special: dict[Task, float] = {}
        self._special_due: dict[Task, float] = {}
        self.stretch = 1.0
        self._weighed: tuple[Batchable | None, dict[Poll, float]] | None = None
        """What one round of each class costs, in exchanges, with a test of what is batched."""

    def plan(
        self,
        tasks: Iterable[Task],
        now: float,
        own_intervals: Mapping[tuple[str, int], float] | None = None,
    ) -> None:
        """Replace the plan. What is new is read at once; what is under way goes on.

        *own_intervals* gives single datapoints an interval of their own, by kind and id.
        """
        own_intervals = own_intervals or {}
        by_class: dict[Poll, list[Task]] = {poll: [] for poll in self._rounds}
        special: dict[Task, float] = {}
        for task in tasks:
            own = own_intervals.get((task.point.family, task.point.id))
            if own is not None:
                special[task] = own
            elif task.point.poll in by_class:
                by_class[task.point.poll].append(task)
        for poll, wanted in by_class.items():
            turn = self._rounds[poll]
            known, keep = set(turn.tasks), set(wanted)
            queued = set(turn.queue)
            turn.tasks = tuple(wanted)
            turn.queue = deque(task for task in turn.queue if task in keep)
            if turn.started is not None:
                turn.queue.extend(
                    task for task in wanted if task not in known and task not in queued
                )
        self._weighed = None
        self._special = special
        self._special_due = {task: self._special_due.get(task, now) for task in special}

    def put_back(self, tasks: Collection[Task], now: float) -> None:
        """Take back what could not be read: it comes first in its round."""
        for poll, turn in self._rounds.items():
            known, queued = set(turn.tasks), set(turn.queue)
            mine = [task for task in tasks if task.point.poll is poll]
            turn.queue.extendleft(
                task for task in reversed(mine) if task in known and task not in queued
            )
        for task in tasks:
            if task in self._special_due:
                self._special_due[task] = now

    def drop(self, task: Task) -> None:
        """Never ask for this again: the device does not have it."""
        self._weighed = None
        for turn in self._rounds.values():
            turn.tasks = tuple(other for other in turn.tasks if other != task)
            turn.queue = deque(other for other in turn.queue if other != task)
        self._special.pop(task, None)
        self._special_due.pop(task, None)

    def refresh(self, unit: str) -> None:
        """Read all values of a device soon: it has just come back."""
        for turn in self._rounds.values():
            if turn.started is None:
                continue
            queued = set(turn.queue)
            turn.queue.extend(
                task for task in turn.tasks if task.unit == unit and task not in queued
            )

    def refresh_all(self, now: float) -> None:
        """Read everything anew, soon."""
        for turn in self._rounds.values():
            turn.due = min(turn.due, now)
        self._special_due = {task: min(due, now) for task, due in self._special_due.items()}

    def hurry(self, interval: float | None, now: float) -> None:
        """Read the fast class every *interval* seconds; ``None``: as usual."""
        turn = self._rounds[Poll.FAST]
        usual = self._intervals[Poll.FAST]
        wanted = usual if interval is None else min(interval, usual)
        if turn.interval != wanted:
            turn.interval = wanted
            turn.due = min(turn.due, now + wanted)

    def skip(self, unit: str) -> None:
        """Ask this device nothing more in the rounds in progress: it does not answer."""
        for turn in self._rounds.values():
            turn.queue = deque(task for task in turn.queue if task.unit != unit)

    def load(self, per_read: float, batchable: Batchable | None = None) -> float:
        """Return the share of the line that the plan takes without stretching.

        *per_read* is the measured time of one exchange. Batched values cost a fifth of it.
        """
        weights = self._weights(batchable)
        total = sum(weights[poll] * per_read / turn.interval for poll, turn in self._rounds.items())
        total += sum(per_read / interval for interval in self._special.values())
        return total

    def _weights(self, batchable: Batchable | None) -> Mapping[Poll, float]:
        """Return what one round of each class costs; the same while plan and test are."""
        if self._weighed is None or self._weighed[0] is not batchable:
            weights = {
                poll: sum(
                    0.2 if batchable is not None and batchable(task) else 1.0 for task in turn.tasks
                )
                for poll, turn in self._rounds.items()
            }
            self._weighed = batchable, weights
        return self._weighed[1]

    def adapt(
        self,
        per_read: float,
        batchable: Batchable | None = None,
        measured: float | None = None,
    ) -> None:
        """Stretch all intervals so that the line is not busier than allowed.

        *measured* is how busy the line has lately been with this plan; it tells better than the
        estimate what values cost that come together.
        """
        load = self.load(per_read, batchable)
        if measured is not None:
            load = min(load, measured * self.stretch * MEASURED_MARGIN)
        share = load / self._busy_limit
        self.stretch = min(MAX_STRETCH, max(1.0, share))

    def interval(self, point: Datapoint, own: float | None = None) -> float:
        """Return the interval at which a datapoint is really read."""
        turn = self._rounds.get(point.poll)
        usual = 300.0 if turn is None else turn.interval
        nominal = own if own is not None else usual
        achieved = turn.achieved if own is None and turn is not None else None
        return max(nominal * self.stretch, achieved or 0.0)

    def achieved(self, poll: Poll) -> float | None:
        """Return the seconds between the last two starts of a class."""
        return self._rounds[poll].achieved

    def next(self, now: float, batchable: Batchable | None = None) -> list[Task]:
        """Return what to read now: one task, or several for one multi-info request."""
        for task, due in self._special_due.items():
            if due <= now:
                self._special_due[task] = now + self._special[task] * self.stretch
                return [task]
        self._start_rounds(now)
        running = sorted(
            (turn for turn in self._rounds.values() if turn.queue), key=lambda turn: turn.due
        )
        if not running:
            return []
        first = running[0].queue[0]
        if batchable is None or not batchable(first):
            return [running[0].queue.popleft()]
        batch: list[Task] = []
        for turn in running:
            rest: deque[Task] = deque()
            for task in turn.queue:
                if len(batch) < self._batch_size and batchable(task):
                    batch.append(task)
                else:
                    rest.append(task)
            turn.queue = rest
        return batch

    def due(self, now: float) -> float | None:
        """Return when :meth:`next` will have something; ``None``: never, the plan is empty."""
        if any(turn.queue for turn in self._rounds.values()):
            return now
        times = [turn.due for turn in self._rounds.values() if turn.tasks]
        times += self._special_due.values()
        return min(times, default=None)

    def _start_rounds(self, now: float) -> None:
        for turn in self._rounds.values():
            if turn.queue or not turn.tasks or turn.due > now:
                continue
            following = now + turn.interval * self.stretch
            if turn.started is not None:
                turn.achieved = now - turn.started
                # From the plan, not from now: a late start must not push the next one back.
                planned = turn.due + turn.interval * self.stretch
                following = planned if planned > now else following
            turn.started = now
            turn.due = following
            turn.queue.extend(turn.tasks)


def units_of(batch: Collection[Task]) -> list[str]:
    """Return the devices in a batch, each once, in order."""
    return list(dict.fromkeys(task.unit for task in batch))
