"""What a family brings to its simulated year: a household in virtual time, with a judge in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import ClassVar
from zoneinfo import ZoneInfo

DAY = 86400.0
MOMENT = 1e-6
"""Seconds that are none."""
ZONE = ZoneInfo("Europe/Amsterdam")
SHOWN = 5
"""How many of the wrong values are told in words."""


@dataclass(slots=True)
class Judgement:
    """What was shown, held against what was true."""

    checked: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)
    fallen: int = 0
    """Counters that went back."""

    def right(self) -> None:
        """Note a value that was true."""
        self.checked += 1

    def false(self, text: str) -> None:
        """Note a value that was shown and not true."""
        self.checked += 1
        self.wrong += 1
        self._example(text)

    def fall(self, text: str) -> None:
        """Note a counter that is lower than it was shown before."""
        self.fallen += 1
        self._example(text)

    def _example(self, text: str) -> None:
        if len(self.examples) < SHOWN:
            self.examples.append(text)


@dataclass(frozen=True, slots=True)
class Total:
    """A counter at the end. ``lost`` is what nobody can know of the truth, for instance what was
    counted between the last reading of a day and its midnight while we were switched off."""

    shown: float | None
    true: float
    lost: float = 0.0

    @property
    def right(self) -> bool:
        """Whether what is shown is the truth, but for what nobody can know."""
        if self.shown is None:
            return False
        return self.true - self.lost - MOMENT <= self.shown <= self.true + MOMENT


class Life(ABC):
    """One household of one family. Seconds are those of its own clock, which begins at 0."""

    family: ClassVar[str]
    rates: ClassVar[Mapping[str, float]]
    """What happens, and how often a day."""
    day: float = DAY
    """Seconds of its clock in a day of the calendar."""
    look_every: float = 60.0
    bound: float
    """Seconds after the last trouble within which all must be well again."""

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        """*pace*: how many times more seldom a device is asked, or reports; for a quick look."""
        self.dice = Random(seed)
        self.start = start
        self.pace = pace
        self.judge = Judgement()

    @property
    @abstractmethod
    def now(self) -> float:
        """The seconds that have passed."""

    @abstractmethod
    async def begin(self) -> None:
        """Switch everything on."""

    @abstractmethod
    async def pass_(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    async def happen(self, what: str) -> float:
        """Let something happen; return until when it may last, on our clock."""

    @abstractmethod
    async def heal(self) -> None:
        """Let nothing go wrong any more."""

    @abstractmethod
    def look(self) -> None:
        """Judge what is shown now; called every so often."""

    @abstractmethod
    def complaints(self) -> list[str]:
        """Return what is not as it should be; empty: all is well."""

    @abstractmethod
    async def end(self) -> None:
        """Switch everything off."""

    def totals(self) -> Mapping[str, Total]:
        """Return the counters, at the end."""
        return {}

    def size(self) -> int:
        """Return the bytes of the files that are kept."""
        return 0

    def figures(self) -> Mapping[str, object]:
        """Return what else is worth telling."""
        return {}
