"""The engine: from a source of readings to snapshots (spec c.1, c.5, c.6).

With every source but Modbus it only listens, and no code here could send a thing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Any

from ..clock import Clock
from ..engine import (
    BaseEngine,
    Command,
    Device,
    DeviceState,
    Direction,
    InvalidCommand,
    LinkError,
    NotConnected,
    OnOccurrence,
    OnSnapshot,
    Reason,
    Snapshot,
)
from ..link import Backoff, LinkState, Supervisor
from ..link.supervisor import Ended
from ..storage import MemoryStorage, Storage
from .catalogue import CAPTURE, CATALOGUES, INVERTER, MODBUS
from .diagnostics import inverter_facts, mask_identity, pipeline_facts
from .dongle.envelope import FROM_DONGLE, HEADER_SIZE
from .facts import SourceFacts
from .inverters import Inverters
from .modbus.writable import WRITABLE
from .notices import notices
from .pipeline.history import LEAST_EXPIRY
from .pipeline.report_pipeline import Received, ReportPipeline
from .settings import Source, SunsynkSettings
from .sources.base import Batch, FrameSource, no_wait
from .sources.modbus import ModbusSource
from .sources.selection import make_source

_LOGGER = logging.getLogger(__name__)

TICK = 15.0
"""Seconds between two checks for staleness and silence."""
SILENCE = 900.0
"""Seconds without packets or reports after which this is reported (spec a.2)."""
SETTINGS_REASONS = frozenset(
    {
        Reason.BAD_ADDRESS,
        Reason.BAD_FILTER,
        Reason.NOT_A_CAPTURE,
        Reason.NO_PERMISSION,
    }
)
"""Reasons that only the user can fix: not tried again before :meth:`SunsynkEngine.wake`."""
FROM_THE_NETWORK = frozenset({Source.LIVE, Source.RELAY})
"""Sources where anyone on the network may send."""
GO_ON = FROM_THE_NETWORK | {Source.MODBUS}
"""Sources that go on after a restart."""
MISSED_CYCLES = 3.5
"""Intervals without an answer over Modbus after which values are stale."""
SAVE_EVERY = 900.0
"""Seconds between two times that the counters are kept; a new inverter is kept at once."""
TYPE_LOGIN = 0x01


@dataclass(slots=True)
class _Silence:
    """Since when nothing has been received, on the monotonic clock."""

    packets: int = 0
    last_packet: float | None = None
    last_report: float | None = None
    rejected: Counter[str] = field(default_factory=Counter)
    """The reports that had been refused, by reason, when the last one came that was not."""


class SunsynkEngine(BaseEngine):
    """Listens to dongles, or asks inverters over Modbus.

    *room* is awaited before each batch by a source that can wait.
    """

    catalogues = CATALOGUES

    def __init__(
        self,
        settings: SunsynkSettings,
        clock: Clock | None = None,
        *,
        zone: tzinfo,
        storage: Storage | None = None,
        room: Callable[[], Awaitable[None]] = no_wait,
    ) -> None:
        """Prepare; nothing is opened before :meth:`run`."""
        super().__init__(clock)
        self.settings = settings
        self.pipeline = ReportPipeline(zone, grid_power_by_ten=settings.grid_power_by_ten)
        self._storage = storage or MemoryStorage()
        self._room = room
        asks = settings.source is Source.MODBUS
        kind = MODBUS.kind if asks else CAPTURE.kind
        self._service = Device(
            id=re.sub(r"\W+", "_", f"sunsynk_{kind}_{settings.source}_{settings.target}"),
            kind=kind,
            name="Sunsynk Modbus" if asks else "Sunsynk capture",
            manufacturer="Hardwired",
            model=settings.source.value,
        )
        guarded = settings.source in FROM_THE_NETWORK
        self.inverters = Inverters(
            self._service.id,
            _expiry(settings),
            guarded=guarded,
            fields=WRITABLE if asks and settings.write_enabled else INVERTER,
        )
        self.pipeline.proven = self.inverters.states()
        self._saved: tuple[float, object] | None = None
        if settings.source in GO_ON:
            self.inverters.restore(self._storage.load())
            for serial, state in self.inverters.states().items():
                if state.behind is not None:
                    self.pipeline.expect(serial, state.behind)
        self._source: FrameSource | None = None
        self._supervisor: Supervisor[FrameSource] = Supervisor(
            f"Sunsynk {settings.source}",
            self._open,
            self._session,
            on_change=self._link_changed,
            clock=self._clock,
            statistics=self.statistics,
            backoff=Backoff(maximum=60.0),
            permanent=SETTINGS_REASONS,
        )
        self.shown_elsewhere: Callable[[str], str | None] = _nowhere
        """Which other source shows an inverter, by its serial number, so that this one does not;
        empty: nobody for the moment. Set by a face that runs several engines."""
        self._trouble: tuple[Reason, str] | None = None
        self._told = False
        self._finished = False
        self._started = 0.0
        self._silence = _Silence()
        self._told_layouts: set[int] = set()

    @property
    def ends(self) -> bool:
        """Whether it reads a file."""
        return self.settings.source is Source.FILE

    @property
    def finished(self) -> bool:
        """Whether a file was read to its end."""
        return self._finished

    @property
    def source(self) -> FrameSource | None:
        """What is listened to, once it is open."""
        return self._source

    @property
    def service(self) -> Device:
        """The device that stands for the source itself, with its counters."""
        return self._service

    @property
    def zone_mismatch(self) -> Mapping[str, int]:
        """Seconds by which an inverter's clock is behind, by serial, where it is not right."""
        return self.inverters.zone_mismatch

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled. After the end of a file the last readings stay."""
        self._on_snapshot, self._on_occurrence = on_snapshot, on_occurrence
        self._started = self._clock.monotonic()
        self._publish()
        watch = asyncio.ensure_future(self._watch())
        try:
            await self._supervisor.run()
            self._finished = True
            self._publish()
            await asyncio.Event().wait()
        finally:
            self._save(force=True)
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    def republish(self) -> None:
        """Look again at what is shown elsewhere."""
        self._publish()

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out a command over Modbus; refuse it where we only listen."""
        if self.settings.source is Source.MODBUS:
            if not isinstance(self._source, ModbusSource):
                raise NotConnected
            return await self._source.execute(command)
        if command.name == "refresh":
            self.wake()
            return {}
        raise InvalidCommand(command.name, key="read_only")

    def secrets(self) -> Iterable[str]:
        """Return the serial numbers, which are the identities, and what names the source."""
        yield from super().secrets()
        yield from self.snapshot.devices

    def wake(self) -> None:
        """Try again at once."""
        self._supervisor.wake()

    async def _open(self) -> FrameSource:
        if isinstance(self._source, ModbusSource):
            return self._source  # it knows the inverters, and what has proved right
        self._source = make_source(
            self.settings,
            self.pipeline,
            self._clock,
            self._room,
            statistics=self.statistics,
            on_frame=self._note_exchange,
        )
        return self._source

    async def _session(self, source: FrameSource) -> None:
        await source.run(self._receive, self._source_changed)
        raise Ended

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        if state is LinkState.WAITING and reason is not None:
            self._trouble = (reason, detail or reason.value)
            self._publish()

    def _source_changed(self, trouble: LinkError | None) -> None:
        """Take the state of the source: up (``None``), or why it is not up for now."""
        if trouble is not None:
            self._trouble = (trouble.reason, str(trouble))
            self.statistics.last_error = f"{trouble.reason.value}: {trouble}"
            if not self._told:
                self._told = True
                _LOGGER.warning("nothing is heard: %s (%s)", trouble.reason.value, trouble)
            self._publish()
            return
        self._trouble = None
        if self._told:
            self._told = False
            _LOGGER.info("listening again")
        self._supervisor.proven()
        self._publish()

    def _receive(self, batch: Batch) -> None:
        """Take what the source has seen, on the event loop."""
        now = self._clock.monotonic()
        for frame, captured in batch.frames:
            self._note_frame(frame, captured)
        for received in batch.reports:
            self._silence.last_report = now
            self._take(received)
        for serial, settings in batch.settings.items():
            self.inverters.change(serial, settings.values, settings.fields)
        lost = [serial for serial in batch.lost if self.inverters.lose(serial)]
        counts = self.pipeline.counts
        if self.settings.source is not Source.MODBUS:
            self.statistics.frames_in = counts.frames
            self.statistics.bytes_in = counts.bytes
        if counts.rejected:
            self.statistics.drops.update(counts.rejected - self.statistics.drops)
        self._tell_unknown_layouts()
        if batch.reports:
            self._silence.rejected = counts.rejected.copy()
            self._save()
        if batch.reports or batch.settings or batch.force or lost:
            self._publish()

    def _save(self, *, force: bool = False) -> None:
        """Keep what must outlive a restart; not with each report, to spare the disk."""
        if self.settings.source not in GO_ON or not len(self.inverters):
            return
        now = self._clock.monotonic()
        shape = [
            (serial, state.device, len(state.values))
            for serial, state in self.inverters.states().items()
        ]
        before = self._saved
        if force or before is None or before[1] != shape or now - before[0] >= SAVE_EVERY:
            self._saved = (now, shape)
            # Complete: nothing comes after it that could be shown.
            self._storage.save({"inverters": self.inverters.stored(), "complete": force})

    def _take(self, received: Received) -> None:
        known = self.pipeline.inverters.get(received.serial)
        if known is None:
            return
        readings = self.inverters.take(received, known)
        _LOGGER.debug("report of inverter ...%s at %s", received.serial[-4:], received.time)
        if self._on_occurrence is not None:
            for reading in readings:
                self._on_occurrence(reading)

    def _note_frame(self, frame: bytes, captured: datetime | None) -> None:
        self.statistics.last_frame = moment = captured or self._clock.now()
        if len(frame) >= HEADER_SIZE and frame[3] != TYPE_LOGIN:
            # Towards the server is "in": we overhear the dongle, its server's answers go "out".
            way = Direction.IN if frame[2] == FROM_DONGLE else Direction.OUT
            self.frames.add(moment, way, mask_identity(frame))

    def _note_exchange(self, way: Direction, frame: bytes) -> None:
        self.frames.add(self._clock.now(), way, frame)

    def _tell_unknown_layouts(self) -> None:
        unknown = self.pipeline.unknown_layouts
        for size in unknown.keys() - self._told_layouts:
            self._told_layouts.add(size)
            _LOGGER.warning(
                "reports of %d bytes (%s) come in a layout that nobody has described yet",
                size,
                unknown[size].hex(),
            )

    async def _watch(self) -> None:
        while True:
            expiry = self.inverters.next_expiry()
            pause = TICK if expiry is None else min(TICK, max(expiry - self._arrival_now(), 0.05))
            await self._clock.sleep(pause)
            packets = self._packets()
            if packets != self._silence.packets:
                self._silence.packets = packets
                self._silence.last_packet = self._clock.monotonic()
            if self.settings.source is not Source.FILE:
                self.inverters.expire(self._arrival_now())
            self._publish()

    def _arrival_now(self) -> float:
        return self._source.arrival_now() if self._source else self._clock.monotonic()

    def _publish(self) -> None:
        reason, detail = self._status()
        up = self._trouble is None
        facts = self._facts()
        devices: dict[str, DeviceState] = {self._service.id: self._service_state(facts)}
        elsewhere: dict[str, str] = {}
        for serial, state in self.inverters.states().items():
            if (other := self.shown_elsewhere(serial)) is None:
                devices[serial] = state.as_device_state(source_up=up)
            elif other:
                elsewhere[serial] = other
        self._sign(0.0 if math.isinf(self._supervisor.pause) else self._supervisor.pause)
        self._publish_snapshot(
            Snapshot(
                devices=MappingProxyType(devices),
                connected=reason is None,
                reason=reason,
                detail=detail,
                notices=tuple(notices(self.pipeline, self.inverters, facts, elsewhere)),
            )
        )

    def _status(self) -> tuple[Reason | None, str | None]:
        """Return the reason why nothing is received (``None``: something is), and the details."""
        if self._trouble is not None:
            return self._trouble
        if self._finished:
            return self._status_at_end()
        if self.inverters.any_available:
            return None, None
        return self._status_in_silence()

    def _status_at_end(self) -> tuple[Reason | None, str]:
        if len(self.inverters):
            return None, "the file has been read to its end"
        if packets := self._packets():
            text = f"{packets} packets in the file, none carries a report"
            return self._without_report(text)
        return Reason.NO_TRAFFIC, "no packet in the file"

    def _status_in_silence(self) -> tuple[Reason, str]:
        if self.settings.source is Source.RELAY and not self._packets():
            return Reason.WAITING_FOR_PEER, "no dongle has connected yet"
        if self.settings.source is Source.MODBUS:
            return Reason.STARTING, "asking; no answer yet"
        now = self._clock.monotonic()
        if self._facts().foreign:
            return self._without_report("no report passes")
        if now - self._started < SILENCE and self._silence.last_report is None:
            return Reason.STARTING, "listening; no report yet"
        last = self._silence.last_packet
        if last is None or now - last >= SILENCE:
            return Reason.NO_TRAFFIC, "no packet passes here"
        return self._without_report("packets pass, none carries a report")

    def _without_report(self, text: str) -> tuple[Reason, str]:
        """Return why packets hold no report, with what is known of them."""
        facts = self._facts()
        if refused := self.pipeline.counts.rejected - self._silence.rejected:
            reasons = ", ".join(f"{count} {reason}" for reason, count in refused.items())
            text = f"reports pass, none can be used ({reasons})"
        text = "; ".join((text, *facts.remarks))
        return Reason.WRONG_DEVICE if facts.foreign else Reason.NO_REPORTS, text

    def _packets(self) -> int:
        return self._facts().packets

    def _facts(self) -> SourceFacts:
        return SourceFacts.of(self.counters())

    def _service_state(self, facts: SourceFacts) -> DeviceState:
        if self._service.kind == MODBUS.kind:
            asked = {key: getattr(facts, key) for key in MODBUS}
            asked["rejected"] = facts.rejected_in_all
            return DeviceState(self._service, MappingProxyType(asked), fields=MODBUS)
        values = {
            "packets": facts.packets,
            "reports": facts.reports,
            "duplicates": facts.duplicates,
            "rejected": facts.rejected_in_all,
            "gaps": facts.gaps,
            "kernel_drops": facts.kernel_drops,
        }
        return DeviceState(self._service, MappingProxyType(values), fields=CAPTURE)

    def counters(self) -> Mapping[str, Any]:
        """Return all counters of spec f.3 as plain types."""
        if self._source is None:
            return {}
        return self._source.counters()

    def diagnostics(self) -> Mapping[str, Any]:
        """Return facts without identities: inverters by their last four characters."""
        now = self._clock.monotonic()
        counters = dict(self.counters())
        return {
            "source": self.settings.source.value,
            "state": self._state_name(),
            "counters": counters,
            "kernel_drops": self._facts().kernel_drops,
            "seconds_since_packet": _since(now, self._silence.last_packet),
            "seconds_since_report": _since(now, self._silence.last_report),
            **pipeline_facts(self.pipeline),
            "zone_mismatch_s": next(iter(self.zone_mismatch.values()), None),
            "grid_power_by_ten_suggested": bool(self.inverters.grid_power_by_ten_suggested),
            "ignored_inverters": self.inverters.ignored,
            "inverters": inverter_facts(self.pipeline, self.inverters),
        }

    def _state_name(self) -> str:
        if self._trouble is not None:
            return self._trouble[0].value
        if self._finished:
            return "finished"
        if self._source is None:
            return "starting"
        if self.inverters.any_available:
            return "receiving"
        return "stale" if len(self.inverters) else "listening"


def _since(now: float, moment: float | None) -> int | None:
    return None if moment is None else round(now - moment)


def _expiry(settings: SunsynkSettings) -> float | None:
    """Return after how many seconds values are stale; ``None``: by the rhythm of the reports."""
    if settings.expire_after is not None or settings.source is not Source.MODBUS:
        return settings.expire_after
    return max(LEAST_EXPIRY, MISSED_CYCLES * settings.every)


def _nowhere(_serial: str) -> str | None:
    return None
