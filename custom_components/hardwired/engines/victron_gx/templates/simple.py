"""Thermometers, the weather, wall boxes, and panels."""

from __future__ import annotations

from typing import Any

from ..channels.channel import channels_of
from ..channels.wishes import switched
from ..config import ExportConfig
from ..home import Home, Json
from ..outcome import Control, WriteBack
from ..service import Service, switch_service
from ..units import Kind, reading
from .places import number_control

_CHARGES = 50.0
"""W: from here on a wall box charges a car."""


def panel(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a panel: one output or input for each entity."""
    channels = list(channels_of(config.entities, config.name, home))
    return [switch_service("ctl", config.name, channels, inputs=True)]


def thermometer(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a thermometer."""
    rows = (
        ("temperature", "Temperature", Kind.TEMPERATURE),
        ("humidity", "Humidity", Kind.SHARE),
        ("pressure", "Pressure", Kind.PRESSURE),
        ("battery_voltage", "BatteryVoltage", Kind.VOLTAGE),
    )
    values: dict[str, Json] = {
        path: reading(home.state(config.sources[key]), kind)
        for key, path, kind in rows
        if key in config.sources
    }
    first = next(iter(values.values()), None)
    values["Status"] = 1 if values.get("Temperature", first) is None else 0
    options = {"name": config.name, "defaults": {"TemperatureType": config.kind}}
    return [Service("t", "temperature", options, values)]


def weather(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a weather station."""
    rows = (
        ("irradiance", "Irradiance", Kind.IRRADIANCE),
        ("wind_speed", "WindSpeed", Kind.SPEED),
        ("wind_direction", "WindDirection", Kind.ANGLE),
        ("temperature", "ExternalTemperature", Kind.TEMPERATURE),
    )
    values: dict[str, Json] = {
        path: reading(home.state(config.sources[key]), kind)
        for key, path, kind in rows
        if key in config.sources
    }
    return [Service("meteo", "meteo", {"name": config.name}, values)]


def wall_box(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a wall box."""
    rows = (
        ("power", "Ac/Power", Kind.POWER),
        ("energy", "Ac/Energy/Forward", Kind.ENERGY),
        ("current", "Current", Kind.CURRENT),
        ("limit", "SetCurrent", Kind.CURRENT),
    )
    values: dict[str, Json] = {
        path: reading(home.state(config.sources[key]), kind)
        for key, path, kind in rows
        if key in config.sources
    }
    controls: dict[str, Control] = {}
    if "limit" in config.sources:
        controls["SetCurrent"] = number_control(home.state(config.sources["limit"]), Kind.CURRENT)
    if "switch" in config.sources:
        state = home.state(config.sources["switch"])
        values["StartStop"] = int(state.state == "on") if state.usable else None
        on, off = f"{state.domain}.turn_on", f"{state.domain}.turn_off"
        controls["StartStop"] = (
            switched(state.entity_id, on, off, values["StartStop"])
            if state.usable
            else lambda _value: WriteBack()
        )
    values["Status"] = _charging(config, home, values)
    values["Mode"] = 0
    options: dict[str, Any] = {"name": config.name}
    if config.position is not None:
        options["position"] = config.position
    return [Service("evc", "evcharger", options, values, controls)]


def _charging(config: ExportConfig, home: Home, values: dict[str, Json]) -> int | None:
    """Return the state of charging; ``None`` when it can't be told (spec H.5)."""
    power = values.get("Ac/Power")
    if power is not None and power >= _CHARGES:
        return 2
    plug = config.sources.get("connected") or config.sources.get("switch")
    if plug is None:
        return None if power is None and "power" in config.sources else 0
    state = home.state(plug)
    if not state.usable:
        return None
    if state.state != "on":
        return 0
    return None if power is None and "power" in config.sources else 1
