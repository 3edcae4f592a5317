"""Inventum: a year with wishes, faults, power cuts, pulled plugs and restarts, in virtual time.

What counts is how long the fan is ever held at its highest step with nobody wanting it, while the
terminal could be reached; and whether a boost that somebody wants is ever missing as long.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from random import Random
from time import perf_counter
from typing import Any

from hardwired_engines.inventum.dialogue.wishes import Kind, Origin
from hardwired_engines.inventum.simulator.faults import Fault, random_trouble

from ._inventum import SimulatorSettings, World

DAYS = int(os.environ.get("BENCH_DAYS", "365"))
DAY = 86400.0
INTERVAL = 60.0
LOOK = 5.0
BOUND = 60.0 + 3 * INTERVAL + 30.0
"""The rest after three failures (60 s), three rows to see it, and a dialogue (spec f.5, e.5)."""
_PER_DAY = {"boost": 8, "auto": 5, "fault": 4, "restart": 0.7, "wall": 2}


class Year:
    """One household."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.world = World(
            SimulatorSettings.read({"interval": INTERVAL, "refresh": 0, "header": "short"})
        )
        self.counts: Counter[str] = Counter()
        self.unwanted = self.longest_unwanted = 0.0
        self.missing = self.longest_missing = 0.0
        self.trouble_until = 0.0

    def live(self, days: int) -> None:
        """Let *days* pass."""
        rates = {what: count / DAY for what, count in _PER_DAY.items()}
        total = sum(rates.values())
        end = self.world.now + days * DAY
        while self.world.now < end:
            pause = self.dice.expovariate(total)
            self.pass_(min(pause, end - self.world.now))
            self.happen(self.dice.choices(list(rates), list(rates.values()))[0])

    def happen(self, what: str) -> None:
        """Let something happen."""
        world, dice = self.world, self.dice
        self.counts[what] += 1
        match what:
            case "boost":
                world.boost(dice.randrange(5, 60))
            case "auto":
                world.auto()
            case "wall":
                world.device.wall_switch = dice.choice((1, 1, 2))
            case "fault":
                trouble = random_trouble(dice)
                world.device.inflict(trouble, world.now)
                self.trouble_until = world.now + trouble.seconds + 5.0
                if trouble.fault in (Fault.REBOOT, Fault.UNPLUG, Fault.LOG_OUT, Fault.ASK_AGAIN):
                    # Until the login is done again the terminal can't be reached.
                    self.trouble_until = world.now + 400.0
            case "restart":
                stored = world.kill()
                world.clock.elapsed += dice.choice((15.0, 90.0, 3600.0))
                world.start(stored)

    def pass_(self, seconds: float) -> None:
        """Let time pass, and look at what is set."""
        end = self.world.now + seconds
        while self.world.now < end:
            step = min(LOOK, end - self.world.now)
            # Nothing to look at: nobody has asked for anything and nothing is set.
            if self._at_rest:
                step = min(end - self.world.now, 600.0)
            self.world.run(step)
            self._look(step)

    @property
    def _at_rest(self) -> bool:
        wishes = self.world.dialogue.wishes
        return (
            wishes.boost is None
            and wishes.current is None
            and self.world.device.override is None
            and self.world.logging
        )

    def _look(self, step: float) -> None:
        world = self.world
        wishes, override = world.dialogue.wishes, world.device.override
        wish = wishes.current
        asked = wish is not None and wish.kind is Kind.HIGH and wish.origin is Origin.USER
        reachable = world.now > self.trouble_until and world.dialogue.inside
        boosting = wishes.boost is not None and wishes.boost.end > world.clock.now()
        unwanted = override is not None and not boosting and not asked
        missing = override is None and boosting and wish is None and wishes.held
        self.unwanted = self.unwanted + step if unwanted and reachable else 0.0
        self.missing = self.missing + step if missing and reachable else 0.0
        self.longest_unwanted = max(self.longest_unwanted, self.unwanted)
        self.longest_missing = max(self.longest_missing, self.missing)


def play(seed: int, days: int) -> dict[str, Any]:
    """Live for some days and return what was the worst."""
    year = Year(seed)
    year.live(days)
    world = year.world
    return {
        "days": days,
        **year.counts,
        "longest_unwanted_s": round(year.longest_unwanted),
        "longest_missing_s": round(year.longest_missing),
        "bound_s": BOUND,
        "rows": world.records,
        "wrong_positions": world.wrong_positions,
        "other_rows_written": len(world.other_rows_written),
        "outcomes": dict(Counter(result.outcome.value for result in world.results)),
    }


def run() -> Iterator[dict[str, Any]]:
    started = perf_counter()
    figures = play(2026, DAYS)
    yield {**figures, "seconds": round(perf_counter() - started, 1)}
