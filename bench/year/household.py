"""An engine of the product on a clock that is turned by hand, with its state on the disk.

What happens to every engine, whatever its family: it is restarted, killed, the clock of its host
jumps, and the folder of its state can't be written for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hardwired.bridge.state import StateFile
from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Engine, Occurrence, Snapshot

from .contract import Life

MOST_TURNS = 10_000
QUIET = 1.0
"""Shorter sleeps are part of a dialogue and are never made longer."""


class CoarseClock(ManualClock):
    """A clock on which tasks that look now and then do so every *grain* seconds at most.

    Without it a year is spent on looking, once a second, whether anything is due. Time-outs, and
    the short pauses of a dialogue, stay as they are.
    """

    def __init__(self, start: datetime, grain: float) -> None:
        super().__init__(start)
        self.grain = grain

    async def sleep(self, seconds: float) -> None:
        """Wait; for *grain* seconds at least, unless it is a pause in a dialogue."""
        await super().sleep(max(seconds, self.grain) if seconds >= QUIET else seconds)


class Disk:
    """The state of an engine in a file of the bridge, written at once.

    What a killed engine says is not heard any more.
    """

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path)
        self.alive = True

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last."""
        return self._file.load()

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*."""
        if self.alive:
            self._file.save(data)
            self._file.flush()


class Household(Life):
    """A life with one engine in it."""

    grain: ClassVar[float] = 10.0
    settle: ClassVar[int] = 25

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.clock = CoarseClock(start, self.grain * pace)
        self.engine: Engine | None = None
        self.restarts = 0
        self.ended = 0
        """How often an engine has ended by itself: it never may."""
        self._off = timedelta()
        self._folder = Path(tempfile.mkdtemp(prefix="hardwired-year-"))
        self._task: asyncio.Task[None] | None = None
        self._disk: Disk | None = None

    @property
    def now(self) -> float:
        """The seconds that have passed."""
        return self.clock.monotonic()

    @property
    def snapshot(self) -> Snapshot:
        """What is shown; nothing while no engine runs."""
        return Snapshot() if self.engine is None else self.engine.snapshot

    @abstractmethod
    def make(self, storage: Disk) -> Engine:
        """Return a new engine, with what is stored."""

    @abstractmethod
    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new in a snapshot."""

    def take_occurrence(self, occurrence: Occurrence) -> None:
        """Judge an occurrence."""

    # ------------------------------------------------------------------ the life of the engine

    async def begin(self) -> None:
        """Start the engine."""
        logging.disable(logging.CRITICAL)
        await self.switch_on()

    async def end(self) -> None:
        """Stop it, and remove its files."""
        await self.switch_off()
        logging.disable(logging.NOTSET)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def switch_on(self) -> None:
        """Start an engine with what is on the disk."""
        self._disk = Disk(self._folder / "engine.json")
        self.engine = self.make(self._disk)
        self._task = asyncio.ensure_future(self.engine.run(self.take, self.take_occurrence))
        self.restarts += 1

    async def switch_off(self, *, kill: bool = False) -> None:
        """Stop the engine; with *kill*, what it would save in the end is lost."""
        if self._task is None or self._disk is None:
            return
        self.ended += self._task.done()
        self._disk.alive = not kill
        self._task.cancel()
        for turn in range(MOST_TURNS):
            if self._task.done():
                break
            # What leaves through a socket takes the machine's time, not ours.
            if turn > 20:
                time.sleep(0.001)  # noqa: ASYNC251 - the loop's own time may be ours
            await self.clock.advance(0.1 if turn % 10 == 9 else 0.0, settle=self.settle)
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.engine = self._task = self._disk = None

    async def pass_(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds, settle=self.settle)

    def size(self) -> int:
        """Return the bytes of the state's files."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    # ------------------------------------------------------------------ what happens to all

    async def happen(self, what: str) -> float:
        """Let something happen to the host; the family's own things are :meth:`befall`."""
        dice = self.dice
        match what:
            case "restart" | "kill":
                await self.switch_off(kill=what == "kill")
                await self._pass_at_most(dice.choice((5.0, 30.0, 30.0, 600.0, 3 * 3600.0)))
                await self.switch_on()
                return self.now
            case "clock":
                # The host's clock is wrong, until it is set right over the network.
                wrong = dice.choice((-7200, -3600, -90, 90, 3600, 7200, 86400 * 30))
                self._off = timedelta(seconds=wrong)
                self.clock.set_wall(self.clock.now() + self._off)
                await self._pass_at_most(dice.uniform(60, 1800))
                self.set_right()
                return self.now
            case "disk":
                # Where the new file would be written, something is in the way.
                hindrance = self._folder / "engine.json.new"
                hindrance.mkdir(exist_ok=True)
                await self._pass_at_most(dice.uniform(600, 7200))
                hindrance.rmdir()
                return self.now
        return self.befall(what)

    async def _pass_at_most(self, seconds: float) -> None:
        """Let time pass, but no more than an eighth of a day of the life."""
        await self.pass_(min(seconds, self.day / 8))

    def set_right(self) -> None:
        """Set the host's clock right."""
        self.clock.set_wall(self.clock.now() - self._off)
        self._off = timedelta()

    @abstractmethod
    def befall(self, what: str) -> float:
        """Let something of the family's own happen; return until when it may last."""

    def figures(self) -> Mapping[str, object]:
        """Return how often the engine was started, and whether it has ended by itself."""
        return {"starts": self.restarts, "ended_by_itself": self.ended}
