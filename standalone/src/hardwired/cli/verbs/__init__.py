"""What the command line offers of each family: one package a family, found by its name.

A family's package holds ``HELP``: its verbs (``decode``, ``simulate``, ``record``, ``probe`` ...)
and what each does. A verb is the module of that name in it, with ``configure(parser)``, which adds
the arguments, and ``run(options)``, which returns the exit code. It is imported when it is used: a
list of verbs imports no engine.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

NOTHING_HEARD = 3
"""The exit code when nothing was heard, or a recording holds nothing that is known."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing the command line can do with a family."""

    help: str
    module: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""
        self._load().configure(parser)

    def run(self, options: argparse.Namespace) -> int:
        """Do it; returns the exit code."""
        code: int = self._load().run(options)
        return code

    def _load(self) -> ModuleType:
        return importlib.import_module(self.module)


def family_names() -> tuple[str, ...]:
    """Return the families there are, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def verbs(family: str) -> Mapping[str, Verb]:
    """Return what *family* offers."""
    package = importlib.import_module(f"{__name__}.{family}")
    texts: Mapping[str, str] = package.HELP
    return {verb: Verb(text, f"{package.__name__}.{verb}") for verb, text in texts.items()}
