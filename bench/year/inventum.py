"""An Inventum household: boosts, faults of the terminal, power cuts and restarts.

The dialogue and the device run without an event loop; :mod:`bench.inventum_year` judges how long
a boost that somebody wants is missing, or one that nobody wants is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from ..inventum_year import BOUND, INTERVAL, Year
from .contract import Life, Total

KEPT = 1000
"""How many of the simulator's notes are kept: it notes everything for short tests."""


class Inventum(Life):
    """One household."""

    family = "inventum"
    rates: ClassVar[Mapping[str, float]] = {
        "boost": 8,
        "auto": 5,
        "fault": 4,
        "restart": 0.7,
        "wall": 2,
        "clock": 0.2,
    }
    bound = 1200.0
    """A power cut between the logger's first line and its first row is noticed after 300 s only,
    and a terminal that was busy is asked again after 60 s, 300 s at most."""

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.year = Year(seed)
        self.year.dice = self.dice
        self.year.world.clock._start = start  # noqa: SLF001
        self.year.world.on_record = self._record
        self.look_every = 600.0
        self._rows = 0
        self._told_wrong = 0
        self._recorded = 0.0

    @property
    def now(self) -> float:
        """The seconds that have passed."""
        return self.year.world.now

    async def begin(self) -> None:
        """Wait until the logger runs."""
        self.year.world.until_logging()

    async def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.year.pass_(seconds)
        world = self.year.world
        for kept in (world.results, world.device.writes, world.device.entered_rows,
                     world.device.printed):  # fmt: skip
            if len(kept) > KEPT:
                self._forget(kept)
        for number in sorted(world.ended)[:-KEPT]:
            del world.ended[number]

    def _forget(self, kept: Any) -> None:
        world = self.year.world
        if kept is world.device.writes:
            self._others += len(world.other_rows_written)
        if kept is world.device.entered_rows:
            world.forget_entered()
        del kept[: len(kept) - 10]

    _others = 0

    def _record(self, record: Any) -> None:
        self._rows += 1
        self._recorded = self.now
        if self.year.world.wrong_positions > self._told_wrong:
            self._told_wrong = self.year.world.wrong_positions
            self.judge.false(f"{self.now:.0f} position {record.position}")
        else:
            self.judge.right()

    async def happen(self, what: str) -> float:
        """Let something happen; return until when it may last."""
        year = self.year
        if what == "clock":
            off = timedelta(seconds=self.dice.choice((-7200, -3600, -90, 90, 3600)))
            clock = year.world.clock
            clock._start += off  # noqa: SLF001
            year.pass_(self.dice.uniform(60, 1800))
            clock._start -= off  # noqa: SLF001
            # A boost ends at a time of the wall clock, which was wrong.
            return self.now + 2 * 7200.0
        year.happen(what)
        return max(self.now, year.trouble_until)

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.year.world.device.heal()

    def look(self) -> None:
        """Judge how long a boost was on unwanted, or missing."""
        year = self.year
        for what, seconds in (("on", year.unwanted), ("missing", year.missing)):
            if seconds > BOUND:
                self.judge.false(f"{self.now:.0f} a boost is {what} for {seconds:.0f} s")
                year.unwanted = year.missing = 0.0
        others = self._others + len(year.world.other_rows_written)
        if others > self._told_others:
            self._told_others = others
            self.judge.false(f"{self.now:.0f} another row was written")

    _told_others = 0

    def complaints(self) -> list[str]:
        """Return what is not as it should be."""
        world = self.year.world
        if not world.logging:
            return [f"no logger, but {world.dialogue.state_name}"]
        if self.now - self._recorded > 3 * INTERVAL:
            return [f"no row for {self.now - self._recorded:.0f} s"]
        return []

    async def end(self) -> None:
        """Nothing runs."""

    def totals(self) -> Mapping[str, Total]:
        """The unit counts nothing."""
        return {}

    def figures(self) -> Mapping[str, object]:
        """Return the longest times of a boost unwanted and missing."""
        year = self.year
        return {
            "rows": self._rows,
            "longest_unwanted_s": round(year.longest_unwanted),
            "longest_missing_s": round(year.longest_missing),
            "boost_bound_s": BOUND,
        }
