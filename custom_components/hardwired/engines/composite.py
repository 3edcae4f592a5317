"""A fan, a climate or a water heater that is made of several fields.

It belongs to the family beside its catalogue. It is pure, and both faces only pass it on: it says
what the parts show (:meth:`Composite.read`) and which field values a command becomes
(:meth:`Composite.write`). What it must remember, the last set-point for instance, the engine keeps
in the device's ``details``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from .engine import DeviceState
from .fields import Value


class Component(StrEnum):
    """What a composite is, in Home Assistant's words."""

    CLIMATE = "climate"
    FAN = "fan"
    WATER_HEATER = "water_heater"


class Part(StrEnum):
    """The roles within a composite.

    A fan has ON, SPEED, PRESET; a climate MODE, ACTION, TARGET, CURRENT, FAN_MODE, PRESET, POWER;
    a water heater MODE, TARGET, CURRENT, POWER. POWER is never read.
    """

    ON = "on"
    SPEED = "speed"
    PRESET = "preset"
    MODE = "mode"
    ACTION = "action"
    TARGET = "target"
    CURRENT = "current"
    FAN_MODE = "fan_mode"
    POWER = "power"


Wish: TypeAlias = tuple[Part, str]
"""A part and the value asked of it, as text: a mode, ``ON``, ``21.5``."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this device can do now. Temperatures are in °C; ``speeds`` counts the steps."""

    modes: tuple[str, ...] = ()
    fan_modes: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    speeds: int = 0
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    precision: float | None = None
    switches_off: bool = True
    """Whether OFF really switches the device off."""


class Composite(ABC):
    """One composite of one kind of device. Stateless."""

    component: ClassVar[Component]
    key: ClassVar[str]
    """Frozen from the first release, as a field's key is."""
    name: ClassVar[str]
    main: ClassVar[bool] = False
    """Whether it is the device's main function, so that it needs no name of its own."""
    covers: ClassVar[frozenset[str]] = frozenset()
    """Fields that are offered for reading only where this composite is shown."""
    fields: ClassVar[Mapping[Part, str]] = {}
    """Parts that are exactly a field, and its key."""

    @abstractmethod
    def exists(self, state: DeviceState) -> bool:
        """Whether this device has it."""

    @abstractmethod
    def about(self, state: DeviceState) -> Abilities:
        """Return what it can do on this device now."""

    @abstractmethod
    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        """Return what each part shows; ``None`` is unknown."""

    @abstractmethod
    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        """Return the field values that the *wishes* of one action become, in order.

        Empty: nothing has to change. Raises :class:`.engine.InvalidCommand`.
        """
