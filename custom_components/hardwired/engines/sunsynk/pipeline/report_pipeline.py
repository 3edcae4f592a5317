"""From frames to accepted reports, with all counters (spec b.10 - b.13, f.3).

Pure: the times of capture and of arrival are parameters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, NamedTuple, TypeVar

from ...fields import Catalogue
from ..catalogue import GRID_POWERS_BY_TEN, INVERTER
from ..dongle.envelope import FROM_SERVER, HEADER_SIZE
from ..dongle.layouts import NON_ESSENTIAL, Layout, Values, non_essential
from ..dongle.messages import MessageType, read_polling_map
from ..dongle.report import RejectedReport, Rejection, Report, is_report, read_report
from ..dongle.timestamps import TimeQuality, known_capture_time, resolve
from .grid_power import LEAST_POWER, near
from .history import Duplicates, Progress, Verdict

MAXIMUM_CONNECTIONS = 64
MAXIMUM_INVERTERS = 64
MAXIMUM_UNKNOWN = 16
SAMPLE_SIZE = 64

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Received(NamedTuple):
    """An accepted report that is no duplicate, with its place in time.

    ``captured`` is ``None`` when it is not known. ``values`` are the report's, with the grid powers
    corrected where the inverter counts them in 10 W. ``live``: it is the newest state; ``burst``:
    the dongle had buffered it.
    """

    report: Report
    values: Values
    time: datetime
    time_quality: TimeQuality
    captured: datetime | None
    verdict: Verdict
    arrival: float | None = None
    """Seconds of a clock that runs on; ``None``: not known."""
    inverter_time: datetime | None = None
    """What the inverter's clock showed, where ``time`` is the host's."""
    fields: Catalogue = INVERTER
    """The fields of this inverter now."""

    @property
    def serial(self) -> str:
        """The inverter's serial number."""
        return self.report.serial

    @property
    def live(self) -> bool:
        """Whether it becomes the current state."""
        return self.verdict.live

    @property
    def clock_offset(self) -> float | None:
        """Time of capture minus time of reading in seconds; ``None``: one is not known."""
        if self.captured is None or self.time_quality is TimeQuality.CLOCK_UNSET:
            return None
        return (self.captured - (self.inverter_time or self.time)).total_seconds()


@dataclass(slots=True)
class Inverter:
    """What is remembered of one inverter."""

    progress: Progress = field(default_factory=Progress)
    reports: int = 0
    last: Report | None = None
    last_time: datetime | None = None


@dataclass(slots=True)
class Counts:
    """The counters of this stage; ``rejected`` by reason."""

    frames: int = 0
    bytes: int = 0
    other_frames: int = 0
    reports: int = 0
    partial: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class ReportPipeline:
    """Takes the frames of all connections, gives the accepted reports.

    *zone* is the plants' time zone; *grid_power_by_ten* are the serials of inverters that count
    grid power in 10 W. Memory is bounded: the least recently used connections and inverters are
    forgotten.
    """

    def __init__(self, zone: tzinfo, *, grid_power_by_ten: Collection[str] = ()) -> None:
        self.zone = zone
        self.counts = Counts()
        self.inverters: dict[str, Inverter] = {}
        self.unknown_layouts: dict[int, bytes] = {}
        """Sizes of reports without a known layout, with the eleven bytes of the envelope."""
        self.samples: dict[str, bytes] = {}
        """The beginning of the first message of each other type, texts in it masked."""
        self.polling_map_version: str | None = None
        self.proven: Collection[str] = ()
        """Serials that are forgotten last: others can't crowd them out."""
        self.by_ten = frozenset(grid_power_by_ten)
        self._layouts: dict[Hashable, Layout] = {}
        self._duplicates = Duplicates()

    def take(
        self,
        frame: bytes,
        captured: datetime | None = None,
        *,
        flow: Hashable = None,
        reverse_flow: Hashable = None,
        arrival: float | None = None,
    ) -> Received | None:
        """Take one frame; return the report in it, unless it is none or a duplicate.

        *flow* and *reverse_flow* name the two directions of its connection. *arrival* is in
        seconds of a clock that runs on; without it, the time of capture is used.
        """
        self.counts.frames += 1
        self.counts.bytes += len(frame)
        if not is_report(frame):
            self._take_other(frame, flow)
            return None
        learned = None
        if self._layouts:
            learned = self._layouts.get(reverse_flow) or self._layouts.get(flow)
        try:
            report = read_report(frame, learned)
        except RejectedReport as rejected:
            self.counts.rejected[rejected.reason.value] += 1
            if rejected.reason is Rejection.UNKNOWN_LAYOUT:
                self._note_unknown(frame)
            return None
        if self._duplicates.seen(frame[HEADER_SIZE:]):
            self.counts.duplicates += 1
            return None
        return self._accept(report, known_capture_time(captured), arrival)

    def expect(self, serial: str, behind: float) -> None:
        """Begin with what is known of an inverter's clock: usually *behind* by so many seconds."""
        known = _remembered(self.inverters, serial, Inverter, MAXIMUM_INVERTERS, self.proven)
        known.progress.behind = behind

    def _accept(self, report: Report, captured: datetime | None, arrival: float | None) -> Received:
        self.counts.reports += 1
        self.counts.partial += bool(report.violations)
        inverter = _remembered(
            self.inverters, report.serial, Inverter, MAXIMUM_INVERTERS, self.proven
        )
        progress = inverter.progress
        time, quality = resolve(report.local_time, self.zone, captured, progress.newest)
        if arrival is None and captured is not None:
            arrival = captured.timestamp()
        verdict = progress.take(
            time, arrival, None if quality is TimeQuality.CLOCK_UNSET else captured
        )
        inverter.reports += 1
        inverter.last, inverter.last_time = report, time
        values = self._put_right(report) if report.serial in self.by_ten else report.values
        return Received(report, values, time, quality, captured, verdict, arrival)

    def accept_read(
        self,
        report: Report,
        now: datetime,
        arrival: float,
        *,
        clock_known: bool = True,
        fields: Catalogue = INVERTER,
    ) -> Received:
        """Take what was read at *now*: it is the newest state, with the host's time.

        Its ``local_time`` is the inverter's clock, unless that is not known.
        """
        self.counts.reports += 1
        self.counts.partial += bool(report.violations)
        inverter = _remembered(
            self.inverters, report.serial, Inverter, MAXIMUM_INVERTERS, self.proven
        )
        shown, quality = resolve(report.local_time, self.zone, now, now)
        if not clock_known:
            quality = TimeQuality.CLOCK_UNSET
        inverter.progress.take(now, arrival)
        inverter.reports += 1
        inverter.last, inverter.last_time = report, now
        values = self._put_right(report) if report.serial in self.by_ten else report.values
        live = Verdict(live=True, burst=False)
        return Received(report, values, now, quality, now, live, arrival, shown, fields)

    @staticmethod
    def _put_right(report: Report) -> Values:
        values = dict(report.values)
        grid, meter = values.get("grid_power"), values.get("grid_power_ct")
        for key in GRID_POWERS_BY_TEN:
            power = values.get(key)
            if isinstance(power, int):
                values[key] = power * 10
        if isinstance(grid, int) and isinstance(meter, int) and _in_watts(meter, grid):
            values["grid_power_ct"] = meter
        if values.keys() >= NON_ESSENTIAL:
            values["load_power_non_essential"] = non_essential(values)
        return values

    def _take_other(self, frame: bytes, flow: Hashable) -> None:
        self.counts.other_frames += 1
        if len(frame) < HEADER_SIZE:
            return
        direction, kind = frame[2], frame[3]
        if direction == FROM_SERVER and kind == MessageType.POLLING_MAP:
            self._learn(frame[HEADER_SIZE:], flow)
        if kind not in (MessageType.LOGIN, MessageType.REPORT):
            name = f"{direction:02x}{kind:02x}"
            if name not in self.samples and len(self.samples) < MAXIMUM_UNKNOWN:
                self.samples[name] = mask_texts(frame)[:SAMPLE_SIZE]

    def _learn(self, body: bytes, flow: Hashable) -> None:
        polling_map = read_polling_map(body)
        if polling_map is None or (layout := polling_map.layout) is None:
            return
        self.polling_map_version = polling_map.version
        self._layouts.pop(flow, None)
        _remembered(self._layouts, flow, lambda: layout, MAXIMUM_CONNECTIONS)

    def _note_unknown(self, frame: bytes) -> None:
        if len(self.unknown_layouts) < MAXIMUM_UNKNOWN:
            self.unknown_layouts.setdefault(len(frame), frame[:HEADER_SIZE])

    def summary(self) -> dict[str, Any]:
        """Return the counters of this stage as plain types, in the order of spec f.3."""
        counts = self.counts
        return {
            "frames": counts.frames,
            "other_frames": counts.other_frames,
            "reports": counts.reports,
            "partial": counts.partial,
            "duplicates": counts.duplicates,
            "rejected": dict(counts.rejected),
        }


def _in_watts(meter: int, grid: int) -> bool:
    """Whether the meter counts in W already while the grid power does not."""
    return abs(meter) >= LEAST_POWER and near(10 * grid, meter)


def mask_texts(data: bytes) -> bytes:
    """Return *data* with every text masked: a serial number, a network's name, an address."""
    return re.sub(rb"[\x20-\x7e]{3,}", lambda found: b"X" * len(found[0]), data)


def _remembered(
    store: dict[Key, Item],
    key: Key,
    make: Callable[[], Item],
    limit: int,
    kept: Collection[Key] = (),
) -> Item:
    item = store.pop(key, None)
    if item is None:
        item = make()
    store[key] = item
    if len(store) > limit:
        del store[next((other for other in store if other not in kept), next(iter(store)))]
    return item
