"""AC meters: grid, roof, heater, heat pump, generator."""

from __future__ import annotations

from typing import Any

from .curves import Clouds, Walk, daylight, wave
from .device import Device, Values

VOLTS = 230.0


def phase(number: int, watts: float, volts: float = VOLTS) -> dict[str, Any]:
    """Return the rows of one phase."""
    return {
        f"Ac/L{number}/Power": round(watts),
        f"Ac/L{number}/Voltage": round(volts, 1),
        f"Ac/L{number}/Current": round(watts / volts, 2),
    }


class Grid(Device):
    """A three-phase meter, once a second: a house that draws, and sells when its sun is up."""

    def __init__(self, client_id: str) -> None:
        options = {"m": {"name": "Grid", "energy": True, "phases": 3}}
        super().__init__(client_id, {"services": {"m": "grid"}, "options": options})
        self._house = [Walk(self.chance, 60, 900, 60) for _ in range(3)]
        self._clouds = Clouds(self.chance)

    def values(self, now: float) -> Values:
        """Return the next powers; their sign changes with the sun."""
        sun = 1100 * daylight(now) * self._clouds.step()
        kettle = 1900.0 if now % 300 < 60 else 0.0
        watts = [
            walk.next() - sun + (kettle if n == 1 else 0) for n, walk in enumerate(self._house)
        ]
        found: dict[str, Any] = {"Ac/Power": sum(map(round, watts))}
        for number, power in enumerate(watts, 1):
            found.update(phase(number, power, wave(now, 226, 236, 400, number / 3)))
        found["Ac/Frequency"] = round(wave(now, 49.95, 50.05, 35), 2)
        return {"m": found}


class Roof(Device):
    """Another maker's inverter on the roof: a bell curve with clouds."""

    def __init__(self, client_id: str) -> None:
        options = {
            "pv": {
                "name": "Roof",
                "phases": 1,
                "position": 1,
                "energy": True,
                "defaults": {"Ac/MaxPower": 3600},
            }
        }
        super().__init__(client_id, {"services": {"pv": "pvinverter"}, "options": options})
        self._clouds = Clouds(self.chance)

    def values(self, now: float) -> Values:
        """Return the next power; by night the inverter is on standby."""
        watts = 3400 * daylight(now) * self._clouds.step()
        running = watts > 20
        found = phase(1, watts if running else 0.0)
        return {"pv": {"Ac/Power": round(watts), "StatusCode": 7 if running else 8, **found}}


class Heater(Device):
    """An electric heater with a thermostat, measured by a plug."""

    def __init__(self, client_id: str) -> None:
        options = {"m": {"name": "Heater", "phases": 1, "energy": True, "generic_meter": True}}
        super().__init__(client_id, {"services": {"m": "acload"}, "options": options})

    def values(self, now: float) -> Values:
        """Return the next power."""
        watts = wave(now, 1180, 1220, 20) if now % 200 < 120 else 2.0
        return {"m": {"Ac/Power": round(watts, 1), **phase(1, watts)}}


class HeatPump(Device):
    """A heat pump that modulates."""

    def __init__(self, client_id: str) -> None:
        options = {"m": {"name": "Heat pump", "phases": 3, "energy": True}}
        super().__init__(client_id, {"services": {"m": "heatpump"}, "options": options})

    def values(self, now: float) -> Values:
        """Return the next power."""
        watts = wave(now, 700, 2300, 600)
        found: dict[str, Any] = {"Ac/Power": round(watts)}
        for number in (1, 2, 3):
            found.update(phase(number, watts / 3))
        return {"m": found}


class Genset(Device):
    """A generator with its controller: it starts when the GX asks for it, and cools down after."""

    def __init__(self, client_id: str) -> None:
        super().__init__(
            client_id,
            {
                "notify": True,
                "services": {"g": "genset"},
                "options": {
                    "g": {"name": "Generator", "engine": True, "phases": 1, "energy": True}
                },
            },
        )
        self.motor = Motor()

    def values(self, now: float) -> Values:
        """Return the next values of engine and alternator."""
        code = self.motor.step(now)
        watts = wave(now, 1500, 1900, 60) if code == RUNNING else 0.0
        return {"g": {"Ac/Power": round(watts), **phase(1, watts), **self.motor.rows()}}

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Start or stop when the GX says so."""
        if path == "Start":
            self.motor.wanted = value == 1
        return super().obey(service, path, value)


STANDBY, STARTING, RUNNING, COOLING = 0, 3, 8, 9


class Motor:
    """An engine: standby, start-up for 6 s, running, cool-down for 10 s."""

    def __init__(self) -> None:
        self.wanted = False
        self.code = STANDBY
        self._since = 0.0
        self._seconds = 7200.0
        self._last = 0.0
        self._heat = 20.0

    def step(self, now: float) -> int:
        """Return the status code."""
        seconds, self._last = now - self._last, now
        if self.code == RUNNING:
            self._seconds += seconds
        for code, ready, following in (
            (STANDBY, self.wanted, STARTING),
            (STARTING, now - self._since > 6, RUNNING),
            (RUNNING, not self.wanted, COOLING),
            (COOLING, now - self._since > 10, STANDBY),
        ):
            if self.code == code and ready:
                self.code, self._since = following, now
                break
        self._heat += ((82.0 if self.code == RUNNING else 20.0) - self._heat) * 0.02
        return self.code

    def rows(self) -> dict[str, Any]:
        """Return the engine's rows."""
        turns = self.code in (RUNNING, COOLING)
        return {
            "StatusCode": self.code,
            "Engine/Speed": 1500 if turns else 0,
            "Engine/Load": 45 if self.code == RUNNING else 0,
            "Engine/OilPressure": 320 if turns else 0,
            "Engine/CoolantTemperature": round(self._heat, 1),
            "Engine/OperatingHours": round(self._seconds),
            "StarterVoltage": 13.9 if turns else 12.6,
        }


KINDS = {
    "grid": Grid,
    "roof": Roof,
    "heater": Heater,
    "heat-pump": HeatPump,
    "genset": Genset,
}
