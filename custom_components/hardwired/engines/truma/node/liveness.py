"""Whether the responder hangs, or is not let run: by what the system says of its process.

A process of which nothing is heard may be one that others keep from the processor, or that waits
for a disk. To replace that one would only cost it more time. So its silence counts as long only
while nothing kept it from speaking.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

DOUBTFUL_AFTER = 0.2
"""Seconds of silence after which the responder is examined; it reports every 0.15 s."""
SILENT_FOR = 0.45
"""Seconds of silence after which a responder hangs that could have spoken."""
STARVED_FOR = 30.0
"""Seconds of silence after which it is replaced for any reason."""
SPINS_FROM = 0.15
"""Seconds of processor time that a healthy responder never needs between two reports."""
LONGEST_STEP = 0.1
"""Seconds between two looks that count at most: we ourselves may not have been let run."""


@dataclass(frozen=True, slots=True)
class ProcessLook:
    """A process at one moment. ``worked`` on and ``waited`` for a processor, in seconds, so far."""

    state: str
    worked: float
    waited: float = 0.0

    @classmethod
    def at(cls, pid: int) -> ProcessLook:
        """Read the state of a process; one that does not exist is dead."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - never waits for a disk
                words = file.read().rpartition(b")")[2].split()
            state = words[0].decode()
            worked = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return cls("X", 0.0)
        try:
            # Exact, where the system keeps it; the wait that goes on is not in it yet.
            with open(f"/proc/{pid}/schedstat", "rb") as file:  # noqa: PTH123
                ran, waited, _ = (int(word) for word in file.read().split())
        except (OSError, ValueError):
            return cls(state, worked)
        return cls(state, ran / 1e9 if ran else worked, waited / 1e9)

    @property
    def stopped(self) -> bool:
        """Whether it is stopped."""
        return self.state in ("T", "t")


class Liveness:
    """Judges one process. ``speaks`` and ``hangs`` are told what is heard and seen of it."""

    def __init__(self) -> None:
        self.speaks()

    def speaks(self) -> None:
        """It was heard."""
        self._first: ProcessLook | None = None
        self._last = ProcessLook("S", 0.0)
        self._looked_at = 0.0
        self._idle = 0.0

    def hangs(self, look: ProcessLook, silence: float) -> bool:
        """Whether it hangs, after *silence* seconds; called again and again while it is silent."""
        if self._first is None:
            self._first, self._looked_at = look, min(silence, DOUBTFUL_AFTER)
            self._last = look
        self._idle += self._could_have_spoken(look, silence)
        self._last, self._looked_at = look, silence
        if look.stopped or silence > STARVED_FOR:
            return True
        if silence <= SILENT_FOR:
            return False
        if look.worked - self._first.worked >= SPINS_FROM:
            return True
        return self._idle > SILENT_FOR - DOUBTFUL_AFTER

    def _could_have_spoken(self, look: ProcessLook, silence: float) -> float:
        """Return the seconds since the last look in which nothing kept it from speaking."""
        passed = min(silence - self._looked_at, LONGEST_STEP)
        ran = look.worked > self._last.worked
        if look.state == "D" or (look.state == "R" and not ran):
            return 0.0
        return max(0.0, passed - (look.waited - self._last.waited))
