"""Which settings the panel takes together (spec e): rules against impossible combinations.

Wishes and baselines are raw codes, named as in section d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum

from .devices import HeaterKind

KELVIN = 273
UNKNOWN_TEMPERATURES = frozenset({0, 0x0AAA, 0xAAAA})
LOWEST_CODE, HIGHEST_CODE = 2230, 4000

ROOM_LOWEST, ROOM_HIGHEST = 5, 30
AIRCON_LOWEST, AIRCON_HIGHEST = 16, 30
AUTOMATIC_LOWEST, AUTOMATIC_HIGHEST = 18, 25


class HeatingMode(IntEnum):
    """The heating modes; which of them there are depends on the heater."""

    OFF = 0
    ECO = 1
    NIGHT = 2
    AUTO = 3
    HIGH = 10
    BOOST = 11


class Water(IntEnum):
    """The set-points of the boiler, as temperature codes."""

    OFF = 0
    ECO = 3130
    HIGH = 3330
    BOOST = 4730


class Energy(IntEnum):
    """What may heat: the bit field of ``energy_mix`` (spec d.1)."""

    NONE = 0
    FUEL = 1
    ELECTRICITY = 2
    MIX = 3


class AirconMode(IntEnum):
    """The air conditioner's modes (spec d.9)."""

    OFF = 0
    VENTILATION = 4
    COOLING = 5
    HEATING = 6
    AUTOMATIC = 7


class Vent(IntEnum):
    """The air conditioner's fan."""

    LOW = 0x71
    MID = 0x72
    HIGH = 0x73
    NIGHT = 0x74
    AUTO = 0x77


MODES_OF = {
    HeaterKind.COMBI: (HeatingMode.ECO, HeatingMode.HIGH, HeatingMode.BOOST),
    HeaterKind.VARIO: (HeatingMode.NIGHT, HeatingMode.AUTO, HeatingMode.BOOST),
}
DEFAULT_MODES = {HeaterKind.COMBI: HeatingMode.ECO, HeaterKind.VARIO: HeatingMode.AUTO}
POWERS = (0, 900, 1800)


def temperature(code: int) -> float | None:
    """Return degrees Celsius of a temperature code; ``None``: off, unknown, or impossible."""
    if code in UNKNOWN_TEMPERATURES or not LOWEST_CODE <= code <= HIGHEST_CODE:
        return None
    return round(code / 10 - KELVIN, 1)


def heats(code: int) -> bool:
    """Whether a room set-point is one that heats: there are none below 5 °C (R1)."""
    celsius = temperature(code)
    return celsius is not None and celsius >= ROOM_LOWEST


def temperature_code(celsius: float) -> int:
    """Return the code of a temperature."""
    return round((celsius + KELVIN) * 10)


def room_code(celsius: float) -> int:
    """Return the code of a wished room temperature: whole degrees, below 5 is off (R1).

    Raises :class:`ValueError` above 30 °C and for what is no number.
    """
    if not math.isfinite(celsius):
        raise ValueError("the room temperature has to be a number")
    whole = math.floor(celsius) if celsius >= 0 else -1
    if whole < ROOM_LOWEST:
        return 0
    if whole > ROOM_HIGHEST:
        raise ValueError(f"the room temperature is at most {ROOM_HIGHEST} °C, not {celsius:g} °C")
    return temperature_code(whole)


def heater_wish(
    wish: Mapping[str, int],
    baseline: Mapping[str, int],
    heater: HeaterKind,
    *,
    default_mode: int | None = None,
    default_target: int | None = None,
) -> dict[str, int]:
    """Return a change of the heater's group that the panel will take (R1 - R4).

    *wish* names what is to change (``target_temp_room``, ``heating_mode``,
    ``target_temp_water``, ``energy_mix``, ``el_power_level``); what else has to change with it is
    added. *default_mode* and *default_target* (a code) fill in what heating needs. Raises
    :class:`ValueError` for what no panel takes.
    """
    result = dict(wish)
    if "heating_mode" in result or "target_temp_room" in result:
        _complete_room(result, baseline, heater, default_mode, default_target)
    if "target_temp_water" in result:
        if result["target_temp_water"] not in tuple(Water):
            raise ValueError("hot water is off, eco, high or boost")
        if heater is HeaterKind.VARIO and result["target_temp_water"] == Water.BOOST:
            raise ValueError("a VarioHeat has no water boost")
    if "energy_mix" in result or "el_power_level" in result:
        result |= energy_pair(result.get("energy_mix"), result.get("el_power_level"), baseline)
    return result


def _complete_room(
    result: dict[str, int],
    baseline: Mapping[str, int],
    heater: HeaterKind,
    default_mode: int | None,
    default_target: int | None,
) -> None:
    mode = result.get("heating_mode")
    target = result.get("target_temp_room")
    if mode == HeatingMode.OFF or (target == 0 and mode is None):
        result["heating_mode"] = int(HeatingMode.OFF)
        result["target_temp_room"] = 0
        return
    if mode is not None and mode not in MODES_OF[heater]:
        raise ValueError(f"this heater does not know the heating mode {mode}")
    if target == 0:
        raise ValueError("a heating mode needs a room temperature of at least 5 °C")
    if target is None:
        shown = baseline.get("target_temp_room", 0)
        target = shown if heats(shown) else default_target
        if target is None:
            target = temperature_code(ROOM_LOWEST)
        result["target_temp_room"] = target
    if mode is None:
        # Sent even when it is shown already: it may be off when the panel fetches the wish.
        choices = (baseline.get("heating_mode"), default_mode)
        known = (choice for choice in choices if choice in MODES_OF[heater])
        result["heating_mode"] = int(next(known, None) or DEFAULT_MODES[heater])


def energy_pair(mix: int | None, power: int | None, baseline: Mapping[str, int]) -> dict[str, int]:
    """Return a pair of energy and electric power that exists (R4).

    Raises :class:`ValueError` for numbers that no heater knows, and for electric power of fuel.
    """
    if power is not None and power not in POWERS:
        raise ValueError("the electric power is 0, 900 or 1800 W")
    if mix is not None and mix not in (Energy.FUEL, Energy.ELECTRICITY, Energy.MIX):
        raise ValueError("the energy is fuel, electricity or mix")
    if mix is None:
        shown = baseline.get("energy_mix_a", Energy.FUEL)
        if power == 0:
            mix = Energy.FUEL
        else:
            mix = shown if shown in (Energy.ELECTRICITY, Energy.MIX) else Energy.MIX
    elif mix == Energy.FUEL:
        power = 0
    elif not power:
        shown = baseline.get("el_power_level_a", 0)
        power = shown if power is None and shown in POWERS[1:] else POWERS[1]
    return {"energy_mix": int(mix), "el_power_level": int(power or 0)}


def aircon_wish(wish: Mapping[str, int], baseline: Mapping[str, int]) -> dict[str, int]:
    """Return a change of the air conditioner's group that the panel will take (R5).

    *wish* names ``mode``, ``vent`` or ``target_temp`` (a code). Raises :class:`ValueError`.
    """
    result = dict(wish)
    mode = result.get("mode", baseline.get("mode", AirconMode.OFF))
    if mode not in tuple(AirconMode):
        raise ValueError(f"the air conditioner does not know the mode {mode}")
    vent = result.get("vent", baseline.get("vent", Vent.LOW))
    if mode == AirconMode.OFF:
        vent = Vent.LOW
    elif mode == AirconMode.AUTOMATIC:
        vent = Vent.AUTO
    elif "vent" in wish and vent not in (Vent.LOW, Vent.MID, Vent.HIGH):
        raise ValueError("in this mode the fan is low, mid or high")
    elif vent not in (Vent.LOW, Vent.MID, Vent.HIGH, Vent.NIGHT):
        vent = Vent.LOW
    low, high = AIRCON_LOWEST, AIRCON_HIGHEST
    if mode == AirconMode.AUTOMATIC:
        low, high = AUTOMATIC_LOWEST, AUTOMATIC_HIGHEST
    target = temperature(result.get("target_temp", baseline.get("target_temp", 0)))
    if "target_temp" in wish and (target is None or not low <= target <= high):
        raise ValueError(f"the air conditioner takes {low} to {high} °C in this mode")
    if mode != AirconMode.OFF:
        chosen = 22.0 if target is None else min(max(target, low), high)
        result["target_temp"] = temperature_code(chosen)
    return {**result, "mode": int(mode), "vent": int(vent)}


def clock_difference(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Return how far one time of day is ahead of another, in seconds within half a day."""
    seconds = [hours * 3600 + minutes * 60 + rest for hours, minutes, rest in (one, other)]
    return (seconds[0] - seconds[1] + 43200) % 86400 - 43200


def merged(earlier: Mapping[str, int], later: Mapping[str, int]) -> dict[str, int]:
    """Return two wishes of the heater's group as one; the later takes precedence."""
    result = {**earlier, **later}
    if later.get("target_temp_room") and "heating_mode" not in later:
        if result.get("heating_mode") == HeatingMode.OFF:
            del result["heating_mode"]
    elif later.get("heating_mode") == HeatingMode.OFF and "target_temp_room" not in later:
        result.pop("target_temp_room", None)
    elif later.get("target_temp_room") == 0 and "heating_mode" not in later:
        result.pop("heating_mode", None)
    if "energy_mix" in later and "el_power_level" not in later:
        result.pop("el_power_level", None)
    return result
