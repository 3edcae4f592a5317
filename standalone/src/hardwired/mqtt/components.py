"""What a field or a composite becomes in Home Assistant: one MQTT component (spec c.8, c.9)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field as member, replace
from functools import lru_cache
from typing import Any

from hardwired_engines.composite import Abilities, Component, Composite, Part
from hardwired_engines.engine import DeviceState
from hardwired_engines.fields import Field, Offer, Quantity
from hardwired_engines.presentation import (
    WRITABLE,
    Control,
    category_of,
    control_of,
    device_class_of,
    state_class_of,
)

from .topics import Topics
from .values import PRESS, UNKNOWN

WIDEST = 1_000_000.0
"""Bounds of a number whose field has none; without any, Home Assistant would take 1 to 100."""
SMALLEST_STEP = 0.001
USUAL_PRECISION = 2

CLOCK_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*$"

LOWEST_WATER, HIGHEST_WATER = 0, 80
"""Bounds of a water heater that names none; without any, they would be Fahrenheit."""

COMMANDS: Mapping[Component, tuple[Part, ...]] = {
    Component.FAN: (Part.ON, Part.SPEED, Part.PRESET),
    Component.CLIMATE: (Part.MODE, Part.TARGET, Part.FAN_MODE, Part.PRESET, Part.POWER),
    Component.WATER_HEATER: (Part.MODE, Part.TARGET, Part.POWER),
}
"""The roles that can be set, by component."""

_NAMES: Mapping[tuple[Component, Part], str] = {
    (Component.FAN, Part.ON): "",
    (Component.FAN, Part.SPEED): "percentage_",
    (Component.FAN, Part.PRESET): "preset_mode_",
    (Component.CLIMATE, Part.MODE): "mode_",
    (Component.CLIMATE, Part.TARGET): "temperature_",
    (Component.CLIMATE, Part.FAN_MODE): "fan_mode_",
    (Component.CLIMATE, Part.PRESET): "preset_mode_",
    (Component.CLIMATE, Part.POWER): "power_",
    (Component.WATER_HEATER, Part.MODE): "mode_",
    (Component.WATER_HEATER, Part.TARGET): "temperature_",
    (Component.WATER_HEATER, Part.POWER): "power_",
}
"""What goes before ``state_topic`` and ``command_topic``."""
_READ_ONLY_TOPICS = {Part.ACTION: "action_topic", Part.CURRENT: "current_temperature_topic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How entities of one kind of device are called. Everything here outlives a restart."""

    suffix: Callable[[str], str] = str
    """From a key to the last part of its unique id."""
    texts: Mapping[str, str] = member(default_factory=dict)
    """Names by key, in the bridge's language; what is missing keeps its English name."""
    ids: Mapping[str, tuple[str, str]] = member(default_factory=dict)
    """By key the unique id and the entity id of an old program that live on (spec d.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which fields become entities, and how."""

    included: AbstractSet[str] = frozenset()
    excluded: AbstractSet[str] = frozenset()
    extras: bool = True
    """Whether fields of the offer *extra* are announced at all."""
    times: bool = True
    """Whether times get controls of their own; a Home Assistant that does not know them by MQTT
    refuses the whole device, so without it they are texts."""
    read_only: bool = False

    def offers(self, field: Field) -> bool:
        """Whether a field is announced."""
        if field.key in self.excluded:
            return False
        match field.offer:
            case Offer.DEFAULT:
                return True
            case Offer.EXTRA:
                return self.extras or field.key in self.included
            case Offer.ON_REQUEST:
                return field.key in self.included
            case Offer.NEVER:
                return False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands: its ident, the link's name, its slug, and the topics."""

    ident: str
    link: str
    device: str
    topics: Topics

    def topic(self, *levels: str) -> str:
        """Return a topic of the device."""
        return self.topics.device(self.link, self.device, *levels)

    @property
    def availability(self) -> list[dict[str, str]]:
        """What must be online for a value to count."""
        return [
            {"topic": self.topics.state},
            {"topic": self.topics.availability(self.link, self.device)},
        ]


def entity_name(*words: str) -> str:
    """Return words as the second half of an entity id."""
    return "_".join(filter(None, map(_plain_word, words)))


@lru_cache(maxsize=4096)
def _plain_word(word: str) -> str:
    text = unicodedata.normalize("NFKD", word.replace("ß", "ss"))
    ascii_text = text.encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_")


def component_of(field: Field, *, times: bool = True) -> Control | None:
    """Return what a field becomes; ``None``: nothing that Home Assistant has for MQTT."""
    control = control_of(field)
    if control in (Control.EVENT, Control.SELECT) and not field.options:
        return None
    if control in (Control.TIME, Control.DATETIME) and not times:
        return Control.TEXT
    return control


def describe(field: Field, control: Control, *, included: bool = False) -> dict[str, Any]:
    """Return what depends on the field alone: classes, unit, options, bounds, category."""
    found: dict[str, Any] = {"name": field.name}
    device_class = device_class_of(field, control)
    if field.quantity is Quantity.OPTION and not field.options:
        device_class = None
    if device_class is not None:
        found["device_class"] = device_class
    if category := category_of(field, control):
        found["entity_category"] = category
    if field.offer is not Offer.DEFAULT and not included:
        found["enabled_by_default"] = False
    match control:
        case Control.SENSOR:
            found |= _sensor(field)
        case Control.NUMBER:
            found |= _number(field)
        case Control.SELECT:
            found["options"] = list(field.options)
        case Control.EVENT:
            found["event_types"] = list(field.options)
        case Control.BUTTON:
            found["payload_press"] = PRESS
        case Control.TEXT if field.quantity is Quantity.CLOCK_TIME:
            found |= {"pattern": CLOCK_TIME_PATTERN, "min": 5, "max": 8}
        case Control.TEXT if field.quantity is Quantity.TIMESTAMP:
            found |= {"pattern": MOMENT_PATTERN, "min": 16, "max": 40}
    return found


def _sensor(field: Field) -> dict[str, Any]:
    if field.quantity is Quantity.OPTION:
        return {"options": list(field.options)} if field.options else {}
    if not field.numeric:
        return {}
    found: dict[str, Any] = {}
    if field.unit is not None:
        found["unit_of_measurement"] = field.unit
    if field.precision is not None:
        found["suggested_display_precision"] = field.precision
    if state_class := state_class_of(field):
        found["state_class"] = state_class
    return found


def _number(field: Field) -> dict[str, Any]:
    low = -WIDEST if field.minimum is None else field.minimum
    high = WIDEST if field.maximum is None else field.maximum
    step = field.step
    if step is None:
        step = 10.0 ** -(USUAL_PRECISION if field.precision is None else field.precision)
    found: dict[str, Any] = {
        "min": low,
        "max": high if high > low else low + SMALLEST_STEP,
        "step": max(step, SMALLEST_STEP),
        "mode": "box",
    }
    if field.unit is not None:
        found["unit_of_measurement"] = field.unit
    return found


def _head(
    place: Place, naming: Naming, device_name: str, component: str, key: str
) -> dict[str, Any]:
    unique_id, entity_id = naming.ids.get(
        key,
        (
            f"{place.ident}_{naming.suffix(key)}",
            f"{component}.{entity_name(device_name, key)}",
        ),
    )
    return {"platform": component, "unique_id": unique_id, "default_entity_id": entity_id}


def field_component(
    place: Place,
    naming: Naming,
    device_name: str,
    field: Field,
    control: Control,
    *,
    included: bool = False,
    details: bool = False,
) -> dict[str, Any]:
    """Return the component of a field. *details*: it has attributes."""
    found = {
        **_head(place, naming, device_name, control.value, field.key),
        **describe(field, control, included=included),
    }
    found["name"] = naming.texts.get(field.key, field.name)
    state = place.topic(field.key)
    if control is not Control.BUTTON and field.readable:
        found["state_topic"] = state
    if control in WRITABLE:
        found["command_topic"] = f"{state}/set"
    if details:
        found["json_attributes_topic"] = f"{state}/details"
    if field.quantity is Quantity.CONNECTIVITY:
        # A lost connection is a value, not the absence of one: only our own end makes it unknown.
        found["availability"] = [{"topic": place.topics.state}]
    elif control is Control.TEXT and field.readable:
        # A text would show the word for "no value" (spec c.5).
        online = f"{{{{ 'offline' if value == '{UNKNOWN}' else 'online' }}}}"
        found["availability"] = [*place.availability, {"topic": state, "value_template": online}]
    return found


def composite_component(
    place: Place, naming: Naming, composite: Composite, state: DeviceState
) -> dict[str, Any]:
    """Return the component of a composite."""
    kind = composite.component
    found = _head(place, naming, state.device.name, kind.value, composite.key)
    found["name"] = naming.texts.get(composite.key, composite.name)
    parts = composite.read(state)
    for part in parts:
        key = composite.fields.get(part)
        topic = place.topic(composite.key, part.value) if key is None else place.topic(key)
        if (name := _READ_ONLY_TOPICS.get(part)) is not None:
            found[name] = topic
        else:
            found[f"{_NAMES[kind, part]}state_topic"] = topic
    for part in COMMANDS[kind]:
        if part in parts or part is Part.POWER:
            topic = place.topic(composite.key, part.value, "set")
            found[f"{_NAMES[kind, part]}command_topic"] = topic
    return found | dict(_abilities(kind, composite.about(state)))


def _abilities(kind: Component, about: Abilities) -> Iterator[tuple[str, Any]]:
    if kind is Component.FAN:
        if about.speeds:
            yield from (("speed_range_min", 1), ("speed_range_max", about.speeds))
        if about.presets:
            yield "preset_modes", list(about.presets)
        return
    yield "modes", list(about.modes)
    low, high = about.minimum, about.maximum
    if kind is Component.WATER_HEATER:
        low = LOWEST_WATER if low is None else low
        high = HIGHEST_WATER if high is None else high
    named = {
        "fan_modes": list(about.fan_modes) or None,
        "preset_modes": list(about.presets) or None,
        "min_temp": low,
        "max_temp": high,
        "temperature_unit": "C",
        "temp_step": about.step if kind is Component.CLIMATE else None,
        "precision": about.precision,
    }
    yield from ((key, value) for key, value in named.items() if value is not None)


def components(
    place: Place,
    naming: Naming,
    choice: Choice,
    state: DeviceState,
    composites: tuple[Composite, ...] = (),
) -> dict[str, dict[str, Any]]:
    """Return all components of a device as it is now, composites first, in the table's order."""
    found: dict[str, dict[str, Any]] = {}
    covered: set[str] = set()
    for composite in composites:
        if choice.read_only or composite.key in choice.excluded or not composite.exists(state):
            continue
        found[composite.key] = composite_component(place, naming, composite, state)
        covered |= composite.covers
    for key, field in state.fields.items():
        if key not in state.values and field.quantity is not Quantity.SIGNAL:
            continue
        shown = field
        if field.writable and (choice.read_only or key in covered):
            shown = replace(field, writable=False)
        if not choice.offers(field):
            continue
        control = component_of(shown, times=choice.times)
        if control is not None:
            found[key] = field_component(
                place,
                naming,
                state.device.name,
                shown,
                control,
                included=key in choice.included,
                details=key in state.details,
            )
    return found
