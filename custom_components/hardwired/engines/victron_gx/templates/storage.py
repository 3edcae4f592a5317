"""What stores: batteries and tanks."""

from __future__ import annotations

from typing import Any

from ..config import ExportConfig
from ..home import Home, Json
from ..service import Service
from ..units import Kind, half_up, reading


def battery(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a battery; on the GX a current that charges it is positive."""
    rows = (
        ("soc", "Soc", Kind.SHARE),
        ("voltage", "Dc/0/Voltage", Kind.VOLTAGE),
        ("current", "Dc/0/Current", Kind.CURRENT),
        ("power", "Dc/0/Power", Kind.POWER),
        ("temperature", "Dc/0/Temperature", Kind.TEMPERATURE),
    )
    values: dict[str, Json] = {}
    for key, path, kind in rows:
        if key in config.sources:
            found = reading(home.state(config.sources[key]), kind)
            turned = config.invert and key in ("current", "power") and found is not None
            values[path] = _turned(found) if turned else found
    if "power" not in config.sources and {"voltage", "current"} <= config.sources.keys():
        voltage, current = values["Dc/0/Voltage"], values["Dc/0/Current"]
        known = voltage is not None and current is not None
        values["Dc/0/Power"] = half_up(voltage * current, 1) if known else None
    if config.capacity is not None:
        values["InstalledCapacity"] = config.capacity
    return [Service("bat", "battery", {"name": config.name}, values)]


def _turned(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def tank(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a tank, by its level or by its volume."""
    capacity = config.capacity
    defaults: dict[str, Any] = {"FluidType": config.fluid}
    if capacity is not None:
        defaults["Capacity"] = capacity
    values: dict[str, Json] = {}
    known: float | None
    if "level" in config.sources:
        known = reading(home.state(config.sources["level"]), Kind.SHARE)
        values["Level"] = known
        if capacity is not None:
            values["Remaining"] = None if known is None else half_up(capacity * known / 100, 4)
    else:
        known = reading(home.state(config.sources["volume"]), Kind.VOLUME)
        values["Remaining"] = known
        if capacity is not None:
            share = None if known is None else 100 * known / capacity
            values["Level"] = None if share is None else half_up(min(100, max(0, share)), 1)
    values["Status"] = 1 if known is None else 0
    options = {"name": config.name, "defaults": defaults}
    return [Service("tank", "tank", options, values)]
