"""Measures the box's answers: latency, and everything that it must not do (spec i.1)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, fields
from typing import Any

MEASURED = 50_000
"""Of so many answers the latencies are kept at most, of half as many at least: a simulated device
may run for years."""
LATE = 0.00375
"""An answer that begins later after the identifier leaves no room for its nine bytes (c.2)."""


@dataclass(slots=True)
class Measurements:
    """Counters of answers, and latencies in seconds from the identifier's last bit."""

    polls: int = 0
    """Headers that were the box's to answer."""
    answers: int = 0
    """Valid answers."""
    unanswered: int = 0
    """Headers without an answer; some are correct."""
    late: int = 0
    wrong_length: int = 0
    wrong_checksum: int = 0
    foreign: int = 0
    """Answers in slots of others."""
    twice: int = 0
    outside: int = 0
    """Bytes while the bus was silent."""
    first: array[float] = field(default_factory=lambda: array("d"))
    """Latency of the first byte of each of the last answers."""
    last: array[float] = field(default_factory=lambda: array("d"))
    """Latency of the last byte of each of them."""

    def note_latency(self, first: float, last: float) -> None:
        """Take the latencies of an answer."""
        for values, latency in ((self.first, first), (self.last, last)):
            values.append(latency)
            if len(values) > MEASURED:
                del values[: MEASURED // 2]

    @property
    def faults(self) -> int:
        """How often the box did what it must not do; late answers count."""
        return (
            self.late
            + self.wrong_length
            + self.wrong_checksum
            + self.foreign
            + self.twice
            + self.outside
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain figures, latencies in milliseconds."""
        figures: dict[str, Any] = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("first", "last")
        }
        for name in ("first", "last"):
            figures[f"{name}_ms"] = _percentiles(getattr(self, name))
        return figures


def _percentiles(values: array[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    top = len(ordered) - 1
    shares = {"min": 0.0, "p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(ordered[round(share * top)] * 1000, 3) for name, share in shares.items()}
