"""Meters: power, energy, current and voltage, in total and by phase (spec H.2, H.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import PHASES, ExportConfig
from ..home import Home, Json
from ..service import Service
from ..units import Kind, half_up, reading

_ROWS: Mapping[str, tuple[str, Kind]] = {
    "power": ("Power", Kind.POWER),
    "current": ("Current", Kind.CURRENT),
    "voltage": ("Voltage", Kind.VOLTAGE),
    "energy": ("Energy/Forward", Kind.ENERGY),
    "energy_reverse": ("Energy/Reverse", Kind.ENERGY),
}
_ONE_WAY = "pvinverter"
"""The role whose meter counts one way only."""


def meter(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a meter."""
    options: dict[str, Any] = {
        "name": config.name,
        "generic_meter": True,
        # Up to the last one that is measured: the driver leaves out the rows of those behind it.
        "phases": max((PHASES.index(phase) + 1 for phase in config.phases), default=1),
    }
    if config.position is not None:
        options["position"] = config.position
    if "energy" not in config.sources:
        options["energy"] = True
    values: dict[str, Json] = {}
    for phase, sources in config.phases.items():
        values |= _read(f"Ac/{phase}", sources, config.role, home)
    values |= _read("Ac", config.sources, config.role, home)
    _total(values, config)
    return [Service("m", config.role, options, values)]


def _read(prefix: str, sources: Mapping[str, str], role: str, home: Home) -> dict[str, Json]:
    return {
        f"{prefix}/{row}": reading(home.state(sources[key]), kind)
        for key, (row, kind) in _ROWS.items()
        if key in sources and not (key == "energy_reverse" and role == _ONE_WAY)
    }


def _total(values: dict[str, Json], config: ExportConfig) -> None:
    """Fill in the total from the phases, or the only phase from the total."""
    told = [
        values.get(f"Ac/{phase}/Power")
        for phase, sources in config.phases.items()
        if "power" in sources
    ]
    if "power" not in config.sources and told:
        known = [one for one in told if one is not None]
        complete = len(known) == len(config.phases)
        values["Ac/Power"] = half_up(sum(known), 6) if complete else None
    if "Ac/Power" in values and not told and len(config.phases) <= 1:
        phase = next(iter(config.phases), "L1")
        values[f"Ac/{phase}/Power"] = values["Ac/Power"]
