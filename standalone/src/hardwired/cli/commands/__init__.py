"""The verbs of the standalone bridge, one module each, imported only when it is used.

A module holds ``HELP``, ``EXAMPLES`` (two lines that work as typed), ``configure(parser)`` and
``run(options)``, which returns the exit code.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from types import ModuleType

from ..examples import epilog

HELP: Mapping[str, str] = {
    "run": "bridge the devices of a CONFIG.toml to its sinks, until stopped",
    "check": "check a CONFIG.toml: the file, its secrets, links and sinks",
    "import": "turn the configuration of an old program into a CONFIG.toml",
    "ports": "list serial ports and network interfaces, who holds them, which family they fit",
    "search": "look for devices: gateways on the network, ports, interfaces",
    "spool": "look at the points of an InfluxDB sink that wait or were set aside",
    "version": "say the versions of the program, Python and the libraries",
}
"""What each verb is for, as its module says: so that a list of verbs imports none of them."""

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
    parser = by_verb.add_parser(
        verb,
        help=module.HELP,
        description=f"{module.HELP[:1].upper()}{module.HELP[1:]}.",
        epilog=epilog(module.EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    parser.set_defaults(run=module.run)
