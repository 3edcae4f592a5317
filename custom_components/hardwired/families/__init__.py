"""The device families, found by looking into this folder: one package a family."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..engines.factory import factory_of
from ..family import Family


def _find() -> Mapping[str, Family[Any]]:
    found: dict[str, Family[Any]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        family: Family[Any] = importlib.import_module(f"{__name__}.{module.name}").FAMILY
        found[family.key] = family
        factory_of(family.key)  # found and imported here, outside the event loop
    return MappingProxyType(found)


FAMILIES: Mapping[str, Family[Any]] = _find()
