"""The dashboard: few sections of one width each, short names, nothing unknown, four languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.dashboard import COLUMNS, FULL, LONG_STATE, Entry, Page
from demo.looks import LOOKS
from demo.texts import LANGUAGES, NAMES, TEXTS

FITS = 15
"""Letters that a tile of half the width shows."""


def entity(ending: str, state: str = "1", device: str = "One", domain: str = "sensor") -> Any:
    """Return an entity as the registry has it, with what the dashboard notes."""
    return {
        "unique_id": f"0001{ending}",
        "entity_id": f"{domain}.{device.lower()}{ending}",
        "state": state,
        "shown": ending.strip("_"),
        "device": device,
        "unit": "W",
    }


def entry(family: str) -> Entry:
    """Return an entry that has all that its look names; of what is by device, three."""
    look = LOOKS[family]
    found = Entry("id", family.title(), family)
    named = [
        *look.gauges,
        *look.tiles,
        *look.details,
        *(end for ends in look.graphs for end in ends),
    ]
    for group in look.groups:
        if group.by_device:
            found.entities += [
                entity(end, device=device) for end in group.endings for device in "ABC"
            ]
        else:
            named += group.endings
    domains = {"_fan_event": "event", "_panel_refresh": "button"}
    found.entities += [
        entity(end, "unknown", domain=domains.get(end, "sensor")) for end in dict.fromkeys(named)
    ]
    if family == "truma":
        found.entities.append(entity("_heater_room", "heat", domain="climate"))
        found.entities.append(entity("_aircon_aircon", "off", domain="climate"))
    return found


def cards(view: Any) -> Iterator[Any]:
    """Yield a view's cards."""
    for section in view["sections"]:
        yield from section["cards"]


@pytest.mark.parametrize("family", LOOKS)
def test_a_family_has_three_sections_without_gaps(family: str) -> None:
    view = Page(TEXTS["en"]).family(entry(family))
    assert view["max_columns"] == COLUMNS
    sections = [one for one in view["sections"] if one.get("column_span", 1) == 1]
    assert len(sections) == COLUMNS
    for section in sections:
        groups: list[list[Any]] = []
        for card in section["cards"]:
            if card["type"] == "heading":
                groups.append([])
            else:
                groups[-1].append(card)
        for group in groups:
            options = [card.get("grid_options", {}) for card in group]
            halves = [one for one in options if one.get("columns") != FULL["columns"]]
            assert len(halves) % 2 == 0, "a tile of half the width stands alone"


@pytest.mark.parametrize("family", LOOKS)
def test_what_has_not_happened_is_not_shown(family: str) -> None:
    for card in cards(Page(TEXTS["en"]).family(entry(family))):
        domain = card.get("entity", "").partition(".")[0]
        if domain == "event":
            (condition,) = card["visibility"]
            assert condition["entity"] == card["entity"]
            assert "unknown" in condition["state_not"]
        if domain == "button":
            assert card["hide_state"]


def test_tiles_by_device_are_called_as_it() -> None:
    plant = entry("studer")
    shown = [card["name"] for card in cards(Page(TEXTS["en"]).family(plant)) if "name" in card]
    assert shown.count("A") == sum(
        len(group.endings) for group in LOOKS["studer"].groups if group.by_device
    )


def test_a_long_state_has_the_whole_width() -> None:
    found = Entry("id", "Studer", "studer")
    found.entities = [entity("_last_message", "x" * (LONG_STATE + 1))]
    (tile,) = [card for card in cards(Page(TEXTS["en"]).family(found)) if card["type"] == "tile"]
    assert tile["grid_options"] == FULL


def test_the_overview_leaves_no_row_to_the_automations() -> None:
    entries = [entry(family) for family in LOOKS]
    view = Page(TEXTS["en"]).home(entries, ["automation.one"], energy=True)
    assert len(view["sections"]) == 2 * COLUMNS
    assert view["sections"][-1]["cards"][-1]["entity"] == "automation.one"
    alone = Page(TEXTS["en"]).home(entries[:1], ["automation.one"], energy=True)
    assert len(alone["sections"]) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_is_said_in_each_language(language: str) -> None:
    groups = [group.title for look in LOOKS.values() for group in look.groups]
    assert {*groups, *(look.place for look in LOOKS.values())} <= TEXTS[language].keys()
    for table in (TEXTS, NAMES):
        assert table[language].keys() == table["en"].keys()
        assert all(table[language].values())
    assert {name for name in NAMES[language].values() if len(name) > FITS} == set()


def test_no_name_is_taken_by_an_earlier_one() -> None:
    """The first ending that fits counts."""
    for number, ending in enumerate(endings := list(NAMES["en"])):
        for earlier in endings[:number]:
            assert not ending.endswith(earlier), ending
