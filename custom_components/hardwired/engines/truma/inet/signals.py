"""The unconditional frames: fast values, twice a second while the bus is awake (spec d.11).

Fields are raw integers and flags, named as in section d.11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType

from ..lin.transport import SINGLE_SIZE

Signals = dict[str, int | bool | None]
"""Raw values by name; ``None`` where the frame says that there is none."""

VOLTAGE_OFFSET = 32767
NO_VOLTAGE = 0x7FFF
NO_VALUES = b"\xff" * 8
NODE_STATE = 0xF8
NODE_STATE_SIZE = 3
"""Bytes of the shortest answer: itself, the state that is wished, the state that is."""
HEATER_STATUS_FIRST = 0x00
"""The first byte of every heater status that a Truma heater was heard to send. An Alde bus has
another frame under the same identifier, which begins with FF."""
ALDE_IDENTIFIERS = frozenset({0x15, 0x1B})
"""Frames that only an Alde bus has."""


class Signal(IntEnum):
    """Identifiers of the frames that carry values."""

    TARGET_ROOM = 0x03
    TARGET_WATER = 0x04
    ENERGY_PRIORITY = 0x05
    ELECTRIC_LIMIT = 0x06
    FAN = 0x07
    AIRCON_COMMAND = 0x08
    HEATER_STATUS = 0x16
    AIRCON_STATUS = 0x17
    SET_POINTS = 0x20
    MEASURED = 0x21
    VOLTAGE = 0x22


class HeaterState(IntEnum):
    """The heater's state in its answer to B8 (spec d.11). ``NONE``: no box known."""

    NONE = 0
    IDLE = 1
    ON = 2
    SHUTDOWN = 3
    POWERING_UP = 4


def _u16(data: bytes, start: int) -> int:
    return data[start] | data[start + 1] << 8


def _packed(data: bytes) -> tuple[int, int]:
    """Return two numbers of twelve bits out of three bytes."""
    return data[0] | (data[1] & 15) << 8, data[1] >> 4 | data[2] << 4


def _heater_status(data: bytes) -> Signals | None:
    if data[0] != HEATER_STATUS_FIRST:
        return None
    flags, raw = data[1], _u16(data, 6)
    return {
        "b0": data[0],
        "frost_ok": bool(flags & 0x01),
        "mains_230v": bool(flags & 0x02),
        "window_closed": bool(flags & 0x04),
        "room_demand": bool(flags & 0x08),
        "water_demand": bool(flags & 0x10),
        "error": bool(flags & 0x80),
        "current_temp_room": _u16(data, 2),
        "current_temp_water": _u16(data, 4),
        "voltage_raw": raw,
        "voltage_mv": None if raw == NO_VOLTAGE else (raw - VOLTAGE_OFFSET) * 10,
    }


def _set_points(data: bytes) -> Signals:
    room, water = _packed(data)
    return {
        "target_temp_room": room,
        "target_temp_water": water,
        "fuel": data[3],
        "electric_100w": data[4],
        "energy": data[5] & 15,
        "vent": data[5] >> 4,
        "b6": data[6],
        "b7": data[7],
    }


def _measured(data: bytes) -> Signals:
    room, water = _packed(data)
    return {
        "current_temp_room": room,
        "current_temp_water": water,
        "burner_100w": data[3],
        "electric_100w": data[4],
        "status": data[5],
        "b6": data[6],
        "b7": data[7],
    }


def _voltage(data: bytes) -> Signals:
    flags = data[1]
    return {
        "voltage_dv": data[0],
        "flags": flags,
        "room_heat_required": bool(flags & 0x80),
        "enabled": bool(flags & 0x40),
        "mains_230v": bool(flags & 0x20),
        "heating_commanded": bool(flags & 0x10),
        "boiler": data[2],
        "status": data[3],
    }


_DECODERS: Mapping[int, Callable[[bytes], Signals | None]] = MappingProxyType(
    {
        Signal.TARGET_ROOM: lambda data: {"target_temp_room": _u16(data, 0)},
        Signal.TARGET_WATER: lambda data: {"target_temp_water": _u16(data, 0)},
        Signal.ENERGY_PRIORITY: lambda data: {"energy_priority": data[0]},
        Signal.ELECTRIC_LIMIT: lambda data: {"el_power_limit": _u16(data, 0)},
        # C4.x panels set the high nibble to E.
        Signal.FAN: lambda data: {"fan": data[0] & 15, "fan_raw": data[0]},
        Signal.AIRCON_COMMAND: lambda data: {
            "target_temp": _u16(data, 0),
            "vent": data[2],
            "mode": data[3],
        },
        Signal.HEATER_STATUS: _heater_status,
        Signal.AIRCON_STATUS: lambda data: {
            "ac_temp": _u16(data, 0),
            "target_temp": _u16(data, 2),
            "vent": data[4],
            "mode": data[5],
        },
        Signal.SET_POINTS: _set_points,
        Signal.MEASURED: _measured,
        Signal.VOLTAGE: _voltage,
    }
)


def read_signal(identifier: int, data: bytes) -> Signals | None:
    """Return the raw values in a frame of eight bytes; ``None``: it has none that we know."""
    decode = _DECODERS.get(identifier)
    if decode is None or len(data) != 8 or data == NO_VALUES:
        return None
    return decode(data)


def read_heater_state(data: bytes, nad: int = 1) -> HeaterState | None:
    """Return the heater's state from its overheard answer F8; ``None`` for another answer."""
    if len(data) != 8 or data[0] != nad or data[2] != NODE_STATE:
        return None
    if not NODE_STATE_SIZE <= data[1] <= SINGLE_SIZE:
        # A part of a longer answer, or one without the state.
        return None
    try:
        return HeaterState(data[4])
    except ValueError:
        return None
