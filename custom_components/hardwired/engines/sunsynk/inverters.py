"""What is known of each inverter now, built from its reports (spec b.13, c.3, d.4, h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from ..engine import Device, DeviceState, Reading
from ..fields import Value
from .catalogue import INVERTER, as_field_values
from .dongle.layouts import Values
from .pipeline.history import RisingCounters, ZoneCheck
from .pipeline.report_pipeline import MAXIMUM_INVERTERS, Inverter, Received

LARGE_INVERTER = 12000
"""Rated power in W from which grid power may be counted in 10 W."""
CONTROL_BOARD_VERSION = 13


@dataclass(slots=True)
class InverterState:
    """One inverter: its identity, its last report, and when that becomes stale."""

    device: Device
    values: Mapping[str, Value | None] = field(default_factory=dict)
    available: bool = False
    time: datetime | None = None
    stale_at: float | None = None
    counters: RisingCounters = field(default_factory=RisingCounters)
    zone_check: ZoneCheck = field(default_factory=ZoneCheck)

    def as_device_state(self, *, source_up: bool) -> DeviceState:
        """Return the state for a snapshot."""
        return DeviceState(
            self.device,
            MappingProxyType(dict(self.values)),
            self.available and source_up,
            self.time,
            fields=INVERTER,
        )


class Inverters:
    """All inverters that have reported, by serial number. At most 64: memory is bounded."""

    def __init__(self, via: str | None = None, expire_after: float | None = None) -> None:
        self._via = via
        self._expire_after = expire_after
        self._states: dict[str, InverterState] = {}
        self.ignored = 0
        """Reports of inverters beyond the limit."""

    def __len__(self) -> int:
        return len(self._states)

    def states(self) -> Mapping[str, InverterState]:
        """Return the states by serial number."""
        return self._states

    def take(self, received: Received, known: Inverter) -> Reading | None:
        """Take a report; return the reading for time series.

        *known* is the pipeline's record of the inverter. Returns ``None`` when there are too many.
        """
        state = self._states.get(received.serial)
        if state is None:
            if len(self._states) >= MAXIMUM_INVERTERS:
                self.ignored += 1
                return None
            state = InverterState(device=_device(received, self._via))
            self._states[received.serial] = state
        if not received.live:
            return Reading(state.device, received.time, MappingProxyType(received.values))
        state.device = _device(received, self._via, state.device)
        values = state.counters.hold_back(received.values)
        self._show(state, received, values, known)
        if (offset := received.clock_offset) is not None and not received.verdict.burst:
            state.zone_check.take(offset)
        return Reading(state.device, received.time, MappingProxyType(values))

    def _show(
        self, state: InverterState, received: Received, values: Values, known: Inverter
    ) -> None:
        held = {
            key: state.counters.published(key)
            for key, value in values.items()
            if value is None and received.values[key] is not None
        }
        shown = as_field_values(values | held)
        offset, interval = received.clock_offset, known.progress.interval
        shown |= {
            "last_report": received.time,
            "clock_offset": None if offset is None else round(offset),
            "dongle_signal": received.report.rssi or None,
            "report_interval": None if interval is None else round(interval),
        }
        state.values = dict.fromkeys(state.values) | shown
        state.available = True
        state.time = received.time
        state.stale_at = known.progress.stale_at(self._expire_after)

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
        """Serials of inverters so large that they may count grid power in 10 W."""
        return tuple(
            serial
            for serial, state in self._states.items()
            if isinstance(power := state.values.get("rated_power"), (int, float))
            and power > LARGE_INVERTER
        )


def _device(received: Received, via: str | None, before: Device | None = None) -> Device:
    if before is None:
        before = Device(
            id=received.serial,
            kind="inverter",
            name=f"Sunsynk {received.serial[-4:]}",
            manufacturer="Sunsynk / Deye",
            model="Hybrid inverter",
            serial_number=received.serial,
            via=via,
        )
    power = received.values.get("rated_power")
    model = before.model
    if isinstance(power, (int, float)) and power > 0:
        model = f"{power / 1000:.1f} kW hybrid inverter"
    version = received.report.word(CONTROL_BOARD_VERSION)
    sw_version = str(version) if version else before.sw_version
    if (model, sw_version) == (before.model, before.sw_version):
        return before
    return replace(before, model=model, sw_version=sw_version)
