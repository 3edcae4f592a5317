"""The device families, found by looking into this folder: one module a family."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from ..family import Family


def _find() -> Mapping[str, Family]:
    found: dict[str, Family] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        family: Family = importlib.import_module(f"{__name__}.{module.name}").FAMILY
        found[family.key] = family
    return MappingProxyType(found)


FAMILIES: Mapping[str, Family] = _find()
