"""What fits a template, and what a device could be on the GX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...engines.victron_gx.channels.channel import DOMAINS as PANEL_DOMAINS
from ...engines.victron_gx.config import ONE_ENTITY, PHASE_SOURCES, SOURCES, Template
from ...engines.victron_gx.home import EntityState
from ...engines.victron_gx.units import Kind, factor

SENSOR = frozenset({"sensor"})
NUMBERS = frozenset({"sensor", "number", "input_number"})
ONE = {
    Template.CLIMATE: frozenset({"climate"}),
    Template.WATER_HEATER: frozenset({"water_heater"}),
    Template.GPS: frozenset({"device_tracker", "person"}),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """What may stand in a place of a form. ``classes`` are those that are proposed."""

    domains: frozenset[str]
    kind: Kind | None = None
    classes: frozenset[str] = frozenset()

    def takes(self, state: EntityState) -> bool:
        """Whether an entity may stand here."""
        if state.domain not in self.domains:
            return False
        if self.kind is None or state.domain not in NUMBERS:
            return True
        if state.unit is None:
            return state.device_class in self.classes
        return factor(self.kind, state.unit) is not None

    def wants(self, state: EntityState) -> bool:
        """Whether an entity is proposed for here."""
        return self.takes(state) and state.device_class in self.classes


def _number(kind: Kind, *classes: str, domains: frozenset[str] = SENSOR) -> Slot:
    return Slot(domains, kind, frozenset(classes or (kind.value,)))


SLOTS: Mapping[str, Slot] = {
    "power": _number(Kind.POWER),
    "energy": _number(Kind.ENERGY),
    "energy_reverse": _number(Kind.ENERGY, "-"),
    "current": _number(Kind.CURRENT),
    "voltage": _number(Kind.VOLTAGE),
    "temperature": _number(Kind.TEMPERATURE),
    "humidity": _number(Kind.SHARE, "humidity"),
    "pressure": _number(Kind.PRESSURE, "pressure", "atmospheric_pressure"),
    "battery_voltage": _number(Kind.VOLTAGE),
    "level": _number(Kind.SHARE, "-"),
    "volume": _number(Kind.VOLUME, "volume", "volume_storage", "water"),
    "soc": _number(Kind.SHARE, "battery"),
    "target_soc": _number(Kind.SHARE, "-", domains=NUMBERS),
    "range": _number(Kind.LENGTH, "distance"),
    "odometer": _number(Kind.LENGTH, "-"),
    "capacity": _number(Kind.ENERGY, "energy_storage"),
    "charging": Slot(frozenset({"binary_sensor"}), None, frozenset({"battery_charging"})),
    "tracker": Slot(frozenset({"device_tracker"}), None, frozenset()),
    "switch": Slot(frozenset({"switch", "input_boolean"})),
    "limit": Slot(frozenset({"number", "input_number"}), Kind.CURRENT, frozenset({"current"})),
    "connected": Slot(frozenset({"binary_sensor"}), None, frozenset({"plug", "connectivity"})),
    "irradiance": _number(Kind.IRRADIANCE),
    "wind_speed": _number(Kind.SPEED, "wind_speed", "speed"),
    "wind_direction": _number(Kind.ANGLE, "wind_direction"),
}


def fitting(template: Template, slot: str, states: Iterable[EntityState]) -> list[str]:
    """Return the entities that may stand in a place of a template's form, by name."""
    states = sorted(states, key=lambda one: one.entity_id)
    if slot == "entity":
        return [one.entity_id for one in states if one.domain in ONE[template]]
    if slot == "entities":
        return [one.entity_id for one in states if one.domain in PANEL_DOMAINS]
    return [one.entity_id for one in states if SLOTS[slot].takes(one)]


def propose(states: Iterable[EntityState]) -> tuple[Template, dict[str, Any]] | None:
    """Return the template that fits the entities of a device, with its form filled in."""
    found = sorted(states, key=lambda one: one.entity_id)
    for template in (Template.CLIMATE, Template.WATER_HEATER):
        for state in found:
            if state.domain in ONE[template]:
                return template, {"entity": state.entity_id}
    for template, needed in (
        (Template.EV, ("soc", "range")),
        (Template.BATTERY, ("soc", "voltage")),
        (Template.METER, ("power",)),
        (Template.WEATHER, ("wind_speed",)),
        (Template.WEATHER, ("irradiance",)),
    ):
        filled = _filled(SOURCES[template], found)
        if filled.keys() >= set(needed):
            return template, filled
    controls = [one for one in found if one.domain in PANEL_DOMAINS]
    operated = [one for one in controls if one.domain not in ("sensor", "binary_sensor")]
    if not operated:
        filled = _filled(SOURCES[Template.SENSOR], found)
        if "temperature" in filled:
            return Template.SENSOR, filled
    if controls:
        return Template.PANEL, {"entities": [one.entity_id for one in controls]}
    for state in found:
        if state.domain in ONE[Template.GPS]:
            return Template.GPS, {"entity": state.entity_id}
    return None


def _filled(slots: Iterable[str], states: list[EntityState]) -> dict[str, str]:
    filled: dict[str, str] = {}
    for slot in slots:
        for state in states:
            if SLOTS[slot].wants(state) and state.entity_id not in filled.values():
                filled[slot] = state.entity_id
                break
    return filled


def slots_of(template: Template) -> tuple[str, ...]:
    """Return the places for entities in a template's form."""
    if template in ONE_ENTITY:
        return ("entity",)
    return ("entities",) if template is Template.PANEL else SOURCES[template]


PHASE_SLOTS = PHASE_SOURCES
