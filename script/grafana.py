#!/usr/bin/env python3
"""Write the Grafana dashboards in standalone/install/grafana from the families' catalogues.

They ask for what the helper writes to InfluxDB in its native layout: measurement = family, tags
``link``, ``device`` and ``kind``, one field per key. The language is InfluxQL, which InfluxDB 1, 2
and 3 answer. A key that the catalogue does not have is an error.

Usage: script/grafana.py [--check]. ``--check`` writes nothing and exits with 1 when a dashboard is
not up to date. Runs in the engines' environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "standalone" / "src"))

from hardwired_engines.factory import factory_of  # noqa: E402
from hardwired_engines.fields import Field  # noqa: E402

FOLDER = ROOT / "standalone" / "install" / "grafana"
WIDTH = 24
SOURCE = {"type": "influxdb", "uid": "${source}"}
UNITS = {
    "A": "amp", "Hz": "hertz", "V": "volt", "VA": "voltamp", "W": "watt", "kVA": "kvoltamp",
    "kW": "kwatt", "kWh": "kwatth", "Wh": "watth", "°C": "celsius", "%": "percent", "min": "m",
    "h": "h", "s": "s", "rpm": "rotrpm", "bar": "pressurebar", "m³/h": "m3/h",
}  # fmt: skip
"""What Grafana calls a unit."""


class Style(StrEnum):
    """What a panel looks like."""

    LINES = "timeseries"
    DAYS = "days"
    """What a counter rose by, a bar for each day."""
    GAUGE = "gauge"
    STATES = "state-timeline"


@dataclass(frozen=True)
class Panel:
    """One panel: the keys of one kind of device. ``pattern``: columns that are each unit's own."""

    title: str
    kind: str
    keys: tuple[str, ...] = ()
    style: Style = Style.LINES
    width: int = 12
    pattern: str = ""
    unit: str = ""


LINES, DAYS, GAUGE, STATES = Style.LINES, Style.DAYS, Style.GAUGE, Style.STATES

DASHBOARDS: dict[str, tuple[str, tuple[Panel, ...]]] = {
    "sunsynk": (
        "Sunsynk / Deye",
        (
            Panel("State of charge", "inverter", ("battery_soc",), GAUGE, 6),
            Panel(
                "Power",
                "inverter",
                ("pv_power", "battery_power", "grid_power", "load_power"),
                width=18,
            ),
            Panel("PV", "inverter", ("pv_power_1", "pv_power_2")),
            Panel("Battery", "inverter", ("battery_voltage", "bms_voltage")),
            Panel("Battery current", "inverter", ("battery_current", "bms_current")),
            Panel("Grid and load voltage", "inverter", ("grid_voltage", "load_voltage")),
            Panel(
                "Temperatures",
                "inverter",
                ("inverter_temperature_dc", "inverter_temperature_ac", "battery_temperature"),
            ),
            Panel("Frequency", "inverter", ("grid_frequency", "load_frequency")),
            Panel(
                "Energy a day",
                "inverter",
                (
                    "pv_production_total",
                    "grid_import_total",
                    "grid_export_total",
                    "load_consumption_total",
                    "battery_charge_total",
                    "battery_discharge_total",
                ),
                DAYS,
                24,
            ),
            Panel("State", "inverter", ("inverter_state", "grid_connected", "fault"), STATES, 24),
        ),
    ),
    "truma": (
        "Truma",
        (
            Panel("Room temperature", "heater", ("current_temp_room", "target_temp_room")),
            Panel("Water temperature", "heater", ("current_temp_water", "target_temp_water")),
            Panel("Voltage of the vehicle", "heater", ("voltage",)),
            Panel("Air conditioner", "aircon", ("current_temp", "target_temp")),
            Panel(
                "State",
                "heater",
                ("heating_mode", "water_mode", "energy_mix", "heater_state", "error"),
                STATES,
                24,
            ),
            Panel("Demand", "heater", ("heating_demand", "water_demand", "mains"), STATES, 24),
        ),
    ),
    "studer": (
        "Studer",
        (
            Panel("State of charge", "system", ("state_of_charge",), GAUGE, 6),
            Panel(
                "Power",
                "system",
                ("pv_power", "battery_power", "input_active_power", "output_active_power"),
                width=18,
            ),
            Panel("Output of each Xtender", "xt", ("output_active_power",)),
            Panel("Input of each Xtender", "xt", ("input_active_power",)),
            Panel("Battery voltage, each Xtender", "xt", ("battery_voltage",)),
            Panel("Battery current", "bsp", ("battery_current",)),
            Panel("VarioTrack", "vt", ("power_of_the_pv_generator",)),
            Panel("VarioString", "vs", ("pv_power",)),
            Panel("Temperatures", "xt", ("electronic_temperature_1_minute_avg",)),
            Panel("Output voltage", "xt", ("output_voltage",)),
            Panel(
                "Energy a day",
                "system",
                (
                    "pv_energy",
                    "consumers_energy",
                    "ac_in_energy",
                    "ac_in_export_energy",
                    "battery_charge_energy",
                    "battery_discharge_energy",
                ),
                DAYS,
                24,
            ),
            Panel("Battery cycle phase", "xt", ("battery_cycle_phase",), STATES),
            Panel("Operating state", "xt", ("operating_state",), STATES),
        ),
    ),
    "inventum": (
        "Inventum Ecolution",
        (
            Panel("Fan", "ecolution", ("fan_position",), STATES, 24),
            Panel("Boost, minutes left", "ecolution", ("boost_remaining",)),
            Panel("Temperatures", "ecolution", pattern="^log_temp_", unit="celsius"),
            Panel("Humidity", "ecolution", pattern="^log_rv_", unit="percent"),
            Panel("Speed and flow", "ecolution", pattern="^log_(toeren|debiet)_"),
            Panel("Power", "ecolution", pattern="^log_vermogen", unit="watt"),
            Panel(
                "Compressor", "ecolution", pattern="^log_(compressor|ontdooien|pomp)$", style=STATES
            ),
            Panel("Login", "ecolution", ("login_state",), STATES),
        ),
    ),
}


def _unit(panel: Panel, fields: list[Field]) -> str:
    units = {field.unit for field in fields}
    if len(units) > 1:
        raise SystemExit(f"{panel.title}: one panel, several units: {units}")
    unit = units.pop() if units else None
    return panel.unit or (UNITS[unit] if unit else "")


def _query(family: str, panel: Panel, what: str) -> str:
    where = f'"kind" = \'{panel.kind}\' AND "device" =~ /^$device$/ AND $timeFilter'
    match panel.style:
        case Style.DAYS:
            told, every, fill = f"spread({what})", "1d", "none"
        case Style.STATES:
            return f'SELECT {what} FROM "{family}" WHERE {where} GROUP BY "device"'
        case _:
            told, every, fill = f"mean({what})", "$__interval", "none"
    return (
        f'SELECT {told} FROM "{family}" WHERE {where} '
        f"GROUP BY time({every}), \"device\" fill({fill}) tz('$zone')"
    )


def _targets(family: str, panel: Panel, fields: list[Field]) -> Iterator[dict[str, Any]]:
    asked = [(f'"{field.key}"', f"$tag_device {field.name}") for field in fields]
    if panel.pattern:
        asked = [(f"/{panel.pattern}/", "")]
    for place, (what, alias) in enumerate(asked):
        yield {
            "refId": chr(ord("A") + place),
            "datasource": SOURCE,
            "query": _query(family, panel, what),
            "rawQuery": True,
            "resultFormat": "time_series",
            **({"alias": alias} if alias else {}),
        }


def _panel(family: str, number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    catalogue = factory_of(family).catalogues[panel.kind]
    for key in panel.keys:
        if key not in catalogue:
            raise SystemExit(f"{family}, {panel.title}: {panel.kind} has no {key}")
    fields = [catalogue[key] for key in panel.keys]
    defaults: dict[str, Any] = {"custom": {}}
    if panel.style in (Style.LINES, Style.DAYS, Style.GAUGE):
        defaults["unit"] = _unit(panel, fields)
    if panel.style is Style.LINES:
        defaults["custom"] = {"fillOpacity": 8, "lineWidth": 2, "spanNulls": 900_000}
    if panel.style is Style.DAYS:
        defaults["custom"] = {"drawStyle": "bars", "fillOpacity": 70}
    if panel.style is Style.GAUGE:
        defaults |= {"min": 0, "max": 100}
    return {
        "id": number,
        "title": panel.title,
        "type": "timeseries" if panel.style is Style.DAYS else panel.style.value,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": 8},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": list(_targets(family, panel, fields)),
    }


def dashboard(family: str) -> dict[str, Any]:
    """Return a family's dashboard, as Grafana imports it."""
    name, panels = DASHBOARDS[family]
    shown = []
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y = 0, y + 8
        shown.append(_panel(family, number, panel, x, y))
        x += panel.width
    return {
        "uid": f"hardwired-{family}",
        "title": f"Hardwired: {name}",
        "tags": ["hardwired", family],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource",
                 "query": "influxdb"},
                {
                    "name": "device",
                    "label": "Device",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": f'SHOW TAG VALUES FROM "{family}" WITH KEY = "device"',
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                    "refresh": 2,
                },
                {"name": "zone", "label": "Time zone of a day", "type": "textbox",
                 "query": "Europe/London", "current": {"value": "Europe/London"}},
            ]
        },
        "panels": shown,
    }  # fmt: skip


def main() -> int:
    """Write or check all dashboards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    old = 0
    for family in DASHBOARDS:
        path = FOLDER / f"{family}.json"
        text = json.dumps(dashboard(family), indent=1, ensure_ascii=False) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        old = 1
        if check:
            print(f"{path.relative_to(ROOT)} is not up to date: run script/grafana.py")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return old if check else 0


if __name__ == "__main__":
    sys.exit(main())
