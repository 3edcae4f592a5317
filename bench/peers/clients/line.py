"""What the readers have in common: what they read, and the lines that they print.

Each value shown is a line ``[seconds, address, number, value]``; the last line is a summary.
Imports nothing but the standard library: it runs in the environments of all programs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ADDRESSES = (101, 102, 103, 104, 105, 106)
NUMBERS = (3000, 3005, 3021, 3022, 3023)
"""Battery voltage, input and output values of an Xtender: numbers with a fraction."""


@dataclass
class Reader:
    """What to read for how long, and what came of it. The order is ``unit`` or ``quantity``."""

    port: int
    seconds: float
    order: str
    numbers: tuple[int, ...] = NUMBERS
    failures: int = 0
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Reader:
        """Read the command line."""
        return cls(int(arguments[1]), float(arguments[2]), arguments[3])

    @property
    def goes_on(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() - self._began < self.seconds

    def questions(self) -> Iterator[tuple[int, int]]:
        """Yield numbers and addresses, over and over, unit by unit or quantity by quantity."""
        if self.order == "unit":
            cycle = [(number, address) for address in ADDRESSES for number in NUMBERS]
        else:
            cycle = [(number, address) for number in NUMBERS for address in ADDRESSES]
        while True:
            for question in cycle:
                if not self.goes_on:
                    return
                yield question

    def shown(self, address: int, number: int, value: float) -> None:
        """A value would be shown to the owner."""
        at = round(time.monotonic() - self._began, 3)
        print(json.dumps([at, address, number, value]), flush=True)

    def failed(self, _error: Exception) -> None:
        """The library said that it has no value: that is no fault."""
        self.failures += 1

    def end(self) -> None:
        """Print the summary."""
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                memory = int(line.split()[1]) / 1024
        print(json.dumps({"failures": self.failures, "memory_mib": round(memory, 1)}), flush=True)
