"""The machines of a simulated plant: what each of them measures and counts (spec i.1).

All randomness is a function of the seed and of time, so a plant always behaves the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random

Setting = Callable[[int], float]
"""Returns the value of a parameter that is in force, by its id."""


class Mode(IntEnum):
    """What an Xtender does, as info 3028 counts."""

    INVERTER = 1
    CHARGER = 2
    BOOST = 3
    INJECTION = 4
    OFF = 6


def wobble(seed: int, name: str, moment: float, period: float) -> float:
    """Return a smooth pseudo-random value in -1 ... 1, a function of its arguments only."""
    return _waves(_phases(seed, name), moment, period)


def _waves(phases: tuple[float, float, float], moment: float, period: float) -> float:
    turn = moment * math.tau / period
    return (
        0.5 * math.sin(turn + phases[0])
        + 0.3 * math.sin(turn * 2.618 + phases[1])
        + 0.2 * math.sin(turn * 5.236 + phases[2])
    )


_PHASES: dict[tuple[int, str], tuple[float, float, float]] = {}


def _phases(seed: int, name: str) -> tuple[float, float, float]:
    found = _PHASES.get((seed, name))
    if found is None:
        source = Random(f"{seed}/{name}")  # noqa: S311 - weather, not secrets
        found = (source.uniform(0, 7), source.uniform(0, 7), source.uniform(0, 7))
        if len(_PHASES) > 4096:
            _PHASES.clear()
        _PHASES[seed, name] = found
    return found


@dataclass(slots=True)
class Track:
    """Least, most and mean of a quantity, over the last whole minute and over the day."""

    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    day_low: float = math.inf
    day_high: float = -math.inf
    _low: float = math.inf
    _high: float = -math.inf
    _sum: float = 0.0
    _count: int = 0

    def add(self, value: float) -> None:
        """Take one sample."""
        self._sum += value
        self._count += 1
        if value < self._low:
            self._low = value
            self.day_low = min(self.day_low, value)
        if value > self._high:
            self._high = value
            self.day_high = max(self.day_high, value)

    def end_minute(self) -> None:
        """End the minute."""
        if self._count:
            self.low, self.high, self.mean = self._low, self._high, self._sum / self._count
        self._low, self._high, self._sum, self._count = math.inf, -math.inf, 0.0, 0

    def end_day(self, value: float) -> None:
        """End the day; the next one begins with *value*."""
        self.day_low = self.day_high = value


@dataclass(slots=True)
class Counter:
    """Energy, charge or hours: today, yesterday, in total. ``user`` can be reset."""

    today: float = 0.0
    yesterday: float = 0.0
    user: float = 0.0
    total: float = 0.0

    def add(self, amount: float) -> None:
        """Count."""
        self.today += amount
        self.user += amount
        self.total += amount

    def end_day(self) -> None:
        """Let the day be over."""
        self.yesterday, self.today = self.today, 0.0


@dataclass(slots=True)
class Machine:
    """What every device has. ``index`` counts from 1; ``powered`` is false while it is dead."""

    index: int
    seed: int
    setting: Setting
    powered: bool = True
    volts: float = 0.0
    """Battery voltage as this device measures it."""
    amps: float = 0.0
    """Its own battery current."""
    tracks: dict[str, Track] = field(default_factory=dict)
    counters: dict[str, Counter] = field(default_factory=dict)
    _noises: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def noise(self, name: str, moment: float, period: float = 11.0) -> float:
        """Return what this device's measurement is off by now, in -1 ... 1."""
        phases = self._noises.get(name)
        if phases is None:
            own = f"{type(self).__name__}{self.index}{name}"
            phases = self._noises[name] = _phases(self.seed, own)
        return _waves(phases, moment, period)

    def track(self, name: str) -> Track:
        """Return the statistics of a quantity."""
        found = self.tracks.get(name)
        if found is None:
            found = self.tracks[name] = Track()
        return found

    def counter(self, name: str) -> Counter:
        """Return a counter."""
        found = self.counters.get(name)
        if found is None:
            found = self.counters[name] = Counter()
        return found

    def sample(self) -> Mapping[str, float]:
        """Return what is tracked, by name."""
        return {"volts": self.volts, "amps": self.amps}


@dataclass(slots=True)
class Xtender(Machine):
    """One inverter and charger. Volts, amperes, watts, volt-amperes, hertz, degrees Celsius."""

    phase: int = 0
    switched_on: bool = True
    mode: Mode = Mode.OFF
    relay: bool = False
    u_in: float = 0.0
    i_in: float = 0.0
    p_in: float = 0.0
    s_in: float = 0.0
    f_in: float = 0.0
    u_out: float = 0.0
    i_out: float = 0.0
    p_out: float = 0.0
    s_out: float = 0.0
    f_out: float = 0.0
    limited: bool = False
    ripple: float = 0.0
    temperature: float = 25.0
    transformer: float = 25.0
    target: float = 0.0
    overloads: int = 0

    @property
    def running(self) -> bool:
        """Whether it is alive and switched on; {1576} is the switch that can be forgotten."""
        return self.powered and self.switched_on and not self.setting(1576)

    def sample(self) -> Mapping[str, float]:
        """Return what is tracked, by name."""
        return {
            "volts": self.volts,
            "amps": self.amps,
            "s_out": self.s_out,
            "p_out": self.p_out,
            "temperature": self.temperature,
            "transformer": self.transformer,
            "f_out": self.f_out,
            "u_in": self.u_in,
            "i_in": self.i_in,
            "p_in": self.p_in,
            "f_in": self.f_in,
        }


@dataclass(slots=True)
class Solar(Machine):
    """A solar charger: one input of a VarioTrack, two of a VarioString."""

    peak: float = 3000.0
    inputs: int = 1
    current_limit: int = 10002
    """The parameter that bounds its current."""
    open_volts: float = 120.0
    switched_on: bool = True
    available: float = 0.0
    curtailed: bool = False
    pv_volts: tuple[float, ...] = ()
    pv_watts: tuple[float, ...] = ()
    temperature: float = 25.0

    @property
    def running(self) -> bool:
        """Whether it is alive and switched on."""
        return self.powered and self.switched_on

    @property
    def watts(self) -> float:
        """The power of all its panels."""
        return sum(self.pv_watts)

    @property
    def pv_amps(self) -> tuple[float, ...]:
        """The current of each input."""
        pairs = zip(self.pv_watts, self.pv_volts, strict=True)
        return tuple(watts / volts if volts else 0.0 for watts, volts in pairs)

    @property
    def mean_pv_volts(self) -> float:
        """The voltage of its panels, over all inputs."""
        return sum(self.pv_volts) / len(self.pv_volts) if self.pv_volts else 0.0

    @property
    def night(self) -> bool:
        """Whether there is too little sun."""
        return self.available <= 5.0

    def sample(self) -> Mapping[str, float]:
        """Return what is tracked, by name."""
        found = {
            "volts": self.volts,
            "amps": self.amps,
            "pv_volts": self.mean_pv_volts,
            "watts": self.watts,
            "temperature": self.temperature,
        }
        for number, (volts, watts) in enumerate(
            zip(self.pv_volts, self.pv_watts, strict=True), start=1
        ):
            found[f"pv_volts{number}"] = volts
            found[f"watts{number}"] = watts
        return found


@dataclass(slots=True)
class Monitor(Machine):
    """The BSP, or the Xcom-CAN of a lithium battery."""

    soc: float = 0.0
    temperature: float = 22.0

    def sample(self) -> Mapping[str, float]:
        """Return what is tracked, by name."""
        return {
            "volts": self.volts,
            "amps": self.amps,
            "soc": self.soc,
            "temperature": self.temperature,
        }


COUNTERS: Mapping[type[Machine], tuple[str, ...]] = {
    Xtender: ("discharge", "charge", "ac_in", "consumers"),
    Solar: ("charge", "energy", "energy1", "energy2", "sun", "absorption"),
    Monitor: ("charged", "discharged", "hours"),
}
"""What each kind of machine has counted before the simulation began."""
