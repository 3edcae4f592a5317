"""The page for programmers: its examples run as they stand, its names are exported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hardwired_engines

PAGE = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^### ([^\n]+)\n(?:(?!^## |^### ).)*?```python\n(.*?)```", re.MULTILINE | re.DOTALL
)
EXAMPLES = dict(EXAMPLE.findall(PAGE))
COMMAND = re.compile(r"^\$ (hardwired .+)$", re.MULTILINE)
SAYS = {
    "Read a plant": r"(?ms)^Xtender.* battery_voltage \d+\.\d+$.*^BSP state_of_charge \d",
    "Set a heater": r"accepted",
    "Decode a capture": r"'battery_soc': \d+",
    "Boost a fan": r"^high\n$",
}


@pytest.mark.slow
@pytest.mark.parametrize("title", SAYS)
def test_an_example_runs(title: str, tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(EXAMPLES[title], encoding="utf-8")
    part = PAGE.partition(f"### {title}\n")[2].partition("\n### ")[0]
    for command in COMMAND.findall(part):
        words = [Path(sys.executable).with_name("hardwired"), *command.split()[1:]]
        subprocess.run(words, cwd=tmp_path, timeout=60, check=True)
    ended = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "None" not in ended.stdout
    assert re.search(SAYS[title], ended.stdout), ended.stdout


def test_examples_are_short() -> None:
    assert set(EXAMPLES) == set(SAYS)
    for title, code in EXAMPLES.items():
        assert len(code.splitlines()) < 20, title


@pytest.mark.parametrize("name", hardwired_engines.__all__)
def test_a_stable_name_is_there(name: str) -> None:
    found = getattr(hardwired_engines, name)
    assert found.__module__.startswith("hardwired_engines.") or name == "Catalogue"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = hardwired_engines.nonsense


def test_the_page_names_only_what_is_exported() -> None:
    named = set(re.findall(r"from hardwired_engines import (.+)", PAGE))
    words = {word.strip() for line in named for word in line.split(",")}
    assert words <= set(hardwired_engines.__all__)
