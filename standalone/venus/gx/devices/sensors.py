"""Sensors: fridge and tank, room, weather, position, contacts, pulses."""

from __future__ import annotations

import math
from typing import Any

from .curves import Clouds, daylight, wave
from .device import Device, Values

WARM, COLD = 6.5, 3.0  # °C at which a fridge's compressor starts and stops


class Fridge:
    """A fridge whose compressor cycles."""

    def __init__(self) -> None:
        self.temperature = 5.0
        self.cooling = False
        self._last: float | None = None

    def step(self, now: float) -> float:
        """Return the temperature in °C."""
        seconds = 0.0 if self._last is None else min(now - self._last, 60.0)
        self._last = now
        self.temperature += seconds * (-0.02 if self.cooling else 0.008)
        if self.temperature > WARM:
            self.cooling = True
        elif self.temperature < COLD:
            self.cooling = False
        return round(self.temperature, 2)


class Boat(Device):
    """A fridge, and a fresh water tank that drains in steps and is filled when it is empty."""

    def __init__(self, client_id: str) -> None:
        super().__init__(
            client_id,
            {
                "services": {"fridge": "temperature", "water": "tank"},
                "options": {
                    "fridge": {"name": "Fridge", "defaults": {"TemperatureType": 1}},
                    "water": {"name": "Fresh water", "defaults": {"Capacity": 0.3}},
                },
            },
        )
        self._fridge = Fridge()
        self._level = 86.0

    def values(self, now: float) -> Values:
        """Return the next temperature and level."""
        if self.chance.random() < 0.02:
            self._level -= self.chance.choice((0.5, 2.0, 6.0))
        if self._level < 0:
            self._level = 100.0
        level = round(self._level, 1)
        return {
            "fridge": {"Temperature": self._fridge.step(now)},
            "water": {"Level": level, "Remaining": round(0.003 * level, 4)},
        }


class Room(Device):
    """Temperature and humidity from a sensor on a battery."""

    def __init__(self, client_id: str) -> None:
        options = {"t": {"name": "Cabin", "defaults": {"TemperatureType": 3}}}
        super().__init__(client_id, {"services": {"t": "temperature"}, "options": options})

    def values(self, now: float) -> Values:
        """Return the next values."""
        return {
            "t": {
                "Temperature": round(wave(now, 18.5, 23.0, 900), 1),
                "Humidity": round(wave(now, 40, 65, 700, 0.3)),
                "BatteryVoltage": round(max(2.4, 3.05 - now * 1e-7), 3),
                "Alarms/LowBattery": 0,
            }
        }


class Weather(Device):
    """Sun, wind and temperatures."""

    def __init__(self, client_id: str) -> None:
        options = {"m": {"name": "Mast"}}
        super().__init__(client_id, {"services": {"m": "meteo"}, "options": options})
        self._clouds = Clouds(self.chance)

    def values(self, now: float) -> Values:
        """Return the next values."""
        light = daylight(now) * self._clouds.step()
        return {
            "m": {
                "Irradiance": round(980 * light, 1),
                "CellTemperature": round(12 + 30 * light, 1),
                "ExternalTemperature": round(11 + 9 * daylight(now), 1),
                "WindSpeed": round(wave(now, 1, 9, 130), 1),
                "WindDirection": round(wave(now, 190, 260, 500)),
            }
        }


class Gps(Device):
    """A boat that sails a circle on the IJsselmeer."""

    def __init__(self, client_id: str) -> None:
        options = {"g": {"name": "Antenna"}}
        super().__init__(client_id, {"services": {"g": "gps"}, "options": options})

    def values(self, now: float) -> Values:
        """Return the next position; every ten minutes there is none for half a minute."""
        if now % 600 > 570:
            lost: dict[str, Any] = {"Position/Latitude": None, "Position/Longitude": None}
            return {"g": {**lost, "Course": None, "Speed": None, "Fix": 0, "NrOfSatellites": 2}}
        angle = now / 1200 * 2 * math.pi
        return {
            "g": {
                "Position/Latitude": round(52.75 + 0.02 * math.sin(angle), 6),
                "Position/Longitude": round(5.35 + 0.03 * math.cos(angle), 6),
                "Course": round((360 - math.degrees(angle)) % 360, 1),
                "Speed": round(wave(now, 2.4, 3.6, 90), 2),
                "Altitude": 1,
                "Fix": 1,
                "NrOfSatellites": 9,
            }
        }


class Door(Device):
    """A door contact: open for a while, now and then."""

    def __init__(self, client_id: str) -> None:
        options = {"d": {"name": "Hatch", "defaults": {"Type": 2}}}
        super().__init__(client_id, {"services": {"d": "digitalinput"}, "options": options})
        self._count, self._was = 0, False

    def values(self, now: float) -> Values:
        """Return the next state."""
        is_open = now % 45 > 35
        self._count += is_open and not self._was
        self._was = is_open
        return {
            "d": {"InputState": int(is_open), "State": 6 if is_open else 7, "Count": self._count}
        }


class WaterMeter(Device):
    """A water meter that counts litres."""

    def __init__(self, client_id: str) -> None:
        options = {"p": {"name": "Water meter"}}
        super().__init__(client_id, {"services": {"p": "pulsemeter"}, "options": options})
        self._count = 1200

    def values(self, now: float) -> Values:
        """Return the next count."""
        if now % 120 < 25:
            self._count += 1
        return {"p": {"Count": self._count, "Aggregate": round(self._count / 1000, 3)}}


KINDS = {
    "boat": Boat,
    "room": Room,
    "weather": Weather,
    "gps": Gps,
    "door": Door,
    "water-meter": WaterMeter,
}
