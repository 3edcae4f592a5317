"""What the error numbers mean (spec d.10). Each heater has its own list; we know the Combi D's."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

NO_ERROR = "ok"
NOT_CONNECTED_NUMBER = 255


class ErrorList(Enum):
    """Whose list of errors a heater has."""

    COMBI_D = "combi_d"
    UNKNOWN = "unknown"


_TEXTS = {
    "supply_over_voltage": (10,),
    "supply_under_voltage": (11,),
    "overheated": (17,),
    "glow_plug_energy": (18, 19),
    "glow_plug_open": (20,),
    "glow_plug_current": (21,),
    "glow_plug_short": (22,),
    "burner_control_link": (25,),
    "combustion_fan": (30, 31, 32, 34),
    "metering_pump": (47, 48, 49),
    "locked_starts": (50,),
    "flame_monitor": (51,),
    "no_ignition": (52,),
    "flame_lost": (54, 56),
    "x7_level": (60, 61),
    "flame_sensor": (64, 65),
    "burner_control_locked": (74, 94, 96),
    "burner_control_fault": (90, 92, 93, 95, 97, 98, 99, 122),
    "supply_ripple": (91,),
    "circulation_fan": (100, 101, 102),
    "panel_settings": (110, 131),
    "room_sensor": (111,),
    "water_sensor": (112,),
    "air_sensor": (113,),
    "burner_control_missing": (120,),
    "false_flame": (123,),
    "twelve_volt": (130,),
    "electronics": (132,),
    "cowl_fan": (133, 140, 141, 142),
    "external_part": (134,),
    "air_overheat": (150,),
    "water_overheat": (151, 152),
    "supply_low": (160,),
    "supply_high": (161,),
    "window_open": (162,),
    "thermal_switch": (163,),
    "low_voltage_risk": (170,),
    "electronics_mismatch": (180,),
    "heater_not_connected": (255,),
}

UNKNOWN = "see_manual"

MEANINGS = MappingProxyType(
    {number: meaning for meaning, numbers in _TEXTS.items() for number in numbers}
)

OPTIONS = (NO_ERROR, *_TEXTS, UNKNOWN)
"""The keys of all texts."""


def error_number(error_class: int, error_code: int) -> int:
    """Return the number that the panel shows; 0 is no error."""
    return error_class * 100 + error_code


def meaning_of(number: int, of: ErrorList | None) -> str:
    """Return the key of the text for an error number of a heater with the list *of*.

    ``None``: no heater is known. The panel then shows 255 for one that is missing; in the Combi D's
    own list that number is an overheat lock, so it says nothing certain where a heater is there.
    """
    if not number:
        return NO_ERROR
    if number == NOT_CONNECTED_NUMBER:
        return MEANINGS[number] if of is None else UNKNOWN
    return MEANINGS.get(number, UNKNOWN) if of is ErrorList.COMBI_D else UNKNOWN
