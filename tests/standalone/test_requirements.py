"""Every row of the bridge's specification names tests that there are (spec i.1, 7)."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TABLE = tomllib.loads(Path(__file__).with_name("requirements.toml").read_text("utf-8"))
NOT = "not:"


def names_in(path: Path) -> Iterator[str]:
    """Yield the tests of a file, those of a class with its name before them."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name.startswith("test_"):
                yield node.name
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                function = isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef))
                if function and inner.name.startswith("test_"):
                    yield f"{node.name}::{inner.name}"


def missing(name: str) -> str | None:
    """Return why a test is not there; ``*`` stands for every test of its file or class."""
    file, _, rest = name.partition("::")
    path = next((one for one in (TESTS / "standalone" / file, TESTS / file) if one.exists()), None)
    if path is None:
        return f"there is no {file}"
    found = set(names_in(path))
    if rest.endswith("*"):
        found = {rest for one in found if one.startswith(rest.removesuffix("*"))}
    return None if rest in found else f"{file} has no {rest}"


@pytest.mark.parametrize("section", TABLE)
def test_the_names_in_every_row_are_there(section: str) -> None:
    wrong = []
    for row, (says, *tests) in TABLE[section].items():
        assert says, row
        if not tests and not says.startswith(NOT):
            wrong.append(f"{row}: no test and no reason")
        wrong += [f"{row}: {why}" for why in map(missing, tests) if why is not None]
    assert not wrong, "\n".join(wrong)


ROWS = {
    "bridge a.2: commands": 11,
    "bridge a.3: exit codes": 7,
    "bridge a.4, a.5: signals and log": 5,
    "bridge b: CONFIG": 6,
    "bridge c.1: topics": 11,
    "bridge c.2: connection": 9,
    "bridge c.3, c.4: what is sent, the queue": 7,
    "bridge c.5, c.6: values and commands": 9,
    "bridge c.7: requests": 5,
    "bridge c.8, c.9: discovery and composites": 11,
    "bridge d: old dialects, import, adopt": 7,
    "bridge e.1-e.3: InfluxDB, the way of a point": 7,
    "bridge e.4: what an answer means": 8,
    "bridge e.5: spool": 8,
    "bridge f: operations, packages": 17,
    "bridge g: Venus GX": 4,
    "bridge h: security": 6,
    "bridge i.1: acceptance": 11,
    "sunsynk g.1: configuration": 6,
    "sunsynk g.2: program": 15,
    "sunsynk g.3: MQTT": 6,
    "sunsynk g.4: filters": 6,
    "sunsynk g.5, g.6: InfluxDB, capture": 4,
    "truma g.1: inetbox.py's configuration": 7,
    "truma g.2: topics": 8,
    "truma g.3, g.4, g.5: discovery, set rules, languages": 10,
    "truma g.6-g.8: inetbox2mqtt and others": 10,
    "studer g: xtender_mqtt": 31,
    "inventum g.1: configuration": 8,
    "inventum g.2-g.5: publications, commands, program": 10,
}
"""How many rows each part of the specification has here."""


def test_no_row_is_missing() -> None:
    assert {section: len(rows) for section, rows in TABLE.items()} == ROWS
