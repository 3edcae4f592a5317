"""A dashboard as one would want it at home, made from what the devices brought."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .home_assistant import HomeAssistant
from .looks import COLOURS, ICONS, LOOKS, Group, Look
from .texts import NAMES, TEXTS

URL_PATH = "hardwired-demo"

Card = dict[str, Any]


FEATURES: Mapping[str, list[Mapping[str, Any]]] = {
    "fan": [{"type": "fan-preset-modes", "style": "icons"}],
    "water_heater": [{"type": "water-heater-operation-modes", "style": "dropdown"}],
    "select": [{"type": "select-options"}],
    "climate": [{"type": "climate-hvac-modes", "style": "icons"}],
}
"""What a tile offers beside the state, by the domain of its entity."""

FULL = {"columns": "full"}
LONG_STATE = 16
"""Letters of a state for which half the width is too little."""
COLUMNS = 3
PAGE_ROWS = 9
"""So high is a page across three columns, of 64 pixels each."""


@dataclass(slots=True)
class Entry:
    """One config entry with its entities."""

    entry_id: str
    title: str
    family: str
    devices: dict[str, str] = field(default_factory=dict)
    entities: list[dict[str, Any]] = field(default_factory=list)

    @property
    def look(self) -> Look:
        """How it looks."""
        return LOOKS[self.family]

    def find(self, endings: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the first entity for each ending of a unique id, in the order of the endings."""
        for ending in endings:
            yield from itertools.islice(self.all(ending), 1)

    def all(self, ending: str) -> Iterator[dict[str, Any]]:
        """Yield the entities whose unique ids end so."""
        return (one for one in self.entities if one["unique_id"].endswith(ending))

    def of(self, domain: str) -> list[dict[str, Any]]:
        """Return the entities of a domain."""
        return [one for one in self.entities if one["entity_id"].startswith(f"{domain}.")]


async def make_dashboard(
    ha: HomeAssistant, families: Mapping[str, str], language: str = "en", energy: bool = False
) -> str:
    """Make or renew the dashboard; *families* by entry id. Returns its path.

    With *energy* the cards of the Energy dashboard are part of it.
    """
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
    entries = await _entries(ha, families, NAMES[language])
    automations = sorted(one for one in await ha.states() if one.startswith("automation."))
    page = Page(TEXTS[language])
    views = [page.home(entries, automations, energy)]
    if energy:
        views.append(page.energy())
    views += [page.family(entry) for entry in entries]
    await ha.command("lovelace/config/save", url_path=URL_PATH, config={"views": views})
    return f"/{URL_PATH}"


async def _entries(
    ha: HomeAssistant, families: Mapping[str, str], names: Mapping[str, str]
) -> list[Entry]:
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
            # The registry keeps the English name; what is shown is the state's, less the device's.
            told = states[entity["entity_id"]]["attributes"].get("friendly_name", "")
            device = entry.devices.get(entity["device_id"], "")
            entity["state"] = states[entity["entity_id"]]["state"]
            entity["unit"] = states[entity["entity_id"]]["attributes"].get("unit_of_measurement")
            short = (name for end, name in names.items() if entity["unique_id"].endswith(end))
            entity["shown"] = next(short, told.removeprefix(device).strip() or told)
            entity["device"] = device
            entry.entities.append(entity)
    return [entries[entry_id] for entry_id in families if entry_id in entries]


class Page:
    """Makes views, in one language."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def home(self, entries: list[Entry], automations: Sequence[str], energy: bool) -> Card:
        """Return the overview."""
        sections = [self._overview(entry) for entry in entries]
        if energy:
            cards = [
                _heading(self._texts["energy"], "mdi:transmission-tower", "energy"),
                {"type": "energy-distribution", "link_dashboard": True, "grid_options": FULL},
                {"type": "energy-solar-graph", "grid_options": FULL},
            ]
            sections.insert(0, {"type": "grid", "cards": cards})
        if automations:
            cards = [
                _heading(self._texts["automations"], "mdi:robot", "/config/automation/dashboard"),
                *({"type": "tile", "entity": one, "grid_options": FULL} for one in automations),
            ]
            if len(sections) % COLUMNS or not sections:
                sections.append({"type": "grid", "cards": cards})
            else:  # no row of its own
                sections[-1]["cards"] += cards
        return _view(self._texts["home"], "home", "mdi:home", sections)

    def energy(self) -> Card:
        """Return what the Energy dashboard tells, in one view."""
        cards: list[tuple[int, list[str]]] = [
            (1, ["energy-date-selection", "energy-distribution", "energy-solar-graph"]),
            (2, ["energy-sankey", "energy-usage-graph"]),
            (2, ["power-sankey"]),
            (1, ["power-sources-graph"]),
        ]
        sections = [
            {
                "type": "grid",
                "column_span": span,
                "cards": [{"type": kind, "grid_options": FULL} for kind in kinds],
            }
            for span, kinds in cards
        ]
        return _view(self._texts["energy"], "energy", "mdi:transmission-tower", sections)

    def family(self, entry: Entry) -> Card:
        """Return the view of one family: what it does now, its last day, its weeks and the rest."""
        look = entry.look
        now = [*self._summary(entry), *_even([_tile(one) for one in entry.find(look.details)])]
        day = [] if not look.graphs else [_heading(self._texts["day"], "mdi:chart-line")]
        for endings in look.graphs:
            day += _graph(list(entry.find(endings)))
        columns = (now, day, self._weeks(list(entry.find(look.statistics))))
        for group in look.groups:
            columns[group.column].extend(self._group(entry, group))
        sections = [{"type": "grid", "cards": cards} for cards in columns if cards]
        if look.page is not None:
            sections.insert(0, self._page(look.page))
        return _view(self._texts[look.place], entry.family, look.icon, sections)

    def _group(self, entry: Entry, group: Group) -> list[Card]:
        if group.by_device:
            found = [
                {**one, "shown": one["device"]}
                for ending in group.endings
                for one in entry.all(ending)
            ]
        else:
            found = list(entry.find(group.endings))
        tiles = _even([_tile(one) for one in found])
        return [_heading(self._texts[group.title], group.icon), *tiles] if tiles else []

    def _page(self, address: str) -> Card:
        """Return a page as it is, across three columns."""
        options = {**FULL, "rows": PAGE_ROWS}
        card = {"type": "iframe", "url": address, "grid_options": options}
        cards = [_heading(self._texts["display"], "mdi:monitor"), card]
        return {"type": "grid", "column_span": COLUMNS, "cards": cards}

    def _overview(self, entry: Entry) -> Card:
        cards = self._summary(entry)
        for endings in entry.look.graphs[:1]:
            cards += _graph(list(entry.find(endings)))
        return {"type": "grid", "cards": cards}

    def _summary(self, entry: Entry) -> list[Card]:
        look = entry.look
        cards: list[Card] = [_heading(self._texts[look.place], look.icon, entry.family)]
        cards += [
            {"type": "thermostat", "entity": one["entity_id"], "name": one["shown"]}
            | {"grid_options": FULL, "show_current_as_primary": False}
            for one in entry.of("climate")
            if one["unique_id"].endswith("_heater_room")
        ]
        cards += [_gauge(one) for one in entry.find(look.gauges)]
        cards += [_tile(one) for one in (*entry.of("fan"), *entry.of("water_heater"))]
        cards += [_tile(one) for one in entry.find(look.tiles)]
        return cards

    def _weeks(self, entities: list[Card]) -> list[Card]:
        if not entities:
            return []
        level = any(one["unit"] == "°C" for one in entities)
        card = {
            "type": "statistics-graph",
            "period": "day",
            "days_to_show": 14,
            "chart_type": "line" if level else "bar",
            "stat_types": ["min", "mean", "max"] if level else ["mean"],
            "entities": [{"entity": one["entity_id"], "name": one["shown"]} for one in entities],
            "grid_options": FULL,
        }
        return [_heading(self._texts["weeks"], "mdi:chart-bar"), card]


def _view(title: str, path: str, icon: str, sections: list[Card]) -> Card:
    return {
        "title": title,
        "path": path,
        "icon": icon,
        "type": "sections",
        "max_columns": COLUMNS,
        "dense_section_placement": True,
        "sections": sections,
    }


def _heading(text: str, icon: str | None = None, target: str | None = None) -> Card:
    card: Card = {"type": "heading", "heading": text}
    if icon:
        card["icon"] = icon
    if target:
        card["tap_action"] = {"action": "navigate", "navigation_path": target}
    return card


def _gauge(entity: Card) -> Card:
    battery = entity["unique_id"].endswith(("_battery_soc", "_7002"))
    severity = {"green": 50, "yellow": 20, "red": 0}
    return {
        "type": "gauge",
        "entity": entity["entity_id"],
        "name": entity["shown"],
        "min": 0,
        "max": 100,
        "needle": True,
        "severity": severity if battery else {"green": 0, "yellow": 65, "red": 80},
        "grid_options": {**FULL, "rows": 3},
    }


def _tile(entity: Card) -> Card:
    domain = entity["entity_id"].partition(".")[0]
    card: Card = {"type": "tile", "entity": entity["entity_id"], "name": entity["shown"]}
    for option, by_ending in (("color", COLOURS), ("icon", ICONS)):
        for ending, one in by_ending.items():
            if entity["unique_id"].endswith(ending):
                card[option] = one
    if domain == "button":  # when it was pressed is "unknown" at first
        card["hide_state"] = True
    if domain == "event":  # what has not happened yet is no "unknown" to look at
        never = {"condition": "state", "entity": entity["entity_id"]}
        card["visibility"] = [{**never, "state_not": ["unknown", "unavailable"]}]
    if domain == "event" or len(entity["state"]) > LONG_STATE:
        card["grid_options"] = FULL
    if domain == "fan":  # Home Assistant's icon would switch it off, which this one can't be
        card["icon_tap_action"] = {"action": "more-info"}
    if features := FEATURES.get(domain):
        card["features"] = features
        card["grid_options"] = FULL
    return card


def _even(tiles: list[Card]) -> list[Card]:
    """Return the tiles in the whole width where one of half the width would stand alone."""
    if sum("grid_options" not in one for one in tiles) % 2:
        return [{**one, "grid_options": FULL} for one in tiles]
    return tiles


def _graph(entities: list[Card]) -> list[Card]:
    if not entities:
        return []
    card = {
        "type": "history-graph",
        "hours_to_show": 24,
        "entities": [{"entity": one["entity_id"], "name": one["shown"]} for one in entities],
        "grid_options": FULL,
    }
    return [card]
