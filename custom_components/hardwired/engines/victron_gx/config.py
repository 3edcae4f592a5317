"""The settings of one export, as the config flow stores them (spec H.1, H.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .home import number


class Template(StrEnum):
    """What an export makes of its entities."""

    CLIMATE = "climate"
    WATER_HEATER = "water_heater"
    PANEL = "panel"
    METER = "meter"
    SENSOR = "sensor"
    TANK = "tank"
    BATTERY = "battery"
    EV = "ev"
    EVCHARGER = "evcharger"
    GPS = "gps"
    WEATHER = "weather"


class OnLoss(StrEnum):
    """What becomes of the devices on the GX when Home Assistant is gone."""

    LEAVE = "leave"
    """They leave the GX at once."""
    KEEP = "keep"
    """They stay with their last values for ten minutes."""


ROLES = ("grid", "pvinverter", "genset", "acload", "evcharger", "heatpump")
PHASES = ("L1", "L2", "L3")
PHASE_SOURCES = ("power", "energy", "energy_reverse", "voltage", "current")
SOURCES: Mapping[Template, tuple[str, ...]] = {
    Template.METER: ("power", "energy", "energy_reverse", "current"),
    Template.SENSOR: ("temperature", "humidity", "pressure", "battery_voltage"),
    Template.TANK: ("level", "volume"),
    Template.BATTERY: ("soc", "voltage", "current", "power", "temperature"),
    Template.EV: (
        "soc",
        "target_soc",
        "range",
        "odometer",
        "capacity",
        "charging",
        "power",
        "tracker",
    ),
    Template.EVCHARGER: ("power", "energy", "current", "switch", "limit", "connected"),
    Template.WEATHER: ("irradiance", "wind_speed", "wind_direction", "temperature"),
}
"""The entities of a template that has several, each for a purpose."""
ONE_ENTITY = frozenset({Template.CLIMATE, Template.WATER_HEATER, Template.GPS})

CLIENT_ID = re.compile(r"[A-Za-z0-9_]+")
LONGEST_CLIENT_ID = 60
LONGEST_EXPORT_NAME = 64
_ENTITY_ID = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_SPELT = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"})


class ConfigError(ValueError):
    """A setting of an export can't be used; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """One export. ``sources`` are entities by purpose; ``capacity`` is in m³ or Ah."""

    template: Template
    name: str
    client_id: str
    entity: str = ""
    entities: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=_nothing)
    phases: Mapping[str, Mapping[str, str]] = field(default_factory=_nothing)
    role: str = "acload"
    position: int | None = None
    kind: int = 2
    fluid: int = 1
    capacity: float | None = None
    invert: bool = False
    controls: bool = True
    on_loss: OnLoss = OnLoss.LEAVE

    def every_entity(self) -> Iterator[str]:
        """Yield all entities that it is made from."""
        if self.entity:
            yield self.entity
        yield from self.entities
        yield from self.sources.values()
        for sources in self.phases.values():
            yield from sources.values()

    def without(self, entity_ids: frozenset[str]) -> ExportConfig:
        """Return it without some entities."""
        if not entity_ids.intersection(self.every_entity()):
            return self
        kept = {name: getattr(self, name) for name in self.__slots__}
        kept["entity"] = "" if self.entity in entity_ids else self.entity
        kept["entities"] = tuple(one for one in self.entities if one not in entity_ids)
        kept["sources"] = _without(self.sources, entity_ids)
        phases = {key: _without(told, entity_ids) for key, told in self.phases.items()}
        kept["phases"] = {key: told for key, told in phases.items() if told}
        return ExportConfig(**kept)

    @property
    def empty(self) -> bool:
        """Whether there is no entity to show."""
        return not any(self.every_entity())


def _without(sources: Mapping[str, str], entity_ids: frozenset[str]) -> dict[str, str]:
    return {key: one for key, one in sources.items() if one not in entity_ids}


def slug(name: str) -> str:
    """Return a name in small letters, digits and single underscores."""
    plain = unicodedata.normalize("NFKD", name.translate(_SPELT))
    letters = "".join(one for one in plain if not unicodedata.combining(one))
    return re.sub(r"[^a-z0-9]+", "_", letters.lower()).strip("_")


def client_id_for(name: str) -> str:
    """Return the client id that an export has by default."""
    return f"ha_{slug(name) or 'export'}"[:LONGEST_CLIENT_ID].rstrip("_")


def read_export(values: Mapping[str, Any]) -> ExportConfig:
    """Return an export from its stored settings; raises :class:`ConfigError`."""
    try:
        template = Template(str(values.get("template")))
    except ValueError:
        raise ConfigError("template", f"unknown template {values.get('template')!r}") from None
    name = values.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_EXPORT_NAME:
        raise ConfigError("name", f"the name has 1 to {LONGEST_EXPORT_NAME} characters")
    client_id = values.get("client_id") or client_id_for(name)
    if (
        not isinstance(client_id, str)
        or not CLIENT_ID.fullmatch(client_id)
        or len(client_id) > LONGEST_CLIENT_ID
    ):
        raise ConfigError("client_id", "letters, digits and underscores only")
    found = ExportConfig(
        template=template,
        name=name.strip(),
        client_id=client_id,
        entity=_entity(values, "entity") if template in ONE_ENTITY else "",
        entities=_entities(values) if template is Template.PANEL else (),
        sources=_sources(values, SOURCES.get(template, ())),
        phases=_phases(values) if template is Template.METER else {},
        role=_role(values) if template is Template.METER else "acload",
        position=_whole(values, "position", 0, 2),
        kind=_number_of(values, "kind", 2, 6),
        fluid=_number_of(values, "fluid", 1, 11),
        capacity=_capacity(values, template),
        invert=_flag(values, "invert", default=False),
        controls=_flag(values, "controls_allowed", default=True),
        on_loss=_on_loss(values),
    )
    return _complete(found)


def _complete(found: ExportConfig) -> ExportConfig:
    """Check that a template has what it can't be without."""
    if found.template is Template.TANK:
        if "level" not in found.sources and "volume" not in found.sources:
            raise ConfigError("level", "a tank needs its level or its volume")
        if "level" not in found.sources and found.capacity is None:
            raise ConfigError("capacity", "a tank that is told by its volume needs its capacity")
    if found.empty:
        field_name = "entities" if found.template is Template.PANEL else "base"
        raise ConfigError(field_name, "no entity is chosen")
    return found


def _is_entity(value: Any) -> bool:
    return isinstance(value, str) and _ENTITY_ID.fullmatch(value) is not None


def _entity(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if not _is_entity(value):
        raise ConfigError(key, f"{key} is an entity id")
    return str(value)


def _entities(values: Mapping[str, Any]) -> tuple[str, ...]:
    value = values.get("entities")
    if not isinstance(value, (list, tuple)) or not all(_is_entity(one) for one in value):
        raise ConfigError("entities", "entities is a list of entity ids")
    return tuple(dict.fromkeys(value))


def _sources(values: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, str]:
    # ``capacity`` of a car is an entity, of a tank or battery a number
    return {key: _entity(values, key) for key in keys if values.get(key) not in (None, "")}


def _phases(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    told = values.get("phases") or {}
    if not isinstance(told, Mapping) or not set(told) <= set(PHASES):
        raise ConfigError("phases", f"phases are {', '.join(PHASES)}")
    found = {}
    for phase in PHASES:
        sources = told.get(phase) or {}
        if not isinstance(sources, Mapping):
            raise ConfigError("phases", f"{phase} is a table of entities")
        if chosen := _sources(sources, PHASE_SOURCES):
            found[phase] = chosen
    return found


def _role(values: Mapping[str, Any]) -> str:
    role = values.get("role", "acload")
    if role not in ROLES:
        raise ConfigError("role", f"role is one of {', '.join(ROLES)}")
    return str(role)


def _whole(values: Mapping[str, Any], key: str, low: int, high: int) -> int | None:
    value = values.get(key)
    if value is None or value == "":
        return None
    told = number(value)
    if told is None or told != int(told) or not low <= told <= high:
        raise ConfigError(key, f"{key} is {low} to {high}")
    return int(told)


def _number_of(values: Mapping[str, Any], key: str, default: int, high: int) -> int:
    found = _whole(values, key, 0, high)
    return default if found is None else found


def _capacity(values: Mapping[str, Any], template: Template) -> float | None:
    value = values.get("capacity")
    if value is None or template not in (Template.TANK, Template.BATTERY):
        return None
    told = number(value)
    if told is None or told <= 0:
        raise ConfigError("capacity", "the capacity is a number above 0")
    return told


def _flag(values: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(key, f"{key} is true or false")
    return value


def _on_loss(values: Mapping[str, Any]) -> OnLoss:
    try:
        return OnLoss(str(values.get("on_loss", OnLoss.LEAVE.value)))
    except ValueError:
        raise ConfigError("on_loss", "on_loss is leave or keep") from None
