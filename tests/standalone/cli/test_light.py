"""A list of verbs takes no engine (13.15), nor does one of the families that have a verb."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from hardwired.cli import commands
from hardwired.cli.main import VERB_HELP
from hardwired.cli.verbs import family_names, verbs

HEAVY = ("asyncio", "json", "hardwired_engines", "hardwired.bridge")
LOADED = (
    "import sys\n"
    "from hardwired.cli.main import main\n"
    "try:\n"
    "    main(sys.argv[1:])\n"
    "except SystemExit:\n"
    "    pass\n"
    f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--log-level", "debug", "-h"],
        ["nonsense"],
        *([verb, "--help"] for verb in VERB_HELP if verb not in commands.MODULES),
    ],
)
def test_a_list_of_verbs_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", commands.MODULES)
def test_each_verb_is_listed_as_its_module_says(verb: str) -> None:
    assert commands.HELP[verb] == commands.load(verb).HELP


@pytest.mark.parametrize("family", family_names())
def test_each_verb_of_a_family_is_a_module_that_does_it(family: str) -> None:
    for verb, entry in verbs(family).items():
        assert verb in VERB_HELP
        module = importlib.import_module(entry.module)
        assert callable(module.configure)
        assert callable(module.run)
