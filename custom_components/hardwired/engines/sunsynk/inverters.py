"""What is known of each inverter now, built from its reports (spec b.13, c.3, d.4, h)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from ..engine import Device, DeviceState, Reading
from ..fields import Catalogue, Value
from .catalogue import INVERTER, LIFETIME_COUNTERS, SETTING_KEYS, as_field_values
from .dongle.layouts import Values
from .pipeline.energy_counters import EnergyCounters, Moment
from .pipeline.grid_power import GridPowerCheck
from .pipeline.history import ZoneCheck
from .pipeline.report_pipeline import MAXIMUM_INVERTERS, Inverter, Received

CONTROL_BOARD_VERSION = 13
MAXIMUM_CANDIDATES = 64
"""Inverters that have reported once, waiting for the second report."""
ADMISSIONS = 8
"""Newcomers that may join within :data:`ADMISSION_TIME`."""
ADMISSION_TIME = 3600.0
CONSISTENCY = 120.0
"""Seconds by which two reports may lie closer together or further apart than their arrivals."""
NO_DETAILS: Mapping[str, Mapping[str, Value | None]] = MappingProxyType({})


@dataclass(slots=True)
class InverterState:
    """One inverter: its identity, its last report, and when that becomes stale."""

    device: Device
    values: Mapping[str, Value | None] = field(default_factory=dict)
    available: bool = False
    time: datetime | None = None
    stale_at: float | None = None
    counters: EnergyCounters = field(default_factory=EnergyCounters)
    zone_check: ZoneCheck = field(default_factory=ZoneCheck)
    grid_power: GridPowerCheck = field(default_factory=GridPowerCheck)
    fields: Catalogue = INVERTER
    behind: float | None = None
    """By how many seconds its readings are usually older than their arrival."""

    def as_device_state(self, *, source_up: bool) -> DeviceState:
        """Return the state for a snapshot.

        The lifetime counters outlive a silence; then the details say from when they are.
        """
        available = self.available and source_up
        details = NO_DETAILS
        if not available and self.time is not None:
            totals = [key for key in LIFETIME_COUNTERS if self.values.get(key) is not None]
            details = MappingProxyType({key: {"as_of": self.time} for key in totals})
        return DeviceState(
            self.device,
            MappingProxyType(dict(self.values)),
            available,
            self.time,
            fields=self.fields,
            details=details,
        )


class Inverters:
    """All inverters that have reported, by serial number. At most 64: memory is bounded.

    *guarded*: what is heard comes from a network, where anyone may send. Then the first inverter
    is shown at once, each other one after two reports that agree, a few an hour; an inverter that
    is shown keeps its place, so that no crowd of forged serials can shut it out. *fields* are those
    of an inverter that has not reported since the start.
    """

    def __init__(
        self,
        via: str | None = None,
        expire_after: float | None = None,
        *,
        guarded: bool = False,
        fields: Catalogue = INVERTER,
    ) -> None:
        self._via = via
        self._fields = fields
        # Settings that can't be changed here any more are not shown any more.
        self._known = fields.keys() - (SETTING_KEYS if fields is INVERTER else set())
        self._expire_after = expire_after
        self._guarded = guarded
        self._states: dict[str, InverterState] = {}
        self._candidates: dict[str, Received] = {}
        self._admitted: deque[float] = deque(maxlen=ADMISSIONS)
        self.ignored = 0
        """Reports of inverters that were not admitted."""

    def __len__(self) -> int:
        return len(self._states)

    def states(self) -> Mapping[str, InverterState]:
        """Return the states by serial number."""
        return self._states

    def take(self, received: Received, known: Inverter) -> Sequence[Reading]:
        """Take a report; return the readings for time series.

        *known* is the pipeline's record of the inverter. There are none while a newcomer waits,
        and two when it is admitted.
        """
        state = self._states.get(received.serial)
        if state is not None:
            return (self._update(state, received, known),)
        before = self._admit(received)
        if before is None:
            self.ignored += 1
            return ()
        state = InverterState(device=_device(received, self._via))
        self._states[received.serial] = state
        return tuple(self._update(state, report, known) for report in before)

    def _admit(self, received: Received) -> Sequence[Received] | None:
        """Return the reports with which an inverter joins; ``None``: not yet."""
        if len(self._states) >= MAXIMUM_INVERTERS:
            return None
        if not self._guarded or not self._states:
            return (received,)
        first = self._candidates.pop(received.serial, None)
        now = received.arrival
        if first is not None and _consistent(first, received):
            busy = (
                len(self._admitted) == ADMISSIONS
                and now is not None
                and now - self._admitted[0] < ADMISSION_TIME
            )
            if not busy:
                if now is not None:
                    self._admitted.append(now)
                return (first, received)
        self._candidates[received.serial] = received
        if len(self._candidates) > MAXIMUM_CANDIDATES:
            del self._candidates[next(iter(self._candidates))]
        return None

    def _update(self, state: InverterState, received: Received, known: Inverter) -> Reading:
        raw = received.report.values
        if not received.live:
            values = state.counters.without_impossible(received.values)
            return Reading(state.device, received.time, MappingProxyType(values), live=False)
        state.device = _device(received, self._via, state.device)
        state.fields = received.fields
        state.grid_power.update(raw)
        moment = Moment(received.report.local_time, received.time.timestamp(), received.arrival)
        values = state.counters.hold_back(received.values, moment)
        self._show(state, received, values, known)
        if (offset := received.clock_offset) is not None and not received.verdict.burst:
            state.zone_check.take(offset)
            state.behind = known.progress.behind
        return Reading(state.device, received.time, MappingProxyType(values))

    def _show(
        self, state: InverterState, received: Received, values: Values, known: Inverter
    ) -> None:
        held = {
            key: state.counters.shown(key)
            for key, value in values.items()
            if value is None and received.values[key] is not None
        }
        shown = as_field_values(values | held)
        offset, interval = received.clock_offset, known.progress.interval
        shown |= {
            "last_report": received.time,
            "clock_offset": None if offset is None else round(offset),
            "report_interval": None if interval is None else round(interval),
        }
        if not received.report.asked_for:
            # No signal arrives with 1 mW: what is not negative is something else.
            shown["dongle_signal"] = min(received.report.rssi, 0) or None
        state.values = dict.fromkeys(state.values) | shown
        state.available = True
        state.time = received.time
        state.stale_at = known.progress.stale_at(self._expire_after)

    def change(self, serial: str, values: Values, fields: Catalogue) -> None:
        """Show how an inverter is set now; its readings stay as old as they are."""
        if (state := self._states.get(serial)) is not None:
            state.fields = fields
            changed = as_field_values(values).items()
            known = {
                key: value for key, value in changed if value is not None or key in state.values
            }
            state.values = {**state.values, **known}

    def expire(self, now: float) -> bool:
        """Mark stale inverters as unavailable; returns whether any was.

        *now* is on the arrival clock.
        """
        stale = [
            state
            for state in self._states.values()
            if state.available and state.stale_at is not None and now >= state.stale_at
        ]
        for state in stale:
            state.available = False
        return bool(stale)

    def lose(self, serial: str) -> bool:
        """Mark an inverter as unavailable at once; returns whether it was available."""
        state = self._states.get(serial)
        if state is None or not state.available:
            return False
        state.available = False
        return True

    def next_expiry(self) -> float | None:
        """Return when the next one becomes stale, on the arrival clock."""
        times = [
            state.stale_at
            for state in self._states.values()
            if state.available and state.stale_at is not None
        ]
        return min(times, default=None)

    @property
    def any_available(self) -> bool:
        """Whether one of them is fresh."""
        return any(state.available for state in self._states.values())

    @property
    def zone_mismatch(self) -> Mapping[str, int]:
        """Seconds by which an inverter's clock is behind, by serial, where it is not right."""
        return {
            serial: state.zone_check.mismatch
            for serial, state in self._states.items()
            if state.zone_check.mismatch
        }

    @property
    def grid_power_by_ten_suggested(self) -> tuple[str, ...]:
        """Serials of inverters that seem to count grid power in 10 W."""
        return tuple(serial for serial, state in self._states.items() if state.grid_power.suggested)

    def stored(self) -> dict[str, Any]:
        """Return what must outlive a restart, in plain types, by serial number."""
        return {
            serial: {
                "behind": state.behind,
                "model": state.device.model,
                "sw_version": state.device.sw_version,
                "keys": list(state.values),
                "time": None if state.time is None else state.time.isoformat(),
                **state.counters.stored(),
            }
            for serial, state in self._states.items()
        }

    def restore(self, stored: object) -> None:
        """Begin with what was kept; what is damaged of it is left out.

        The inverters are there, but unavailable until they report. Their lifetime counters keep
        their last values; the details say from when they are. What was kept while reports still
        came (no ``complete``: the end was a power cut) may be older than what was shown: such
        counters are not shown until they are read, because they would fall.
        """
        inverters = stored.get("inverters") if isinstance(stored, Mapping) else None
        if not isinstance(stored, Mapping) or not isinstance(inverters, Mapping):
            return
        complete = stored.get("complete") is True
        for serial, kept in inverters.items():
            if len(self._states) >= MAXIMUM_INVERTERS:
                return
            if not (isinstance(serial, str) and serial.isascii() and serial.isalnum()):
                continue
            if len(serial) == SERIAL_SIZE and isinstance(kept, Mapping):
                self._states[serial] = self._restored(serial, kept, complete=complete)

    def _restored(self, serial: str, kept: Mapping[str, Any], *, complete: bool) -> InverterState:
        device = _new_device(serial, self._via)
        told = {
            name: text
            for name in ("model", "sw_version")
            if isinstance(text := kept.get(name), str) and text
        }
        state = InverterState(replace(device, **told), fields=self._fields)
        state.counters.restore(kept, complete=complete)
        behind = kept.get("behind")
        if isinstance(behind, (int, float)) and math.isfinite(behind):
            state.behind = float(behind)
        keys = kept.get("keys")
        told_keys = keys if isinstance(keys, list) else []
        known = [key for key in told_keys if isinstance(key, str) and key in self._known]
        state.time = _moment(kept.get("time"))
        totals = {
            key: value
            for key in LIFETIME_COUNTERS
            if complete and key in known and (value := state.counters.shown(key)) is not None
        }
        state.values = dict.fromkeys(known) | totals
        return state


SERIAL_SIZE = 10


def _consistent(first: Received, second: Received) -> bool:
    """Whether the second report of a newcomer can follow its first: times, then counters."""
    read = (second.time - first.time).total_seconds()
    if read <= 0:
        return False
    if first.arrival is not None and second.arrival is not None:
        came = second.arrival - first.arrival
        if abs(read - came) > CONSISTENCY and not second.verdict.burst:
            return False
    counters = EnergyCounters()
    for report in (first, second):
        moment = Moment(report.report.local_time, report.time.timestamp(), report.arrival)
        if counters.hold_back(report.values, moment) is not report.values:
            return False
    return True


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if moment is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _new_device(serial: str, via: str | None) -> Device:
    return Device(
        id=serial,
        kind="inverter",
        name=f"Sunsynk {serial[-4:]}",
        manufacturer="Sunsynk / Deye",
        model="Hybrid inverter",
        serial_number=serial,
        via=via,
    )


def _device(received: Received, via: str | None, before: Device | None = None) -> Device:
    if before is None:
        before = _new_device(received.serial, via)
    power = received.values.get("rated_power")
    model = before.model
    if isinstance(power, (int, float)) and power > 0:
        model = f"{power / 1000:.1f} kW hybrid inverter"
    version = received.report.word(CONTROL_BOARD_VERSION)
    sw_version = str(version) if version else before.sw_version
    if (model, sw_version) == (before.model, before.sw_version):
        return before
    return replace(before, model=model, sw_version=sw_version)
