"""What the panel, the heater and the air conditioner put on the bus themselves (spec d.10, d.11).

The panel's own command frames and the nodes' measured ones, legacy and modern, and what the nodes
answer to requests.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from ..inet.buffers import AC_MANUAL, HEATER
from ..inet.rules import Energy
from ..inet.signals import HeaterState
from .personalities import NodeAnswers, Personality, Schedule
from .physics import Vehicle
from .settings import WATER_ECO, PanelSettings, code

UNSET = 0x0AAA
HEATER_MISSING = 255
READ_BY_IDENTIFIER, HEATER_REQUEST = 0xB2, 0xB8
RESPONSE_BIT = 0x40


class Signal(IntEnum):
    """Identifiers of the unconditional frames (spec b.2)."""

    ROOM = 0x03
    WATER = 0x04
    PRIORITY = 0x05
    POWER = 0x06
    FAN = 0x07
    AIRCON_COMMAND = 0x08
    UNKNOWN_09 = 0x09
    HEATER_STATUS = 0x16
    AIRCON_STATUS = 0x17
    SET_POINTS = 0x20
    MEASURED = 0x21
    SUPPLY = 0x22


MODERN_SIGNALS = frozenset({Signal.SET_POINTS, Signal.MEASURED, Signal.SUPPLY})


def split_error(number: int) -> tuple[int, int]:
    """Return class and code of an error number; 255 was recorded with class 0 (spec d.10)."""
    return (0, number) if number == HEATER_MISSING else divmod(number, 100)


def coarse_water(temperature: float) -> int:
    """Return the code of the water temperature as buffer 33 has it (spec d.1)."""
    if temperature < 45:
        return code(temperature - 1)
    return code(5 * round(temperature / 5))


class Nodes:
    """All nodes on the bus except the box."""

    def __init__(
        self,
        personality: Personality,
        schedule: Schedule,
        vehicle: Vehicle,
        settings: PanelSettings,
    ) -> None:
        self._personality = personality
        self._schedule = schedule
        self._vehicle = vehicle
        self._settings = settings
        self.asleep = False
        """Whether the heater measures nothing, because it is in standby."""
        self.known = True
        """Whether the heater has answered the panel since power-on."""
        self._measured = (0, 0, 0)

    @property
    def error(self) -> int:
        """The number that the panel shows; 0 is none."""
        return self._vehicle.error if self._vehicle.heater_connected else HEATER_MISSING

    @property
    def flags(self) -> int:
        """Byte 1 of frame D6; its low three bits are the operating status (spec d.1.1)."""
        vehicle = self._vehicle
        awake = not self.asleep
        return (
            awake
            | (awake and vehicle.mains) << 1
            | vehicle.window_closed << 2
            | vehicle.room_demand << 3
            | vehicle.water_demand << 4
            | (self.error != 0) << 7
        )

    def frame(self, identifier: int) -> bytes | None:
        """Return the eight bytes of an identifier; ``None``: no node answers."""
        if identifier in MODERN_SIGNALS:
            return self._modern(identifier)
        if identifier == Signal.HEATER_STATUS:
            return self._heater_status()
        if identifier == Signal.AIRCON_STATUS:
            return self._aircon_status()
        return self._command(identifier)

    def heater_buffer(self) -> bytes:
        """Return the payload of buffer 33; in standby with what was measured before."""
        error_class, error_code = split_error(self.error)
        water, room, status = self._measurements()
        return HEATER.write(
            self._settings.heater.as_fields()
            | {
                "current_temp_water": water,
                "current_temp_room": room,
                "operating_status": status,
                "error_code": error_code,
                "error_class": error_class,
            }
        )

    def _measurements(self) -> tuple[int, int, int]:
        vehicle = self._vehicle
        if not (self.known and vehicle.heater_connected):
            return 0, 0, 0
        if not self.asleep:
            water = coarse_water(vehicle.water) if self._personality.has_water else 0
            self._measured = water, code(vehicle.room), self.flags & 7
        return self._measured

    def aircon_buffer(self) -> bytes:
        """Return the payload of buffer 35."""
        aircon = self._settings.aircon
        vehicle = self._vehicle
        return AC_MANUAL.write(
            {
                "mode": aircon.mode,
                "vent": aircon.vent,
                "on": 1,
                "target_temp": aircon.target_temp,
                "current_temp": code(vehicle.aircon_sensor) if vehicle.aircon_connected else 0,
                "room_temp": UNSET if self.asleep else code(vehicle.room),
            }
        )

    def heater_answer(self, request: bytes) -> bytes | None:
        """Return what the heater answers to a request: the message after its length byte."""
        if not self._vehicle.heater_connected:
            return None
        if request[0] == HEATER_REQUEST:
            state = self._vehicle.state
            wanted = HeaterState.ON if state is HeaterState.POWERING_UP else state
            return bytes((HEATER_REQUEST + RESPONSE_BIT, wanted, state))
        if request[:2] == bytes((READ_BY_IDENTIFIER, 0x23)):
            error_class, error_code = split_error(self.error)
            format_ = self._personality.error_format
            return bytes((0xF2, format_, error_class, error_code, 0, 0xFF))
        return _identify(self._personality.heater_node, request)

    def aircon_answer(self, request: bytes) -> bytes | None:
        """Return what the air conditioner answers to a request."""
        node = self._personality.aircon_node
        if node is None or not self._vehicle.aircon_connected:
            return None
        return _identify(node, request)

    def _command(self, identifier: int) -> bytes | None:
        heater = self._settings.heater
        match identifier:
            case Signal.ROOM:
                content = struct.pack("<H", heater.target_temp_room or UNSET)
            case Signal.WATER:
                content = struct.pack("<H", heater.target_temp_water or UNSET)
            case Signal.PRIORITY:
                content = bytes((heater.energy_mix or Energy.FUEL,))
            case Signal.POWER:
                content = struct.pack("<H", heater.el_power_level)
            case Signal.FAN:
                fan = {0: 0, 1: 1, 2: 1}.get(heater.heating_mode, 2)
                newer = self._personality.panel.software[0] >= 4
                content = bytes((fan | 0xE0, 0xFE)) if newer else bytes((fan, 0))
            case Signal.AIRCON_COMMAND:
                aircon = self._settings.aircon
                last = 0x7B if self._personality.aircon else 0
                target = aircon.target_temp or code(22)
                content = struct.pack("<H6B", target, aircon.vent, aircon.mode, 0, 0, last, 0xFF)
            case Signal.UNKNOWN_09:
                content = b""
            case _:
                return None
        return content.ljust(8, b"\xff")

    def _heater_status(self) -> bytes | None:
        vehicle = self._vehicle
        if not vehicle.heater_connected:
            return None
        room, water = UNSET, UNSET
        if not self.asleep:
            room = code(vehicle.room)
            water = code(vehicle.water) if self._personality.has_water else UNSET
        voltage = round((vehicle.voltage + 327.67) * 100)
        return struct.pack("<BBHHH", 0, self.flags, room, water, voltage)

    def _aircon_status(self) -> bytes | None:
        vehicle = self._vehicle
        if self._personality.aircon is None or not vehicle.aircon_connected:
            return None
        aircon = self._settings.aircon
        target = aircon.target_temp or code(22)
        return struct.pack(
            "<HHBBBB", code(vehicle.aircon_sensor), target, aircon.vent, aircon.mode, 0, 0
        )

    def _modern(self, identifier: int) -> bytes | None:
        if self._schedule is not Schedule.MODERN:
            return None
        vehicle, heater = self._vehicle, self._settings.heater
        if identifier == Signal.SET_POINTS:
            fuel = 0xFA if heater.energy_mix & Energy.FUEL else 0
            vent = {0: 0, 1: 0xB, 2: 0xB}.get(heater.heating_mode, 0xD)
            return _packed(heater.target_temp_room or UNSET, heater.target_temp_water or UNSET) + (
                bytes((fuel, heater.el_power_level // 100, vent << 4 | heater.energy_mix))
                + b"\xe0\x0f"
            )
        if not vehicle.heater_connected:
            return None
        if identifier == Signal.MEASURED:
            room, water = UNSET, UNSET
            if not self.asleep:
                room = code(vehicle.room)
                water = code(vehicle.water) if self._personality.has_water else UNSET
            burner, electric = vehicle.fuel_power, vehicle.electric_power
            power = bytes((round(burner / 100), round(electric / 100), 2 if heater.heating else 1))
            return _packed(room, water) + power + b"\xf0\x0f"
        flags = (
            vehicle.room_demand << 7
            | heater.heating << 6
            | vehicle.mains << 5
            | (heater.heating and not vehicle.locked) << 4
        )
        boiler = 0
        if heater.target_temp_water:
            boiler = 0x10 if heater.target_temp_water == WATER_ECO else 0x30
            boiler |= vehicle.water_demand
        state = 5 if self.error else 4
        return bytes((round(vehicle.voltage * 10), flags, boiler, state)) + b"\xff" * 4


def _packed(first: int, second: int) -> bytes:
    """Return two twelve-bit numbers in three bytes."""
    return (first & 0xFFF | (second & 0xFFF) << 12).to_bytes(3, "little")


def _identify(node: NodeAnswers, request: bytes) -> bytes | None:
    if request[0] != READ_BY_IDENTIFIER or request[2:6] != node.product:
        return None
    content = node.identifier(request[1])
    return None if content is None else b"\xf2" + content
