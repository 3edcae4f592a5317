"""Energy from power: counters for devices that know power only (spec D.8)."""

from __future__ import annotations

import math
from typing import Any, Mapping, NamedTuple, Tuple

from .rows import Row
from .tables import Tables
from .values import Value, is_number

MOST_POWER = 10_000_000  # W
_WATT_SECONDS = 3_600_000  # in a kWh

Sides = Tuple[Tuple[str, ...], Tuple[str, ...]]


def counters(kind: str, rows: Mapping[str, Row], tables: Tables) -> dict[str, Sides]:
    """Return power path -> counters for positive and for negative power, of rows that exist."""
    entry = dict(tables.energy.get(kind, {}))
    phases = entry.pop("phases", False)
    found: dict[str, Sides] = {}
    for source, pair in entry.items():
        if source not in rows:
            continue
        found[source] = (_there(pair[0], rows), _there(pair[1], rows))
        for number in "123" if phases else "":
            own = source.replace("/Ac/", f"/Ac/L{number}/")
            if own in rows:
                found[own] = (
                    _there(_phase(pair[0], number), rows),
                    _there(_phase(pair[1], number), rows),
                )
    return found


def _phase(path: str | None, number: str) -> str | None:
    return path and path.replace("/Ac/", f"/Ac/L{number}/")


def _there(paths: Any, rows: Mapping[str, Row]) -> tuple[str, ...]:
    if paths is None:
        return ()
    wanted = [paths] if isinstance(paths, str) else paths
    return tuple(path for path in wanted if path in rows)


def usable_total(value: Any) -> float:
    """Return a kept counter; 0.0 for what is none (spec N9)."""
    try:
        total = float(value) if is_number(value) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        return 0.0
    return total if math.isfinite(total) and total >= 0 else 0.0


def _shown(total: float) -> float:
    """Round to 0.001 kWh, halves up: 0.0225 is shown as 0.023."""
    return math.floor(total * 1000 + 0.5) / 1000 if total < 1e12 else total


class _Power(NamedTuple):
    """A power that holds: watts, counted up to ``since``, unknown from ``end`` on."""

    watts: float
    since: float
    end: float


class Energy:
    """The counters of one service from its registration to its removal.

    Times are seconds of a monotonic clock. ``write`` and ``tick`` return what is to be
    published: path -> kWh, rounded, only what changed.
    """

    def __init__(
        self, sources: Mapping[str, Sides], max_gap: float, kept: Mapping[str, Any]
    ) -> None:
        self._sources = sources
        self._max_gap = max_gap
        self._power: dict[str, _Power] = {}
        self._phased = False
        self._foreign: set[str] = set()  # counters that the device writes itself
        paths = {path for pair in sources.values() for side in pair for path in side}
        self._total = {path: usable_total(kept.get(path)) for path in sorted(paths)}
        self._published = self.published()

    def published(self) -> dict[str, float]:
        """Return every counter as it is shown, kWh."""
        return {path: _shown(total) for path, total in self._total.items()}

    def kept(self) -> dict[str, float]:
        """Return every counter with full precision, for the state file."""
        return dict(self._total)

    def has(self, path: str) -> bool:
        """Whether a path is a counter that is integrated here."""
        return path in self._total and path not in self._foreign

    def write(self, path: str, value: Value, now: float) -> dict[str, float]:
        """Note that somebody wrote a path, equal or not."""
        if path in self._total:
            self._foreign.add(path)
            if is_number(value):
                self._total[path] = usable_total(value)
            return {}
        if path not in self._sources:
            return {}
        self._settle(now)
        usable = is_number(value) and math.isfinite(value) and abs(value) <= MOST_POWER  # type: ignore[arg-type]
        if usable:
            self._phased = self._phased or "/L" in path
            self._power[path] = _Power(float(value), now, now + self._max_gap)  # type: ignore[arg-type]
        else:
            self._power.pop(path, None)
        return self._changed()

    def tick(self, now: float) -> dict[str, float]:
        """Add what has come together since the last time."""
        self._settle(now)
        return self._changed()

    def _changed(self) -> dict[str, float]:
        shown = self.published()
        changed = {
            path: total
            for path, total in shown.items()
            if total != self._published[path] and path not in self._foreign
        }
        self._published = shown
        return changed

    def _settle(self, now: float) -> None:
        """Add every source's energy up to now; a write holds for max_gap at most."""
        for source, power in self._power.items():
            until = min(now, power.end)
            if until > power.since:
                self._add(source, power.watts * (until - power.since) / _WATT_SECONDS)
                self._power[source] = power._replace(since=until)

    def _add(self, source: str, energy: float) -> None:
        is_phase = "/L" in source
        if not energy or (self._phased and not is_phase and source == "/Ac/Power"):
            return
        side = 0 if energy > 0 else 1
        targets: list[str] = list(self._sources[source][side])
        if is_phase and "/Ac/Power" in self._sources:
            targets.extend(self._sources["/Ac/Power"][side])
        for path in targets:
            if path not in self._foreign:
                self._total[path] += abs(energy)
