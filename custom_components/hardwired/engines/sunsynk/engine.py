"""The engine: from a source of packets or frames to snapshots. It only listens (spec c.1, c.5)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..clock import Clock, load_zone
from ..engine import (
    BaseEngine,
    Command,
    Device,
    DeviceState,
    Direction,
    InvalidCommand,
    LinkError,
    OnOccurrence,
    OnSnapshot,
    Reason,
    Snapshot,
)
from ..link import Backoff
from .catalogue import CATALOGUES
from .dongle.envelope import FROM_DONGLE, HEADER_SIZE
from .dongle.modbus import SERIAL_REGISTERS
from .dongle.report import SERIAL, is_report
from .inverters import Inverters
from .pipeline.reception import Received, Reception, mask_texts
from .settings import Source, SunsynkSettings
from .sources.base import FrameSource, Sighting
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
        Reason.BAD_TIMEZONE,
        Reason.NOT_A_CAPTURE,
        Reason.NO_PERMISSION,
    }
)
"""Reasons that only the user can fix: not tried again before :meth:`SunsynkEngine.wake`."""
TYPE_LOGIN = 0x01


@dataclass(slots=True)
class _Silence:
    """Since when nothing has been received, on the monotonic clock."""

    packets: int = 0
    last_packet: float | None = None
    last_report: float | None = None


class SunsynkEngine(BaseEngine):
    """Listens to dongles. It sends nothing: no code here could."""

    catalogues = CATALOGUES

    def __init__(self, settings: SunsynkSettings, clock: Clock | None = None) -> None:
        """Prepare; nothing is opened before :meth:`run`."""
        super().__init__(clock)
        self.settings = settings
        self.reception: Reception | None = None
        self._service = Device(
            id=re.sub(r"\W+", "_", f"sunsynk_capture_{settings.source}_{settings.target}"),
            kind="capture",
            name="Sunsynk capture",
            manufacturer="Hardwired",
            model=settings.source.value,
        )
        self.inverters = Inverters(self._service.id, settings.expire_after)
        self._source: FrameSource | None = None
        self._trouble: tuple[Reason, str] | None = None
        self._warned = False
        self._finished = False
        self._started = 0.0
        self._silence = _Silence()
        self._wake = asyncio.Event()
        self._told_layouts: set[int] = set()

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    @property
    def finished(self) -> bool:
        """Whether a file was read to its end."""
        return self._finished

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
        backoff = Backoff(maximum=60.0)
        try:
            while True:
                self._wake.clear()
                try:
                    await self._session()
                except LinkError as error:
                    self._fail(error.reason, str(error))
                except Exception as error:
                    _LOGGER.exception("unforeseen error in listening")
                    self._fail(Reason.FAILED, f"{type(error).__name__}: {error}")
                else:
                    self._finished = True
                    self._publish()
                    await asyncio.Event().wait()
                await self._pause(backoff)
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Refuse: a listener sends no commands."""
        raise InvalidCommand(f"{command.name}: this device is only listened to", key="read_only")

    def secrets(self) -> Iterable[str]:
        """Return the serial numbers, which are the identities, and what names the source."""
        yield from super().secrets()
        yield from self.snapshot.devices

    def wake(self) -> None:
        """Try again at once."""
        self._wake.set()

    async def _session(self) -> None:
        if self.reception is None:
            name = self.settings.timezone
            try:
                zone = await asyncio.to_thread(load_zone, name)
            except ValueError as error:
                raise LinkError(Reason.BAD_TIMEZONE, str(error)) from error
            self.reception = Reception(zone, grid_power_by_ten=self.settings.grid_power_by_ten)
        self._source = make_source(self.settings, self.reception, self._clock)
        await self._source.run(self._receive, self._notice)

    async def _pause(self, backoff: Backoff) -> None:
        assert self._trouble is not None
        pause = None if self._trouble[0] in SETTINGS_REASONS else backoff.next()
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(pause):
                await self._wake.wait()
        self.statistics.reconnects += 1

    def _fail(self, reason: Reason, detail: str) -> None:
        self.statistics.last_error = f"{reason.value}: {detail}"
        if not self._warned:
            self._warned = True
            _LOGGER.warning("nothing is heard: %s (%s)", reason.value, detail)
        self._trouble = (reason, detail)
        self._publish()

    def _notice(self, trouble: LinkError | None) -> None:
        """Take the state of the source: up (``None``), or why it is not up for now."""
        if trouble is not None:
            self._fail(trouble.reason, str(trouble))
            return
        self.statistics.connects += 1
        self._trouble = None
        if self._warned:
            self._warned = False
            _LOGGER.info("listening again")
        self._publish()

    def _receive(self, sighting: Sighting) -> None:
        """Take what the source has seen, on the event loop."""
        now = self._clock.monotonic()
        for frame, captured in sighting.frames:
            self._note_frame(frame, captured)
        for received in sighting.reports:
            self._silence.last_report = now
            self._take(received)
        if self.reception is not None:
            self.statistics.frames_in = self.reception.counts.frames
            self.statistics.bytes_in = self.reception.counts.bytes
            self._tell_unknown_layouts(self.reception)
        if sighting.reports or sighting.force:
            self._publish()

    def _take(self, received: Received) -> None:
        assert self.reception is not None
        known = self.reception.inverters.get(received.serial)
        if known is None:
            return
        reading = self.inverters.take(received, known)
        _LOGGER.debug("report of inverter ...%s at %s", received.serial[-4:], received.time)
        if reading is not None and self._on_occurrence is not None:
            self._on_occurrence(reading)

    def _note_frame(self, frame: bytes, captured: datetime | None) -> None:
        self.statistics.last_frame = moment = captured or self._clock.now()
        if len(frame) >= HEADER_SIZE and frame[3] != TYPE_LOGIN:
            # Towards the server is "in": we overhear the dongle, its server's answers go "out".
            way = Direction.IN if frame[2] == FROM_DONGLE else Direction.OUT
            self.frames.add(moment, way, mask_identity(frame))

    def _tell_unknown_layouts(self, reception: Reception) -> None:
        for size in reception.unknown_layouts.keys() - self._told_layouts:
            self._told_layouts.add(size)
            head = reception.unknown_layouts[size].hex()
            _LOGGER.warning(
                "reports of %d bytes (%s) come in a layout that nobody has described yet",
                size,
                head,
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
        devices: dict[str, DeviceState] = {self._service.id: self._service_state()}
        for serial, state in self.inverters.states().items():
            devices[serial] = state.as_device_state(source_up=up)
        snapshot = Snapshot(
            devices=MappingProxyType(devices),
            connected=reason is None,
            reason=reason,
            detail=detail,
        )
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            if self._on_snapshot is not None:
                self._on_snapshot(snapshot)

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
            if unsupported := self.counters().get("unsupported"):
                text += f"; {unsupported} are of a kind of link that is not understood"
            return Reason.NO_REPORTS, text
        return Reason.NO_TRAFFIC, "no packet in the file"

    def _status_in_silence(self) -> tuple[Reason, str]:
        if self.settings.source is Source.RELAY and not self._packets():
            return Reason.WAITING_FOR_PEER, "no dongle has connected yet"
        now = self._clock.monotonic()
        if now - self._started < SILENCE and not len(self.inverters):
            return Reason.STARTING, "listening; no report yet"
        last = self._silence.last_packet
        if last is None or now - last >= SILENCE:
            return Reason.NO_TRAFFIC, "no packet passes here"
        return Reason.NO_REPORTS, "packets pass, none carries a report"

    def _packets(self) -> int:
        return int(self.counters().get("packets", 0))

    def _service_state(self) -> DeviceState:
        counters = self.counters()
        values = {
            "packets": counters.get("packets", 0),
            "reports": counters.get("reports", 0),
            "duplicates": counters.get("duplicates", 0),
            "rejected": sum(counters.get("rejected", {}).values()),
            "gaps": counters.get("gaps", 0),
            "kernel_drops": counters.get("kernel_drops", 0),
        }
        return DeviceState(self._service, MappingProxyType(values), available=True)

    def counters(self) -> Mapping[str, Any]:
        """Return all counters of spec f.3 as plain types."""
        if self._source is None:
            return {}
        return self._source.counters()

    def diagnostics(self) -> Mapping[str, Any]:
        """Return facts without identities: inverters by their last four characters."""
        now = self._clock.monotonic()
        reception = self.reception
        counters = dict(self.counters())
        self.statistics.drops.clear()
        self.statistics.drops.update(counters.get("rejected", {}))
        mismatches = list(self.zone_mismatch.values())
        unknown = {} if reception is None else dict(reception.unknown_layouts)
        return {
            "source": self.settings.source.value,
            "state": self._state_name(),
            "counters": counters,
            "kernel_drops": counters.get("kernel_drops", 0),
            "seconds_since_packet": _since(now, self._silence.last_packet),
            "seconds_since_report": _since(now, self._silence.last_report),
            "unknown_layout_size": next(iter(unknown), None),
            "unknown_layouts": {str(size): head.hex() for size, head in unknown.items()},
            "zone_mismatch_s": next(iter(mismatches), None),
            "grid_power_by_ten_suggested": bool(self.inverters.grid_power_by_ten_suggested),
            "ignored_inverters": self.inverters.ignored,
            "polling_map": None if reception is None else reception.polling_map_version,
            "other_messages": {}
            if reception is None
            else {name: sample.hex() for name, sample in dict(reception.samples).items()},
            "inverters": [] if reception is None else self._inverter_facts(reception),
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

    def _inverter_facts(self, reception: Reception) -> list[dict[str, Any]]:
        facts = []
        for serial, known in list(reception.inverters.items()):
            report = known.last
            if report is None or known.last_time is None:
                continue
            state = self.inverters.states().get(serial)
            facts.append(
                {
                    "serial": f"...{serial[-4:]}",
                    "reports": known.reports,
                    "last_report": known.last_time.isoformat(),
                    "median_interval_s": known.progress.interval,
                    "layout": report.layout.name,
                    "blocks": [list(block) for block in report.layout.blocks],
                    "head": report.frame[:HEADER_SIZE].hex(),
                    "violations": list(report.violations),
                    "zone_mismatch_s": None if state is None else state.zone_check.mismatch,
                    "registers": {
                        str(register): word
                        for register, word in report.registers.items()
                        if register not in SERIAL_REGISTERS
                    },
                }
            )
        return facts


def mask_identity(frame: bytes) -> bytes:
    """Return a frame without what identifies its owner; of a report bytes 11 to 36 are masked."""
    if is_report(frame):
        end = min(SERIAL.stop + 16, len(frame))
        return frame[:HEADER_SIZE] + b"X" * (end - HEADER_SIZE) + frame[end:]
    return frame[:HEADER_SIZE] + mask_texts(frame[HEADER_SIZE:])


def _since(now: float, moment: float | None) -> int | None:
    return None if moment is None else round(now - moment)
