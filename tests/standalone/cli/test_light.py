"""A list of verbs takes no engine (13.15)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hardwired.cli import commands

LOADED = (
    "import sys\n"
    "from hardwired.cli.main import main\n"
    "try:\n"
    "    main(sys.argv[1:])\n"
    "except SystemExit:\n"
    "    pass\n"
    "heavy = ('asyncio', 'json', 'hardwired_engines', 'hardwired.bridge', 'hardwired.cli.verbs')\n"
    "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
)


@pytest.mark.parametrize("arguments", [["--help"], ["--log-level", "debug", "-h"], ["nonsense"]])
def test_a_list_of_verbs_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", commands.MODULES)
def test_each_verb_is_listed_as_its_module_says(verb: str) -> None:
    assert commands.HELP[verb] == commands.load(verb).HELP
