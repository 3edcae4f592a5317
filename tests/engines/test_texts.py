"""What errors say: written once in strings/, in the engines' own module for English."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

import hardwired_engines
from hardwired_engines.engine import CommandError, EngineError, InvalidCommand, NotConnected
from hardwired_engines.texts import TEXTS

ENGINES = Path(hardwired_engines.__file__).parent


def test_an_error_without_a_message_is_its_text() -> None:
    assert str(NotConnected()) == TEXTS["not_connected"]
    error = InvalidCommand(key="studer_no_datapoint", kind="Xtender", datapoint="9999")
    assert str(error) == "Xtender: there is no datapoint 9999."
    assert error.placeholders == {"message": "", "kind": "Xtender", "datapoint": "9999"}


def test_a_message_is_what_the_error_says() -> None:
    error = InvalidCommand("interval takes 1 to 60")
    assert str(error) == error.placeholders["message"] == "interval takes 1 to 60"


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_a_text_without_its_details_ends_well(key: str) -> None:
    said = str(EngineError(key=key, **dict.fromkeys(_needed(key), "x")))
    assert said
    assert "{" not in said
    assert said[-1] in ".?" or said[-1].isalpha()
    assert "Details" not in said


def test_what_is_missing_never_hides_the_error() -> None:
    assert str(CommandError(key="studer_no_datapoint")) == TEXTS["studer_no_datapoint"]
    assert str(CommandError(key="no_such_key")) == "no_such_key"


def test_every_error_fills_its_text() -> None:
    wrong, seen = [], 0
    for path in sorted(ENGINES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            given = {one.arg: one.value for one in node.keywords}
            key = given.get("key")
            if None in given or not isinstance(key, ast.Constant) or key.value not in TEXTS:
                continue
            seen += 1
            missing = _needed(key.value) - set(given) - {"message"}
            if missing:
                wrong.append(f"{path.name}:{node.lineno} {key.value} lacks {sorted(missing)}")
    assert not wrong
    assert seen > 20


def _needed(key: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(TEXTS[key]) if name} - {"message"}
