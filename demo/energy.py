"""The Energy dashboard of the demonstration, with two weeks of plausible history behind it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .home_assistant import HomeAssistant

DAYS = 14

PV, LOAD, IMPORT, EXPORT = (
    "_pv_production_total",
    "_load_consumption_total",
    "_grid_import_total",
    "_grid_export_total",
)
CHARGE, DISCHARGE = "_battery_charge_total", "_battery_discharge_total"
METERS = (PV, LOAD, IMPORT, EXPORT, CHARGE, DISCHARGE)
"""The inverter's meters, by the end of the unique id. All in kWh."""

BATTERY_SIZE = 10.0
"""kWh."""


async def make_energy_dashboard(ha: HomeAssistant, entry_id: str) -> None:
    """Fill the statistics of an inverter's meters, and choose them in the Energy dashboard."""
    states = await ha.states()
    meters: dict[str, str] = {}
    for entity in await ha.command("config/entity_registry/list"):
        if entity["config_entry_id"] != entry_id or entity["entity_id"] not in states:
            continue
        for ending in METERS:
            if entity["unique_id"].endswith(ending):
                meters.setdefault(ending, entity["entity_id"])
    readings = {
        ending: float(states[entity_id]["state"])
        for ending, entity_id in meters.items()
        if _is_number(states[entity_id]["state"])
    }
    if len(readings) < len(METERS):
        return
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    for ending, hours in _history(DAYS * 24, begin).items():
        await ha.command(
            "recorder/import_statistics",
            metadata={
                "has_mean": False,
                "has_sum": True,
                "mean_type": 0,
                "name": None,
                "source": "recorder",
                "statistic_id": meters[ending],
                "unit_class": "energy",
                "unit_of_measurement": "kWh",
            },
            stats=_rows(hours, begin, readings[ending]),
        )
    await ha.command("energy/save_prefs", **_preferences(meters))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _rows(hours: list[float], begin: datetime, now: float) -> list[Mapping[str, Any]]:
    """Return rows whose last state is today's reading, so that the meter goes on without a jump."""
    total = sum(hours)
    passed, rows = 0.0, []
    for number, used in enumerate(hours):
        passed += used
        rows.append(
            {
                "start": (begin + timedelta(hours=number)).isoformat(),
                "state": round(now - total + passed, 3),
                "sum": round(passed, 3),
            }
        )
    return rows


def _history(count: int, begin: datetime) -> dict[str, list[float]]:
    """Return the energy of each hour by meter: sun by day, a battery between, the grid behind."""
    chance = random.Random(7)
    clouds = {day: chance.uniform(0.35, 1.0) for day in range(count // 24 + 2)}
    found: dict[str, list[float]] = {meter: [] for meter in METERS}
    stored = BATTERY_SIZE / 2
    for number in range(count):
        moment = begin + timedelta(hours=number)
        height = math.sin((moment.hour - 7) / 11 * math.pi) if 7 <= moment.hour <= 18 else 0.0
        pv = max(0.0, 4.2 * height * clouds[number // 24] * chance.uniform(0.85, 1.05))
        evening = 1.1 if 17 <= moment.hour <= 22 else 0.0
        load = 0.35 + evening + (0.8 if moment.hour in (7, 8) else 0.0) + chance.uniform(0, 0.3)
        spare = pv - load
        charge = min(max(spare, 0.0), 3.0, BATTERY_SIZE - stored)
        discharge = min(max(-spare, 0.0), 3.0, stored - BATTERY_SIZE * 0.15)
        stored += charge * 0.95 - discharge
        values = {
            PV: pv,
            LOAD: load,
            CHARGE: charge,
            DISCHARGE: discharge,
            EXPORT: max(spare - charge, 0.0),
            IMPORT: max(-spare - discharge, 0.0),
        }
        for meter, value in values.items():
            found[meter].append(value)
    return found


def _preferences(meters: Mapping[str, str]) -> dict[str, Any]:
    return {
        "energy_sources": [
            {
                "type": "solar",
                "stat_energy_from": meters[PV],
                "config_entry_solar_forecast": None,
            },
            {
                "type": "grid",
                "stat_energy_from": meters[IMPORT],
                "stat_energy_to": meters[EXPORT],
                "stat_cost": None,
                "entity_energy_price": None,
                "number_energy_price": None,
                "stat_compensation": None,
                "entity_energy_price_export": None,
                "number_energy_price_export": None,
                "cost_adjustment_day": 0,
            },
            {
                "type": "battery",
                "stat_energy_from": meters[DISCHARGE],
                "stat_energy_to": meters[CHARGE],
            },
        ],
        "device_consumption": [],
    }
