"""What Home Assistant knows of the entities that are exported, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A value as JSON knows it."""

UNKNOWN = frozenset({"unknown", "unavailable"})
STATELESS = frozenset({"button", "input_button", "scene", "script"})
"""Domains of which an unknown state says nothing: they can be used all the same."""


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EntityState:
    """One entity at one moment. ``precision`` is the number of decimals that the registry wants."""

    entity_id: str
    state: str
    attributes: Mapping[str, Any] = field(default_factory=_nothing)
    precision: int | None = None

    @property
    def domain(self) -> str:
        """What stands before the dot."""
        return self.entity_id.partition(".")[0]

    @property
    def object_id(self) -> str:
        """What stands behind the dot."""
        return self.entity_id.partition(".")[2]

    @property
    def name(self) -> str:
        """What people call it."""
        told = self.attributes.get("friendly_name")
        return told.strip() if isinstance(told, str) and told.strip() else self.object_id

    @property
    def usable(self) -> bool:
        """Whether its state can be trusted now (spec H.5)."""
        if self.domain in STATELESS:
            return self.state != "unavailable"
        return self.state not in UNKNOWN

    @property
    def features(self) -> int:
        """The bits of what it can do."""
        return int(self.attribute("supported_features") or 0)

    @property
    def device_class(self) -> str | None:
        """Its device class."""
        told = self.attributes.get("device_class")
        return None if told is None else str(told)

    @property
    def unit(self) -> str | None:
        """The unit of its state."""
        told = self.attributes.get("unit_of_measurement")
        return None if told is None else str(told)

    @property
    def number(self) -> float | None:
        """Its state as a number, ``None`` when it is none."""
        return number(self.state) if self.usable else None

    def attribute(self, name: str) -> float | None:
        """Return an attribute as a number, ``None`` when it is none."""
        return number(self.attributes.get(name))

    def words(self, name: str) -> tuple[str, ...]:
        """Return an attribute that is a list of texts."""
        told = self.attributes.get(name)
        if not isinstance(told, (list, tuple, set, frozenset)):
            return ()
        return tuple(str(one) for one in told)


LARGEST = 1e30
"""No reading is larger, and reckoning with one as large has an end."""


def number(value: Any) -> float | None:
    """Return a number within reason, ``None`` for anything else; numbers stay int or float."""
    if isinstance(value, str) and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if -LARGEST <= value <= LARGEST else None


def missing(entity_id: str) -> EntityState:
    """Return the state of an entity that is not there."""
    return EntityState(entity_id, "unavailable")


@dataclass(frozen=True, slots=True)
class Words:
    """How outputs are called: ``names`` by output, ``modes`` by entity, output and raw word."""

    names: Mapping[str, str] = field(default_factory=_nothing)
    modes: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def name(self, key: str) -> str:
        """Return what an output is called."""
        return self.names.get(key, ENGLISH.get(key, key))

    def mode(self, entity_id: str, output: str, raw: str) -> str:
        """Return how a mode of an entity is called; *output* is ``mode``, ``preset`` or ``fan``."""
        return self.modes.get((entity_id, output, raw), raw)


ENGLISH: Mapping[str, str] = {
    "target": "Temperature",
    "low": "Lower temperature",
    "high": "Upper temperature",
    "power": "On",
    "mode": "Mode",
    "preset": "Preset",
    "fan": "Fan",
}


@dataclass(frozen=True, slots=True)
class Home:
    """Everything that a plan is made from. ``fahrenheit``: the unit system's temperatures."""

    states: Mapping[str, EntityState] = field(default_factory=_nothing)
    fahrenheit: bool = False
    words: Words = field(default_factory=Words)

    def state(self, entity_id: str) -> EntityState:
        """Return an entity's state; one that is not there is unavailable."""
        return self.states.get(entity_id) or missing(entity_id)
