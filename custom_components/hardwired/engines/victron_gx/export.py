"""One export: what it registers, what it sends, and what becomes of what the GX sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .config import ExportConfig, Template
from .home import Home, Json
from .outcome import Ignore, Outcome
from .service import Service
from .templates.meter import meter
from .templates.places import car, gps
from .templates.simple import panel, thermometer, wall_box, weather
from .templates.storage import battery, tank
from .templates.thermostat import thermostat

_MAKERS: Mapping[Template, Callable[[ExportConfig, Home], list[Service]]] = {
    Template.PANEL: panel,
    Template.METER: meter,
    Template.SENSOR: thermometer,
    Template.TANK: tank,
    Template.BATTERY: battery,
    Template.EV: car,
    Template.EVCHARGER: wall_box,
    Template.GPS: gps,
    Template.WEATHER: weather,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """An export at one moment."""

    config: ExportConfig
    services: tuple[Service, ...]

    @property
    def types(self) -> dict[str, str]:
        """The services by id, as Status names them."""
        return {one.id: one.type for one in self.services}

    @property
    def options(self) -> dict[str, Any]:
        """What each service has and shows."""
        return {one.id: dict(one.options) for one in self.services}

    @property
    def values(self) -> dict[str, Mapping[str, Json]]:
        """What is sent of each service."""
        return {one.id: one.values for one in self.services}

    def service(self, ident: str) -> Service | None:
        """Return a service by its id."""
        return next((one for one in self.services if one.id == ident), None)

    def wish(self, service: str, path: str, value: Json) -> Outcome:
        """Return what becomes of a value that the GX has set (spec H.5)."""
        found = self.service(service)
        control = None if found is None else found.controls.get(path)
        return Ignore() if control is None else control(value)


def plan(config: ExportConfig, home: Home, last_mode: int = 0) -> Plan:
    """Return an export as it is now. *last_mode* is the mode's index when it was last on."""
    if config.template in (Template.CLIMATE, Template.WATER_HEATER):
        return Plan(config, tuple(thermostat(config, home, last_mode)))
    return Plan(config, tuple(_MAKERS[config.template](config, home)))


_NO_NUMBERS = frozenset({"charging", "connected", "switch", "tracker"})


def rejected(config: ExportConfig, home: Home) -> frozenset[tuple[str, str]]:
    """Return entities with their states that should be numbers and are none (spec H.5)."""
    wanted = [one for key, one in config.sources.items() if key not in _NO_NUMBERS]
    wanted += [one for told in config.phases.values() for one in told.values()]
    for entity_id in config.entities:
        state = home.state(entity_id)
        if state.domain in ("number", "input_number") or (
            state.domain == "sensor" and state.device_class != "enum" and state.unit
        ):
            wanted.append(entity_id)
    states = (home.state(one) for one in wanted)
    return frozenset(
        (one.entity_id, one.state) for one in states if one.usable and one.number is None
    )


def signature(found: Plan) -> tuple[Any, ...]:
    """Return what of a plan has to be registered anew when it changes.

    The kind of a light's output changes with its colour mode; the driver looks at it only when
    the service appears (spec D.7, O12).
    """
    return tuple((one.id, one.type, _without_changing(one.options)) for one in found.services)


def _without_changing(options: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(options)
    if "outputs" in told:
        told["outputs"] = [
            {key: value for key, value in one.items() if key != "type"}
            if "valid_types" in one
            else one
            for one in told["outputs"]
        ]
    return told
