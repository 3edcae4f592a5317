"""Every entity that the pages and blueprints name exists in the demonstration.

The entities of the demonstration are those of the simulated devices, whose registry is frozen in
``tests/golden`` (compared with a running Home Assistant by tests/integration/test_golden.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from custom_components.hardwired.const import PLATFORMS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder, pattern in (
        (ROOT, "README.md"),
        (ROOT / "docs", "*.md"),
        (ROOT / "standalone", "README.md"),
        (ROOT / "blueprints", "**/*.yaml"),
        (ROOT / "bench", "*.md"),
    )
    for path in folder.glob(pattern)
)
ENTITY = re.compile(
    r"(?<![\w./])(?:"
    + "|".join(platform.value for platform in PLATFORMS)
    + r")\.[a-z0-9_]+\b(?!\()"
)
OTHERS = frozenset(
    {
        "switch.boiler",
        "climate.truma", "climate.truma_water", "climate.aventa",
        "sensor.truma_current_temp_room", "sensor.truma_current_temp_water",
        "sensor.truma_target_temp_room", "sensor.truma_target_temp_water",
    }
)  # fmt: skip
"""Entities of other integrations in examples, and of the programs that people move in from."""
VERBS = frozenset(
    {
        "turn_on", "turn_off", "toggle", "increase_speed",
        "set_value", "set_temperature", "set_preset_mode",
    }
)  # fmt: skip
"""Actions, in a sentence."""
FILES = re.compile(r"\.(py|md|yaml|json|toml)$")


def known() -> frozenset[str]:
    """Return the entity ids of the simulated devices."""
    found = set()
    for path in sorted((ROOT / "tests" / "golden").glob("*/entities-*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        found |= {row["entity_id"] for row in rows.values() if "entity_id" in row}
    return frozenset(found)


def named(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and entity id; the name of an action is none."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if re.search(r"\b(action|service):\s", line):
            continue
        for found in ENTITY.finditer(line):
            if not FILES.search(found[0]) and found[0].partition(".")[2] not in VERBS:
                yield number, found[0]


def test_the_golden_files_name_entities() -> None:
    assert len(known()) > 200


def test_some_page_names_an_entity() -> None:
    assert sum(1 for path in PAGES for _ in named(path)) > 5


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_entity_of_a_page_is_in_the_demonstration(path: Path) -> None:
    there = known() | OTHERS
    missing = [f"line {number}: {name}" for number, name in named(path) if name not in there]
    assert missing == []


def test_no_name_repeats_its_device() -> None:
    """Home Assistant shows both: "BSP BSP temperature" stutters."""
    stutters = []
    for path in sorted((ROOT / "tests" / "golden").glob("*/entities-*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        devices = {
            key.removeprefix("device "): row["name"]
            for key, row in rows.items()
            if key.startswith("device ")
        }
        for row in rows.values():
            if not row.get("entity_id") or not row["name"] or not row["enabled"]:
                continue
            device = devices[row["device"]].lower().split()
            name = row["name"].lower().split()
            if any(device[-size:] == name[:size] for size in range(1, len(name) + 1)):
                stutters.append(f"{devices[row['device']]} {row['name']}")
    # Frozen: its MQTT face is that of the reference (tests/vectors/bridge).
    frozen = {"Truma air conditioner Air conditioner temperature"}
    frozen |= {"GX MQTT devices helper Helper"}  # both names are the specification's (venus H.7)
    assert sorted(set(stutters) - frozen) == []


def test_no_entity_id_is_ever_changed() -> None:
    """An entity id is its owner's: automations name it. A new name is for new installations only.

    Whoever lets a migration rename one has to build a repair that lists the automations using it.
    To take over an old program's ids is the owner's own wish, in a form that says what becomes of
    what.
    """
    sources = (ROOT / "custom_components" / "hardwired").rglob("*.py")
    renaming = [path.name for path in sources if "new_entity_id" in path.read_text("utf-8")]
    assert renaming == ["pairs.py"]
