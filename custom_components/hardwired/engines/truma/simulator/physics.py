"""The simulated vehicle: room, boiler, burner, battery, window, mains (spec i.4).

First-order models, stepped by the simulated clock. The figures are those of a six-metre van with
a 10 litre boiler; they are plausible, not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..inet.rules import AirconMode, Energy
from ..inet.signals import HeaterState

ROOM_CAPACITY = 350_000.0
"""Heat stored per degree of the living room, J/K."""
ROOM_LOSS = 55.0
"""Heat lost through the walls, W/K."""
ROOM_BAND = 0.5
"""Thermostat hysteresis of the room, K."""
WATER_CAPACITY = 41_900.0
"""Ten litres of water, J/K."""
WATER_LOSS = 1.8
"""Heat lost by the boiler to the room, W/K."""
WATER_BAND = 5.0
"""Thermostat hysteresis of the boiler, K."""
COLD_WATER = 12.0
"""°C of water that nobody has heated."""
IGNITION_TIME = 20.0
"""Seconds from the demand to the flame (and its glow plug's load)."""
COOLING_TIME = 90.0
"""Seconds that the fan runs on after the last demand."""
MAX_STEP = 10.0
"""Longest single step of the models, in seconds."""


@dataclass(slots=True)
class Wishes:
    """What the panel asks of heater and air conditioner. Temperatures in °C, ``None`` is off."""

    room: float | None = None
    room_power: float = 4000.0
    """Most heat the room may take at once (eco, high, boost), W."""
    water: float | None = None
    energy: Energy = Energy.FUEL
    electric_limit: int = 0
    aircon_mode: AirconMode = AirconMode.OFF
    aircon_target: float | None = None


@dataclass(slots=True)
class Vehicle:
    """The state of the vehicle. Temperatures in °C, power in W, voltage in V."""

    outside: float = 5.0
    room: float = 14.0
    water: float = COLD_WATER
    mains: bool = True
    window_closed: bool = True
    heater_connected: bool = True
    aircon_connected: bool = True
    error: int = 0
    """Number that the panel shows, such as 621; 0 is none."""
    fuel_power: float = 0.0
    fuel_limit: float = 6000.0
    electric_power: float = 0.0
    aircon_power: float = 0.0
    aircon_sensor: float = 14.0
    battery: float = 12.9
    """Voltage of the battery at rest."""
    room_demand: bool = False
    water_demand: bool = False
    _since_demand: float = field(default=math.inf, repr=False)
    _until_flame: float = field(default=IGNITION_TIME, repr=False)

    @property
    def demand(self) -> bool:
        """Whether the heater is asked for heat and may give it."""
        return self.room_demand or self.water_demand

    @property
    def locked(self) -> bool:
        """Whether an error keeps the heater off; 1xx are warnings only (spec d.10)."""
        return self.error != 0 and not 100 <= self.error < 200

    @property
    def state(self) -> HeaterState:
        """What the heater says it is doing."""
        if not self.heater_connected:
            return HeaterState.NONE
        if self.demand and not self.locked:
            return HeaterState.POWERING_UP if self._until_flame > 0 else HeaterState.ON
        return HeaterState.SHUTDOWN if self._since_demand < COOLING_TIME else HeaterState.IDLE

    @property
    def voltage(self) -> float:
        """Supply voltage under the present load."""
        load = 0.4
        match self.state:
            case HeaterState.POWERING_UP:
                load += 9.0  # glow plug
            case HeaterState.ON | HeaterState.SHUTDOWN:
                load += 2.5  # fan
        return round((14.1 if self.mains else self.battery) - 0.04 * load, 2)

    def step(self, seconds: float, wishes: Wishes) -> None:
        """Advance by *seconds* with these *wishes*."""
        while seconds > 0:
            part = min(seconds, MAX_STEP)
            seconds -= part
            self._decide(part, wishes)
            self._heat(part, wishes)

    def _decide(self, seconds: float, wishes: Wishes) -> None:
        able = self.heater_connected
        self.room_demand = able and _thermostat(self.room_demand, self.room, wishes.room, ROOM_BAND)
        self.water_demand = able and _thermostat(
            self.water_demand, self.water, wishes.water, WATER_BAND
        )
        if self.demand:
            self._until_flame = max(0.0, self._until_flame - seconds)
            self._since_demand = 0.0
        else:
            self._until_flame = IGNITION_TIME
            self._since_demand += seconds

    def _heat(self, seconds: float, wishes: Wishes) -> None:
        running = self.state is HeaterState.ON and self.window_closed
        need = (wishes.room_power if self.room_demand else 0.0) + 2000.0 * self.water_demand
        electric = bool(wishes.energy & Energy.ELECTRICITY) and self.mains
        self.electric_power = min(wishes.electric_limit, need) if running and electric else 0.0
        burner = running and bool(wishes.energy & Energy.FUEL)
        self.fuel_power = min(self.fuel_limit, need - self.electric_power) if burner else 0.0
        heat = self.fuel_power + self.electric_power
        to_water = min(heat, 2000.0) if self.water_demand else 0.0

        self.aircon_power = self._aircon(wishes)
        boiler_loss = WATER_LOSS * (self.water - self.room)
        self.water += (to_water - boiler_loss) * seconds / WATER_CAPACITY
        room_heat = heat - to_water + boiler_loss + self.aircon_power
        loss = ROOM_LOSS * (1.0 if self.window_closed else 2.5)
        target = self.outside + room_heat / loss
        self.room = _relax(self.room, target, seconds, ROOM_CAPACITY / loss)
        self.aircon_sensor = _relax(self.aircon_sensor, self.room, seconds, 240.0)
        drain = 0.0 if self.mains else 0.4 + 2.5 * (self.state is not HeaterState.IDLE)
        self.battery = max(10.2, min(12.9, self.battery - drain * seconds / 250_000.0))

    def _aircon(self, wishes: Wishes) -> float:
        """Return the heat that the air conditioner brings in; cooling is negative."""
        if not (self.aircon_connected and self.mains) or wishes.aircon_target is None:
            return 0.0
        apart = wishes.aircon_target - self.room
        match wishes.aircon_mode:
            case AirconMode.COOLING if apart < 0:
                return max(-1700.0, 1700.0 * apart)
            case AirconMode.HEATING if apart > 0:
                return min(1700.0, 1700.0 * apart)
            case AirconMode.AUTOMATIC:
                return max(-1700.0, min(1700.0, 1700.0 * apart))
        return 0.0


def _thermostat(on: bool, actual: float, target: float | None, band: float) -> bool:
    if target is None:
        return False
    return actual < target if on else actual < target - band


def _relax(value: float, target: float, seconds: float, constant: float) -> float:
    return target + (value - target) * math.exp(-seconds / constant)
