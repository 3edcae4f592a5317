"""What is set at the simulated panel, and which settings it takes or refuses (spec d.1 - d.9, e).

Settings are raw codes, as in the buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from ..inet.buffers import AC_MANUAL_SET, CLOCK, HEATER_SET, TIMER, TIMER_SET
from ..inet.rules import AirconMode, Energy
from .personalities import Personality
from .physics import Wishes

DAY = 86400

WATER_ECO, WATER_HOT, WATER_BOOST = 3130, 3330, 4730
WATER_CODES = (0, WATER_ECO, WATER_HOT, WATER_BOOST)
VENT_LOW, VENT_MIDDLE, VENT_HIGH, VENT_NIGHT, VENT_AUTOMATIC = 0x71, 0x72, 0x73, 0x74, 0x77


class Result(IntEnum):
    """What the panel acknowledges (spec c.7 step 7)."""

    ACCEPTED = 0
    INVALID = 2
    UNKNOWN_ID = 3


def code(celsius: float | None) -> int:
    """Return the temperature code; 0 for ``None``."""
    return 0 if celsius is None else round((celsius + 273.0) * 10)


def celsius(temperature: int) -> float | None:
    """Return the temperature of a code in °C; ``None`` for 0."""
    return None if temperature == 0 else temperature / 10 - 273.0


@dataclass(frozen=True, slots=True)
class HeaterSettings:
    """The settings of d.2; a and b of the buffer are one here."""

    target_temp_room: int = 0
    heating_mode: int = 0
    el_power_level: int = 0
    target_temp_water: int = 0
    energy_mix: int = Energy.FUEL

    @property
    def heating(self) -> bool:
        """Whether room or water is on."""
        return bool(self.target_temp_room or self.target_temp_water)

    def as_fields(self) -> dict[str, int]:
        """Return the fields of the buffer's layout."""
        return {
            "target_temp_room": self.target_temp_room,
            "heating_mode": self.heating_mode,
            "el_power_level_a": self.el_power_level,
            "el_power_level_b": self.el_power_level,
            "target_temp_water": self.target_temp_water,
            "energy_mix_a": self.energy_mix,
            "energy_mix_b": self.energy_mix,
        }


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """The settings of d.4; times in minutes of the day."""

    heater: HeaterSettings = HeaterSettings()
    active: bool = False
    start: int = 0
    stop: int = 0

    def covers(self, minute: int) -> bool:
        """Whether the timer is on at this minute of the day; it may pass midnight."""
        if not self.active or self.start == self.stop:
            return False
        if self.start < self.stop:
            return self.start <= minute < self.stop
        return minute >= self.start or minute < self.stop

    def payload(self) -> bytes:
        """Return the payload of buffer 3D."""
        return TIMER.write(
            self.heater.as_fields()
            | {
                "active": self.active,
                "start_minutes": self.start % 60,
                "start_hours": self.start // 60,
                "stop_minutes": self.stop % 60,
                "stop_hours": self.stop // 60,
            }
        )


@dataclass(frozen=True, slots=True)
class AirconSettings:
    """The settings of d.9."""

    mode: AirconMode = AirconMode.OFF
    vent: int = VENT_LOW
    target_temp: int = 0


@dataclass(slots=True)
class PanelClock:
    """The panel's clock. ``drift`` in seconds per day; it has no date."""

    seconds: float = 2 * 3600 + 18 * 60.0
    drift: float = 4.0
    source: int = 0
    mode: int = 0
    display: tuple[int, int] = (1, 1)

    def advance(self, elapsed: float) -> None:
        """Let *elapsed* true seconds pass."""
        self.seconds = (self.seconds + elapsed * (1 + self.drift / DAY)) % DAY

    @property
    def minute(self) -> int:
        """Minute of the day."""
        return int(self.seconds // 60)

    def payload(self, *, alde: bool = False) -> bytes:
        """Return the payload of buffer 15."""
        whole = int(self.seconds)
        display = (0xFF, 0xFF, 0xFF) if alde else (*self.display, 0)
        return CLOCK.write(
            {
                "hours": whole // 3600,
                "minutes": whole // 60 % 60,
                "seconds": whole % 60,
                "display_1": display[0],
                "display_2": display[1],
                "display_3": display[2],
                "clock_mode": self.mode,
                "clock_source": self.source,
                "display_5": 0xFF if alde else 0,
            }
        )


class Refused(Exception):
    """The panel refuses an upload; ``result`` is what it acknowledges."""

    def __init__(self, result: Result, why: str) -> None:
        super().__init__(why)
        self.result = result


@dataclass(slots=True)
class PanelSettings:
    """Everything that is set at the panel."""

    personality: Personality
    heater: HeaterSettings = HeaterSettings()
    timer: TimerSettings = TimerSettings()
    aircon: AirconSettings = AirconSettings()
    clock: PanelClock = field(default_factory=PanelClock)
    brightness: int = 6
    language: int = 1
    temp_offset: int = 2730
    fahrenheit: bool = False

    def wishes(self) -> Wishes:
        """Return what heater and air conditioner are asked for."""
        heater = self.heater
        return Wishes(
            room=celsius(heater.target_temp_room),
            room_power={1: 2000.0, 2: 1500.0}.get(heater.heating_mode, self.personality.fuel_limit),
            water=60.0
            if heater.target_temp_water == WATER_BOOST
            else celsius(heater.target_temp_water),
            energy=Energy(heater.energy_mix & 3),
            electric_limit=heater.el_power_level if self.personality.electric else 0,
            aircon_mode=self.aircon.mode,
            aircon_target=celsius(self.aircon.target_temp),
        )

    def upload_heater(self, payload: bytes) -> HeaterSettings:
        """Return the settings after an upload 32. Raises :class:`Refused`."""
        return self._heater(_read(HEATER_SET.read(payload)), self.heater)

    def upload_timer(self, payload: bytes) -> TimerSettings:
        """Return the settings after an upload 3C. Raises :class:`Refused`."""
        values = _read(TIMER_SET.read(payload))
        start = values["start_hours"] * 60 + values["start_minutes"]
        stop = values["stop_hours"] * 60 + values["stop_minutes"]
        if not (start < 1440 and stop < 1440 and values["active"] < 2):
            raise Refused(Result.INVALID, "no such time")
        heater = self._heater(values, self.timer.heater)
        return TimerSettings(heater, bool(values["active"]), start, stop)

    def upload_aircon(self, payload: bytes) -> AirconSettings:
        """Return the settings after an upload 34; esphome's short form of six bytes is taken."""
        values = _read(AC_MANUAL_SET.read(payload.ljust(12, b"\0")) if len(payload) > 5 else None)
        try:
            mode = AirconMode(values["mode"])
        except ValueError:
            return self.aircon
        target = values["target_temp"]
        if mode is AirconMode.OFF:
            return AirconSettings()
        if values["on"] != 1 or not 2890 <= target <= 3040 or values["vent"] not in _vents(mode):
            return self.aircon
        return AirconSettings(mode, values["vent"], target)

    def upload_clock(self, payload: bytes) -> PanelClock:
        """Return the clock after an upload 14. Raises :class:`Refused`."""
        values = _read(CLOCK.read(payload))
        if not (1 <= values["display_1"] <= 8 and values["display_2"] == 1):
            raise Refused(Result.INVALID, "the display fields are not the panel's")
        if values["hours"] > 23 or values["minutes"] > 59 or values["seconds"] > 59:
            raise Refused(Result.INVALID, "no such time")
        return PanelClock(
            seconds=values["hours"] * 3600 + values["minutes"] * 60 + values["seconds"],
            drift=self.clock.drift,
            source=2,
            mode=values["clock_mode"] & 1,
            display=(values["display_1"], values["display_2"]),
        )

    def _heater(self, values: Mapping[str, int], present: HeaterSettings) -> HeaterSettings:
        low, high = values["heating_mode"] & 0xFF, values["heating_mode"] >> 8
        if low + high == 0xFF:
            raise Refused(Result.INVALID, "the mode's bytes add up to FF")
        changes = dict(self._room(values))
        water = values["target_temp_water"]
        if water in WATER_CODES and (self.personality.has_water or not water):
            changes["target_temp_water"] = water
        changes |= self._energy(values)
        return replace(present, **changes)

    def _room(self, values: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        """The room's settings; a pair that no panel makes is ignored (spec e, R2 and R3)."""
        target, mode = values["target_temp_room"], values["heating_mode"]
        off = target == 0 and mode == 0
        if off or (2780 <= target <= 3030 and mode in self.personality.modes):
            yield "target_temp_room", target
            yield "heating_mode", mode

    def _energy(self, values: Mapping[str, int]) -> dict[str, int]:
        """The energy settings; one without the other changes to fuel (spec e, R4)."""
        mix, power = values["energy_mix_a"], values["el_power_level_a"]
        if mix == Energy.NONE and power == 0:
            return {"energy_mix": mix, "el_power_level": power}
        electric = mix in (Energy.ELECTRICITY, Energy.MIX) and power in (900, 1800)
        twins = mix == values["energy_mix_b"] and power == values["el_power_level_b"]
        if electric and twins and self.personality.electric:
            return {"energy_mix": mix, "el_power_level": power}
        return {"energy_mix": int(Energy.FUEL), "el_power_level": 0}


def _read(values: dict[str, int] | None) -> dict[str, int]:
    if values is None:
        raise Refused(Result.INVALID, "too short")
    return values


def _vents(mode: AirconMode) -> tuple[int, ...]:
    if mode is AirconMode.AUTOMATIC:
        return (VENT_AUTOMATIC,)
    return (VENT_LOW, VENT_MIDDLE, VENT_HIGH, VENT_NIGHT)
