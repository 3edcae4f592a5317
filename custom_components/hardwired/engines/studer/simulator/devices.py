"""A simulated device on the bus: its parameters in flash and in RAM, its watchdog (spec e)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from struct import pack, unpack

from ..datapoints.datapoint import Datapoint, EnumKind, by_id
from ..datapoints.limits import limits_of, slack
from ..scom.errors import ErrorCode
from ..scom.families import FAMILIES, Family
from ..scom.frame import Level
from ..scom.values import Format, FormatError, decode, encode, shortest
from .infos import Fixed, fixed_infos, read_info
from .machines import Machine
from .plant import Plant

Number = float | int

SAVES_TO_FLASH: Mapping[Family, int] = {Family.XT: 1550, Family.VT: 10058, Family.VS: 14069}
WATCHDOGS: Mapping[Family, tuple[int, int]] = {
    Family.XT: (1628, 1629),
    Family.VT: (10342, 10343),
    Family.VS: (14218, 14219),
}
"""Watchdog on, and its delay in seconds."""

LEAST_RAM_FIRMWARE: Mapping[Family, tuple[int, int, int]] = {
    Family.XT: (1, 6, 12),
    Family.VT: (1, 6, 14),
    Family.VS: (1, 6, 12),
    Family.BSP: (1, 6, 12),
    Family.BMS: (1, 6, 12),
    Family.RCC: (1, 6, 12),
}

ORDERED: Mapping[Family, tuple[tuple[int, int], ...]] = {
    Family.XT: ((1109, 1108), (1140, 1156), (1172, 1140)),
    Family.VT: ((10005, 10009),),
    Family.VS: ((14005, 14009),),
    Family.BSP: (),
    Family.BMS: ((6062, 6063),),
    Family.RCC: (),
}
"""Pairs of which the first must not be above the second: dependencies that no table has."""

_LEVELS = {
    "view_only": Level.VIEW_ONLY,
    "basic": Level.BASIC,
    "expert": Level.EXPERT,
    "installer": Level.INSTALLER,
    "qsp": Level.QSP,
}


class ScomError(Exception):
    """A device or the gateway refuses."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:#06x}")
        self.code = code


class Contact(Enum):
    """How far a device can be reached over the bus."""

    PRESENT = "present"
    SILENT = "silent"
    """The gateway waits for it without an answer."""
    TIMEOUT = "timeout"
    """The gateway gives up waiting: 0x0003."""
    GONE = "gone"
    """The gateway has forgotten it: 0x0002."""


def single(value: float) -> float:
    """Return *value* as a float32, widened."""
    return float(unpack("<f", pack("<f", value))[0])


def fixed_point(value: float, most: float | None) -> float:
    """Return *value* as a device stores it: 16 bits, scaled so that *most* fits (spec b.6)."""
    if most is None or most <= 0:
        return single(value)
    grain = 2.0 ** (math.ceil(math.log2(max(most, 2**-8))) - 15)
    return single(round(value / grain) * grain)


class Parameters:
    """All parameters of one device. Flash survives a restart, RAM does not."""

    def __init__(self, family: Family, nominal: float, ac: float) -> None:
        self.family = family
        self._nominal = nominal
        self._ac = ac
        self.flash: dict[int, Number] = {}
        self.ram: dict[int, Number] = {}
        self.flash_writes: Counter[int] = Counter()
        self.ram_writes: Counter[int] = Counter()

    def default(self, point: Datapoint) -> Number:
        """Return what the factory has set."""
        found = limits_of(point, self._nominal, self._ac).default
        if found is None:
            found = point.choices[0].wire if point.choices else 0
        return single(found) if point.wire_format is Format.FLOAT else int(found)

    def saved(self, number: int) -> Number:
        """Return the value in flash, which is what every read shows (spec e.1)."""
        found = self.flash.get(number)
        if found is None:
            point = by_id(self.family, number)
            if point is None:
                raise KeyError(number)
            found = self.flash[number] = self.default(point)
        return found

    def in_force(self, number: int) -> Number:
        """Return the value in force."""
        found = self.ram.get(number)
        return self.saved(number) if found is None else found

    def bounds(self, point: Datapoint) -> tuple[float | None, float | None]:
        """Return the bounds for a write now, with those from other parameters."""
        limits = limits_of(point, self._nominal, self._ac)
        low, high = limits.minimum, limits.maximum
        for lower, upper in ORDERED[self.family]:
            if point.id == lower and high is not None:
                high = min(high, float(self.in_force(upper)))
            if point.id == upper and low is not None:
                low = max(low, float(self.in_force(lower)))
        return low, high

    def check(self, point: Datapoint, data: bytes) -> Number:
        """Return the value in *data*. Raises :class:`ScomError`."""
        assert point.wire_format is not None
        try:
            value = decode(point.wire_format, data)
        except FormatError as error:
            wrong = error.key == "length"
            raise ScomError(
                ErrorCode.INVALID_DATA_LENGTH if wrong else ErrorCode.INVALID_DATA
            ) from error
        assert isinstance(value, (bool, int, float))
        if not math.isfinite(value):
            raise ScomError(ErrorCode.INVALID_DATA)
        if point.signal:
            if value != 1:
                raise ScomError(ErrorCode.INVALID_DATA)
        elif point.choices:
            if all(value != choice.wire for choice in point.choices):
                raise ScomError(ErrorCode.INVALID_DATA)
        elif point.enum_kind is EnumKind.BITS:
            if int(value) & ~sum(1 << bit for bit, _ in point.bits):
                raise ScomError(ErrorCode.INVALID_DATA)
        else:
            self._check_range(point, value)
        return int(value) if point.wire_format is not Format.FLOAT else float(value)

    def _check_range(self, point: Datapoint, value: float) -> None:
        low, high = self.bounds(point)
        if low is not None and value < low - slack(low):
            raise ScomError(ErrorCode.DATA_TOO_SMALL)
        if high is not None and value > high + slack(high):
            raise ScomError(ErrorCode.DATA_TOO_BIG)

    def store(self, point: Datapoint, value: Number, *, persistent: bool) -> None:
        """Keep a value. {1550} = 0 keeps in RAM what was meant for flash (spec e.3)."""
        if point.wire_format is Format.FLOAT:
            value = self._kept(point, float(value))
        switch = SAVES_TO_FLASH.get(self.family)
        if point.id == switch and persistent:
            self._store_switch(point.id, value)
        elif persistent and (switch is None or self.in_force(switch)):
            self.flash[point.id] = value
            self.ram.pop(point.id, None)
            self.flash_writes[point.id] += 1
        else:
            self.saved(point.id)
            self.ram[point.id] = value
            self.ram_writes[point.id] += 1

    def _store_switch(self, number: int, value: Number) -> None:
        if value or self.saved(number):
            self.flash_writes[number] += 1
        self.flash[number] = value
        self.ram.pop(number, None)

    def _kept(self, point: Datapoint, value: float) -> float:
        limits = limits_of(point, self._nominal, self._ac)
        low, high = self.bounds(point)
        kept = fixed_point(value, limits.maximum)
        # The nearest fixed-point number may be slightly outside the bounds.
        if (low is not None and kept < low) or (high is not None and kept > high):
            return single(value)
        return kept

    def restart(self) -> None:
        """Lose what is only in RAM."""
        self.ram.clear()

    def reset(self) -> None:
        """Go back to the factory's settings, in flash."""
        self.flash.clear()
        self.ram.clear()


class Device:
    """One device. ``index`` is its present position; ``fid`` its identity."""

    def __init__(
        self,
        family: Family,
        index: int,
        *,
        fid: str,
        firmware: str,
        plant: Plant,
        machine: Machine,
    ) -> None:
        self.family = family
        self.fid = fid
        self.firmware = firmware
        self.index = index
        self.plant = plant
        self.machine = machine
        self.parameters = Parameters(family, plant.layout.nominal, plant.layout.ac)
        self.contact = Contact.PRESENT
        self.restarts = 0
        self.absences = 0
        self.last_keepalive: float | None = None
        """When a parameter last arrived, once the watchdog is armed by a RAM write."""
        self._fixed: Fixed = fixed_infos(family, fid, firmware, plant)

    @property
    def address(self) -> int:
        """Where it answers."""
        return FAMILIES[self.family].first + self.index - 1

    @property
    def version(self) -> tuple[int, ...]:
        """The firmware as numbers."""
        return tuple(int(part) for part in self.firmware.split("."))

    @property
    def writes_ram(self) -> bool:
        """Whether this firmware knows property 13 (spec a.5)."""
        return self.version >= LEAST_RAM_FIRMWARE[self.family]

    def point(self, number: int, *, parameter: bool) -> Datapoint:
        """Return a datapoint that this device has. Raises :class:`ScomError`."""
        found = by_id(self.family, number)
        if found is not None and found.is_parameter == parameter:
            if found.wire_format is None:
                raise ScomError(ErrorCode.OBJECT_NOT_SUPPORTED)
            if found.id == 1550 and self.version < (1, 4, 6):
                raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)
            return found
        if not parameter and self.family is Family.BSP and by_id(Family.BMS, number) is not None:
            raise ScomError(ErrorCode.INVALID_DATA)
        if parameter and any(by_id(family, number) for family in Family):
            raise ScomError(ErrorCode.ACCESS_DENIED)
        raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)

    def info(self, point: Datapoint) -> Number:
        """Return an info as the wire knows it."""
        value = read_info(point, self.machine, self.plant, self._fixed)
        return single(value) if point.wire_format is Format.FLOAT else int(value)

    def armed_until(self) -> float | None:
        """Return when the watchdog resets the device, if no parameter is written until then.

        ``None``: never.
        """
        ids = WATCHDOGS.get(self.family)
        if ids is None or self.last_keepalive is None or not self.parameters.in_force(ids[0]):
            return None
        return self.last_keepalive + float(self.parameters.in_force(ids[1]))

    def write(self, point: Datapoint, value: Number, now: float, *, persistent: bool) -> None:
        """Take a checked value."""
        if not point.signal:
            before = sum(self.parameters.ram_writes.values())
            self.parameters.store(point, value, persistent=persistent)
            if sum(self.parameters.ram_writes.values()) > before or self.last_keepalive is not None:
                self.last_keepalive = now
        elif self.last_keepalive is not None:
            self.last_keepalive = now

    def restart(self) -> None:
        """Restart: RAM is lost, the watchdog disarmed."""
        self.parameters.restart()
        self.last_keepalive = None
        self.restarts += 1


def level_of(point: Datapoint) -> Level:
    """Return the answer to property LEVEL."""
    return _LEVELS[point.level.value]


def readable(point: Datapoint, value: Number) -> Number:
    """Return a value as people write it, for logs."""
    return shortest(value) if point.wire_format is Format.FLOAT else value


def encoded(point: Datapoint, value: Number) -> bytes:
    """Return property data."""
    assert point.wire_format is not None
    return encode(point.wire_format, value)
