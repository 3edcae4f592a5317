"""The Energy dashboard of the demonstration: sun, battery, grid, and one consumer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .home_assistant import HomeAssistant
from .texts import TEXTS

INVERTER = (
    "_pv_production_total", "_grid_import_total", "_grid_export_total", "_battery_charge_total",
    "_battery_discharge_total", "_pv_power", "_grid_power", "_battery_power", "_battery_soc",
)  # fmt: skip
VENTILATION = ("_log_energie_kwh", "_log_vermogen_w")


async def make_energy_dashboard(
    ha: HomeAssistant, families: Mapping[str, str], language: str
) -> bool:
    """Choose the inverter's meters in the Energy dashboard; returns whether there are any."""
    found: dict[str, str] = {}
    for entity in await ha.command("config/entity_registry/list"):
        family = families.get(entity["config_entry_id"] or "")
        endings = {"sunsynk": INVERTER, "inventum": VENTILATION}.get(family or "", ())
        for ending in endings:
            if entity["unique_id"].endswith(ending):
                found.setdefault(ending, entity["entity_id"])
    if not set(INVERTER) <= found.keys():
        return False
    await ha.command("energy/save_prefs", **_preferences(found, TEXTS[language]))
    return True


def _preferences(found: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, Any]:
    consumers = []
    if set(VENTILATION) <= found.keys():
        energy, power = (found[ending] for ending in VENTILATION)
        consumers = [{"stat_consumption": energy, "stat_rate": power, "name": "Ecolution"}]
    return {
        "energy_sources": [
            {
                "type": "solar",
                "name": texts["sun"],
                "stat_energy_from": found["_pv_production_total"],
                "stat_rate": found["_pv_power"],
                "config_entry_solar_forecast": None,
            },
            {
                "type": "grid",
                "name": texts["grid"],
                "stat_energy_from": found["_grid_import_total"],
                "stat_energy_to": found["_grid_export_total"],
                "stat_rate": found["_grid_power"],
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
                "name": texts["battery"],
                "stat_energy_from": found["_battery_discharge_total"],
                "stat_energy_to": found["_battery_charge_total"],
                "stat_rate": found["_battery_power"],
                "stat_soc": found["_battery_soc"],
            },
        ],
        "device_consumption": consumers,
    }
