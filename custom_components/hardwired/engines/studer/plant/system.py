"""The plant as a whole: sums of powers, and energies that never fall (spec h).

Energies come from the devices' counters where these tell what flows. For what no counter tells a
power is added up over time: what is fed into the grid, and the battery's share where no battery
monitor measures it. An Xtender's own battery counters don't tell that: sun that goes from a solar
charger to an Xtender does not pass the battery.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import MappingProxyType

from ...engine import Device, DeviceState
from ...fields import Value
from ..catalogue import CATALOGUES, SYSTEM
from ..datapoints.datapoint import Datapoint, by_id
from ..datapoints.plausibility import BATTERY_VOLTAGES
from ..scom.families import Family
from .totals import RunningTotal
from .unit import MANUFACTURER, REFRESH, Unit

POWER_SUMS: Mapping[str, Mapping[Family, int]] = {
    "output_active_power": {Family.XT: 3136},
    "input_active_power": {Family.XT: 3137},
    "pv_power": {Family.VT: 11004, Family.VS: 15010},
}
"""Powers of the plant: the infos that are added up."""

ENERGY_TOTALS: Mapping[str, Mapping[Family, int]] = {
    "consumers_energy": {Family.XT: 3083},
    "ac_in_energy": {Family.XT: 3081},
    "pv_energy": {Family.VT: 11007, Family.VS: 15017},
}
"""Energies of the plant: the counters of the day that are added up to a total that never falls."""

CHARGE_TOTALS: Mapping[str, int] = {
    "battery_charge_energy": 7007,
    "battery_discharge_energy": 7008,
}
"""Energies of the battery: a monitor's counters of the day, in ampere-hours."""

EXPORT = "ac_in_export_energy"
INPUT_POWER = 3137
BATTERY_POWER = 7003
"""Of a battery monitor, in watts; positive: the battery is charged."""
BATTERY_CURRENTS: Mapping[Family, int] = {Family.XT: 3005, Family.VT: 11001, Family.VS: 15001}
"""What each device gives to the battery; negative: what it takes."""
STATE_OF_CHARGE: Mapping[Family, int] = {Family.BSP: 7002, Family.BMS: 7002, Family.XT: 3007}
MONITORS = (Family.BMS, Family.BSP)

NO_DETAILS: Mapping[str, Mapping[str, Value | None]] = MappingProxyType({})
NO_POWER = 0.01
"""Kilowatts at AC-In that are an error of measurement, not a flow."""
LONGEST_STEP = 5.0
"""Seconds for which a power is added up at most: a computer may have slept."""
STATE_EVERY = 1.0
"""Seconds after which the sums are made anew though no device shows anything new."""


@cache
def needed(family: Family, *, monitored: bool) -> frozenset[int]:
    """Return the infos of a family that are read in any case.

    The sums need them, and the comparison of battery voltages.
    """
    sources = [*POWER_SUMS.values(), *ENERGY_TOTALS.values(), BATTERY_VOLTAGES]
    if not monitored:
        sources += [BATTERY_CURRENTS]
    numbers = {source[family] for source in sources if family in source}
    if family in MONITORS:
        numbers |= {BATTERY_VOLTAGES[Family.BSP], BATTERY_POWER, STATE_OF_CHARGE[family]}
        numbers |= set(CHARGE_TOTALS.values())
    return frozenset(numbers)


class System:
    """The sums and totals of one plant. Powers are in kW, energies in kWh."""

    def __init__(self) -> None:
        keys = (*ENERGY_TOTALS, *CHARGE_TOTALS, EXPORT)
        self.totals: dict[str, RunningTotal] = {key: RunningTotal() for key in keys}
        self.as_of: datetime | None = None
        """When the totals were last counted up."""
        self._moved_at: float | None = None
        self._told_charge = False
        self._state: DeviceState | None = None
        self._made_at = 0.0
        self._true_at: dict[str, float] = {}
        """When what is shown was last true, by key."""

    # ------------------------------------------------------------------ counting

    def count(
        self, unit: Unit, point: Datapoint, value: float, moment: datetime | None = None
    ) -> None:
        """Take a good reading; *moment* is on the plant's clock."""
        if unit.virtual:
            return
        for key, sources in ENERGY_TOTALS.items():
            if sources.get(unit.family) == point.id:
                self.totals[key].update(unit.id, value, moment)
                return
        if unit.family not in MONITORS:
            return
        for key, number in CHARGE_TOTALS.items():
            if number == point.id and (volts := unit.voltage) is not None:
                self.totals[key].update(unit.id, value, moment, volts / 1000)

    def flow(self, units: Iterable[Unit], now: float, moment: datetime) -> None:
        """Add up the powers that no counter counts, since the last call; *now* is monotonic."""
        self.as_of = moment
        before, self._moved_at = self._moved_at, now
        units = list(units)
        if before is None:
            return
        hours = min(now - before, LONGEST_STEP) / 3600
        for unit in units:
            power = _reading(unit, INPUT_POWER) if unit.family is Family.XT else None
            if power is not None and power < -NO_POWER:
                self.totals[EXPORT].add(-power * hours)
        if not _monitored(units) and (power := _battery_power(units)) is not None:
            key = "battery_charge_energy" if power > 0 else "battery_discharge_energy"
            self.totals[key].add(abs(power) * hours)

    def pause(self) -> None:
        """The link is lost: what flows until it is back is not known."""
        self._moved_at = None

    # ------------------------------------------------------------------ showing

    def state(
        self,
        gateway: Unit,
        units: Sequence[Unit],
        now: float,
        *,
        changed: bool = True,
        quiet: bool = False,
    ) -> DeviceState:
        """Return the plant as a device; the same object while nothing is new.

        *changed*: whether something of a device is shown anew. *quiet*: what moves by noise only
        stays as it was, for a minute at most.
        """
        before = self._state
        if before is not None and not changed and now - self._made_at < STATE_EVERY:
            return before
        self._made_at = now
        values = self._values(units)
        if quiet and before is not None:
            self._hide_noise(values, before.values, now)
        if (
            before is None
            or before.values != values
            or before.available != gateway.available
            or before.device.via != gateway.id
        ):
            self._state = before = DeviceState(
                Device(
                    id=f"{gateway.id}_system",
                    kind=SYSTEM,
                    name="Studer system",
                    manufacturer=MANUFACTURER,
                    via=gateway.id,
                ),
                MappingProxyType(values),
                gateway.available,
                fields=CATALOGUES[SYSTEM],
                details=self._details(values, available=gateway.available),
            )
        return before

    def _details(
        self, values: Iterable[str], *, available: bool
    ) -> Mapping[str, Mapping[str, Value | None]]:
        """Return of when the energies are, while the plant is silent."""
        if available or self.as_of is None:
            return NO_DETAILS
        told = MappingProxyType({"as_of": self.as_of})
        return MappingProxyType({key: told for key in values if key in self.totals})

    def _hide_noise(
        self, values: dict[str, Value | None], shown: Mapping[str, Value | None], now: float
    ) -> None:
        for key, value in values.items():
            old = shown.get(key)
            noise = value != old and CATALOGUES[SYSTEM][key].is_noise(old, value)
            if noise and now - self._true_at.setdefault(key, now) < REFRESH:
                values[key] = old
            else:
                self._true_at[key] = now

    def _values(self, units: Sequence[Unit]) -> dict[str, Value | None]:
        values: dict[str, Value | None] = {}
        for key, sources in POWER_SUMS.items():
            if found := [unit for unit in units if unit.family in sources]:
                values[key] = _sum(found, sources)
        if units:
            charging = _battery_power(units)
            # As the Energy dashboard counts: positive while the battery gives.
            values["battery_power"] = None if charging is None else round(0.0 - charging, 6)
        charge = self._state_of_charge(units)
        if self._told_charge:
            values["state_of_charge"] = charge
        for key in self._counted(units):
            # What is shown is what is stored: a power cut must not let it fall.
            values[key] = round(self.totals[key].kept, 3)
        return values

    @staticmethod
    def _counted(units: Iterable[Unit]) -> Iterable[str]:
        """Yield the energies that a plant of these devices has."""
        families = {unit.family for unit in units}
        for key, sources in ENERGY_TOTALS.items():
            if families & sources.keys():
                yield key
        if Family.XT in families:
            yield EXPORT
        if families & {*MONITORS, *BATTERY_CURRENTS}:
            yield from CHARGE_TOTALS

    def _state_of_charge(self, units: Iterable[Unit]) -> Value | None:
        """Return the battery's state of charge; of an Xtender only when it seems to know it.

        One without a battery monitor may say 0.
        """
        units = list(units)
        for family in MONITORS:
            for unit in units:
                if unit.family is family:
                    self._told_charge = True
                    return _shown_value(unit, STATE_OF_CHARGE[family])
        for unit in units:
            if unit.family is Family.XT:
                value = _shown_value(unit, STATE_OF_CHARGE[Family.XT])
                if value:
                    self._told_charge = True
                    return value
        return None


def _monitored(units: Iterable[Unit]) -> bool:
    return any(unit.family in MONITORS for unit in units)


def _battery_power(units: Iterable[Unit]) -> float | None:
    """Return the power into the battery; ``None`` while a part of it is not known."""
    units = list(units)
    for unit in units:
        if unit.family in MONITORS:
            watts = _reading(unit, BATTERY_POWER)
            return None if watts is None else watts / 1000
    total = 0.0
    for unit in units:
        number = BATTERY_CURRENTS.get(unit.family)
        if number is None:
            continue
        volts, amps = unit.voltage, _reading(unit, number)
        if volts is None or amps is None:
            return None
        total += volts * amps / 1000
    return total


def _sum(units: Iterable[Unit], sources: Mapping[Family, int]) -> float | None:
    total = 0.0
    for unit in units:
        value = _reading(unit, sources[unit.family])
        if value is None:
            return None
        total += value
    return round(total, 6)


def _reading(unit: Unit, number: int) -> float | None:
    """Return the last good reading of a device that is there."""
    value = _shown_value(unit, number)
    return value if isinstance(value, (int, float)) else None


def _shown_value(unit: Unit, number: int) -> Value | None:
    point = by_id(unit.family, number)
    return unit.readings.get(point.key) if point is not None and unit.available else None
