"""``hardwired version``: what is installed, and what it was tested with."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

from hardwired_engines.factory import linked_families

from ...version import program_version
from ..output import emit

HELP = "say the versions of the program, Python and the libraries"
EXAMPLES = ("hardwired version", "hardwired version --json")
TESTED_HOME_ASSISTANT = ("2026.10.4", "2026.11.0")
_LIBRARIES = ("serialx", "aiomqtt", "paho-mqtt", "PyYAML", "tzdata")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Say it; returns the exit code."""
    told = {
        "version": program_version(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "families": list(linked_families()),
        "home_assistant": list(TESTED_HOME_ASSISTANT),
    }
    if options.json:
        emit(told)
        return 0
    lines = [f"hardwired {told['version']}", f"Python {told['python']}"]
    lines += [f"{name} {_version(name) or 'is not installed'}" for name in _LIBRARIES]
    lines.append(f"families: {', '.join(linked_families())}")
    lines.append(f"discovery tested with Home Assistant {', '.join(TESTED_HOME_ASSISTANT)}")
    print("\n".join(lines))
    return 0


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
