"""Damaged bytes for every decoder, by a fuzzer of bytes that does not know what they mean.

Counted per decoder: cases, exceptions that are not the documented ones, cases that take more than
50 ms of this thread, and those that do not end. ``BENCH_CASES`` cases each (2000), or as many as
go into ``BENCH_MINUTES`` in all; ``BENCH_SEED`` (1) gives other cases; ``BENCH_DECODER`` takes
names, parted by commas. What failed is kept in ``BENCH_FOLDER``, if that is given.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import logging
import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import Unavailable, _fuzz_engines, _fuzz_standalone
from ._fuzz_bytes import Mutator
from ._fuzz_seeds import Target

HANGS_AFTER = 20
KINDS_KEPT = 20
TURN = 2000
TURN_SECONDS = 2.0


class Hung(BaseException):
    """A case does not end."""


@dataclass
class Tally:
    """What has come of the cases of one decoder."""

    target: Target
    mutator: Mutator
    cases: int = 0
    refused: int = 0
    slow: int = 0
    slowest: float = 0.0
    failed: int = 0
    spent: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)

    def warm_up(self) -> None:
        """Let it read its tables: that takes its time once."""
        run = self.target.make()
        for seed in self.target.seeds()[:20]:
            with contextlib.suppress(Exception):
                run(seed)

    def turn(self, cases: int, folder: Path | None) -> None:
        """Run so many cases, or those for which there is time."""
        run, documented = self.target.make(), self.target.documented
        began = time.monotonic()
        for number in range(cases):
            if time.monotonic() - began > TURN_SECONDS:
                break
            if number % self.target.renew == 0:
                run = self.target.make()
            data = self.mutator.next()
            self.cases += 1
            signal.alarm(HANGS_AFTER)
            before = time.thread_time()
            try:
                run(data)
            except documented:
                self.refused += 1
            except (Exception, Hung) as error:  # noqa: BLE001 - this is what is looked for
                self._note(_place(error), data, folder, str(error))
                run = self.target.make()
            finally:
                signal.alarm(0)
            took = time.thread_time() - before
            self.slowest = max(self.slowest, took)
            if took > self.target.slow:
                self.slow += 1
                self._note("slow", data, folder)
        self.spent += time.monotonic() - began

    def _note(self, what: str, data: bytes, folder: Path | None, said: str = "") -> None:
        self.failed += what != "slow"
        if what in self.failures or len(self.failures) >= KINDS_KEPT:
            return
        self.failures[what] = data[:200].hex()
        if folder is not None:
            name = hashlib.sha256(data).hexdigest()[:12]
            (folder / f"{self.target.name}-{name}").write_bytes(data)
            (folder / f"{self.target.name}-{name}.txt").write_text(
                f"{what}: {said}\n", encoding="utf-8", errors="replace"
            )

    def figures(self) -> dict[str, Any]:
        """Return what is printed."""
        return {
            "decoder": self.target.name,
            "cases": self.cases,
            "refused": self.refused,
            "undocumented": self.failed,
            "slow": self.slow,
            "slowest_ms": round(1000 * self.slowest, 1),
            "cases_per_s": round(self.cases / self.spent) if self.spent else 0,
            **({"failures": self.failures} if self.failures else {}),
        }


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = next((one for one in reversed(frames) if "hardwired" in one.filename), frames[-1])
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _hung(_number: int, _frame: object) -> None:
    raise Hung


@contextmanager
def _alarmed() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _hung)
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        signal.signal(signal.SIGALRM, before)


def _wanted() -> list[Target]:
    known = {one.name: one for one in (*_fuzz_engines.targets(), *_fuzz_standalone.targets())}
    names = [name for name in os.environ.get("BENCH_DECODER", "").split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise Unavailable(f"no decoder {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names or known]


def run() -> Iterator[dict[str, Any]]:
    """Fuzz; yields the figures of each decoder and of all together."""
    seed = os.environ.get("BENCH_SEED", "1")
    minutes = float(os.environ.get("BENCH_MINUTES", "0"))
    cases = int(os.environ.get("BENCH_CASES", "2000"))
    folder = Path(os.environ["BENCH_FOLDER"]) if "BENCH_FOLDER" in os.environ else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    tallies = [Tally(one, Mutator(one.seeds(), f"{seed} {one.name}")) for one in _wanted()]
    deadline = time.monotonic() + 60 * minutes
    with _alarmed():
        for tally in tallies:
            tally.warm_up()
        gc.freeze()
        for tally in tallies:
            # Turn and turn about when the time is what ends it.
            while tally.cases < cases and not minutes:
                tally.turn(min(TURN, cases - tally.cases), folder)
            if not minutes:
                yield tally.figures()
        while minutes and time.monotonic() < deadline:
            tally = min(tallies, key=lambda one: one.spent * one.target.weight)
            tally.turn(TURN, folder)
    if minutes:
        yield from (tally.figures() for tally in tallies)
    yield {
        "decoder": "all",
        "seed": seed,
        "cases": sum(one.cases for one in tallies),
        "undocumented": sum(one.failed for one in tallies),
        "slow": sum(one.slow for one in tallies),
        "slowest_ms": round(1000 * max(one.slowest for one in tallies), 1),
    }
