"""An inverter asked over Modbus, RTU or TCP, as a source (spec a.3, c.6, c.7)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...clock import Clock
from ...device_clocks import require_right
from ...engine import (
    Command,
    Direction,
    InvalidCommand,
    LinkError,
    NotConnected,
    Reason,
    Statistics,
)
from ...fields import Catalogue, Value
from ...link import Stream
from ..catalogue import FIELDS, INVERTER
from ..dongle.report import Report
from ..modbus.frames import EchoError, ModbusError
from ..modbus.framing import Framing, RtuFraming, TcpFraming
from ..modbus.image import decode, is_empty, packed, read_inverter_clock
from ..modbus.inverter import SLOW, ModbusInverter, NoInverter, ThreePhase
from ..modbus.line import Line, LineSettings
from ..modbus.writable import SETTINGS, WRITABLE, fields_now, setting_values
from ..modbus.writer import Writer
from ..pipeline.report_pipeline import Received, ReportPipeline
from ..settings import FramingChoice, SunsynkSettings
from .base import Batch, OnBatch, OnTrouble, SettingsNow

if TYPE_CHECKING:
    from ..simulator.modbus import SimulatedLine

_LOGGER = logging.getLogger(__name__)

FAILED_CYCLES = 3
"""Cycles in a row without success after which an inverter counts as gone."""
SLOW_WHEN_WRITING = 60.0
"""Seconds between two looks at the settings where they may be changed here."""
FAST_INTERVAL = 2.0
LONGEST_FAST = 60.0
"""Minutes."""
FOLLOW_SETTINGS = SETTINGS.keys() | {"inverter_program_power", "inverter_program_soc"}
"""The values that a command may change at once."""
FIRST_BUILT = 2020
"""A clock that shows an earlier year was never set."""
NO_ANSWER_HINT = (
    "check the wiring (A and B), the speed, and the Modbus SN in the inverter's menu; firmware"
    " updates have set it to 0"
)
ECHO_HINT = "the adapter sends our own requests back: switch its echo off"


class ModbusSource:
    """Asks the inverters on one line, one after the other, every interval."""

    def __init__(
        self,
        settings: SunsynkSettings,
        pipeline: ReportPipeline,
        clock: Clock,
        *,
        statistics: Statistics | None = None,
        on_frame: Callable[[Direction, bytes], None] | None = None,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._clock = clock
        self._statistics = statistics or Statistics()
        self._on_frame = on_frame
        self._line: Line | None = None
        self._framing: FramingChoice | None = None
        """The kind of frames that has proved right, or is tried now."""
        self._inverters: dict[int, ModbusInverter] = {}
        self._writers: dict[int, Writer] = {}
        self._fields: dict[int, Catalogue] = {}
        self._seen: dict[str, int] = {}
        self._on_batch: OnBatch | None = None
        self._up = False
        self._proven = False
        """Whether anybody has ever answered."""
        self._three_phase = False
        self._hurry = asyncio.Event()
        self._simulation: SimulatedLine | None = None
        self._fast_until: float | None = None

    # ------------------------------------------------------------------ life

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Ask until cancelled. Raises :class:`LinkError` when the link is lost."""
        self._on_batch = on_batch
        self._up = False
        opener = self._settings.opener(self._simulated)
        line = self._line = self._make_line(opener)
        if not self._inverters:
            for unit in self._settings.all_units:
                self._inverters[unit] = ModbusInverter(unit, line)
        for inverter in self._inverters.values():
            inverter.line = line
            inverter.failures = 0
            inverter.renew()
        try:
            await line.open()
            await self._ask_for_ever(line, on_trouble)
        finally:
            self._keep_counts(line)
            self._line = None
            await line.close()
            await opener.close()

    def _make_line(self, opener: Any) -> Line:
        settings = self._settings
        chosen = settings.framing_of_link
        if chosen is FramingChoice.AUTO:
            # Which one a gateway speaks shows only by its answers: tried in turn.
            other = FramingChoice.RTU if self._framing is FramingChoice.TCP else FramingChoice.TCP
            chosen = self._framing if self._framing and self._proven else other
        self._framing = chosen
        framing: Framing = TcpFraming() if chosen is FramingChoice.TCP else RtuFraming()
        return Line(
            opener,
            framing,
            self._clock,
            LineSettings(
                timeout=settings.timeout,
                attempts=max(1, settings.retries),
                most=settings.max_block,
                reopens=settings.is_serial,
            ),
            statistics=self._statistics,
            on_frame=self._on_frame,
        )

    async def _ask_for_ever(self, line: Line, on_trouble: OnTrouble) -> None:
        while True:
            began = self._clock.monotonic()
            answered = False
            failure: Exception | None = None
            for inverter in self._inverters.values():
                try:
                    await self._cycle(inverter)
                    answered = True
                    if not self._up:
                        self._up = self._proven = True
                        on_trouble(None)
                except (ModbusError, ThreePhase, NoInverter) as error:
                    failure = error
                    self._failed(inverter, error)
            if not answered and failure is not None:
                await self._nobody_answers(line, failure, on_trouble)
            pause = self._interval(began) - (self._clock.monotonic() - began)
            await self._rest(pause)

    async def _rest(self, pause: float) -> None:
        """Wait for the next cycle; something may hurry it."""
        if pause > 0:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(pause):
                    await self._hurry.wait()
        self._hurry.clear()

    def _interval(self, now: float) -> float:
        interval = self._settings.every
        if self._fast_until is not None and now < self._fast_until:
            return min(interval, FAST_INTERVAL)
        self._fast_until = None
        return interval

    async def _nobody_answers(self, line: Line, failure: Exception, on_trouble: OnTrouble) -> None:
        """Say why, as soon as that is known, and begin with a clean line."""
        guessing = self._settings.framing_of_link is FramingChoice.AUTO and not self._proven
        if guessing and not line.proven:
            raise self._reason(line, failure)
        first = not self._up and not self._proven
        if first or all(one.failures >= FAILED_CYCLES for one in self._inverters.values()):
            self._up = False
            on_trouble(self._reason(line, failure))
        if isinstance(failure, ModbusError):
            await line.reopen()

    def _reason(self, line: Line, failure: Exception) -> LinkError:
        if isinstance(failure, LinkError):
            return failure
        if isinstance(failure, EchoError):
            return LinkError(Reason.GATEWAY_SETTINGS, ECHO_HINT)
        seen = line.framing.seen
        if not seen["bytes"]:
            return LinkError(Reason.SILENT, f"nothing comes back; {NO_ANSWER_HINT}")
        if not line.proven and not seen["foreign"] and not seen["stale"]:
            return LinkError(Reason.NOISE, f"{failure}; {seen['bytes']} bytes, no valid answer")
        return LinkError(Reason.NO_ANSWER, f"{failure}; {NO_ANSWER_HINT}")

    def _failed(self, inverter: ModbusInverter, error: Exception) -> None:
        inverter.failures += 1
        self._three_phase = isinstance(error, ThreePhase)
        self._statistics.last_error = f"unit {inverter.unit}: {error}"
        gone = inverter.failures >= FAILED_CYCLES or isinstance(error, LinkError)
        if inverter.failures == FAILED_CYCLES and len(self._inverters) > 1:
            _LOGGER.warning("unit %d does not answer: %s", inverter.unit, error)
        if gone and inverter.serial is not None and self._on_batch is not None:
            self._on_batch(Batch(lost=(inverter.serial,), force=True))

    # ------------------------------------------------------------------ a cycle

    async def _cycle(self, inverter: ModbusInverter) -> None:
        writing = self._settings.write_enabled
        slow = min(SLOW, SLOW_WHEN_WRITING) if writing else SLOW
        before = inverter.serial
        try:
            await inverter.poll(self._clock.monotonic(), slow)
        finally:
            self._lose_replaced(inverter, before)
        if is_empty(inverter.image):
            self._pipeline.counts.rejected["empty"] += 1
            raise ModbusError("registers 59 to 124 or 150 to 199 are all zero")
        if inverter.failures >= FAILED_CYCLES and len(self._inverters) > 1:
            _LOGGER.info("unit %d answers again", inverter.unit)
        inverter.failures = 0
        self._tell(inverter)

    def _lose_replaced(self, inverter: ModbusInverter, before: str | None) -> None:
        """Another inverter answers: the one before is gone, unless it has another unit now."""
        if before is None or inverter.serial == before or self._on_batch is None:
            return
        if all(one.serial != before for one in self._inverters.values()):
            self._on_batch(Batch(lost=(before,), force=True))

    def _tell(self, inverter: ModbusInverter) -> None:
        if self._on_batch is not None and inverter.serial is not None:
            self._on_batch(Batch(reports=(self._received(inverter, inverter.serial),)))

    def _received(self, inverter: ModbusInverter, serial: str) -> Received:
        image = inverter.image
        now = self._clock.now()
        values, violations = decode(image)
        fields = INVERTER
        if self._settings.write_enabled:
            values |= _only_settings(setting_values(image))
            fields = self._fields_now(inverter)
        clock = read_inverter_clock(image)
        known = clock is not None and clock.year >= FIRST_BUILT
        local = clock if known and clock is not None else self._local()
        layout, frame = packed(image)
        report = Report(frame, serial, local, layout, values, tuple(violations))
        return self._pipeline.accept_read(
            report, now, self.arrival_now(), clock_known=known, fields=fields
        )

    def _fields_now(self, inverter: ModbusInverter) -> Catalogue:
        before = self._fields.get(inverter.unit, WRITABLE)
        fields = fields_now(inverter.image, is_16kw=inverter.is_16kw, before=before)
        self._fields[inverter.unit] = fields
        return fields

    def _local(self) -> datetime:
        """Return the plant's wall clock, by ours."""
        return self._clock.now().astimezone(self._pipeline.zone).replace(tzinfo=None)

    # ------------------------------------------------------------------ commands

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out ``set``, ``set_clock``, ``refresh`` or ``fast``.

        Raises a :class:`CommandError`.
        """
        match command.name:
            case "fast":
                return self._be_fast(command.options.get("minutes", 10))
            case "refresh":
                return await self._refresh()
        if not self._settings.write_enabled:
            raise InvalidCommand(key="sunsynk_writing_off")
        writer = self._writer(command.device)
        match command.name:
            case "set":
                return await writer.set(command.values)
            case "set_clock":
                return await writer.set_clock(self._wanted_clock(command.options.get("time")))
        raise InvalidCommand(f"{command.name} is no command of an inverter")

    def _wanted_clock(self, given: Value | None) -> Callable[[], datetime]:
        """Return what shows the time to be set: the present one, or *given* from now on."""
        if given is None:
            require_right(self._clock, trusted=self._settings.is_simulated)
            return lambda: self._local().replace(microsecond=0)
        if not isinstance(given, datetime):
            raise InvalidCommand("the time is a date and a time of day")
        wall = given
        if wall.tzinfo is not None:
            wall = wall.astimezone(self._pipeline.zone).replace(tzinfo=None)
        began = self._clock.monotonic()
        return lambda: (wall + timedelta(seconds=self._clock.monotonic() - began)).replace(
            microsecond=0
        )

    def _writer(self, serial: str) -> Writer:
        for unit, inverter in self._inverters.items():
            if inverter.serial == serial:
                if self._line is None or inverter.failures >= FAILED_CYCLES or not inverter.image:
                    raise NotConnected
                if unit not in self._writers:
                    self._writers[unit] = Writer(inverter, self._clock, self._tell_change)
                return self._writers[unit]
        raise NotConnected

    def _tell_change(self, inverter: ModbusInverter) -> None:
        """Tell what a command has changed; what is measured is as old as it was."""
        self._hurry.set()
        if self._on_batch is None or inverter.serial is None or not inverter.image:
            return
        image = inverter.image
        known = decode(image)[0] | _only_settings(setting_values(image))
        values = {key: known.get(key) for key in FOLLOW_SETTINGS}
        settings = SettingsNow(values, self._fields_now(inverter))
        self._on_batch(Batch(settings={inverter.serial: settings}))

    def _be_fast(self, minutes: Value) -> Mapping[str, Any]:
        if isinstance(minutes, bool) or not isinstance(minutes, (int, float)):
            raise InvalidCommand(f"minutes is a number, not {minutes!r}")
        if not 0 <= minutes <= LONGEST_FAST:
            raise InvalidCommand(f"minutes is 0 to {LONGEST_FAST:g}, not {minutes:g}")
        self._fast_until = self._clock.monotonic() + 60 * minutes if minutes else None
        self._hurry.set()
        return {}

    async def _refresh(self) -> Mapping[str, Any]:
        if self._line is None:
            raise NotConnected
        for inverter in self._inverters.values():
            inverter.renew()
            try:
                await self._cycle(inverter)
            except (ModbusError, LinkError) as error:
                raise NotConnected(str(error)) from error
        return {}

    # ------------------------------------------------------------------ facts

    def _keep_counts(self, line: Line) -> None:
        for name, count in line.framing.seen.items():
            self._seen[name] = self._seen.get(name, 0) + count

    def counters(self) -> Mapping[str, Any]:
        """Return the counters as plain types; an answer counts as a packet."""
        line = self._line
        seen = dict(self._seen)
        if line is not None:
            for name, count in line.framing.seen.items():
                seen[name] = seen.get(name, 0) + count
        return {
            "packets": self._statistics.frames_in,
            **self._pipeline.summary(),
            "timeouts": self._statistics.timeouts,
            "checksum_errors": seen.get("checksum", 0),
            "foreign_requests": seen.get("foreign", 0),
            "echo": seen.get("echo", 0),
            "stale": seen.get("stale", 0),
            "writes": sum(writer.writes for writer in self._writers.values()),
            "framing": None if self._framing is None else self._framing.value,
            "three_phase": self._three_phase,
            "max_block": self._settings.max_block if line is None else line.most,
            "units": {
                str(unit): {
                    "failures": one.failures,
                    "refused": [list(block) for block in sorted(one.refused)],
                }
                for unit, one in self._inverters.items()
            },
        }

    def arrival_now(self) -> float:
        """Return the monotonic clock."""
        return self._clock.monotonic()

    async def _simulated(self, query: Mapping[str, str]) -> Stream:
        from ..simulator.modbus import SimulatedLine  # noqa: PLC0415 - only when asked for

        if self._simulation is None:
            tcp = self._framing is FramingChoice.TCP
            self._simulation = SimulatedLine(query, self._clock, self._pipeline.zone, tcp=tcp)
        return await self._simulation.open()


def _only_settings(values: Mapping[str, Value | None]) -> dict[str, Any]:
    """Return the settings that are no reading: those a report decodes already."""
    return {key: value for key, value in values.items() if key not in FIELDS}
