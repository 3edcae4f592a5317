"""Inventum: from the wish to the row that confirms it, and what bounds it.

On the simulated unit (30 rows, the fan on row 17, pages at once, as the old program was measured:
within USB's own millisecond), in virtual time, so the figures do not depend on this machine. The
unmodified old program needs 9.4 s with rows every second and 17.7 s with rows every ten seconds on
the same pages, and never ends where every page comes 0.1 s late.

Six pages have to be whole before the next key, 0.15 s each; then the logger begins after 0.3 s,
and its first row comes an interval later. The rest is the unit's own time: 23 keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from ._inventum import SimulatorSettings, World

TIMES = 50
AT_ONCE = 0.001
CASES = {
    "rows every 1 s": {"interval": 1},
    "rows every 10 s": {"interval": 10},
    "rows every 1 s, the list's first row selected": {"interval": 1, "restore": 1},
    "rows every 10 s, the list's first row selected": {"interval": 10, "restore": 1},
    "rows every 1 s, 960 bytes/s": {"interval": 1, "rate": 960, "header": "short"},
    "rows every 1 s, pages redrawn every 0.1 s": {"interval": 1, "refresh": 0.1},
    "rows every 1 s, a list that scrolls": {"interval": 1, "scrolling": 1},
    "rows every 1 s, every page 0.01 s late": {"interval": 1, "reaction": 0.01, "restore": 1},
    "rows every 1 s, every page 0.1 s late": {"interval": 1, "reaction": 0.1, "restore": 1},
}


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """Boost and put back, time after time; seconds from the wish."""
    first = bool(settings.pop("restore", False))
    world = World(
        SimulatorSettings.read({"odds": 1, "refresh": 0, "reaction": AT_ONCE, **settings})
    )
    world.until_logging()
    boosts, autos, dialogues = [], [], []
    for number in range(TIMES):
        if first:
            world.device.selected = 0
        world.run(world.device.settings.interval * 1.5 + number * 0.013)
        boosts.append(_timed(world, world.boost))
        dialogues.append(boosts[-1] - world.device.settings.interval)
        world.run(world.device.settings.interval * 1.5 + number * 0.007)
        autos.append(_timed(world, world.auto))
    return {
        "boost_median": round(median(boosts), 2),
        "boost_longest": round(max(boosts), 2),
        "auto_median": round(median(autos), 2),
        "before_the_first_row": round(median(dialogues), 2),
        "times": TIMES,
    }


def _timed(world: World, wish: Any) -> float:
    asked = world.now
    number = wish()
    return world.outcome(number) - asked


def run() -> Iterator[dict[str, Any]]:
    for name, settings in CASES.items():
        figures = measure(dict(settings))
        yield {
            "case": name,
            **figures,
            "bounded_by": "the logger's interval after it was started again"
            if figures["boost_median"] > 2 * figures["before_the_first_row"]
            else "the pages and the calm that makes them whole (0.15 s each)",
        }
