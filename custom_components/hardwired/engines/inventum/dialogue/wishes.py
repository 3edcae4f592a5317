"""Boost and auto: what is wished, what was confirmed, and that a boost ends (spec e, f.5).

There is one wish at most. It is *pending* until its keys are sent, then it is *verified* by the
logger's rows. Nothing else confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from . import timing
from .sight import Due

HIGHEST = 3
DEFAULT_MINUTES = 20
LONGEST_MINUTES = 1440


class Kind(StrEnum):
    """The two wishes that press keys."""

    HIGH = "high"
    AUTO = "auto"


class Origin(StrEnum):
    """Who wants it."""

    USER = "user"
    ENGINE = "engine"


class Outcome(StrEnum):
    """How a wish ends."""

    OK = "ok"
    STILL_HIGH = "still_high"
    """The override is gone; the wall switch or the controller wants the highest position."""
    NOT_CONFIRMED = "not_confirmed"
    FAILED = "failed"
    NOT_CONNECTED = "not_connected"
    SUPERSEDED = "superseded"
    LOST = "lost"
    """The device lost the override again and again."""


SUCCESSES = frozenset({Outcome.OK, Outcome.STILL_HIGH})


class Failure(StrEnum):
    """What went wrong in the dialogue."""

    IO_LOST = "io_lost"
    EDIT_LOST = "edit_lost"
    LOGGED_OUT = "logged_out"
    UNASKED_EDIT = "unasked_edit"
    NO_EDIT = "no_edit"
    NO_SELECTION = "no_selection"
    AMBIGUOUS = "ambiguous"
    NO_FAN_ROW = "no_fan_row"
    NAVIGATION = "navigation"
    FIELD = "field"
    NO_ECHO = "no_echo"
    EDIT_STUCK = "edit_stuck"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached: an override of the fan's row, or none."""

    kind: Kind
    level: int = HIGHEST
    """The position of an override."""


AUTO = Target(Kind.AUTO)
BOOST = Target(Kind.HIGH)


@dataclass(frozen=True, slots=True)
class Boost:
    """A confirmed boost of ours. ``end`` is wall-clock time, UTC."""

    end: datetime
    minutes: int
    level: int = HIGHEST

    def remaining(self, wall: datetime) -> int:
        """Return the minutes left, rounded up."""
        return max(0, -((wall - self.end) // timedelta(minutes=1)))


@dataclass(slots=True)
class Wish:
    """One wish under way. ``boost`` is what it becomes when confirmed."""

    number: int
    target: Target
    origin: Origin
    asked: float
    boost: Boost | None = None
    ready: bool = True
    """Whether keys may be pressed for it: the end of its boost is stored (spec e.4)."""
    entered: bool = False
    """Whether Enter was sent for it in the prompt."""
    runs: int = 0
    rests_until: float | None = None
    rows: list[int | None] = field(default_factory=list)
    """Positions since its keys were sent."""
    verified_until: float = 0.0

    @property
    def kind(self) -> Kind:
        """Boost or auto."""
        return self.target.kind

    @property
    def lasting(self) -> bool:
        """Whether it never ends unconfirmed: the engine's own return to auto."""
        return self.kind is Kind.AUTO and self.origin is Origin.ENGINE


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a wish. ``number`` is the wish's; ``None`` where nobody asked."""

    number: int | None
    kind: Kind
    origin: Origin
    outcome: Outcome
    why: Failure | None = None
    ends_boost: bool = False
    """Whether a boost that had begun is over with it."""
    rows: int = 0
    """Good rows since its keys were sent."""


class Wishes:
    """The book of wishes. ``due`` asks and notes moments of the monotonic clock."""

    def __init__(self, due: Due) -> None:
        self._due = due
        self._numbers = 0
        self.pending: Wish | None = None
        self.verifying: Wish | None = None
        self.boost: Boost | None = None
        self.held = False
        """Whether an override of ours may be set."""
        self._expired: Boost | None = None
        self._begun = False
        """Whether a boost was confirmed whose end was not told."""
        self._lost_rows = 0
        self._reapplied = 0
        self.results: list[Result] = []

    # ------------------------------------------------------------------------------ the store

    def stored(self) -> dict[str, Any]:
        """Return what must survive a restart, in plain types."""
        wish = self.pending or self.verifying
        boost = (wish and wish.boost) or self.boost or self._expired
        return {
            "held": self.held,
            "boost_until": None if boost is None else boost.end.isoformat(),
            "boost_minutes": None if boost is None else boost.minutes,
            "boost_level": None if boost is None else boost.level,
        }

    def restore(self, stored: Mapping[str, Any], wall: datetime) -> None:
        """Take up what was stored; what can't be read there counts as an override to take back."""
        until = stored.get("boost_until")
        self.held = bool(stored.get("held")) or until is not None
        boost = _read_boost(stored)
        if boost is None:
            return
        self._begun = True
        if boost.end > wall:
            self.boost = boost
        else:
            self._expired = boost

    # ------------------------------------------------------------------------------ the asking

    @property
    def current(self) -> Wish | None:
        """The wish that is pending or being verified."""
        return self.pending or self.verifying

    @property
    def is_due(self) -> bool:
        """Whether there is something to do in the IO list."""
        wish = self.pending
        if wish is None or not wish.ready:
            return False
        return wish.rests_until is None or self._due(wish.rests_until)

    def ask(
        self,
        target: Target,
        boost: Boost | None,
        now: float,
        known_position: int | None,
        *,
        ready: bool = True,
    ) -> int:
        """Take a user's wish; return its number, under which its result will come.

        *known_position* is that of the running logger; ``None`` where it can't be relied on. Not
        *ready*: it counts as the newest wish, but no key is pressed before :meth:`make_ready`.
        """
        current = self.current
        if current is None and self._fulfilled(target, known_position):
            self._numbers += 1
            if boost is not None:
                self._begin(boost)
                self._reapplied = 0
            self._tell(Result(self._numbers, target.kind, Origin.USER, Outcome.OK))
            return self._numbers
        if current is not None and current.target == target:
            current.boost = boost
            if current.origin is Origin.ENGINE:
                current.origin, current.asked = Origin.USER, now
                current.runs, current.rests_until = 0, None
            return current.number
        if current is not None:
            self._end(current, Outcome.SUPERSEDED)
        wish = self._want(target, Origin.USER, now, boost)
        wish.ready = ready
        return wish.number

    def make_ready(self, number: int) -> None:
        """The end of this wish's boost is stored; another wish may have taken its place."""
        if self.pending is not None and self.pending.number == number:
            self.pending.ready = True

    def _fulfilled(self, target: Target, position: int | None) -> bool:
        if position is None:
            return False
        if target.kind is Kind.HIGH:
            return position == target.level
        return position != HIGHEST and self.boost is None

    def release(self, now: float) -> None:
        """Take back an override that is or may be set: the engine is about to stop."""
        current = self.current
        if current is not None and current.kind is Kind.AUTO:
            current.rests_until = None
            return
        if current is not None:
            self._end(current, Outcome.SUPERSEDED)
        if self.held or self.boost is not None:
            self.boost = None
            self._want(AUTO, Origin.ENGINE, now)

    def abandon(self) -> None:
        """The engine has stopped: what a user asked and nothing confirmed is not done later."""
        wish = self.current
        if wish is not None and wish.origin is Origin.USER:
            sent = wish is self.verifying or wish.entered
            self._end(wish, Outcome.NOT_CONFIRMED if sent else Outcome.NOT_CONNECTED)

    def _want(self, target: Target, origin: Origin, now: float, boost: Boost | None = None) -> Wish:
        self._numbers += 1
        self.pending = Wish(self._numbers, target, origin, now, boost)
        return self.pending

    # ------------------------------------------------------------------------------- the time

    def review(self, now: float, wall: datetime, *, offline: bool) -> bool:
        """Look at everything that depends on time; return whether something has changed."""
        return (
            self._unreachable(offline)
            or self._unconfirmed(now)
            or self._over(now, wall)
            or self._unwanted(now)
        )

    def _unreachable(self, offline: bool) -> bool:
        wish = self.pending
        if wish is None or wish.origin is Origin.ENGINE or not offline:
            return False
        within = timing.OFFLINE_AFTER_FAILURE if wish.runs else timing.OFFLINE
        if not self._due(wish.asked + within):
            return False
        self._end(wish, Outcome.NOT_CONNECTED)
        return True

    def _unconfirmed(self, now: float) -> bool:
        wish = self.verifying
        if wish is None or not self._due(wish.verified_until):
            return False
        self._not_confirmed(wish, now)
        return True

    def _over(self, now: float, wall: datetime) -> bool:
        boost = self.boost
        if boost is None:
            return False
        left = (boost.end - wall).total_seconds()
        if left > boost.minutes * 60 + 1:
            # The wall clock was set back.
            self.boost = replace(boost, end=wall + timedelta(minutes=boost.minutes))
            return True
        if left > 0:
            self._due(now + min(left, timing.WALL_CHECK))
            return False
        current = self.current
        if current is not None and (current.kind, current.origin) == (Kind.HIGH, Origin.USER):
            return False
        self.boost, self._expired = None, boost
        if current is not None and current.kind is Kind.HIGH:
            self._end(current, Outcome.SUPERSEDED)
        if self.current is None:
            self._want(AUTO, Origin.ENGINE, now)
        return True

    def _unwanted(self, now: float) -> bool:
        unwanted = self.held or self._expired is not None
        if not unwanted or self.boost is not None or self.current is not None:
            return False
        self._want(AUTO, Origin.ENGINE, now)
        return True

    # ---------------------------------------------------------------------------- the dialogue

    def entered(self) -> None:
        """Enter was sent in the prompt: from now on an override may be set."""
        self.held = True
        if self.pending is not None:
            self.pending.entered = True

    def released(self) -> None:
        """Escape was sent in the prompt and the list is back: no override is set."""
        self.held = False

    def sent(self, now: float, limit: float) -> None:
        """The keys of the pending wish are sent: its rows are awaited for *limit* seconds."""
        wish, self.pending = self.pending, None
        if wish is not None:
            wish.rows = []
            wish.verified_until = now + limit
            self.verifying = wish

    def fail(self, why: Failure, now: float, *, final: bool = False) -> None:
        """Count a failed run of the pending wish."""
        wish = self.pending
        if wish is None:
            return
        wish.runs += 1
        if wish.runs < timing.RUNS and not final:
            return
        if wish.lasting:
            wish.runs, wish.rests_until = 0, now + timing.REST
        else:
            self._end(wish, Outcome.FAILED, why)

    def take_row(self, position: int | None, now: float) -> None:
        """A good row: it may confirm a wish, or show that an override was lost."""
        if self.verifying is not None:
            self._verify(self.verifying, position, now)
        elif self.pending is None and self.boost is not None:
            self._watch(self.boost, position, now)

    def _verify(self, wish: Wish, position: int | None, now: float) -> None:
        wish.rows.append(position)
        if wish.kind is Kind.HIGH and position == wish.target.level:
            if wish.boost is not None:
                self._begin(wish.boost)
            if wish.origin is Origin.USER:
                self._reapplied = 0
            self._end(wish, Outcome.OK)
        elif wish.kind is Kind.AUTO and position is not None and position != HIGHEST:
            self._end(wish, Outcome.OK)
        elif len(wish.rows) >= timing.CONFIRM_ROWS:
            if wish.kind is Kind.AUTO and all(row == HIGHEST for row in wish.rows):
                self._end(wish, Outcome.STILL_HIGH)
            else:
                self._not_confirmed(wish, now)

    def _watch(self, boost: Boost, position: int | None, now: float) -> None:
        if position is None or position == boost.level:
            self._lost_rows = 0
            return
        self._lost_rows += 1
        if self._lost_rows < timing.LOST_ROWS:
            return
        self._lost_rows = 0
        if self._reapplied < timing.REAPPLY:
            self._reapplied += 1
            self._want(Target(Kind.HIGH, boost.level), Origin.ENGINE, now, boost)
        else:
            self.boost = None
            self._tell(Result(None, Kind.HIGH, Origin.ENGINE, Outcome.LOST))

    def _begin(self, boost: Boost) -> None:
        self.boost, self._expired = boost, None
        self._begun = True
        self._lost_rows = 0

    # --------------------------------------------------------------------------------- the end

    def _not_confirmed(self, wish: Wish, now: float) -> None:
        if wish.lasting:
            self.pending, self.verifying = wish, None
            self.fail(Failure.EDIT_STUCK, now)
        else:
            self._end(wish, Outcome.NOT_CONFIRMED)

    def _end(self, wish: Wish, outcome: Outcome, why: Failure | None = None) -> None:
        self.pending = self.verifying = None
        if wish.kind is Kind.AUTO:
            self._expired = None
        ends_boost = (
            wish.kind is Kind.AUTO
            if outcome in SUCCESSES
            else wish.kind is Kind.AUTO
            or wish.origin is Origin.ENGINE
            or outcome is Outcome.NOT_CONFIRMED
        )
        if ends_boost:
            self.boost = None
        rows = len(wish.rows)
        self._tell(Result(wish.number, wish.kind, wish.origin, outcome, why, rows=rows))

    def _tell(self, result: Result) -> None:
        over = result.outcome is Outcome.LOST or (
            result.kind is Kind.AUTO and result.outcome in SUCCESSES
        )
        if over:
            result = replace(result, ends_boost=self._begun)
            self._begun = False
        self.results.append(result)


def _read_boost(stored: Mapping[str, Any]) -> Boost | None:
    try:
        end = datetime.fromisoformat(stored["boost_until"])
        minutes, level = stored["boost_minutes"], stored["boost_level"]
        if end.tzinfo is None or {type(minutes), type(level)} != {int} or level not in (1, 2, 3):
            return None
    except (KeyError, TypeError, ValueError):
        return None
    return Boost(end, min(max(minutes, 1), LONGEST_MINUTES), level)
