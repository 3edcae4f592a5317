"""A small energy model of a house with sun, battery and grid, for the simulator (spec i.2).

Power balance at every moment: PV + import + discharge = load + export + charge + losses. Signs are
those of the inverter: grid + is import, battery + is discharging, BMS current + is charging. The
battery gives back less than it was given.

Weather and appliances change every five minutes of the wall clock. The day and the plant's seed
decide on them, not the moments at which somebody looks: two plants of one seed live the same day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from ..catalogue import FIELDS
from ..register_words import Codec, words_of

STEP = timedelta(minutes=5)
"""The longest step of the model; longer pauses are divided. So often the weather changes."""

BATTERY_CELLS = 16
MOST_CHARGE, MOST_DISCHARGE = 3000.0, 4500.0
LEAST_SOC = 20.0
EFFICIENCY = 0.95
"""Of charging, and again of discharging."""
IDLE_LOSSES, CONVERSION_LOSSES = 35.0, 0.03
"""W, and the share of the sun's power."""
FULL_SUN_HOURS = 4.5
"""So many hours at the peak power make up a usual day of the model."""
USUAL_LOAD, USUAL_IMPORT, USUAL_CYCLE = 18200.0, 7200.0, 0.88
"""Of a usual day: Wh, Wh, and the share of the battery that is charged."""
FIRST_PLANTS = date(2025, 1, 1)
COUNTERS = {
    energy: tuple(
        name
        for period in ("daily", "monthly", "yearly", "total")
        if (name := f"{energy}_{period}") in FIELDS
    )
    for energy in (
        "battery_charge", "battery_discharge", "grid_import", "grid_export", "load_consumption",
        "pv_production", "inverter_active_energy",
    )
}  # fmt: skip
"""The counters of an energy, by field key."""


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
    """One house. :meth:`advance` lets local time pass, :meth:`registers` is what Modbus shows.

    ``weeks`` before the present one are lived, too, before the first moment; without any it is that
    day only.
    """

    settings: PlantSettings = field(default_factory=PlantSettings)
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311
    now: datetime | None = None
    grid_present: bool = True
    soc: float = 55.0
    flows: _Flows = field(default_factory=_Flows)
    energy: dict[str, float] = field(default_factory=dict)
    """Every energy counter in Wh, by field key."""
    weeks: int = 0
    _clouds: float = 0.8
    _appliance: float = 0.0
    _seed: int = field(init=False)
    _chance: Random = field(init=False)
    _weather_of: tuple[date, int] = (date.min, 0)

    def __post_init__(self) -> None:
        self._seed = self.random.getrandbits(64)
        self._chance = Random(self._seed)  # noqa: S311

    def advance(self, local: datetime) -> None:
        """Let time pass until *local*, the wall clock of the plant (without a zone).

        The first call simulates the time from the beginning, at least from midnight, so that the
        counters fit. For the model, a wall clock that was set back stands still.
        """
        if self.now is None:
            self.begin(local)
        while self.now is not None and self.now < local:
            moment = min(self.now + STEP, local)
            self._step(moment, (moment - self.now).total_seconds() / 3600)
            self._begin_periods(self.now, moment)
            self.now = moment
        self.now = local

    def begin(self, local: datetime) -> None:
        """Go to where the simulation that leads to *local* begins: a midnight."""
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.weeks:
            # From a Monday on: a plant that is made anew within the week has the same past.
            midnight -= timedelta(days=midnight.weekday(), weeks=self.weeks)
        self.now = midnight
        age = max(0, (midnight.date() - FIRST_PLANTS).days) + self.random.randint(200, 900)
        passed = {
            "monthly": midnight.day - 1,
            "yearly": midnight.timetuple().tm_yday - 1,
            "total": age,
        }
        for key, energy in self._usual_day().items():
            for period, days in passed.items():
                if f"{key}_{period}" in FIELDS:
                    self.energy[f"{key}_{period}"] = energy * days

    def _usual_day(self) -> dict[str, float]:
        """Return the energies of a usual day in Wh, which obey the balance."""
        sun = FULL_SUN_HOURS * self.settings.pv_peak
        charge = USUAL_CYCLE * self.settings.battery_wh
        discharge = charge * EFFICIENCY**2
        losses = 24 * IDLE_LOSSES + CONVERSION_LOSSES * sun
        left = sun + USUAL_IMPORT + discharge - USUAL_LOAD - charge - losses
        bought, sold = USUAL_IMPORT - min(left, 0.0), max(left, 0.0)
        return {
            "battery_charge": charge,
            "battery_discharge": discharge,
            "grid_import": bought,
            "grid_export": sold,
            "load_consumption": USUAL_LOAD,
            "pv_production": sun,
            "inverter_active_energy": max(USUAL_LOAD + sold - bought, 0.0),
        }

    def _begin_periods(self, before: datetime, now: datetime) -> None:
        if now.date() == before.date():
            return
        ended = {
            "_daily": True,
            "_monthly": now.month != before.month,
            "_yearly": now.year != before.year,
        }
        for key in self.energy:
            if any(over and key.endswith(period) for period, over in ended.items()):
                self.energy[key] = 0.0

    def _step(self, moment: datetime, hours: float) -> None:
        flows = self.flows = self._dispatch(moment)
        drawn = flows.battery / EFFICIENCY if flows.battery > 0 else flows.battery * EFFICIENCY
        self.soc -= drawn * hours / self.settings.battery_wh * 100
        self.soc = min(max(self.soc, 0.0), 100.0)
        for names, power in (
            (COUNTERS["battery_charge"], -flows.battery),
            (COUNTERS["battery_discharge"], flows.battery),
            (COUNTERS["grid_import"], flows.grid),
            (COUNTERS["grid_export"], -flows.grid),
            (COUNTERS["load_consumption"], flows.load),
            (COUNTERS["pv_production"], flows.pv),
            (COUNTERS["inverter_active_energy"], flows.load - flows.grid),
        ):
            if power > 0:
                for name in names:
                    self.energy[name] = self.energy.get(name, 0.0) + power * hours

    def _dispatch(self, moment: datetime) -> _Flows:
        hour = moment.hour + moment.minute / 60 + moment.second / 3600
        self._change_weather(moment)
        pv = self._sun(hour)
        load = self._load(hour)
        losses = IDLE_LOSSES + CONVERSION_LOSSES * pv
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

    def _change_weather(self, moment: datetime) -> None:
        """Let clouds pass and appliances be switched on, where five minutes are over."""
        day, slot = moment.date(), (60 * moment.hour + moment.minute) // 5
        if (day, slot) == self._weather_of:
            return
        if day != self._weather_of[0]:
            self._chance.seed(f"{self._seed} {day}")
        self._weather_of = (day, slot)
        self._clouds += self._chance.gauss(0.0, 0.06)
        self._clouds = min(max(self._clouds, 0.25), 1.0)
        self._appliance *= 0.6
        if self._chance.random() < (0.12 if 6 <= moment.hour < 22 else 0.02):
            self._appliance = self._chance.choice((900.0, 1500.0, 2100.0))

    def _sun(self, hour: float) -> float:
        height = math.sin(math.pi * (hour - 6.0) / 12.5)
        return float(self.settings.pv_peak * self._clouds * max(0.0, height) ** 1.3)

    def _load(self, hour: float) -> float:
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
