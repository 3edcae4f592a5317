"""Keeps impossible steps of energy counters out (spec d.4).

A torn two-word counter, a glitch of the dongle or a damaged word would otherwise look like a
meter that was reset, or like megawatt-hours in five minutes. A step that can't be is held back
until three reports in a row agree with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from ..catalogue import DAILY_COUNTERS, LIFETIME_COUNTERS, MONTHLY_COUNTERS, YEARLY_COUNTERS
from ..dongle.layouts import Values

CONFIRMATIONS = 3
"""Reports in a row that must agree before an impossible step is believed."""
PATIENCE = 6
"""Reports after which a counter that is held back is no longer shown with its last value."""
GENEROUS_POWER = 100_000.0
"""W; more than any inverter of this family, for those that do not tell their rated power."""
LEAST_RATED_POWER = 1000.0
"""W; a lower rated power is a damaged word."""
PASSING_THROUGH = 2.0
"""Grid, loads and PV may carry so many times the rated power: an inverter passes more on than it
converts."""
SUPPLY_POWER = 25_000.0
"""W; what one phase of 100 A gives. The external meter counts the whole house: a charger of a car
and a shower draw more than a small inverter carries."""
HOUSE = ("grid_import_", "grid_export_", "load_consumption_")
"""How the keys of the counters begin that the external meter feeds."""
RESOLUTION = 0.201
"""kWh; two steps of a counter, and what floating point makes of them."""
BUFFERED = 6 * 3600.0
"""Seconds by which readings may run ahead of arrivals: those of a burst were buffered."""
SETTLED = 3600.0
"""Seconds after the beginning of a period until which its counters may still be reset."""


class Period(Enum):
    """When a counter starts again from zero."""

    NEVER = "never"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"

    def start(self, local: datetime) -> datetime:
        """Return the beginning of the period in which *local* lies."""
        start = local.replace(hour=0, minute=0, second=0, microsecond=0)
        match self:
            case Period.NEVER:
                return datetime.min  # noqa: DTZ901 - wall clock, without a zone
            case Period.MONTH:
                return start.replace(day=1)
            case Period.YEAR:
                return start.replace(month=1, day=1)
        return start


PERIODS: Mapping[str, Period] = {
    **dict.fromkeys(LIFETIME_COUNTERS, Period.NEVER),
    **dict.fromkeys(DAILY_COUNTERS, Period.DAY),
    **dict.fromkeys(MONTHLY_COUNTERS, Period.MONTH),
    **dict.fromkeys(YEARLY_COUNTERS, Period.YEAR),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a report was made and when it came.

    ``local`` is the plant's wall clock; ``reading`` and ``arrival`` are seconds on clocks that run
    on. An ``arrival`` of ``None`` is not known.
    """

    local: datetime
    reading: float
    arrival: float | None = None

    def since(self, earlier: Moment) -> float:
        """Return the seconds in which energy can have been counted since *earlier*."""
        read = self.reading - earlier.reading
        if self.arrival is None or earlier.arrival is None:
            return max(0.0, read)
        came = max(0.0, self.arrival - earlier.arrival)
        return max(came, min(read, came + BUFFERED))


@dataclass(slots=True)
class _Counter:
    """One counter: what was let through last, and what waits for agreement."""

    period: Period
    value: float | None = None
    moment: Moment | None = None
    reset: datetime | None = None
    """The beginning of the period in which it was last reset, as far as is known."""
    doubted: list[tuple[float, Moment]] = field(default_factory=list)
    held: int = 0
    outdated: bool = False
    """Whether more may have been shown than what is known: nothing is until it is read again."""

    def admit(self, value: float, moment: Moment, power: float) -> bool:
        """Whether *value* can follow; it is then the last one."""
        start = self.period.start(moment.local)
        if self.value is None or self.moment is None:
            self._accept(value, moment)
            self.reset = start
            return True
        if self._possible(value, moment, power, start):
            if self.reset is None or start > self.reset:
                fallen = value < self.value or self.value == 0
                settled = (moment.local - start).total_seconds() > SETTLED
                if fallen or settled:
                    self.reset = start
            self._accept(value, moment)
            return True
        if self.doubted and not _follows(self.doubted[-1], (value, moment)):
            self.doubted.clear()
        self.doubted.append((value, moment))
        self.held += 1
        if len(self.doubted) < CONFIRMATIONS:
            return False
        self._accept(value, moment)
        self.reset = start
        return True

    def _possible(self, value: float, moment: Moment, power: float, start: datetime) -> bool:
        assert self.value is not None
        assert self.moment is not None
        most = _energy(power, moment.since(self.moment))
        if value >= self.value:
            return value - self.value <= most
        due = self.period is not Period.NEVER and (self.reset is None or start > self.reset)
        return due and value <= most

    def _accept(self, value: float, moment: Moment) -> None:
        self.value, self.moment = value, moment
        self.doubted.clear()
        self.held = 0
        self.outdated = False


def _follows(before: tuple[float, Moment], after: tuple[float, Moment]) -> bool:
    rise = after[0] - before[0]
    return 0 <= rise <= _energy(GENEROUS_POWER, after[1].since(before[1]))


def _energy(power: float, seconds: float) -> float:
    """Return the most kWh that can be counted in a time."""
    return power * seconds / 3.6e6 + RESOLUTION


class EnergyCounters:
    """The counters of one inverter."""

    def __init__(self, periods: Mapping[str, Period] = PERIODS) -> None:
        self._counters = {key: _Counter(period) for key, period in periods.items()}
        self._rated: float | None = None

    def hold_back(self, values: Values, moment: Moment) -> Values:
        """Return *values* with counters that may be wrong replaced by ``None``."""
        power = self._power(values.get("rated_power"))
        of_house = max(power, SUPPLY_POWER)
        held: Values = {}
        for key, counter in self._counters.items():
            value = values.get(key)
            most = of_house if key.startswith(HOUSE) else power
            if isinstance(value, (int, float)) and not counter.admit(value, moment, most):
                held[key] = None
        return {**values, **held} if held else values

    def without_impossible(self, values: Values) -> Values:
        """Return the values of an older report without lifetime counters beyond the present."""
        beyond: Values = {
            key: None
            for key, counter in self._counters.items()
            if counter.period is Period.NEVER
            and counter.value is not None
            and isinstance(value := values.get(key), (int, float))
            and value > counter.value
        }
        return {**values, **beyond} if beyond else values

    def shown(self, key: str) -> float | None:
        """Return the last value let through, unless it has been in doubt for long, or outdated."""
        counter = self._counters.get(key)
        if counter is None or counter.outdated or counter.held > PATIENCE:
            return None
        return counter.value

    def _power(self, rated: object) -> float:
        if isinstance(rated, (int, float)) and LEAST_RATED_POWER <= rated <= GENEROUS_POWER:
            self._rated = float(rated) if self._rated is None else max(self._rated, float(rated))
        if self._rated is None:
            return GENEROUS_POWER
        return min(GENEROUS_POWER, self._rated * PASSING_THROUGH)

    def stored(self) -> dict[str, Any]:
        """Return what must outlive a restart, in plain types."""
        kept = {
            key: [
                counter.value,
                counter.moment.local.isoformat(),
                counter.moment.reading,
                None if counter.reset is None else counter.reset.isoformat(),
            ]
            for key, counter in self._counters.items()
            if counter.value is not None and counter.moment is not None
        }
        return {"rated": self._rated, "counters": kept}

    def restore(self, stored: object, *, complete: bool = True) -> None:
        """Begin with what was kept; what is damaged of it is left out.

        Unless *complete*, more may have been shown after it was kept. Arrivals before a restart are
        not known: the readings tell the time that has passed.
        """
        if not isinstance(stored, Mapping):
            return
        self._power(stored.get("rated"))
        kept = stored.get("counters")
        for key, entry in _pairs(kept):
            counter = self._counters.get(key)
            if counter is None or not isinstance(entry, (list, tuple)) or len(entry) != 4:
                continue
            value, local, reading, reset = entry
            if not _finite(value) or not _finite(reading) or value < 0:
                continue
            try:
                moment = Moment(datetime.fromisoformat(local), float(reading))
                since = None if reset is None else datetime.fromisoformat(reset)
            except (TypeError, ValueError):
                continue
            if moment.local.tzinfo is not None or (since and since.tzinfo is not None):
                continue
            counter.value, counter.moment, counter.reset = float(value), moment, since
            counter.outdated = not complete


def _pairs(kept: object) -> Iterable[tuple[str, Any]]:
    return kept.items() if isinstance(kept, Mapping) else ()


def _finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
