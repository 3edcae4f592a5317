"""What the command line offers of each family: one module a family, found by its name.

A family's module holds ``VERBS``, a mapping from verb (``decode``, ``simulate``, ``record``,
``probe``) to :class:`Verb`. A module whose name begins with an underscore is part of another.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NOTHING_HEARD = 3
"""The exit code when nothing was heard, or a recording holds nothing that is known."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing the command line can do with a family.

    *configure* adds the arguments, *run* does it and returns the exit code.
    """

    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def family_names() -> tuple[str, ...]:
    """Return the families there are, in alphabetical order."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def verbs(family: str) -> Mapping[str, Verb]:
    """Return what *family* offers."""
    module = importlib.import_module(f"{__name__}.{family}")
    found: Mapping[str, Verb] = module.VERBS
    return found
