"""How long single turns of an event loop compute, and in whose code.

The processor time of the thread is measured, so that a busy machine makes no turn longer. What the
simulators and the judges compute in the same loop is not counted: their tasks are known by their
files, and a judge that an engine calls is subtracted (:meth:`HoldMeter.not_ours`).
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar
from unittest.mock import patch

OURS = "hardwired_engines/"
THEIRS = ("/simulator/", "simulating.py")
LOOK = 0.0005
Result = TypeVar("Result")


@dataclass
class HoldMeter:
    """Notes each turn of the loop in which an engine computes for longer than *least* seconds."""

    least: float = 0.005
    turns: int = 0
    longest: float = 0.0
    holds: Counter[str] = field(default_factory=Counter)
    """How many turns were too long, by what ran."""
    seconds: dict[str, float] = field(default_factory=dict)
    """The longest of them."""
    stacks: dict[str, Counter[str]] = field(default_factory=dict)
    """Where the thread was meanwhile."""
    _began: float | None = None
    _excluded: float = 0.0
    _seen: list[str] = field(default_factory=list)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure the loops of this thread for a block."""
        usual = asyncio.Handle._run  # noqa: SLF001 - the only place through which all turns go

        def run(handle: asyncio.Handle) -> Any:
            self._excluded = 0.0
            self._seen.clear()
            began = time.thread_time()
            self._began = time.perf_counter()
            try:
                return usual(handle)
            finally:
                self._began = None
                self._note(handle, time.thread_time() - began - self._excluded)

        watching = threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(threading.get_ident(), watching), daemon=True
        )
        interval = sys.getswitchinterval()
        sys.setswitchinterval(LOOK / 2)
        watcher.start()
        try:
            with patch.object(asyncio.Handle, "_run", run):
                yield
        finally:
            watching.set()
            watcher.join()
            sys.setswitchinterval(interval)

    def not_ours(self, callback: Callable[..., Result]) -> Callable[..., Result]:
        """Return *callback*, whose time is not counted."""

        def called(*arguments: Any) -> Result:
            began = time.thread_time()
            try:
                return callback(*arguments)
            finally:
                self._excluded += time.thread_time() - began

        return called

    def _note(self, handle: asyncio.Handle, seconds: float) -> None:
        what = _what_runs(handle)
        if what is None:
            return
        self.turns += 1
        self.longest = max(self.longest, seconds)
        if seconds < self.least:
            return
        self.holds[what] += 1
        self.seconds[what] = max(seconds, self.seconds.get(what, 0.0))
        self.stacks.setdefault(what, Counter()).update(self._seen)

    def _watch(self, thread: int, ended: threading.Event) -> None:
        while not ended.wait(LOOK):
            began = self._began
            if began is None or time.perf_counter() - began < self.least / 4:
                continue
            if stack := _ours(sys._current_frames().get(thread)):  # noqa: SLF001
                self._seen.append(stack)


def _ours(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        path = frame.f_code.co_filename
        if OURS in path:
            names.append(f"{path.partition(OURS)[2]}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(names[:4])


def _what_runs(handle: asyncio.Handle) -> str | None:
    """Return the name of an engine's task or callback; ``None`` for anybody else's."""
    callback: Any = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        coroutine: Any = task.get_coro()
        code = coroutine.cr_code
    else:
        code = getattr(getattr(callback, "__func__", callback), "__code__", None)
    path = "" if code is None else code.co_filename
    if OURS not in path or any(part in path for part in THEIRS):
        return None
    return f"{path.partition(OURS)[2]} {code.co_qualname}"
