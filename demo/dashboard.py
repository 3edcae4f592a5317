"""A dashboard as one would want it at home, made from what the devices brought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .home_assistant import HomeAssistant

URL_PATH = "hardwired-demo"

Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """How an entry looks: what its entities' unique ids end with."""

    icon: str
    gauges: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    graph: tuple[str, ...] = ()
    hours: int = 3


LOOKS: Mapping[str, Look] = {
    "sunsynk": Look(
        "mdi:solar-power",
        gauges=("_battery_soc",),
        tiles=("_pv_power", "_load_power", "_battery_power", "_grid_power", "_inverter_state"),
        graph=("_pv_power", "_load_power", "_grid_power"),
    ),
    "truma": Look(
        "mdi:caravan",
        tiles=("_current_temp_water", "_energy_mix", "_el_power_level", "_heating_demand"),
        graph=("_current_temp_room", "_current_temp_water"),
    ),
    "studer": Look(
        "mdi:home-battery",
        gauges=("_7002",),
        tiles=(
            "_system_pv_power",
            "_system_output_active_power",
            "_system_input_active_power",
            "_7003",
        ),
        graph=("_system_pv_power", "_system_output_active_power"),
    ),
    "inventum": Look(
        "mdi:fan",
        tiles=(
            "_log_temp_boiler_boven_c",
            "_log_rv_afvoerlucht",
            "_log_vermogen_w",
            "_boost_remaining",
            "_boost_duration",
        ),
        graph=("_log_temp_boiler_boven_c", "_log_temp_afvoerlucht_c"),
        hours=12,
    ),
}

FEATURES: Mapping[str, list[Mapping[str, Any]]] = {
    "fan": [{"type": "fan-preset-modes", "style": "icons"}, {"type": "fan-speed"}],
    "water_heater": [{"type": "water-heater-operation-modes"}],
    "select": [{"type": "select-options"}],
}
"""What a tile offers beside the state, by the domain of its entity."""


@dataclass(slots=True)
class Entry:
    """One config entry with its entities."""

    entry_id: str
    title: str
    family: str
    devices: dict[str, str] = field(default_factory=dict)
    entities: list[dict[str, Any]] = field(default_factory=list)

    def find(self, endings: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the first entity for each ending of a unique id, in the order of the endings."""
        for ending in endings:
            for entity in self.entities:
                if entity["unique_id"].endswith(ending):
                    yield entity
                    break

    def of(self, domain: str) -> list[dict[str, Any]]:
        """Return the entities of a domain."""
        return [one for one in self.entities if one["entity_id"].startswith(f"{domain}.")]


async def make_dashboard(ha: HomeAssistant, families: Mapping[str, str]) -> str:
    """Make or renew the dashboard; *families* by entry id. Returns its path."""
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
    entries = await _entries(ha, families)
    views = [_overview(entries), *(_view(entry) for entry in entries)]
    await ha.command("lovelace/config/save", url_path=URL_PATH, config={"views": views})
    return f"/{URL_PATH}"


async def _entries(ha: HomeAssistant, families: Mapping[str, str]) -> list[Entry]:
    entries = {
        entry["entry_id"]: Entry(entry["entry_id"], entry["title"], families[entry["entry_id"]])
        for entry in await ha.command("config_entries/get", domain="hardwired")
        if entry["entry_id"] in families
    }
    for device in await ha.command("config/device_registry/list"):
        entry_id = device.get("config_entry_id", device.get("primary_config_entry"))
        if entry_id in entries:
            entries[entry_id].devices[device["id"]] = device["name_by_user"] or device["name"]
    states = await ha.states()
    for entity in await ha.command("config/entity_registry/list"):
        entry = entries.get(entity["config_entry_id"] or "")
        shown = entity["disabled_by"] is None and entity["entity_id"] in states
        if entry is not None and entity["platform"] == "hardwired" and shown:
            entry.entities.append(entity)
    return [entries[entry_id] for entry_id in families if entry_id in entries]


def _overview(entries: list[Entry]) -> dict[str, Any]:
    sections = [_section(entry) for entry in entries]
    energy = [
        {"type": "heading", "heading": "Energy", "icon": "mdi:transmission-tower"},
        {"type": "energy-date-selection"},
        {"type": "energy-distribution", "link_dashboard": True},
        {"type": "energy-solar-graph"},
    ]
    if any(entry.family == "sunsynk" for entry in entries):
        sections.insert(1, {"type": "grid", "cards": energy})
    return {
        "title": "Home",
        "path": "home",
        "icon": "mdi:home",
        "type": "sections",
        "max_columns": 3,
        "sections": sections,
    }


def _section(entry: Entry) -> dict[str, Any]:
    look = LOOKS[entry.family]
    cards: list[Card] = [
        {
            "type": "heading",
            "heading": entry.title,
            "icon": look.icon,
            "tap_action": {"action": "navigate", "navigation_path": entry.family},
        }
    ]
    cards += [
        {"type": "thermostat", "entity": one["entity_id"], "grid_options": {"columns": "full"}}
        for one in entry.of("climate")[:1]
    ]
    cards += [
        {
            "type": "gauge",
            "entity": one["entity_id"],
            "name": one["original_name"],
            "min": 0,
            "max": 100,
            "needle": True,
            "severity": {"green": 50, "yellow": 20, "red": 0},
        }
        for one in entry.find(look.gauges)
    ]
    cards += [_tile(one) for one in (*entry.of("fan"), *entry.of("water_heater"))]
    cards += [_tile(one) for one in entry.find(look.tiles)]
    if graphed := list(entry.find(look.graph)):
        cards.append(_graph("", graphed, look.hours))
    return {"type": "grid", "cards": cards}


def _view(entry: Entry) -> dict[str, Any]:
    look = LOOKS[entry.family]
    return {
        "title": entry.title,
        "path": entry.family,
        "icon": look.icon,
        "type": "sections",
        "max_columns": 4,
        "sections": [_section(entry), *_device_sections(entry)],
    }


def _device_sections(entry: Entry) -> Iterator[dict[str, Any]]:
    for device_id, name in entry.devices.items():
        mine = [one for one in entry.entities if one["device_id"] == device_id]
        if not mine:
            continue
        cards: list[Card] = [{"type": "heading", "heading": name}]
        for title, category in (("", None), ("Technical", "diagnostic"), ("Settings", "config")):
            rows = [
                {"entity": one["entity_id"], "name": one["original_name"] or name}
                for one in mine
                if one["entity_category"] == category
            ]
            if rows:
                cards.append(
                    {
                        "type": "entities",
                        "title": title,
                        "entities": rows,
                        "show_header_toggle": False,
                        "grid_options": {"columns": "full"},
                    }
                )
        yield {"type": "grid", "cards": cards}


def _tile(entity: Card) -> Card:
    domain = entity["entity_id"].partition(".")[0]
    card: Card = {"type": "tile", "entity": entity["entity_id"]}
    if entity["original_name"]:
        card["name"] = entity["original_name"]
    if features := FEATURES.get(domain):
        card["features"] = features
        card["grid_options"] = {"columns": "full"}
    return card


def _graph(title: str, entities: list[Card], hours: int) -> Card:
    return {
        "type": "history-graph",
        "title": title,
        "hours_to_show": hours,
        "entities": [
            {"entity": one["entity_id"], "name": one["original_name"]} for one in entities
        ],
        "grid_options": {"columns": "full"},
    }
