"""A small energy model of a house with sun, battery and grid, for the simulator (spec i.2).

Power balance at every moment: PV + import + discharge = load + export + charge + losses. Signs are
those of the inverter: grid + is import, battery + is discharging, BMS current + is charging.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from ..catalogue import FIELDS, LIFETIME_COUNTERS
from ..register_words import Codec, words_of

STEP = timedelta(minutes=5)
"""The longest step of the model; longer pauses are divided."""

BATTERY_CELLS = 16
MOST_CHARGE, MOST_DISCHARGE = 3000.0, 4500.0
LEAST_SOC = 20.0


@dataclass(frozen=True, slots=True)
class PlantSettings:
    """The size of a plant: watts, watt-hours, volts, hertz."""

    rated_power: int = 5000
    pv_peak: float = 4600.0
    battery_wh: float = 5120.0
    battery_ah: int = 100
    grid_voltage: float = 231.0
    grid_frequency: float = 50.0
    has_bms: bool = True


@dataclass(slots=True)
class _Flows:
    """Powers of one moment in W."""

    pv: float = 0.0
    load: float = 0.0
    non_essential: float = 0.0
    battery: float = 0.0
    grid: float = 0.0
    losses: float = 0.0


@dataclass(slots=True)
class Plant:
    """One house. :meth:`advance` lets local time pass, :meth:`registers` is what Modbus shows."""

    settings: PlantSettings = field(default_factory=PlantSettings)
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311
    now: datetime | None = None
    grid_present: bool = True
    soc: float = 55.0
    flows: _Flows = field(default_factory=_Flows)
    energy: dict[str, float] = field(default_factory=dict)
    """Every energy counter in Wh, by field key."""
    _clouds: float = 0.8
    _appliance: float = 0.0

    def advance(self, local: datetime) -> None:
        """Let time pass until *local*, the wall clock of the plant (without a zone).

        The first call simulates the day from midnight, so that the daily counters fit the hour. For
        the model, a wall clock that was set back stands still.
        """
        if self.now is None:
            self._begin(local)
        while self.now is not None and self.now < local:
            moment = min(self.now + STEP, local)
            self._step(moment, (moment - self.now).total_seconds() / 3600)
            self._begin_periods(self.now, moment)
            self.now = moment
        self.now = local

    def _begin(self, local: datetime) -> None:
        self.now = local.replace(hour=0, minute=0, second=0, microsecond=0)
        for key in LIFETIME_COUNTERS:
            self.energy[key] = self.random.uniform(1e6, 9e6)
        for key in ("pv_production", "load_consumption"):
            self.energy[f"{key}_monthly"] = 12000.0 * (local.day - 1)
            self.energy[f"{key}_yearly"] = 12000.0 * local.timetuple().tm_yday

    def _begin_periods(self, before: datetime, now: datetime) -> None:
        ended = {
            "_daily": now.date() != before.date(),
            "_monthly": now.month != before.month,
            "_yearly": now.year != before.year,
        }
        for key in self.energy:
            if any(over and key.endswith(period) for period, over in ended.items()):
                self.energy[key] = 0.0

    def _step(self, moment: datetime, hours: float) -> None:
        flows = self.flows = self._dispatch(moment)
        self.soc -= flows.battery * hours / self.settings.battery_wh * 100
        self.soc = min(max(self.soc, 0.0), 100.0)
        for key, power in (
            ("battery_charge", -flows.battery),
            ("battery_discharge", flows.battery),
            ("grid_import", flows.grid),
            ("grid_export", -flows.grid),
            ("load_consumption", flows.load),
            ("pv_production", flows.pv),
            ("inverter_active_energy", flows.load - flows.grid),
        ):
            for period in ("daily", "monthly", "yearly", "total"):
                if f"{key}_{period}" in FIELDS and power > 0:
                    name = f"{key}_{period}"
                    self.energy[name] = self.energy.get(name, 0.0) + power * hours

    def _dispatch(self, moment: datetime) -> _Flows:
        hour = moment.hour + moment.minute / 60 + moment.second / 3600
        pv = self._sun(hour)
        load = self._load(hour)
        losses = 35.0 + 0.03 * pv
        battery = load + losses - pv
        if battery > 0:
            battery = min(battery, MOST_DISCHARGE if self.soc > LEAST_SOC else 0.0)
        else:
            # The last percents take longer, as with every battery management.
            tapered = MOST_CHARGE * min(1.0, (100.0 - self.soc) / 8)
            battery = -min(-battery, tapered)
        grid = load + losses - pv - battery
        if not self.grid_present:
            # No grid: the sun is limited, or loads are shed.
            pv, load = pv + min(grid, 0.0), load - max(grid, 0.0)
            grid = 0.0
        share = 0.0 if grid == 0.0 else min(60.0, 0.1 * load)
        return _Flows(pv, load, share, battery, grid, losses)

    def _sun(self, hour: float) -> float:
        self._clouds += self.random.gauss(0.0, 0.06)
        self._clouds = min(max(self._clouds, 0.25), 1.0)
        height = math.sin(math.pi * (hour - 6.0) / 12.5)
        return float(self.settings.pv_peak * self._clouds * max(0.0, height) ** 1.3)

    def _load(self, hour: float) -> float:
        self._appliance *= 0.6
        if self.random.random() < (0.12 if 6 <= hour < 22 else 0.02):
            self._appliance = self.random.choice((900.0, 1500.0, 2100.0))
        morning = 500.0 * math.exp(-((hour - 7.5) ** 2) / 2)
        evening = 900.0 * math.exp(-((hour - 19.5) ** 2) / 4)
        return 280.0 + morning + evening + self._appliance + self.random.uniform(0.0, 40.0)

    def values(self) -> dict[str, float]:
        """Return every value of the moment by field key, in the field's unit."""
        flows, settings, noise = self.flows, self.settings, self.random.uniform
        battery_voltage = BATTERY_CELLS * (3.12 + 0.0022 * self.soc - 0.00002 * flows.battery)
        mains = settings.grid_voltage + noise(-2.0, 2.0) if self.grid_present else 0.0
        house = mains or settings.grid_voltage
        hertz = settings.grid_frequency + noise(-0.05, 0.05)
        string_1, string_2 = round(flows.pv * 0.6), round(flows.pv * 0.4)
        grid = round(flows.grid)
        grid_l1 = grid - round(flows.non_essential)
        load = round(flows.load)
        essential = load - (grid - grid_l1)
        battery = round(flows.battery)
        values = {
            **{key: wh / 1000 for key, wh in self.energy.items()},
            "inverter_state": 2,
            "grid_frequency": hertz if self.grid_present else 0.0,
            "load_frequency": hertz,
            "inverter_frequency": hertz,
            "grid_voltage": mains,
            "load_voltage": house,
            "load_voltage_l1": house,
            "grid_current": grid_l1 / house,
            "load_current": (essential - grid_l1) / house,
            "grid_power_l1": grid_l1,
            "grid_power": grid,
            "grid_power_ct": grid,
            "inverter_power": essential - grid_l1,
            "load_power": load,
            "load_power_l1": load,
            "load_power_essential": essential,
            "grid_connected": int(self.grid_present),
            "pv_power_1": string_1,
            "pv_power_2": string_2,
            "pv_voltage_1": 310.0 if string_1 > 5 else 12.0,
            "pv_voltage_2": 240.0 if string_2 > 5 else 11.0,
            "battery_power": battery,
            "battery_voltage": battery_voltage,
            "battery_current": battery / battery_voltage,
            "battery_soc": round(self.soc),
            "battery_temperature": 19.0 + abs(battery) / 600,
            "battery_capacity": settings.battery_ah,
            "battery_capacity_setting": settings.battery_ah,
            "inverter_temperature_dc": 32.0 + flows.pv / 250,
            "inverter_temperature_ac": 28.0 + flows.load / 300,
            "sd_status": 2000,
            "rated_power": settings.rated_power,
            "load_limit": 0,
        }
        values["pv_current_1"] = string_1 / values["pv_voltage_1"]
        values["pv_current_2"] = string_2 / values["pv_voltage_2"]
        if settings.has_bms:
            values |= {
                "bms_charge_voltage": 56.0,
                "bms_discharge_voltage": 46.0,
                "bms_charge_limit_current": settings.battery_ah // 2,
                "bms_discharge_limit_current": settings.battery_ah,
                "bms_soc": round(self.soc),
                "bms_voltage": battery_voltage,
                "bms_current": -battery / battery_voltage,
                "bms_temperature": 19.0 + abs(battery) / 600,
            }
        return values

    def registers(self) -> dict[int, int]:
        """Return the register words of the moment."""
        image = {13: 13192, 54: 1, 89: 1000, 100: 2561, 119: self.random.randrange(0x10000)}
        for key, value in self.values().items():
            row = FIELDS[key]
            raw = round(value * 10**row.decimals)
            if row.codec is not Codec.S16:
                raw = max(raw, row.low)
            words = words_of(row.codec, raw, len(row.registers))
            image.update(zip(row.registers, words, strict=True))
        return image
