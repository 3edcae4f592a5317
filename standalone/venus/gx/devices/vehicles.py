"""A wall box, a car, an electric boat drive."""

from __future__ import annotations

from typing import Any

from .curves import wave
from .device import Device, Values

DISCONNECTED, CONNECTED, CHARGING, CHARGED = range(4)
MANUAL, AUTO = 0, 1
MOST_AMPS = 16
LEAST_AMPS = 6


class WallBox(Device):
    """A wall box as a state machine: a car comes and goes, the GX sets current and start."""

    def __init__(self, client_id: str) -> None:
        super().__init__(
            client_id,
            {
                "notify": True,
                "services": {"evc": "evcharger"},
                "options": {
                    "evc": {
                        "name": "Wall box",
                        "energy": True,
                        "phases": 1,
                        "defaults": {"MaxCurrent": MOST_AMPS, "SetCurrent": 10, "StartStop": 1},
                    }
                },
            },
        )
        self.amps = 10
        self.started = True
        self.state = DISCONNECTED
        self._charged = 0.0
        self._seconds = 0.0
        self._last = 0.0

    def values(self, now: float) -> Values:
        """Return the next state, current and power."""
        seconds, self._last = now - self._last, now
        away = now % 900 > 780
        if away:
            self.state, self._charged, self._seconds = DISCONNECTED, 0.0, 0.0
        elif self._charged >= 8.0:
            self.state = CHARGED
        else:
            self.state = CHARGING if self.started else CONNECTED
        amps = self.amps if self.state == CHARGING else 0
        watts = 230 * amps
        if self.state == CHARGING:
            self._charged += watts * seconds / 3.6e6 * 20  # a small battery, so that it gets full
            self._seconds += seconds
        return {
            "evc": {
                "Status": self.state,
                "Current": amps,
                "Ac/Power": watts,
                "Ac/L1/Power": watts,
                "ChargingTime": round(self._seconds),
            }
        }

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Set the current within what the box can, and start or stop."""
        if path == "SetCurrent" and value is not None:
            self.amps = min(MOST_AMPS, max(LEAST_AMPS, int(value)))
            return {path: self.amps}
        if path == "StartStop":
            self.started = value == 1
        return super().obey(service, path, value)


class Car(Device):
    """A car that is here half of the time and charges then, up to what the GX wants."""

    def __init__(self, client_id: str) -> None:
        options = {"e": {"name": "Car", "stamp": True}}
        super().__init__(client_id, {"notify": True, "services": {"e": "ev"}, "options": options})
        self.target = 80.0
        self._soc = 42.0

    def values(self, now: float) -> Values:
        """Return the next values."""
        here = now % 1200 < 700
        charging = here and self._soc < self.target
        self._soc = min(100.0, max(15.0, self._soc + (0.03 if charging else 0 if here else -0.02)))
        return {
            "e": {
                "Soc": round(self._soc, 1),
                "TargetSoc": self.target,
                "RangeToGo": round(self._soc * 3.9),
                "ChargingState": 3 if charging else 0,
                "AtSite": int(here),
                "BatteryCapacity": 58,
                "Ac/Power": 3600 if charging else 0,
                "Odometer": 41200 + int(now / 60),
                "BatteryTemperature": round(wave(now, 14, 26, 1500), 1),
            }
        }

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Take over how full the car is to be."""
        if path == "TargetSoc" and value is not None:
            self.target = min(100.0, max(50.0, float(value)))
            return {path: self.target}
        return super().obey(service, path, value)


class Drive(Device):
    """The motor of an electric boat."""

    def __init__(self, client_id: str) -> None:
        options = {"d": {"name": "Pod drive"}}
        super().__init__(client_id, {"services": {"d": "motordrive"}, "options": options})

    def values(self, now: float) -> Values:
        """Return the next values: ahead, astern, stopped."""
        of_turn = now % 240
        way = 2 if of_turn < 150 else 1 if of_turn < 180 else 0
        rpm = 0 if way == 0 else round(wave(now, 500, 1250, 75))
        amps = rpm / 14
        return {
            "d": {
                "Dc/0/Voltage": round(51.8 - amps / 60, 2),
                "Dc/0/Current": round(-amps, 1),
                "Dc/0/Power": round(-amps * 51),
                "Motor/RPM": rpm,
                "Motor/Direction": way,
                "Motor/Torque": round(rpm / 28, 1),
                "Motor/Temperature": round(wave(now, 34, 58, 700), 1),
                "Controller/Temperature": round(wave(now, 30, 49, 600), 1),
            }
        }


KINDS = {"wall-box": WallBox, "car": Car, "drive": Drive}
