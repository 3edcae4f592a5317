"""A plausible day behind the terminal: boiler, showers, compressor, air, counters.

Integrated from one look to the next; the steps are minutes at most, so that hours between two
looks give the same day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

STEP = 60.0
DAY = 86400.0

_SHOWERS = ((6.9, 0.2), (7.4, 0.2), (22.4, 0.3))
"""Hour of the day and length in hours."""
_RPM = {0: 0, 1: 900, 2: 1450, 3: 2300}
_FLOW = {0: 0, 1: 75, 2: 150, 3: 275}
_FAN_POWER = {0: 0, 1: 9, 2: 24, 3: 71}


@dataclass(slots=True)
class House:
    """The state behind the columns; temperatures in °C."""

    hour: float
    boiler: float = 48.0
    humidity: float = 52.0
    heating: bool = False
    energy: float = 1834.0
    compressor_hours: float = 4210.0
    starts: int = 5120
    _looked: float | None = None

    @property
    def showering(self) -> bool:
        """Whether somebody is under the shower."""
        return any(start <= self.hour < start + length for start, length in _SHOWERS)

    @property
    def outside(self) -> float:
        """The temperature outside."""
        return 8.0 + 4.0 * math.sin((self.hour - 9.0) / 24.0 * 2 * math.pi)

    def look(self, now: float, position: int) -> None:
        """Bring the state to *now* (monotonic) with the fan at *position* since the last look."""
        left = 0.0 if self._looked is None else min(now - self._looked, DAY)
        self._looked = now
        while left > 0:
            step = min(left, STEP)
            self._advance(step / 3600.0, position)
            left -= step

    def _advance(self, hours: float, position: int) -> None:
        self.hour = (self.hour + hours) % 24.0
        self.boiler -= hours * 0.35
        if self.showering:
            self.boiler -= hours * 32.0
            self.humidity += hours * 160.0
        drying = 0.6 + 1.4 * position
        self.humidity += (50.0 - self.humidity) * (1.0 - math.exp(-drying * hours))
        self.humidity = min(self.humidity, 97.0)
        if not self.heating and self.boiler < 42.0:
            self.heating = True
            self.starts += 1
        elif self.heating and self.boiler >= 54.0:
            self.heating = False
        if self.heating:
            self.boiler += hours * 4.2
            self.compressor_hours += hours
        self.energy += hours * self.power(position) / 1000.0

    def power(self, position: int) -> float:
        """Return the electric power, in W."""
        return _FAN_POWER[position] + (410.0 if self.heating else 4.0)

    def values(self, position: int) -> Mapping[str, str]:
        """Return what the columns print, by name; a column that is not here prints 0."""
        heating = self.heating
        extract = 21.0 + (1.5 if self.showering else 0.0)
        return {
            "3-standen": str(position),
            "Temp. boiler (C)": f"{self.boiler:.1f}",
            "Temp. boiler boven (C)": f"{self.boiler + 1.8:.1f}",
            "Temp. boiler onder (C)": f"{self.boiler - 3.0:.1f}",
            "Temp. afvoerlucht (C)": f"{extract:.1f}",
            "Temp. buitenlucht (C)": f"{self.outside:.1f}",
            "Temp. verdamper": f"{(2.5 if heating else extract):.1f}",
            "Temp. persgas": f"{(68.4 if heating else 24.0):.1f}",
            "Temp. zuiggas": f"{(6.1 if heating else 21.5):.1f}",
            "Temp. CV aanvoer (C)": f"{(38.5 if heating else 24.2):.1f}",
            "Temp. CV retour (C)": f"{(33.0 if heating else 24.0):.1f}",
            "RV (%)": f"{self.humidity:.0f}",
            "RV afvoerlucht (%)": f"{self.humidity:.0f}",
            "Toeren ventilator (omw/min)": str(_RPM[position]),
            "Debiet (m3/h)": str(_FLOW[position]),
            "Compressor": "aan" if heating else "uit",
            "Verwarmingselement": "uit",
            "Klep 1": "open" if heating else "dicht",
            "Pomp": "aan" if heating else "uit",
            "Vermogen (W)": f"{self.power(position):.0f}",
            "Energie (kWh)": f"{self.energy:.2f}",
            "Draaiuren compressor (u)": f"{self.compressor_hours:.0f}",
            "Starts compressor": str(self.starts),
            "Druk (bar)": f"{(14.2 if heating else 6.3):.1f}",
            "Gewenste temp. tapwater": "550",
            "Filter vervuild": "nee",
            "Ontdooien": "nee",
            "Bedrijfsmodus": "tapwater" if heating else "--",
        }
