"""How the reports of inverters followed each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from hardwired_engines.sunsynk.dongle.timestamps import TimeQuality
from hardwired_engines.sunsynk.pipeline.report_pipeline import Received

from ...output import emit, tell
from .. import NOTHING_HEARD
from .capture import utc

KEPT_INTERVALS = 1000


@dataclass(slots=True)
class _Course:
    """How the reports of one inverter followed each other."""

    layout: int | str
    first: datetime
    last: datetime
    reports: int = 1
    shortest: float | None = None
    longest: float | None = None
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_INTERVALS))
    qualities: set[str] = field(default_factory=set)

    def add(self, received: Received) -> None:
        """Note one more report; a late one, or one without a time of its own, is no interval."""
        self.reports += 1
        self.first = min(self.first, received.time)
        interval = (received.time - self.last).total_seconds()
        if interval < 0 or received.time_quality is TimeQuality.CLOCK_UNSET:
            return
        self.last, self.layout = received.time, received.report.layout.name
        self.intervals.append(interval)
        self.shortest = interval if self.shortest is None else min(self.shortest, interval)
        self.longest = interval if self.longest is None else max(self.longest, interval)

    def as_record(self, serial: str, now: datetime) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "serial": serial,
            "reports": self.reports,
            "layout": self.layout,
            "first_report": utc(self.first),
            "last_report": utc(self.last),
            "seconds_since": round((now - self.last).total_seconds()),
            "interval_s": {
                "median": median(self.intervals) if self.intervals else None,
                "shortest": self.shortest,
                "longest": self.longest,
            },
            "time_qualities": self.qualities,
        }


class Courses:
    """How the reports of all inverters followed each other."""

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def add(self, received: Received) -> None:
        """Note one more report."""
        course = self._courses.get(received.serial)
        if course is None:
            layout = received.report.layout.name
            course = self._courses[received.serial] = _Course(layout, received.time, received.time)
        else:
            course.add(received)
        course.qualities.add(received.time_quality.value)

    def verdict(self, target: str, counters: Mapping[str, Any]) -> int:
        """Print what was heard; returns the exit code."""
        now = datetime.now(UTC)
        heard = [course.as_record(serial, now) for serial, course in self._courses.items()]
        emit({"target": target, "inverters": heard, "counters": counters})
        if heard:
            return 0
        if counters.get("packets"):
            tell(f"{counters['packets']} packets, none carries a report that can be used")
        else:
            tell("no packet at all: the dongle's traffic does not pass here")
        return NOTHING_HEARD
