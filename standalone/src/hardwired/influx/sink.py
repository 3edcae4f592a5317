"""The InfluxDB sink: what links report, sampled or as read, into the pipeline (spec e)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hardwired_engines.clock import Clock
from hardwired_engines.engine import DeviceState, Message, Occurrence, Reading, Snapshot
from hardwired_engines.fields import NO_FIELDS, Field, Value

from ..bridge.sink import (
    Hub,
    LinkView,
    Moment,
    Outcome,
    Request,
    Sample,
    SinkHealth,
    SinkState,
    Unusable,
    Wish,
)
from .answers import Class
from .http import HttpSender
from .line_protocol import Point, nanoseconds
from .pipeline import Pipeline, Plan
from .points import EARLIEST, device_tags, event_point, line_of, native_point
from .spool import SpoolError
from .target import target_of
from .worker import ThreadWorker

_LOGGER = logging.getLogger(__name__)

STOP_SECONDS = 5.0


@dataclass(slots=True)
class _Sampled:
    """What was said last of one device: by key the value and when."""

    said: dict[str, tuple[Value | None, float]] = field(default_factory=dict)
    time: datetime | None = None


class InfluxSink:
    """One server."""

    type: ClassVar[str] = "influxdb"
    lives_on: ClassVar[bool] = True
    """Links may come and go while it runs."""

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        hub: Hub,
        pipeline: Pipeline,
        clock: Clock,
    ) -> None:
        self.name = name
        self._settings = settings
        self._hub = hub
        self._pipeline = pipeline
        self._clock = clock
        self._snapshots: dict[str, Snapshot] = {}
        self._sampled: dict[tuple[str, str], _Sampled] = {}
        told = hub.store(f"readings-{name}").load().get("links")
        self._told_by_reading = (
            {link for link in told if isinstance(link, str)} if isinstance(told, list) else set()
        )
        self._early: deque[tuple[Point, float]] = deque(maxlen=pipeline_points(settings))
        self._unfit = 0
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------ life

    async def run(self) -> None:
        """Sample and deliver until cancelled or stopped."""
        self._task = asyncio.ensure_future(self._live())
        try:
            await asyncio.wait({self._task})
        finally:
            self._task.cancel()
        if not self._task.cancelled():
            self._task.result()

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pipeline.run())
                tasks.create_task(self._sample_for_ever())
        except ExceptionGroup as group:  # what an `except*` raises is a group again
            told = group.subgroup(SpoolError)
            if told is None:
                raise
            raise Unusable(f"sinks.{self.name}: {told.exceptions[0]}") from group

    async def _sample_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._settings["sample"])
            moment = self._hub.moment()
            self._release(moment)
            for link, snapshot in self._snapshots.items():
                if link not in self._told_by_reading:
                    self._sample(link, snapshot, moment)

    async def stop(self, deadline: float) -> None:
        """Flush what is pending; the server is not waited for."""
        moment = self._hub.moment()
        self._release(moment)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)
        left = max(0.1, deadline - moment.monotonic)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._pipeline.stop()

    def wake(self) -> None:
        """Try again at once."""
        self._pipeline.wake()

    # ------------------------------------------------------------------------- from the bridge

    def snapshot(self, link: str, before: Snapshot | None, after: Snapshot) -> None:
        """Keep the newest; it is looked at when a sample is due."""
        self._snapshots[link] = after

    def occurrence(self, link: str, occurrence: Occurrence) -> None:
        """Write a reading or an event."""
        view = self._hub.links.get(link)
        if view is None:
            return
        moment = self._hub.moment()
        match occurrence:
            case Reading():
                self._note_reader(link)
                for point in self._of_reading(view, occurrence):
                    self._write(point, moment)
            case Message():
                tags = self._tags(view, occurrence.device.id, occurrence.device.kind)
                point = event_point(view.family, tags, occurrence)
                when = occurrence.time
                if when is not None and when.tzinfo is None:
                    when = when.replace(tzinfo=view.zone) if view.zone else None
                when = when or _usable(moment)
                self._write(
                    replace(point, time=None if when is None else nanoseconds(when)), moment
                )

    def answered(self, wish: Wish | Request, outcome: Outcome) -> None:
        """Nothing was asked."""

    # ------------------------------------------------------------------------------- to points

    def _note_reader(self, link: str) -> None:
        if link not in self._told_by_reading:
            self._told_by_reading.add(link)
            self._hub.store(f"readings-{self.name}").save({"links": sorted(self._told_by_reading)})

    def _tags(self, view: LinkView, device: str, kind: str) -> Mapping[str, str]:
        return device_tags(self._settings["tags"], view.name, device, kind)

    def _of_reading(self, view: LinkView, reading: Reading) -> Iterable[Point]:
        device = reading.device
        if self._settings["format"] == "sunsniff":
            from ..compat.sunsniff.config import FieldSet  # noqa: PLC0415
            from ..compat.sunsniff.influx import points  # noqa: PLC0415 - that format only
            from ..compat.sunsniff.mqtt import published_fields  # noqa: PLC0415

            keys = published_fields(
                modbus=view.settings.get("source") == "modbus",
                fields=FieldSet(self._settings["fields"]),
            )
            return points(device.id, reading.time, reading.values, keys)
        state = view.snapshot.devices.get(device.id)
        fields: Mapping[str, Field] = NO_FIELDS if state is None else state.fields
        if not fields:
            fields = view.factory.catalogues.get(device.kind, NO_FIELDS)
        tags = self._tags(view, device.id, device.kind)
        point = native_point(
            view.family, tags, fields, reading.values, moment=reading.time, zone=view.zone
        )
        return () if point is None else (point,)

    def _sample(self, link: str, snapshot: Snapshot, moment: Moment) -> None:
        view = self._hub.links.get(link)
        if view is None or self._settings["format"] == "sunsniff":
            return
        for ident, state in snapshot.devices.items():
            if state.available:
                self._sample_device(view, ident, state, moment)

    def _sample_device(
        self, view: LinkView, ident: str, state: DeviceState, moment: Moment
    ) -> None:
        last = self._sampled.setdefault((view.name, ident), _Sampled())
        now, repeat = moment.monotonic, self._settings["repeat"]
        values = {}
        for key, value in state.values.items():
            said = last.said.get(key)
            if said is None or said[0] != value or now - said[1] >= repeat:
                values[key] = value
        if not values:
            return
        when = state.time or _usable(moment)
        fields = state.fields or view.factory.catalogues.get(state.device.kind, NO_FIELDS)
        tags = self._tags(view, ident, state.device.kind)
        point = native_point(view.family, tags, fields, values, moment=when, zone=view.zone)
        last.said.update({key: (value, now) for key, value in values.items()})
        if point is not None:
            self._write(point, moment)

    def _write(self, point: Point, moment: Moment) -> None:
        if point.time is None and (when := _usable(moment)) is not None:
            point = replace(point, time=nanoseconds(when))
        if point.time is None:
            self._early.append((point, moment.monotonic))
            return
        try:
            line = line_of(point)
        except ValueError as error:
            self._unfit += 1
            if self._unfit == 1:
                _LOGGER.warning("%s: a point can't be written: %s", self.name, error)
            return
        self._pipeline.offer(line)

    def _release(self, moment: Moment) -> None:
        """Give the points from before the clock was set their true time."""
        if _usable(moment) is None:
            return
        while self._early:
            point, then = self._early.popleft()
            when = moment.wall - timedelta(seconds=moment.monotonic - then)
            self._write(replace(point, time=nanoseconds(when)), moment)

    # ------------------------------------------------------------------------------ how it is

    @property
    def full(self) -> bool:
        """Whether a source that can wait should."""
        return self._pipeline.full

    @property
    def empty(self) -> bool:
        """Whether everything is delivered."""
        return self._pipeline.empty and not self._early

    @property
    def health(self) -> SinkHealth:
        """How it is."""
        pipeline = self._pipeline
        state = pipeline.spool_state
        counters = state.counters
        return SinkHealth(
            type=self.type,
            state=pipeline.state,
            why=pipeline.why,
            since=pipeline.since,
            dropped=counters.dropped + pipeline.dropped_early,
            waiting=state.waiting + pipeline.in_memory,
            accepted=counters.accepted,
            delivered=counters.delivered,
            refused=counters.refused,
            set_aside=counters.set_aside,
            oldest=_time_of(pipeline.oldest_line),
            spool=pipeline.spool_where,
            notices=tuple(pipeline.notices.values()),
        )

    def samples(self) -> Iterable[Sample]:
        """Return its metrics (spec f.5)."""
        health = self.health
        results = ("accepted", "delivered", "refused", "dropped", "set_aside")
        for result in results:
            count = getattr(health, result) or 0
            yield Sample("hardwired_influx_points_total", {"result": result}, count)
        yield Sample("hardwired_spool_points", {}, health.waiting)
        yield Sample("hardwired_spool_bytes", {}, self._pipeline.spool_state.size)
        if health.oldest is not None:
            oldest = health.oldest.timestamp()
            yield Sample("hardwired_spool_oldest_timestamp_seconds", {}, oldest)
        wrong = health.state is SinkState.CONFIG_ERROR
        yield Sample("hardwired_sink_config_error", {}, float(wrong))


def pipeline_points(settings: Mapping[str, Any]) -> int:
    """Return how many points may wait in memory."""
    return int(settings["memory_points"])


def _usable(moment: Moment) -> datetime | None:
    """Return the wall clock, if it has been set."""
    return moment.wall if moment.wall >= EARLIEST else None


def _time_of(line: str | None) -> datetime | None:
    if line is None:
        return None
    try:
        return datetime.fromtimestamp(int(line.rsplit(" ", 1)[1]) / 1e9, EARLIEST.tzinfo)
    except (IndexError, ValueError, OverflowError, OSError):
        return None


def make(name: str, settings: Mapping[str, Any], hub: Hub) -> InfluxSink:
    """Return the sink of a ``[sinks.NAME]`` of type influxdb."""
    told = hub.settings.get("state_dir")
    folder = Path(told) if told else None
    pipeline = Pipeline(
        name,
        Plan.of(settings, folder, name),
        HttpSender(target_of(settings), hub.clock.now),
        hub.clock,
        store=hub.store(f"sink-{name}"),
        spool_worker=ThreadWorker(f"spool {name}"),
        send_worker=ThreadWorker(f"sender {name}"),
        mask=hub.mask,
        report=lambda due: hub.report(f"sink {name}", due),
    )
    return InfluxSink(name, settings, hub, pipeline, hub.clock)


async def check(settings: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the server of a sink's table; ``None``: it takes points."""

    def ask() -> str | None:
        sender = HttpSender(target_of(settings))
        try:
            alive = sender.alive()
            answer = sender.post([])
        finally:
            sender.close()
        if answer.cls is Class.STORED:
            return None
        return answer.why or alive

    return await asyncio.to_thread(ask)
