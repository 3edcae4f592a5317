"""How far something is: one line on a terminal, for what takes longer than a second (spec a.2)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import TextIO

PAUSE = 0.2
"""Seconds between two looks: at most five a second."""
SOON = 1.0
"""Seconds that something may take without a word."""
BAR = 20


class ProgressLine:
    """One line that is written over; nothing where *stream* is no terminal."""

    def __init__(
        self, stream: TextIO | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._monotonic = monotonic
        self._began = monotonic()
        self._last = float("-inf")
        self._width = 0

    def show(self, what: str, done: float) -> None:
        """Say that of *what* the share *done* (0 to 1) is done, and how long it still takes."""
        now = self._monotonic()
        passed = now - self._began
        if not self._stream.isatty() or passed < SOON or now - self._last < PAUSE:
            return
        self._last = now
        done = min(max(done, 0.0), 1.0)
        bar = "#" * round(BAR * done)
        left = f", {passed * (1 - done) / done:.0f} s left" if done else ""
        self._write(f"{what} [{bar:<{BAR}}] {done:.0%}{left}")

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()
            self._width = 0

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text:<{self._width}}")
        self._stream.flush()
        self._width = len(text)


@contextlib.asynccontextmanager
async def progress(
    what: str, seconds: float, line: ProgressLine | None = None
) -> AsyncIterator[None]:
    """Show for the length of a block how much of *seconds* has passed."""
    line = ProgressLine() if line is None else line

    async def look() -> None:
        began = time.monotonic()
        while True:
            line.show(what, (time.monotonic() - began) / seconds)
            await asyncio.sleep(PAUSE)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        line.clear()
