"""The verbs of the standalone bridge, one module each, imported only when it is used.

A module holds ``HELP``, ``EXAMPLES`` (two lines that work as typed), ``configure(parser)`` and
``run(options)``, which returns the exit code.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from types import ModuleType

MODULES: Mapping[str, str] = {
    "run": "run",
    "check": "check",
    "import": "import_",
    "ports": "ports",
    "search": "search",
    "spool": "spool",
    "version": "version",
}


def load(verb: str) -> ModuleType:
    """Return the module of a verb."""
    return importlib.import_module(f"{__name__}.{MODULES[verb]}")


def add(verb: str, by_verb: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add a verb to the command line."""
    module = load(verb)
    examples = "".join(f"\n  {line}" for line in module.EXAMPLES)
    parser = by_verb.add_parser(
        verb,
        help=module.HELP,
        description=f"{module.HELP[:1].upper()}{module.HELP[1:]}.",
        epilog=f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    parser.set_defaults(run=module.run)
