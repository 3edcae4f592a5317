"""The settings of an inverter: registers, limits, interlocks (spec d.5, e.2).

Registers 43 (inverter on/off) and 325 (BMS protocol) are left out: they can black out the house
or cut the battery off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ...fields import Catalogue, Field, Value
from ..catalogue import INVERTER, SETTING_OPTIONS, SLOTS
from ..register_words import decimal, hhmm_of_seconds, seconds_of_hhmm
from .image import PROGRAM_TIMES


class Kind(StrEnum):
    """What sort of value a setting takes."""

    NUMBER = "number"
    SWITCH = "switch"
    OPTION = "option"
    TIME = "time"


class ForbiddenWrite(ValueError):
    """A value that must not be written. ``key`` names the text, ``placeholders`` fill it."""

    def __init__(self, key: str, setting: str, **placeholders: str) -> None:
        super().__init__(f"{key} {setting}")
        self.key = key
        self.placeholders = {"setting": setting, **placeholders}


LONGEST_SHOWN = 40
MOST_RATED_POWER = 100_000
"""W; more is no rated power, and bounds nothing (spec d.1)."""
NO_OPTIONS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of the inverter. Limits are register words; ``key`` is the field's.

    ``at_least`` and ``at_most`` name registers whose present value bounds this one;
    ``rated_power`` bounds it by registers 16 and 17; ``bms_limit`` by a register that counts only
    when it is above zero. ``decimals`` of the value stand behind the word's point.
    """

    key: str
    register: int
    kind: Kind
    low: int = 0
    high: int = 0xFFFF
    high_16kw: int | None = None
    mask: int = 0xFFFF
    on: int = 1
    options: Mapping[int, str] = field(default_factory=lambda: NO_OPTIONS)
    at_least: tuple[int, ...] = ()
    at_most: tuple[int, ...] = ()
    rated_power: bool = False
    bms_limit: int | None = None
    decimals: int = 0

    @property
    def needs(self) -> frozenset[int]:
        """The registers that must be known before it is written."""
        bounds = {self.register, *self.at_least, *self.at_most}
        if self.rated_power:
            bounds |= {16, 17}
        if self.bms_limit is not None:
            bounds.add(self.bms_limit)
        if self.kind is Kind.TIME:
            bounds |= {self.register - 1, self.register + 1} & set(PROGRAM_TIMES)
        return frozenset(bounds)

    def raw(self, value: Value) -> int:
        """Return a field's value as :meth:`word` takes it. Raises :class:`ForbiddenWrite`."""
        match self.kind, value:
            case Kind.SWITCH, bool():
                return int(value)
            case Kind.OPTION, str():
                for raw, name in self.options.items():
                    if name == value:
                        return raw
            case Kind.TIME, time():
                if value.second or value.microsecond or value.tzinfo is not None:
                    raise ForbiddenWrite("sunsynk_whole_minutes", self.key)
                return value.hour * 3600 + value.minute * 60
            case Kind.NUMBER, (int() | float()) if not isinstance(value, bool):
                return self._raw_number(value)
        if self.kind is Kind.OPTION:
            options = ", ".join(self.options.values())
            shown = str(value)[:LONGEST_SHOWN]
            raise ForbiddenWrite("sunsynk_no_option", self.key, options=options, value=shown)
        raise self._bad(value)

    def _bad(self, value: Value) -> ForbiddenWrite:
        try:
            shown = str(value)[:LONGEST_SHOWN]
        except ValueError:  # a number of thousands of digits
            shown = "-"
        return ForbiddenWrite("sunsynk_bad_value", self.key, value=shown)

    def _raw_number(self, value: float) -> int:
        if not -0xFFFF <= value <= 0xFFFF:  # not a number fails here, too
            raise self._bad(value)
        exact = value * 10**self.decimals
        nearest: int = round(exact)
        if abs(exact - nearest) > 1e-6:
            step, shown = f"{10**-self.decimals:g}", f"{value:g}"
            raise ForbiddenWrite("sunsynk_steps", self.key, step=step, value=shown)
        return nearest

    def value(self, word: int) -> Value | None:
        """Return what a register word shows of this setting; ``None``: no value of it."""
        match self.kind:
            case Kind.SWITCH:
                return {self.on: True, 0: False}.get(word & self.mask)
            case Kind.OPTION:
                return self.options.get(word & self.mask)
            case Kind.TIME:
                seconds = seconds_of_hhmm(word)
                return None if seconds is None else time(seconds // 3600, seconds % 3600 // 60)
        return decimal(word, self.decimals) if word <= 0x7FFF else None

    def word(self, value: int, image: Mapping[int, int], *, is_16kw: bool = False) -> int:
        """Return the word to write for *value*, every interlock checked (spec e.2).

        *value* is the masked part for options, 0 or 1 for switches, seconds for times, else the
        word. *image* must hold the registers that bound it. Raises :class:`ForbiddenWrite`.
        """
        match self.kind:
            case Kind.SWITCH:
                if value not in (0, 1):
                    raise self._bad(value)
                wanted = self.on if value else 0
            case Kind.OPTION:
                if value not in self.options:
                    raise self._bad(value)
                wanted = value
            case Kind.TIME:
                wanted = self._checked_time(value, image)
            case _:
                low, high = self.limits(image, is_16kw=is_16kw)
                if not low <= value <= high:
                    raise ForbiddenWrite(
                        "sunsynk_out_of_range",
                        self.key,
                        low=self._shown(low),
                        high=self._shown(high),
                        value=self._shown(value),
                    )
                wanted = value
        if self.mask == 0xFFFF:
            return wanted
        return masked(self._present(image, self.register), self.mask, wanted)

    def bare_word(self, value: int, old: int) -> int:
        """Return the word for *value* without a look at other registers."""
        if self.kind is Kind.TIME:
            return hhmm_of_seconds(value)
        if self.kind is Kind.SWITCH:
            value = self.on if value else 0
        return masked(old, self.mask, value)

    def limits(self, image: Mapping[int, int], *, is_16kw: bool = False) -> tuple[int, int]:
        """Return the lowest and highest word allowed now. Raises :class:`ForbiddenWrite`."""
        low = self.low
        high = self.high_16kw if is_16kw and self.high_16kw is not None else self.high
        low = max(low, *(self._present(image, register) for register in self.at_least), low)
        high = min(high, *(self._present(image, register) for register in self.at_most), high)
        if self.rated_power:
            rated = (self._present(image, 16) + (self._present(image, 17) << 16)) // 10
            if not 0 < rated <= MOST_RATED_POWER:
                raise ForbiddenWrite("sunsynk_not_read", self.key, register="16")
            high = min(high, rated)
        if (
            self.bms_limit is not None
            and 0 < (limit := self._present(image, self.bms_limit)) < 0x8000
        ):
            high = min(high, limit)
        return low, high

    def _present(self, image: Mapping[int, int], register: int) -> int:
        try:
            return image[register]
        except KeyError:
            raise ForbiddenWrite("sunsynk_not_read", self.key, register=str(register)) from None

    def _shown(self, word: int) -> str:
        return f"{decimal(word, self.decimals):g}"

    def _checked_time(self, seconds: int, image: Mapping[int, int]) -> int:
        try:
            wanted = hhmm_of_seconds(seconds)
        except ValueError:
            raise self._bad(seconds) from None
        # The day may only turn between the slots 6 and 1, so those two have one neighbour each.
        before, after = self.register - 1, self.register + 1
        for neighbour in (before, after):
            if neighbour not in PROGRAM_TIMES:
                continue
            other = seconds_of_hhmm(self._present(image, neighbour))
            if other is None:
                raise ForbiddenWrite("sunsynk_slot_order", self.key)
            if (other > seconds) if neighbour == before else (other < seconds):
                raise ForbiddenWrite("sunsynk_slot_order", self.key)
        return wanted


def masked(old: int, mask: int, new: int) -> int:
    """Return *old* with the bits of *mask* replaced by those of *new*."""
    return old & ~mask & 0xFFFF | new & mask


def _number(key: str, register: int, low: int, high: int, **bounds: Any) -> Setting:
    return Setting(key=key, register=register, kind=Kind.NUMBER, low=low, high=high, **bounds)


def _switch(key: str, register: int, mask: int, on: int = 1) -> Setting:
    return Setting(key=key, register=register, kind=Kind.SWITCH, mask=mask, on=on)


def _option(key: str, register: int, mask: int = 0xFFFF) -> Setting:
    options = SETTING_OPTIONS[key]
    return Setting(key=key, register=register, kind=Kind.OPTION, options=options, mask=mask)


def _of_slots(name: str) -> Iterable[tuple[str, int]]:
    return ((f"inverter_program_{name}_{slot}", slot) for slot in SLOTS)


SHUTDOWN_VOLTAGE, RESTART_VOLTAGE, LOW_VOLTAGE, FLOAT_VOLTAGE = 220, 221, 222, 203
SHUTDOWN_CAPACITY, RESTART_CAPACITY, LOW_CAPACITY = 217, 218, 219
BMS_CHARGE_LIMIT, BMS_DISCHARGE_LIMIT = 314, 315
LEAST_VOLTAGE, MOST_VOLTAGE = 4100, 6000

_VOLTAGES = (
    ("battery_equalisation_voltage", 201, (), ()),
    ("battery_absorption_voltage", 202, (), ()),
    ("battery_float_voltage", FLOAT_VOLTAGE, (LOW_VOLTAGE,), ()),
    ("battery_shutdown_voltage", SHUTDOWN_VOLTAGE, (), (LOW_VOLTAGE, RESTART_VOLTAGE)),
    ("battery_restart_voltage", RESTART_VOLTAGE, (SHUTDOWN_VOLTAGE,), ()),
    ("battery_low_voltage", LOW_VOLTAGE, (SHUTDOWN_VOLTAGE,), (FLOAT_VOLTAGE,)),
    *((key, 261 + slot, (LOW_VOLTAGE,), (FLOAT_VOLTAGE,)) for key, slot in _of_slots("voltage")),
)

_POWERS = (
    ("max_solar_power", 53),
    ("max_sell_power", 245),
    *((key, 255 + slot) for key, slot in _of_slots("power")),
    ("generator_peak_shaving_power", 292),
    ("grid_peak_shaving_power", 293),
)

_SETTINGS = (
    *(
        Setting(
            key=key,
            register=register,
            kind=Kind.NUMBER,
            low=LEAST_VOLTAGE,
            high=MOST_VOLTAGE,
            at_least=at_least,
            at_most=at_most,
            decimals=2,
        )
        for key, register, at_least, at_most in _VOLTAGES
    ),
    *(_number(key, register, 0, 0x7FFF, rated_power=True) for key, register in _POWERS),
    _number("battery_max_charge_current", 210, 0, 185, high_16kw=290, bms_limit=BMS_CHARGE_LIMIT),
    _number(
        "battery_max_discharge_current", 211, 0, 185, high_16kw=290, bms_limit=BMS_DISCHARGE_LIMIT
    ),
    _number("grid_charge_battery_current", 230, 0, 185, high_16kw=140, bms_limit=BMS_CHARGE_LIMIT),
    _number(
        "battery_shutdown_capacity",
        SHUTDOWN_CAPACITY,
        0,
        100,
        at_most=(LOW_CAPACITY, RESTART_CAPACITY),
    ),
    _number("battery_restart_capacity", RESTART_CAPACITY, 0, 100, at_least=(SHUTDOWN_CAPACITY,)),
    _number("battery_low_capacity", LOW_CAPACITY, 0, 50, at_least=(SHUTDOWN_CAPACITY,)),
    *(_number(key, 267 + slot, 0, 100, at_least=(LOW_CAPACITY,)) for key, slot in _of_slots("soc")),
    *(Setting(key=key, register=249 + slot, kind=Kind.TIME) for key, slot in _of_slots("time")),
    _switch("grid_charge_enabled", 232, 0x0001),
    _switch("priority_load", 243, 0x0001),
    _switch("solar_export", 247, 0x0001),
    _switch("use_timer", 248, 0x0001),
    _switch("peak_shaving", 280, 0x000F),
    _switch("generator_peak_shaving", 280, 0x00F0, 0x0010),
    _switch("grid_peak_shaving", 280, 0x0F00, 0x0100),
    _switch("grid_always_on", 280, 0xF000, 0x1000),
    *(_switch(key, 273 + slot, 0x0040, 0x0040) for key, slot in _of_slots("sell")),
    _option("aux_port_usage", 235),
    _option("load_limit", 244),
    *(_option(key, 273 + slot, 0x0003) for key, slot in _of_slots("charge")),
    *(_option(key, 273 + slot, 0x001C) for key, slot in _of_slots("mode")),
)

SETTINGS: Mapping[str, Setting] = {setting.key: setting for setting in _SETTINGS}
"""What may be offered, by field key."""


def setting_values(image: Mapping[int, int]) -> dict[str, Value | None]:
    """Return what the registers of an image show of the settings."""
    return {
        key: setting.value(image[setting.register])
        for key, setting in SETTINGS.items()
        if setting.register in image
    }


def as_writable(setting: Setting, low: int, high: int) -> Field:
    """Return the field of a setting, to be written within these limits (words)."""
    item = replace(INVERTER[setting.key], writable=True)
    if setting.kind is not Kind.NUMBER:
        return item
    return replace(
        item,
        minimum=decimal(low, setting.decimals),
        maximum=decimal(high, setting.decimals),
        step=10**-setting.decimals,
    )


WRITABLE: Catalogue = INVERTER.with_fields(
    as_writable(setting, setting.low, setting.high) for setting in SETTINGS.values()
)
"""The fields of an inverter whose settings may be changed; the limits are those of any model."""


def fields_now(image: Mapping[int, int], *, is_16kw: bool, before: Catalogue) -> Catalogue:
    """Return the fields with the limits of this moment; *before* itself when nothing changed."""
    changed = []
    for setting in SETTINGS.values():
        try:
            low, high = setting.limits(image, is_16kw=is_16kw)
        except ForbiddenWrite:
            low, high = setting.low, setting.high
        changed.append(as_writable(setting, low, max(low, high)))
    return before.with_fields(changed)
