"""The physics of a simulated plant: sun, loads, grid, battery, inverters (spec i.1).

Pure. State of charge, energy and timers advance in steps. Signs: battery currents + charge,
- discharge; input power + from the grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from random import Random

from .machines import COUNTERS, Counter, Machine, Mode, Monitor, Solar, Xtender, wobble

DAY = 86_400.0
MINUTE = 60.0
LONG_STEP = 300.0
STEPS = ((1800.0, LONG_STEP), (120.0, 10.0), (0.0, 1.0))
"""Steps of the model: a pause up to the first number is advanced in steps of the second."""

INVERTER_EFFICIENCY = 0.94
CHARGER_EFFICIENCY = 0.93
SOLAR_EFFICIENCY = 0.97
IDLE_WATTS = 16.0
POWER_FACTOR = 0.97
SYSTEM_LOADS = (260.0, 190.0, 150.0)
"""Watts that are always there, by phase."""


class Grid(StrEnum):
    """The source at AC-In."""

    AUTO = "auto"
    """Always there; used when the battery is low, until it has recovered."""
    ALWAYS = "always"
    """Always there and always used."""
    NEVER = "never"
    """No grid."""


class Cycle(IntEnum):
    """Phase of the battery's charge, as info 3010 counts."""

    BULK = 1
    ABSORPTION = 2
    EQUALIZATION = 3
    FLOATING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the plant is made of. Volts, amperes-hours, watts; ``phases`` is 1, 2 or 3."""

    xtenders: int = 6
    phases: int = 3
    variotracks: int = 2
    variostrings: int = 1
    lithium: bool = False
    """An Xcom-CAN with a lithium battery instead of a BSP with lead."""
    nominal: int = 48
    ac: int = 230
    frequency: float = 50.0
    capacity: float = 800.0
    unit_power: float = 4000.0
    grid: Grid = Grid.AUTO


class Battery:
    """A voltage behind a resistance. ``soc`` is 0 ... 1."""

    def __init__(self, nominal: float, capacity: float, soc: float, *, lithium: bool) -> None:
        self.capacity = capacity
        self.soc = soc
        self.lithium = lithium
        self._scale = nominal / 48.0

    @property
    def open_volts(self) -> float:
        """The voltage without a current."""
        if self.lithium:
            return (49.6 + 3.4 * self.soc + 1.2 * max(0.0, self.soc - 0.9) * 10) * self._scale
        return (46.6 + 4.8 * self.soc) * self._scale

    def resistance(self, *, charging: bool) -> float:
        """Return the ohms; a lead battery takes less and less when it is nearly full."""
        base = 6.4 / self.capacity * self._scale
        if self.lithium:
            return base * 0.6
        return base * (1 + 12 * self.soc**8) if charging else base

    def volts(self, amps: float) -> float:
        """Return the voltage at a current."""
        return self.open_volts + amps * self.resistance(charging=amps > 0)

    def amps_to_reach(self, volts: float) -> float:
        """Return the charge current at which the battery has *volts*."""
        difference = volts - self.open_volts
        return difference / self.resistance(charging=difference > 0)

    def pass_current(self, amps: float, hours: float) -> None:
        """Let a current flow."""
        efficiency = 0.93 if amps > 0 and not self.lithium else 1.0
        self.soc = min(1.0, max(0.02, self.soc + amps * efficiency * hours / self.capacity))


@dataclass(slots=True)
class Sky:
    """Sun and clouds."""

    seed: int

    def sun(self, moment: float) -> float:
        """Return the irradiation, 0 ... 1, at a moment of the plant's wall clock."""
        day = moment / DAY
        hour = (day % 1) * 24
        season = math.cos((day % 365.25 - 172) / 365.25 * math.tau)
        half = 6.0 + 2.0 * season
        height = math.cos((hour - 12.5) / half * math.pi / 2) if abs(hour - 12.5) < half else 0.0
        clouds = 0.72 + 0.28 * wobble(self.seed, "clouds", moment, 5400)
        haze = 1 + 0.03 * wobble(self.seed, "haze", moment, 47)
        shining = math.pow(max(0.0, height), 1.2)
        return shining * (0.8 + 0.2 * season) * min(1.0, clouds * haze)


def load_watts(seed: int, phase: int, moment: float) -> float:
    """Return what the house takes from one phase at a moment of its wall clock."""
    hour = (moment / DAY % 1) * 24
    watts = SYSTEM_LOADS[phase % len(SYSTEM_LOADS)]
    for peak, width, height in ((7.5, 1.2, 700.0), (12.3, 1.0, 900.0), (19.5, 2.2, 1300.0)):
        watts += height * math.exp(-(((hour - peak) / width) ** 2)) * (1 - 0.18 * phase)
    name = f"load{phase}"
    watts *= 1 + 0.25 * wobble(seed, name, moment, 1700) + 0.04 * wobble(seed, name, moment, 13)
    if wobble(seed, f"kettle{phase}", moment, 2900) > 0.62:
        watts += 1500.0
    if wobble(seed, f"fridge{phase}", moment, 1500) > 0.1:
        watts += 110.0
    return max(60.0, watts)


class Plant:
    """All devices on one battery. :meth:`advance` lets the plant's wall clock run."""

    def __init__(
        self,
        layout: Layout,
        seed: int,
        *,
        xtenders: Iterable[Xtender],
        solars: Iterable[Solar],
        monitor: Monitor | None,
        soc: float | None = None,
    ) -> None:
        self.layout = layout
        self.seed = seed
        self.xtenders = list(xtenders)
        self.solars = list(solars)
        self.monitor = monitor
        self.moment = 0.0
        self.sky = Sky(seed)
        source = Random(f"{seed}/battery")  # noqa: S311
        start = source.uniform(0.45, 0.75) if soc is None else soc
        self.battery = Battery(layout.nominal, layout.capacity, start, lithium=layout.lithium)
        self.volts = self.battery.open_volts
        self.amps = 0.0
        self.cycle = Cycle.BULK
        self.cycle_since = 0.0
        self.grid_wanted = layout.grid is Grid.ALWAYS
        self.blackout = False
        self.on_minute: Callable[[float], None] = _ignore
        self.on_midnight: Callable[[float], None] = _ignore

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Everything that measures."""
        monitor = () if self.monitor is None else (self.monitor,)
        return (*self.xtenders, *self.solars, *monitor)

    # ------------------------------------------------------------------ time

    def begin(self, moment: float) -> None:
        """Start: simulate the day from midnight to *moment*."""
        source = Random(f"{self.seed}/past")  # noqa: S311
        for machine in self.machines:
            for counter in COUNTERS[type(machine)]:
                past = source.uniform(2, 9)
                days = source.uniform(300, 2000)
                machine.counters[counter] = Counter(
                    yesterday=past, user=past * days / 10, total=past * days
                )
            if isinstance(machine, Solar) and machine.inputs == 2:
                one, two = machine.counter("energy1"), machine.counter("energy2")
                machine.counters["energy"] = Counter(
                    yesterday=one.yesterday + two.yesterday,
                    user=one.user + two.user,
                    total=one.total + two.total,
                )
        self.moment = math.floor(moment / DAY) * DAY
        self.cycle_since = self.moment
        self._step(self.moment, 0.0)
        moment = float(math.floor(moment))
        while self.moment < moment:
            self._walk(min(self.moment + LONG_STEP, moment))
        for machine in self.machines:
            for track in machine.tracks.values():
                track.end_minute()

    def advance(self, moment: float) -> None:
        """Advance to *moment*; a clock that was set back stands still for the physics."""
        if moment - self.moment > 3 * DAY:
            self.moment = moment - 3 * DAY
        whole = float(math.floor(moment))
        step = next((s for least, s in STEPS if whole - self.moment >= least), 1.0)
        while self.moment < whole:
            self._walk(min(self.moment + step, whole))

    def set_clock(self, moment: float) -> None:
        """The plant's clock was set. A new day ends the old one's counters."""
        if moment // DAY != self.moment // DAY:
            self._end_day(moment)
        self.moment = float(math.floor(moment))

    def _walk(self, moment: float) -> None:
        before, self.moment = self.moment, moment
        self._step(moment, moment - before)
        if moment // MINUTE != before // MINUTE:
            for machine in self.machines:
                for track in machine.tracks.values():
                    track.end_minute()
            self.on_minute(moment)
        if moment // DAY != before // DAY:
            self._end_day(moment)

    def _end_day(self, moment: float) -> None:
        self.on_midnight(moment)
        for machine in self.machines:
            for counter in machine.counters.values():
                counter.end_day()
            sample = machine.sample()
            for name, track in machine.tracks.items():
                track.end_day(sample.get(name, 0.0))

    # ------------------------------------------------------------------ one step

    def _step(self, moment: float, seconds: float) -> None:
        hours = seconds / 3600
        self._sun_rises(moment)
        self._want_grid()
        loads = self._share_loads(moment)
        target = self._target()
        for _ in range(3):
            self.amps = self._balance(loads, target, self.volts)
            self.volts = self.battery.volts(self.amps)
        self.battery.pass_current(self.amps, hours)
        self._turn_cycle(moment, target)
        self._measure(moment, loads, target)
        self._count(hours)

    def _sun_rises(self, moment: float) -> None:
        sun = self.sky.sun(moment)
        for solar in self.solars:
            shade = 1 + 0.02 * solar.noise("sun", moment, 61)
            solar.available = solar.peak * sun * shade if solar.running else 0.0

    def _want_grid(self) -> None:
        if self.layout.grid is not Grid.AUTO:
            return
        if self.battery.soc < 0.35:
            self.grid_wanted = True
        elif self.battery.soc > 0.6:
            self.grid_wanted = False

    @property
    def grid_present(self) -> bool:
        """Whether there is voltage at AC-In."""
        return self.layout.grid is not Grid.NEVER and not self.blackout

    def _share_loads(self, moment: float) -> dict[int, float]:
        """Return the watts of each Xtender's output, by index; decide its operating mode."""
        loads: dict[int, float] = {}
        for unit in self.xtenders:
            self._choose_mode(unit)
        for phase in range(self.layout.phases):
            carriers = [u for u in self.xtenders if u.phase == phase and u.mode is not Mode.OFF]
            if not carriers:
                continue
            watts = load_watts(self.seed, phase, moment) * (3 / self.layout.phases)
            most = 0.92 * self.layout.unit_power * len(carriers)
            weights = [1 + 0.03 * u.noise("share", moment, 900) for u in carriers]
            for unit, weight in zip(carriers, weights, strict=True):
                loads[unit.index] = min(watts, most) * weight / sum(weights)
        return loads

    def _choose_mode(self, unit: Xtender) -> None:
        transfer = unit.running and self.grid_present and self.grid_wanted and unit.setting(1128)
        unit.relay = bool(transfer)
        if transfer:
            unit.mode = Mode.CHARGER
        elif unit.running and unit.setting(1124):
            unit.mode = Mode.INVERTER
        else:
            unit.mode = Mode.OFF

    def _target(self) -> float:
        """Return the voltage that the chargers aim at."""
        master = next((unit for unit in self.xtenders if unit.powered), None)
        scale = self.layout.nominal / 48.0
        if self.layout.lithium:
            return 55.2 * scale if self.cycle is not Cycle.FLOATING else 53.6 * scale
        if master is None:
            return 54.4 * scale
        match self.cycle:
            case Cycle.FLOATING:
                return master.setting(1140)
            case Cycle.EQUALIZATION:
                return master.setting(1164)
            case _:
                return master.setting(1156)

    def _balance(self, loads: Mapping[int, float], target: float, volts: float) -> float:
        """Set every device's current for a battery at *volts*; return the battery's."""
        draw = 0.0
        room: dict[int, float] = {}
        for unit in self.xtenders:
            draw += self._serve_load(unit, loads.get(unit.index, 0.0), volts, room)
        wanted = min(self.battery.amps_to_reach(target), 0.4 * self.battery.capacity)
        need = max(0.0, wanted + draw)
        need = self._charge_from_sun(need, volts)
        asked = min(need, sum(room.values()))
        for unit in self.xtenders:
            if unit.index in room:
                share = asked * room[unit.index] / sum(room.values()) if asked else 0.0
                unit.amps = share
                unit.p_in += share * volts / CHARGER_EFFICIENCY
        self._feed_grid(volts)
        return sum(machine.amps for machine in (*self.xtenders, *self.solars))

    def _serve_load(
        self, unit: Xtender, load: float, volts: float, room: dict[int, float]
    ) -> float:
        """Serve one output; return the amperes it takes from the battery."""
        unit.p_out, unit.p_in, unit.amps, unit.limited = load, 0.0, 0.0, False
        if unit.mode is Mode.OFF:
            unit.p_out = 0.0
            return 0.0
        if unit.mode is Mode.INVERTER:
            unit.amps = -(load / INVERTER_EFFICIENCY + IDLE_WATTS) / volts
            return -unit.amps
        unit.mode = Mode.CHARGER
        limit = unit.setting(1107) * self.layout.ac * POWER_FACTOR
        if load > limit and unit.setting(1126):
            unit.mode, unit.limited = Mode.BOOST, True
            unit.p_in = limit
            unit.amps = -((load - limit) / INVERTER_EFFICIENCY) / volts
            return -unit.amps
        unit.p_in = load + IDLE_WATTS
        spare = max(0.0, limit - unit.p_in) * CHARGER_EFFICIENCY / volts
        if unit.setting(1125):
            room[unit.index] = min(unit.setting(1138), spare)
            unit.limited = spare < unit.setting(1138)
        return 0.0

    def _charge_from_sun(self, need: float, volts: float) -> float:
        """Charge from the sun as far as possible; return the amperes still wanted."""
        offers = {
            id(solar): min(
                solar.available * SOLAR_EFFICIENCY / volts, solar.setting(solar.current_limit)
            )
            for solar in self.solars
        }
        offered = sum(offers.values())
        share = min(1.0, need / offered) if offered else 0.0
        for solar in self.solars:
            solar.amps = offers[id(solar)] * share
            solar.curtailed = share < 0.995
        return max(0.0, need - offered * share)

    def _feed_grid(self, volts: float) -> None:
        """Feed surplus sun into the grid, where that is allowed."""
        left = sum(
            max(0.0, min(s.available * SOLAR_EFFICIENCY / volts, s.setting(s.current_limit))
                - s.amps)
            for s in self.solars
        )  # fmt: skip
        for unit in self.xtenders:
            if left <= 0.5 or unit.mode is not Mode.CHARGER or unit.amps > 0.5:
                continue
            if not unit.setting(1127):
                continue
            amps = min(left, unit.setting(1523) * self.layout.ac / volts)
            unit.mode = Mode.INJECTION
            unit.amps -= amps
            unit.p_in -= amps * volts * INVERTER_EFFICIENCY
            left -= amps
            offered = sum(solar.available for solar in self.solars)
            for solar in self.solars:
                solar.amps += amps * solar.available / offered

    def _turn_cycle(self, moment: float, target: float) -> None:
        lasted = moment - self.cycle_since
        charging = self.amps > 0
        match self.cycle:
            case Cycle.BULK if charging and self.volts >= target - 0.05:
                self.enter_cycle(Cycle.ABSORPTION)
            case Cycle.ABSORPTION if lasted > 2 * 3600 and charging:
                self.enter_cycle(Cycle.FLOATING)
            case Cycle.EQUALIZATION if lasted > 1800 and charging:
                self.enter_cycle(Cycle.FLOATING)
            case Cycle.FLOATING | Cycle.ABSORPTION if (
                self.battery.open_volts < 50.2 * self.layout.nominal / 48
                and self.amps < 0
                and lasted > 1800
            ):
                self.enter_cycle(Cycle.BULK)
            case _:
                pass

    def enter_cycle(self, cycle: Cycle) -> None:
        """Begin a phase of the charge cycle now."""
        self.cycle = cycle
        self.cycle_since = self.moment

    # ------------------------------------------------------------------ measuring

    def _measure(self, moment: float, loads: Mapping[int, float], target: float) -> None:
        for machine in self.machines:
            machine.volts = self.volts * (1 + 0.0006 * machine.noise("gain", 0.0)) + (
                0.012 * machine.noise("volts", moment)
            )
        for unit in self.xtenders:
            self._measure_xtender(unit, moment, target)
        for solar in self.solars:
            self._measure_solar(solar, moment)
        if self.monitor is not None:
            self.monitor.amps = self.amps * (1 + 0.002 * self.monitor.noise("amps", moment))
            self.monitor.soc = self.battery.soc * 100
            self.monitor.temperature = (
                21 + 0.02 * abs(self.amps) + 2 * wobble(self.seed, "cellar", moment, DAY)
            )
        for machine in self.machines:
            for name, value in machine.sample().items():
                machine.track(name).add(value)

    def _measure_xtender(self, unit: Xtender, moment: float, target: float) -> None:
        ac = float(self.layout.ac)
        unit.target = target
        seen = self.grid_present and unit.powered
        unit.u_in = ac * (1.004 + 0.012 * unit.noise("u_in", moment, 240)) if seen else 0.0
        unit.f_in = self.layout.frequency + 0.03 * unit.noise("f_in", moment, 90) if seen else 0.0
        if not unit.relay:
            unit.p_in = 0.0
        unit.s_in = abs(unit.p_in) / POWER_FACTOR
        unit.i_in = math.copysign(unit.s_in / unit.u_in, unit.p_in) if unit.u_in else 0.0
        if unit.mode is Mode.OFF:
            unit.u_out = unit.f_out = unit.p_out = 0.0
        elif unit.relay:
            unit.u_out, unit.f_out = unit.u_in - 0.3, unit.f_in
        else:
            unit.u_out = unit.setting(1286) * (1 + 0.002 * unit.noise("u_out", moment))
            unit.f_out = unit.setting(1112) + 0.004 * unit.noise("f_out", moment)
        unit.s_out = unit.p_out / POWER_FACTOR
        unit.i_out = unit.s_out / unit.u_out if unit.u_out else 0.0
        unit.ripple = 0.05 + 0.004 * abs(unit.amps) * (1 + 0.1 * unit.noise("ripple", moment))
        warmth = unit.s_out / self.layout.unit_power
        unit.temperature = 27 + 30 * warmth + 1.5 * unit.noise("temperature", moment, 300)
        unit.transformer = 31 + 42 * warmth + 1.5 * unit.noise("transformer", moment, 400)

    def _measure_solar(self, solar: Solar, moment: float) -> None:
        watts = solar.amps * self.volts / SOLAR_EFFICIENCY
        dusk = min(1.0, self.sky.sun(moment) * 8) if solar.powered else 0.0
        volts, parts = [], []
        for number in range(solar.inputs):
            share = (1 + 0.08 * solar.noise(f"share{number}", moment, 2000)) / solar.inputs
            parts.append(share)
            used = watts / solar.available if solar.available else 0.0
            volts.append(
                solar.open_volts * dusk * (1 - 0.16 * used)
                + 0.4 * dusk * solar.noise(f"pv{number}", moment)
            )
        solar.pv_volts = tuple(volts)
        solar.pv_watts = tuple(watts * part / sum(parts) for part in parts)
        solar.temperature = 26 + 25 * solar.watts / solar.peak + solar.noise("heat", moment, 300)

    def _count(self, hours: float) -> None:
        if not hours:
            return
        for unit in self.xtenders:
            energy = unit.amps * unit.volts / 1000 * hours
            unit.counter("discharge").add(max(0.0, -energy))
            unit.counter("charge").add(max(0.0, energy))
            unit.counter("ac_in").add(max(0.0, unit.p_in) / 1000 * hours)
            unit.counter("consumers").add(unit.p_out / 1000 * hours)
        for solar in self.solars:
            solar.counter("charge").add(solar.amps * hours)
            solar.counter("energy").add(solar.watts / 1000 * hours)
            for number, watts in enumerate(solar.pv_watts, start=1):
                solar.counter(f"energy{number}").add(watts / 1000 * hours)
            solar.counter("sun").add(0.0 if solar.night else hours)
            solar.counter("absorption").add(
                hours if self.cycle is Cycle.ABSORPTION and not solar.night else 0.0
            )
        if self.monitor is not None:
            self.monitor.counter("charged").add(max(0.0, self.amps) * hours)
            self.monitor.counter("discharged").add(max(0.0, -self.amps) * hours)
            self.monitor.counter("hours").add(hours)


def _ignore(_moment: float) -> None:
    """Do nothing."""
