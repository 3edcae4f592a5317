"""What is known of the installation: devices and values, from buffers and frames (spec d, h)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from types import MappingProxyType
from typing import Any, TypeGuard

from ..engine import Device, DeviceState
from ..fields import Catalogue, Value
from . import errors
from .catalogue import CATALOGUES, OPERATING_STATES
from .composites import LAST
from .devices import DeviceKind, Model, hardware, model_of, software
from .inet.box import Seen
from .inet.buffers import STATUS_LAYOUTS, Buffer, DeviceRecord, MessageId, read_device
from .inet.rules import (
    AIRCON_HIGHEST,
    AIRCON_LOWEST,
    MODES_OF,
    ROOM_HIGHEST,
    ROOM_LOWEST,
    UNKNOWN_TEMPERATURES,
    AirconMode,
    Energy,
    HeaterKind,
    HeatingMode,
    Vent,
    Water,
    temperature,
    temperature_code,
)
from .inet.signals import (
    ALDE_IDENTIFIERS,
    HeaterState,
    Signal,
    Signals,
    read_heater_state,
    read_signal,
)
from .lin.frames import identifier_of

_LOGGER = logging.getLogger(__name__)

PANEL, HEATER, AIRCON, ALDE = "panel", "heater", "aircon", "alde"
PANEL_CLOCK = "panel_clock"
NAMES = {
    PANEL: "Truma CP plus",
    HEATER: "Truma heater",
    AIRCON: "Truma air conditioner",
    ALDE: "Alde heater",
}

HEATING_MODES = {mode: mode.name.lower() for mode in HeatingMode}
WATER_MODES = {level: level.name.lower() for level in Water}
ENERGIES = {Energy.FUEL: "fuel", Energy.ELECTRICITY: "electricity", Energy.MIX: "mix"}
AIRCON_MODES = {mode: mode.name.lower() for mode in AirconMode}
VENTS = {vent: vent.name.lower() for vent in Vent}
STATES = {state: state.name.lower() for state in HeaterState}


def _fields_of(heater: HeaterKind) -> Catalogue:
    """Return the fields of a heater with the modes that this kind of it has."""
    table = CATALOGUES[HEATER]
    modes = ("off", *(HEATING_MODES[mode] for mode in MODES_OF[heater]))
    vario = heater is HeaterKind.VARIO
    levels = tuple(one for one in WATER_MODES.values() if not (vario and one == "boost"))
    return table.with_fields(
        replace(table[key], options=options)
        for key, options in (("heating_mode", modes), ("water_mode", levels))
    )


HEATERS = {heater: _fields_of(heater) for heater in HeaterKind}

ALDE_MESSAGES = frozenset(
    {MessageId.ALDE_DEVICE, MessageId.ALDE, MessageId.ALDE_NIGHT, MessageId.ALDE_DAY}
)

READY, MAINS, WINDOW_CLOSED = 0x01, 0x02, 0x04
COARSE_WATER = 6.0
"""°C by which the water may be warmer than the status says: steps of 5 °C, 1 °C below it (d.1)."""
BOILER_HEATING = frozenset({0x11, 0x31})
BOILER_KNOWN = frozenset({0x00, 0x10, 0x11, 0x30, 0x31})


class Installation:
    """Collects what is received; :meth:`states` is the content of the engine's snapshot."""

    def __init__(self, heater: HeaterKind | None = None) -> None:
        self._override = heater
        self._records: dict[int, DeviceRecord] = {}
        self._values: dict[str, dict[str, Value | None]] = {PANEL: {}}
        self.status: dict[int, dict[str, int]] = {}
        """The raw fields of the newest status, by message id."""
        self.last: dict[str, Value] = {}
        """How it was when it was last on: the room's set-point, the air conditioner's mode and
        set-point. The latter may also have been wished for the next time."""
        self.records_seen = 0
        self._alde = False
        """Whether this is the bus of an Alde panel, whose fast frames mean something else."""
        self._fast: set[str] = set()
        """The values of the heater that its fast frames tell."""
        self._payloads: dict[int, bytes] = {}
        self._logged: set[str] = set()

    @property
    def heater_kind(self) -> HeaterKind:
        """The kind of heater, which decides the heating modes."""
        if self._override is not None:
            return self._override
        _, heater = self._record(HEATER)
        _, panel = self._record(PANEL)
        for model in (heater, panel):
            # Where the two differ, the heater is what knows its modes.
            if model is not None and model.heater is not None:
                return model.heater
        mode = self.status.get(MessageId.HEATER, {}).get("heating_mode")
        vario = mode in (HeatingMode.NIGHT, HeatingMode.AUTO)
        return HeaterKind.VARIO if vario else HeaterKind.COMBI

    @property
    def error_list(self) -> errors.ErrorList | None:
        """Whose errors the heater shows; ``None``: the panel lists no heater that answers."""
        _, model = self._record(HEATER, online=True)
        return None if model is None else model.errors

    @property
    def stored(self) -> dict[str, Any]:
        """What is kept over a restart: the devices, their values' keys, how they were on."""
        return {
            **self.last,
            "records": {str(index): raw.hex() for index, raw in self._payloads.items()},
            "values": {kind: sorted(values) for kind, values in self._values.items() if values},
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Take what was kept over a restart; what is none of it is left aside.

        The devices are there again, without values until they are heard.
        """
        self._restore_last(stored)
        records, values = stored.get("records"), stored.get("values")
        for raw in records.values() if isinstance(records, Mapping) else ():
            with contextlib.suppress(ValueError, TypeError):
                payload = bytes.fromhex(raw)
                if (record := read_device(payload)) is not None:
                    self._records[record.index] = record
                    self._payloads[record.index] = payload
        for kind, keys in values.items() if isinstance(values, Mapping) else ():
            if kind not in CATALOGUES or not isinstance(keys, list):
                continue
            known = {key: None for key in keys if isinstance(key, str) and key in CATALOGUES[kind]}
            if known or kind == PANEL:
                self._of(kind).update(known)

    def _restore_last(self, stored: Mapping[str, Any]) -> None:
        target, mode = stored.get("target_temp_room"), stored.get("mode")
        if _is_set_point(target):
            self.last["target_temp_room"] = float(target)
        if isinstance(mode, str) and mode in AIRCON_MODES.values() and mode != "off":
            self.last["mode"] = mode
        if _is_aircon_target(stored.get("target_temp")):
            self.last["target_temp"] = float(stored["target_temp"])

    def remember_last(self) -> bool:
        """Note how the devices are on now; returns whether that is new."""
        before = dict(self.last)
        for device in (HEATER, AIRCON):
            self.note_set(device, self._values.get(device, {}))
        return self.last != before

    def note_set(self, device: str, values: Mapping[str, Value | None]) -> None:
        """Note how a device is on when it has these values."""
        target, mode = values.get("target_temp_room"), values.get("mode")
        if device == HEATER and _is_set_point(target):
            self.last["target_temp_room"] = target
        if device == AIRCON and mode not in (None, "off"):
            self.last["mode"] = mode
        if device == AIRCON and _is_aircon_target(aircon := values.get("target_temp")):
            self.last["target_temp"] = aircon

    def last_code(self, key: str) -> int | None:
        """Return the code of a set-point when it was last on."""
        last = self.last.get(key)
        return temperature_code(last) if isinstance(last, (int, float)) else None

    def forget_set(self, noted: Mapping[str, Value], before: Mapping[str, Value]) -> None:
        """Put back what was noted for a wish that came to nothing, where it still stands."""
        for key, value in noted.items():
            if self.last.get(key) != value or before.get(key) == value:
                continue
            if key in before:
                self.last[key] = before[key]
            else:
                del self.last[key]

    def _details(self, kind: str) -> Mapping[str, Mapping[str, Value | None]]:
        key = {HEATER: "target_temp_room", AIRCON: "mode"}.get(kind, "")
        found: dict[str, Mapping[str, Value | None]] = {}
        if key in self.last:
            found[key] = MappingProxyType({LAST: self.last[key]})
        status = self.status.get(MessageId.HEATER)
        if kind == HEATER and status is not None:
            names = ("error_class", "error_code")
            found["error"] = MappingProxyType({name: status[name] for name in names})
        return MappingProxyType(found)

    @property
    def is_alde(self) -> bool:
        """Whether the panel is an Alde panel, which is only read (spec d.12)."""
        return self._alde and MessageId.HEATER not in self.status

    @property
    def has_values(self) -> bool:
        """Whether any device beside the panel has a value."""
        return any(
            value is not None
            for kind, values in self._values.items()
            if kind != PANEL
            for value in values.values()
        )

    def _of(self, kind: str) -> dict[str, Value | None]:
        return self._values.setdefault(kind, {})

    def forget(self) -> None:
        """Nobody has listened for a while: nothing holds until it is told again."""
        for kind, values in self._values.items():
            values.update(dict.fromkeys(values if kind != PANEL else values.keys() & {PANEL_CLOCK}))
        self.status.clear()
        self._fast.clear()

    def take_buffer(self, buffer: Buffer) -> None:
        """Take an accepted buffer."""
        if buffer.message_id in ALDE_MESSAGES:
            self._is_alde()
        if buffer.message_id == MessageId.DEVICE:
            record = read_device(buffer.payload)
            if record is not None:
                self._records[record.index] = record
                self._payloads[record.index] = buffer.payload[:12]
                self.records_seen += 1
            return
        layout = STATUS_LAYOUTS.get(buffer.message_id)
        raw = None if layout is None else layout.read(buffer.payload)
        if raw is None or buffer.message_id == MessageId.ACKNOWLEDGE:
            return
        self.status[buffer.message_id] = raw
        match buffer.message_id:
            case MessageId.HEATER:
                self._take_heater(raw)
            case MessageId.TIMER:
                self._take_timer(raw)
            case MessageId.CLOCK:
                self._take_clock(raw)
            case MessageId.AC_MANUAL:
                self._take_aircon(raw)
            case MessageId.ALDE:
                self._take_alde(raw)

    def _celsius(self, key: str, code: int) -> float | None:
        """Return a temperature; what can't be one is unknown, and logged once (spec d.13)."""
        found = temperature(code)
        if found is None and code not in UNKNOWN_TEMPERATURES and key not in self._logged:
            self._logged.add(key)
            _LOGGER.warning("%s can't be a temperature: code %s is taken for unknown", key, code)
        return found

    def _take_heater(self, raw: Mapping[str, int]) -> None:
        number = errors.error_number(raw["error_class"], raw["error_code"])
        flags = raw["operating_status"]
        # The boost is a level, not a temperature.
        water = raw["target_temp_water"] if raw["target_temp_water"] != Water.BOOST else 0
        self._of(HEATER).update(
            target_temp_room=self._celsius("target_temp_room", raw["target_temp_room"]),
            target_temp_water=self._celsius("target_temp_water", water),
            heating_mode=HEATING_MODES.get(raw["heating_mode"]),  # type: ignore[call-overload]
            water_mode=WATER_MODES.get(raw["target_temp_water"]),  # type: ignore[call-overload]
            energy_mix=ENERGIES.get(raw["energy_mix_a"]),  # type: ignore[call-overload]
            el_power_level=_power(raw["el_power_level_a"]),
            current_temp_room=self._celsius("current_temp_room", raw["current_temp_room"]),
            current_temp_water=self._water(raw["current_temp_water"]),
            error=None,
            error_number=number,
            problem=number != 0,
        )

        # 0 is what the panel shows before it has values of the heater, and what some panels show
        # of a heater that is off: it says nothing of window and mains.
        known = 0 < flags < len(OPERATING_STATES)
        told: dict[str, Value | None] = {
            "operating_status": OPERATING_STATES[flags] if known else None,
            "ready": bool(flags & READY) if known else None,
            "mains": bool(flags & MAINS) if known else None,
            "window": not flags & WINDOW_CLOSED if known else None,
        }
        self._of(HEATER).update(
            (key, value) for key, value in told.items() if known or key not in self._fast
        )

    def _water(self, code: int) -> float | None:
        """Return the water's temperature: that of the fast frames where the coarse one fits it."""
        coarse = self._celsius("current_temp_water", code)
        if "current_temp_water" in self._fast and coarse is not None:
            fine = self._of(HEATER).get("current_temp_water")
            if isinstance(fine, float) and abs(fine - coarse) <= COARSE_WATER:
                return fine
        self._fast.discard("current_temp_water")
        return coarse

    def _take_timer(self, raw: Mapping[str, int]) -> None:
        active = bool(raw["active"])
        self._of(HEATER).update(
            timer_active=active,
            timer=active,
            timer_start=_clock(raw["start_hours"], raw["start_minutes"]),
            timer_stop=_clock(raw["stop_hours"], raw["stop_minutes"]),
            timer_target_temp_room=self._celsius("timer_target_temp_room", raw["target_temp_room"]),
            timer_water_mode=WATER_MODES.get(raw["target_temp_water"]),  # type: ignore[call-overload]
        )

    def _take_clock(self, raw: Mapping[str, int]) -> None:
        self._of(PANEL)[PANEL_CLOCK] = _clock(raw["hours"], raw["minutes"], raw["seconds"])

    def _take_aircon(self, raw: Mapping[str, int]) -> None:
        self._of(AIRCON).update(
            mode=AIRCON_MODES.get(raw["mode"]),  # type: ignore[call-overload]
            vent=VENTS.get(raw["vent"]),  # type: ignore[call-overload]
            target_temp=self._celsius("target_temp", raw["target_temp"]),
            current_temp=self._celsius("current_temp", raw["current_temp"]),
            room_temp=self._celsius("room_temp", raw["room_temp"]),
        )

    def _take_alde(self, raw: Mapping[str, int]) -> None:
        outside = raw["outside_temp"]
        self._of(ALDE).update(
            on=None if raw["on"] not in (0, 1) else bool(raw["on"]),
            target_temp_room=temperature(raw["target_temp_room"]),
            current_temp_room=temperature(raw["current_temp_room"]),
            # Here 0AAA is a real 0.0 °C.
            outside_temp=0.0 if outside == 0x0AAA else temperature(outside),
        )

    def take_frame(self, seen: Seen) -> None:
        """Take a fast frame, or an overheard answer of the heater."""
        identifier = identifier_of(seen.frame.pid)
        if identifier is None:
            return
        if identifier in ALDE_IDENTIFIERS:
            self._is_alde()
        if self._alde:
            return
        state = read_heater_state(seen.frame.data) if identifier == 0x3D else None
        if state is not None:
            self._of(HEATER)["heater_state"] = STATES[state]
            self._of(HEATER)["working"] = state is HeaterState.ON
            return
        signals = read_signal(identifier, seen.frame.data)
        if signals is None:
            return
        match identifier:
            case Signal.HEATER_STATUS:
                self._take_heater_status(signals)
            case Signal.MEASURED:
                self._take_temperatures(signals)
            case Signal.VOLTAGE:
                self._take_voltage(signals)

    def _is_alde(self) -> None:
        """Forget the Truma heater: what looked like its fast frames was none."""
        if self._alde:
            return
        self._alde = True
        self._fast.clear()
        if MessageId.HEATER not in self.status:
            self._values.pop(HEATER, None)

    def _take_fast(self, **values: Value | None) -> None:
        self._fast.update(values)
        self._of(HEATER).update(values)

    def _take_temperatures(self, signals: Signals) -> None:
        self._take_fast(
            current_temp_room=self._celsius("current_temp_room", signals["current_temp_room"] or 0),
            current_temp_water=self._celsius(
                "current_temp_water", signals["current_temp_water"] or 0
            ),
        )

    def _take_heater_status(self, signals: Signals) -> None:
        self._take_temperatures(signals)
        millivolts = signals["voltage_mv"]
        self._take_fast(
            ready=bool(signals["frost_ok"]),
            mains=bool(signals["mains_230v"]),
            window=not signals["window_closed"],
            heating_demand=bool(signals["room_demand"]),
            water_demand=bool(signals["water_demand"]),
            voltage=None if millivolts is None else _volts(millivolts),
        )

    def _take_voltage(self, signals: Signals) -> None:
        boiler = signals["boiler"]
        self._take_fast(
            voltage=_volts((signals["voltage_dv"] or 0) * 100),
            mains=bool(signals["mains_230v"]),
            heating_demand=bool(signals["room_heat_required"]),
            water_demand=boiler in BOILER_HEATING if boiler in BOILER_KNOWN else None,
        )

    def set_panel(self, **values: Value | None) -> None:
        """Set the values of our own node."""
        self._of(PANEL).update(values)

    def states(self, *, available: bool) -> dict[str, DeviceState]:
        """Return all devices with their values."""
        found = {}
        error = {}
        if (number := self._values.get(HEATER, {}).get("error_number")) is not None:
            assert isinstance(number, int)
            error = {"error": errors.meaning_of(number, self.error_list)}
        for kind, values in self._values.items():
            found[kind] = DeviceState(
                self.device(kind),
                MappingProxyType({**values, **(error if kind == HEATER else {})}),
                available=available,
                fields=HEATERS[self.heater_kind] if kind == HEATER else CATALOGUES[kind],
                details=self._details(kind),
            )
        return found

    def device(self, kind: str) -> Device:
        """Return who a device is, as far as it is known."""
        record, model = self._record(kind)
        details: dict[str, Any] = {}
        if record is not None and model is not None:
            details = {
                "model": model.name,
                "model_id": f"{record.hw_id:04X}",
                "sw_version": software(record),
                "hw_version": hardware(record),
            }
        return Device(
            id=kind,
            kind=kind,
            name=NAMES[kind],
            manufacturer="Alde" if kind == ALDE else "Truma",
            via=None if kind == PANEL else PANEL,
            **details,
        )

    def _record(
        self, kind: str, *, online: bool = False
    ) -> tuple[DeviceRecord | None, Model | None]:
        wanted = {
            PANEL: DeviceKind.PANEL,
            HEATER: DeviceKind.HEATER,
            AIRCON: DeviceKind.AIRCON,
        }.get(kind)
        for record in self._records.values():
            model = model_of(record)
            if model.kind is wanted and (record.online or not online):
                return record, model
        return None, None

    def facts(self) -> dict[str, Any]:
        """Return the records and the raw status buffers in plain types."""
        return {
            "records": [
                {
                    "index": record.index,
                    "hardware": hardware(record),
                    "software": software(record),
                    "model": model_of(record).name,
                    "online": record.online,
                }
                for record in self._records.values()
            ],
            "heater_kind": self.heater_kind.value,
            "status": {f"{number:02x}": dict(raw) for number, raw in self.status.items()},
        }


def _is_set_point(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and ROOM_LOWEST <= value <= ROOM_HIGHEST


def _is_aircon_target(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and AIRCON_LOWEST <= value <= AIRCON_HIGHEST


def _power(watts: int) -> str | None:
    return str(watts) if watts in (0, 900, 1800) else None


def _clock(hours: int, minutes: int, seconds: int = 0) -> time | None:
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return time(hours, minutes, seconds)


def _volts(millivolts: int) -> float | None:
    return round(millivolts / 1000, 2) if 5000 <= millivolts <= 40000 else None
