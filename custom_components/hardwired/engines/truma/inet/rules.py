"""Which settings the panel takes together (spec e): rules against impossible combinations.

Wishes and baselines are raw codes, named as in section d. A wish is carried out as it was said, or
refused with the reason: the rules add what has to change with it, and change nothing in it. They
run in the responder's process, at the moment when the panel fetches a setting (spec c.7), and in
the engine before that, so that a wish which can't be carried out is refused at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from .buffers import Group

KELVIN = 273
UNKNOWN_TEMPERATURES = frozenset({0, 0x0AAA, 0xAAAA})
LOWEST_CODE, HIGHEST_CODE = 2230, 4000

ROOM_LOWEST, ROOM_HIGHEST = 5, 30
AIRCON_LOWEST, AIRCON_HIGHEST = 16, 30
AUTOMATIC_LOWEST, AUTOMATIC_HIGHEST = 18, 25


class HeaterKind(StrEnum):
    """The kind of heater; the heating modes depend on it."""

    COMBI = "combi"
    VARIO = "vario"


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


class RuleError(ValueError):
    """A wish that no panel takes. ``key`` names its text in ``strings/``; ``placeholders`` fill it.

    ``message`` is for numbers that only a program can wish: these have no text of their own.
    """

    def __init__(self, key: str, message: str = "", **placeholders: str) -> None:
        super().__init__(message or key)
        self.key = key
        self.message = message
        self.placeholders = placeholders


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rules have to know beside wish and baseline.

    *default_mode* and *default_target* (a code) fill in what room heating needs, *aircon_target*
    (a code) what an air conditioner needs that was off.
    """

    heater: HeaterKind = HeaterKind.COMBI
    default_mode: int | None = None
    default_target: int | None = None
    aircon_target: int | None = None


COMBI_TERMS = Terms()
TIME = ("hours", "minutes", "seconds")
"""The clock's fields that say a time; a wish without them is for that of sending."""


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
    """Return the code of a wished room temperature: 0 is off, else 5 to 30 whole degrees (R1).

    Raises :class:`RuleError` for anything else: 1 to 4 degrees are not "off", but frost.
    """
    if not math.isfinite(celsius):
        raise RuleError("invalid_command", "the room temperature has to be a number")
    shown = f"{celsius:g}"
    if celsius and not ROOM_LOWEST <= celsius <= ROOM_HIGHEST:
        raise RuleError("room_out_of_range", wished=shown)
    if celsius != math.floor(celsius):
        raise RuleError("whole_degrees", wished=shown)
    return temperature_code(celsius) if celsius else 0


def completed(
    group: Group, wish: Mapping[str, int], baseline: Mapping[str, int], terms: Terms = COMBI_TERMS
) -> dict[str, int]:
    """Return a wish together with what has to change with it, given the newest *baseline*.

    Raises :class:`RuleError` for what no panel takes.
    """
    match group:
        case Group.HEATER | Group.TIMER:
            return heater_wish(
                wish,
                baseline,
                terms.heater,
                default_mode=terms.default_mode,
                default_target=terms.default_target,
            )
        case Group.AC_MANUAL:
            return aircon_wish(wish, baseline, terms.aircon_target)
    return dict(wish)


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
    :class:`RuleError` for what no panel takes.
    """
    result = dict(wish)
    if "heating_mode" in result or "target_temp_room" in result:
        _complete_room(result, baseline, heater, default_mode, default_target)
    if "target_temp_water" in result:
        if result["target_temp_water"] not in tuple(Water):
            raise RuleError("invalid_command", "hot water is off, eco, high or boost")
        if heater is HeaterKind.VARIO and result["target_temp_water"] == Water.BOOST:
            raise RuleError("no_water_boost")
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
    if mode == HeatingMode.OFF and target:
        raise RuleError("off_with_target")
    if mode == HeatingMode.OFF or (target == 0 and mode is None):
        result["heating_mode"] = int(HeatingMode.OFF)
        result["target_temp_room"] = 0
        return
    if mode is not None and mode not in MODES_OF[heater]:
        raise RuleError("no_heating_mode", mode=mode_name(mode))
    if target == 0:
        raise RuleError("off_with_target")
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


def mode_name(mode: int) -> str:
    """Return a heating mode in words; one that there is not as its number."""
    return HeatingMode(mode).name.lower() if mode in tuple(HeatingMode) else str(mode)


def energy_pair(mix: int | None, power: int | None, baseline: Mapping[str, int]) -> dict[str, int]:
    """Return a pair of energy and electric power that exists (R4); fills in the one not named.

    Raises :class:`RuleError` for numbers that no heater knows, and for a pair that there is not.
    """
    if power is not None and power not in POWERS:
        raise RuleError("invalid_command", "the electric power is 0, 900 or 1800 W")
    if mix is not None and mix not in (Energy.FUEL, Energy.ELECTRICITY, Energy.MIX):
        raise RuleError("invalid_command", "the energy is fuel, electricity or mix")
    if mix is None:
        shown = baseline.get("energy_mix_a", Energy.FUEL)
        if power == 0:
            mix = Energy.FUEL
        else:
            mix = shown if shown in (Energy.ELECTRICITY, Energy.MIX) else Energy.MIX
    elif mix == Energy.FUEL:
        if power:
            raise RuleError("fuel_with_power", power=str(power))
        power = 0
    elif power is None:
        shown = baseline.get("el_power_level_a", 0)
        power = shown if shown in POWERS[1:] else POWERS[1]
    elif not power:
        raise RuleError("electricity_without_power")
    return {"energy_mix": int(mix), "el_power_level": int(power or 0)}


def aircon_wish(
    wish: Mapping[str, int], baseline: Mapping[str, int], last_target: int | None = None
) -> dict[str, int]:
    """Return a change of the air conditioner's group that the panel will take (R5).

    *wish* names ``mode``, ``vent`` or ``target_temp`` (a code). One that was off shows no target:
    it gets *last_target* (a code) again. Raises :class:`RuleError`.
    """
    result = dict(wish)
    mode = result.get("mode", baseline.get("mode", AirconMode.OFF))
    if mode not in tuple(AirconMode):
        raise RuleError("invalid_command", f"the air conditioner does not know the mode {mode}")
    result["vent"] = _vent(AirconMode(mode), wish.get("vent"), baseline.get("vent", Vent.LOW))
    low, high = _aircon_range(mode)
    target = temperature(result.get("target_temp", baseline.get("target_temp", 0)))
    if "target_temp" in wish:
        if not _is_aircon_target(mode, wish["target_temp"]):
            raise RuleError("aircon_out_of_range", lowest=str(low), highest=str(high))
    elif mode != AirconMode.OFF:
        if target is None:
            target = temperature(last_target or 0)
        chosen = 22.0 if target is None else min(max(target, low), high)
        result["target_temp"] = temperature_code(chosen)
    return {**result, "mode": int(mode)}


def _aircon_range(mode: int) -> tuple[int, int]:
    if mode == AirconMode.AUTOMATIC:
        return AUTOMATIC_LOWEST, AUTOMATIC_HIGHEST
    return AIRCON_LOWEST, AIRCON_HIGHEST


def _is_aircon_target(mode: int, code: int) -> bool:
    low, high = _aircon_range(mode)
    target = temperature(code)
    return target is not None and low <= target <= high


def _vents(mode: AirconMode) -> tuple[Vent, ...]:
    """Return the fans that may be wished in a mode."""
    match mode:
        case AirconMode.OFF:
            return (Vent.LOW,)
        case AirconMode.AUTOMATIC:
            return (Vent.AUTO,)
    return (Vent.LOW, Vent.MID, Vent.HIGH)


def _vent(mode: AirconMode, wished: int | None, shown: int) -> int:
    """Return the fan that goes with a mode. Raises :class:`RuleError` for another wish."""
    allowed = _vents(mode)
    if wished is not None and wished not in allowed:
        names = ", ".join(vent.name.lower() for vent in allowed)
        raise RuleError("vent_of_mode", vents=names)
    if wished is not None:
        return int(wished)
    kept = allowed if len(allowed) == 1 else (*allowed, Vent.NIGHT)
    return int(shown if shown in kept else allowed[0])


def clock_difference(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Return how far one time of day is ahead of another, in seconds within half a day."""
    seconds = [hours * 3600 + minutes * 60 + rest for hours, minutes, rest in (one, other)]
    return (seconds[0] - seconds[1] + 43200) % 86400 - 43200


def merged(group: Group, earlier: Mapping[str, int], later: Mapping[str, int]) -> dict[str, int]:
    """Return two wishes of a group as one; where they exclude each other the later counts."""
    result = {**earlier, **later}
    match group:
        case Group.HEATER | Group.TIMER:
            _merge_heating(result, later)
        case Group.AC_MANUAL:
            _merge_aircon(result, later)
        case Group.CLOCK if not later:
            for name in TIME:
                result.pop(name, None)
    return result


def _merge_heating(result: dict[str, int], later: Mapping[str, int]) -> None:
    if later.get("target_temp_room") and "heating_mode" not in later:
        if result.get("heating_mode") == HeatingMode.OFF:
            del result["heating_mode"]
    elif later.get("heating_mode") and "target_temp_room" not in later:
        if result.get("target_temp_room") == 0:
            del result["target_temp_room"]
    elif later.get("heating_mode") == HeatingMode.OFF and "target_temp_room" not in later:
        result.pop("target_temp_room", None)
    elif later.get("target_temp_room") == 0 and "heating_mode" not in later:
        result.pop("heating_mode", None)
    mix, power = result.get("energy_mix"), result.get("el_power_level")
    if mix is not None and power is not None and (mix == Energy.FUEL) != (power == 0):
        if "el_power_level" not in later:
            del result["el_power_level"]
        elif "energy_mix" not in later:
            del result["energy_mix"]


def _merge_aircon(result: dict[str, int], later: Mapping[str, int]) -> None:
    """Drop of the earlier wish what does not go with the later one (R5)."""
    mode = result.get("mode")
    if mode not in tuple(AirconMode):
        return
    allowed: Mapping[str, Callable[[int], bool]] = {
        "vent": lambda code: code in _vents(AirconMode(mode)),
        "target_temp": lambda code: _is_aircon_target(mode, code),
    }
    for name, fits in allowed.items():
        if name not in result or fits(result[name]):
            continue
        if name not in later:
            del result[name]
        elif "mode" not in later:
            result.pop("mode", None)


def superseded(wish: Mapping[str, int], whole: Mapping[str, int]) -> bool:
    """Whether *whole*, which a wish became part of, no longer says what the wish said.

    A wish without fields is for the time of sending.
    """
    if not wish:
        return any(name in whole for name in TIME)
    return any(whole.get(name) != value for name, value in wish.items())
