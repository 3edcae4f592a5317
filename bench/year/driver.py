"""Lets a household live: things happen to it at random, and all is looked at all the time."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from .contract import MOMENT, Life

PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Memory:
    """What is held at a moment."""

    objects: int
    resident_kib: int
    files: int

    @classmethod
    def of(cls, life: Life) -> Memory:
        """Measure now."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return cls(len(gc.get_objects()), pages * PAGE // 1024, life.size())


class Driver:
    """Drives one life through its days."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.counts: Counter[str] = Counter()
        self._troubled_until = 0.0
        self._ill = 0.0
        """For how long something has not been right though nothing goes wrong, in seconds."""
        self._worst: tuple[float, list[str]] = (0.0, [])
        self._stuck = 0
        self._memory: list[Memory] = []

    async def live(self, days: float) -> dict[str, Any]:
        """Let *days* pass; return the figures."""
        began = perf_counter()
        life = self.life
        asyncio.get_running_loop().set_exception_handler(self._unforeseen)
        await life.begin()
        try:
            self._troubled_until = life.now
            for quarter in range(1, 5):
                await self._until(days * life.day * quarter / 4)
                if quarter in (1, 4):
                    self._memory.append(Memory.of(life))
            await life.heal()
            self._troubled_until = life.now
            recovered = await self._recover()
            return self._figures(days, recovered, perf_counter() - began)
        finally:
            await life.end()

    def _unforeseen(self, _loop: object, context: dict[str, Any]) -> None:
        """Judge what nobody has caught."""
        self.life.judge.false(f"{context['message']}: {context.get('exception')!r}")

    async def _until(self, end: float) -> None:
        life = self.life
        rates = {what: rate / life.day for what, rate in life.rates.items()}
        total = sum(rates.values())
        while end - life.now > MOMENT:
            pause = life.dice.expovariate(total)
            await self._pass(min(pause, end - life.now))
            if end - life.now > MOMENT:
                what = life.dice.choices(list(rates), list(rates.values()))[0]
                self.counts[what] += 1
                self._troubled_until = max(self._troubled_until, await life.happen(what))

    async def _pass(self, seconds: float) -> None:
        life = self.life
        end = life.now + seconds
        while (left := end - life.now) > MOMENT:
            step = min(life.look_every, left)
            await life.pass_(step)
            self._look(step)

    def _look(self, step: float) -> None:
        life = self.life
        life.look()
        if life.now <= self._troubled_until:
            self._ill = 0.0
            return
        if not (found := life.complaints()):
            self._ill = 0.0
            return
        before, self._ill = self._ill, self._ill + step
        if self._ill > self._worst[0]:
            self._worst = (self._ill, found)
        if before <= life.bound < self._ill:
            self._stuck += 1

    async def _recover(self) -> float | None:
        """Let time pass until all is well; return how long it took, ``None``: it never was."""
        life = self.life
        began = life.now
        while life.complaints():
            if life.now - began > life.bound:
                return None
            await self._pass(min(life.look_every, 10.0))
        return life.now - began

    def _figures(self, days: float, recovered: float | None, seconds: float) -> dict[str, Any]:
        life, judge = self.life, self.life.judge
        first, last = self._memory
        totals = life.totals()
        wrong = {key: (one.shown, one.true, one.lost) for key, one in totals.items()}
        return {
            "family": life.family,
            "days": days,
            "happened": dict(sorted(self.counts.items())),
            "checked": judge.checked,
            "wrong": judge.wrong,
            "stuck": self._stuck,
            "longest_ill_s": round(self._worst[0]),
            "ill": self._worst[1][:3],
            "bound_s": life.bound,
            "recovered_s": None if recovered is None else round(recovered),
            "counters": len(totals),
            "counters_fallen": judge.fallen,
            "counters_wrong": {key: wrong[key] for key, one in totals.items() if not one.right},
            "counters_lost": round(sum(one.lost for one in totals.values()), 2),
            "examples": judge.examples,
            "objects": [first.objects, last.objects],
            "resident_kib": [first.resident_kib, last.resident_kib],
            "file_bytes": [first.files, last.files],
            **life.figures(),
            "wall_s": round(seconds, 1),
        }
