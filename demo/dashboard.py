"""A dashboard made from what the devices brought."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .home_assistant import HomeAssistant

URL_PATH = "hardwired-demo"

SPECIAL = {"climate": "thermostat", "water_heater": "thermostat", "fan": "tile"}


async def make_dashboard(ha: HomeAssistant) -> str:
    """Make or renew the dashboard; returns its path."""
    existing = await ha.command("lovelace/dashboards/list")
    if not any(entry["url_path"] == URL_PATH for entry in existing):
        await ha.command(
            "lovelace/dashboards/create",
            url_path=URL_PATH,
            title="Hardwired",
            icon="mdi:lightning-bolt",
            show_in_sidebar=True,
            require_admin=False,
        )
    await ha.command("lovelace/config/save", url_path=URL_PATH, config={"views": await _views(ha)})
    return f"/{URL_PATH}"


async def _views(ha: HomeAssistant) -> list[dict[str, Any]]:
    devices = {device["id"]: device for device in await ha.command("config/device_registry/list")}
    entries = await ha.command("config_entries/get", domain="hardwired")
    entities = defaultdict(list)
    for entity in await ha.command("config/entity_registry/list"):
        if entity["platform"] == "hardwired" and entity["disabled_by"] is None:
            entities[entity["device_id"]].append(entity)
    states = await ha.states()
    views = [{"title": "All", "cards": _overview(entries, devices, entities, states)}]
    for entry in entries:
        cards: list[dict[str, Any]] = []
        for device_id, device in devices.items():
            if _entry_of(device) != entry["entry_id"]:
                continue
            cards.extend(_cards(device, entities[device_id], states))
        views.append({"title": entry["title"], "cards": cards})
    return views


WANTED = (
    "battery_soc",
    "state_of_charge",
    "pv_power",
    "output_active_power",
    "grid_power",
    "load_power",
    "battery_power",
    "consumers_energy",
    "pv_energy",
    "pv_production_daily",
    "grid_import_daily",
    "current_temp_room",
    "current_temp_water",
    "energy_mix",
    "heating_demand",
    "inverter_state",
)
"""What the overview shows of each entry, by the end of the unique id."""


def _overview(
    entries: list[dict[str, Any]],
    devices: dict[str, dict[str, Any]],
    entities: dict[str, list[dict[str, Any]]],
    states: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = []
    for entry in entries:
        mine = [
            entity
            for device_id, device in devices.items()
            if _entry_of(device) == entry["entry_id"]
            for entity in entities[device_id]
        ]
        thermostats = [one for one in mine if one["entity_id"].startswith("climate.")][:1]
        cards += [{"type": "thermostat", "entity": one["entity_id"]} for one in thermostats]
        rows = [
            {"entity": one["entity_id"], "name": one["original_name"]}
            for wanted in WANTED
            for one in mine
            if one["unique_id"].endswith(f"_{wanted}") and one["entity_id"] in states
        ]
        if rows:
            cards.append({"type": "entities", "title": entry["title"], "entities": rows[:9]})
    return cards


def _entry_of(device: dict[str, Any]) -> str | None:
    return device.get("config_entry_id", device.get("primary_config_entry"))


def _cards(
    device: dict[str, Any], entities: list[dict[str, Any]], states: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    names = {entity["entity_id"]: entity["original_name"] for entity in entities}
    shown = [entity["entity_id"] for entity in entities if entity["entity_category"] is None]
    quiet = [entity["entity_id"] for entity in entities if entity["entity_category"] is not None]

    def rows(ids: list[str]) -> list[dict[str, Any]]:
        return [{"entity": one, "name": names[one] or one} for one in ids]

    cards: list[dict[str, Any]] = []
    plain = []
    for entity_id in shown:
        kind = SPECIAL.get(entity_id.partition(".")[0])
        if kind is None:
            plain.append(entity_id)
        else:
            cards.append({"type": kind, "entity": entity_id})
    name = device["name_by_user"] or device["name"]
    powers = [
        entity_id
        for entity_id in plain
        if states.get(entity_id, {}).get("attributes", {}).get("unit_of_measurement") in ("W", "kW")
    ]
    if powers:
        cards.append(
            {
                "type": "history-graph",
                "title": f"{name}: power",
                "hours_to_show": 1,
                "entities": rows(powers[:5]),
            }
        )
    if plain:
        cards.append({"type": "entities", "title": name, "entities": rows(plain)})
    if quiet:
        cards.append({"type": "entities", "title": f"{name}: technical", "entities": rows(quiet)})
    return cards
