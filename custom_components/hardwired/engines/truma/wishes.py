"""Values of the catalogue as raw codes, by the group that they are uploaded in (spec d, e)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import time

from ..engine import InvalidCommand
from ..fields import Value
from .inet.buffers import UPLOADS, Group, with_twins
from .inet.rules import RuleError, room_code, temperature, temperature_code
from .installation import (
    AIRCON,
    AIRCON_MODES,
    ENERGIES,
    HEATER,
    HEATING_MODES,
    VENTS,
    WATER_MODES,
)

_BY_OPTION: Mapping[str, Mapping[str, int]] = {
    "heating_mode": {text: int(code) for code, text in HEATING_MODES.items()},
    "water_mode": {text: int(code) for code, text in WATER_MODES.items()},
    "energy_mix": {text: int(code) for code, text in ENERGIES.items()},
    "mode": {text: int(code) for code, text in AIRCON_MODES.items()},
    "vent": {text: int(code) for code, text in VENTS.items()},
}


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Raise what the rules refuse as :class:`InvalidCommand`, with its text."""
    try:
        yield
    except RuleError as error:
        raise InvalidCommand(error.message, key=error.key, **error.placeholders) from error
    except ValueError as error:
        raise InvalidCommand(str(error)) from error


def raw_wishes(device: str, values: Mapping[str, Value]) -> dict[Group, dict[str, int]]:
    """Return values of a device as raw codes, by group. Raises :class:`ValueError`."""
    wishes: dict[Group, dict[str, int]] = {}
    for key, value in values.items():
        if device == AIRCON:
            wishes.setdefault(Group.AC_MANUAL, {})[key] = _raw(key, value)
        elif device == HEATER and key.startswith("timer"):
            wishes.setdefault(Group.TIMER, {}).update(_raw_timer(key, value))
        elif device == HEATER:
            name = "target_temp_water" if key == "water_mode" else key
            wishes.setdefault(Group.HEATER, {})[name] = _raw(key, value)
        else:
            raise ValueError(f"{key} can't be set")
    return wishes


def raw_fields(name: object, values: Mapping[str, Value]) -> tuple[Group, dict[str, int]]:
    """Return the group of this name, timer or clock, and values that are its raw fields already.

    Raises :class:`ValueError`.
    """
    group = {"timer": Group.TIMER, "clock": Group.CLOCK}.get(str(name))
    if group is None or not values:
        raise ValueError("group is timer or clock, and values are what is to change")
    most = {field: 256**size for field, _, size in UPLOADS[group].layout.fields}
    fields: dict[str, int] = {}
    for field, code in values.items():
        places = with_twins({field: 0})
        if type(code) is not int or not all(0 <= code < most.get(one, 0) for one in places):
            raise ValueError(f"the {group.value} does not take {field} {code}")
        fields[field] = code
    return group, fields


def settings_of(raw: Mapping[str, int]) -> Mapping[str, Value | None]:
    """Return the values of the heater's settings in the raw fields of its status."""
    modes: Mapping[int, str] = {int(code): text for code, text in HEATING_MODES.items()}
    levels: Mapping[int, str] = {int(code): text for code, text in WATER_MODES.items()}
    return {
        "target_temp_room": temperature(raw["target_temp_room"]),
        "heating_mode": modes.get(raw["heating_mode"]),
        "water_mode": levels.get(raw["target_temp_water"]),
    }


def _raw(key: str, value: Value) -> int:
    if key in _BY_OPTION and isinstance(value, str):
        return _BY_OPTION[key][value]
    if key == "el_power_level" and isinstance(value, str):
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return room_code(value) if key == "target_temp_room" else temperature_code(value)
    raise ValueError(f"{key} does not take {value!r}")


def _raw_timer(key: str, value: Value) -> dict[str, int]:
    if key == "timer" and isinstance(value, bool):
        return {"active": int(value)}
    if isinstance(value, time):
        which = key.removeprefix("timer_")
        return {f"{which}_hours": value.hour, f"{which}_minutes": value.minute}
    raise ValueError(f"{key} does not take {value!r}")
