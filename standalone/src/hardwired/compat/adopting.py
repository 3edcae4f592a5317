"""What an old program announced of a device, so that the native dialect can take it over (d.4).

Each program has an ``adopt`` in its folder: ``old(state, settings, prefix)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hardwired_engines.engine import DeviceState

from .dialects import PACKAGES


@dataclass(frozen=True, slots=True)
class Old:
    """An old device: by our key the unique id and entity id, its identifiers, where it stands.

    ``topics`` are the discovery topics that Home Assistant has it from.
    """

    ids: Mapping[str, tuple[str, str]]
    identifiers: tuple[str, ...]
    topics: tuple[str, ...]


def old_of(
    dialect: str, state: DeviceState, settings: Mapping[str, Any], prefix: str
) -> Old | None:
    """Return what *dialect* announced of a device; ``None``: it did not know it.

    *settings* is the table of the link; a legacy entry of the dialect in it says how the old
    program was set up. *prefix* is that of the discovery.
    """
    entry: Mapping[str, Any] = next(
        (one for one in settings.get("legacy") or () if one.get("dialect") == dialect), {}
    )
    module = import_module(f"{__package__}.{PACKAGES[dialect]}.adopt")
    found: Old | None = module.old(
        state, {**settings, **entry}, str(entry.get("discovery_prefix", prefix))
    )
    return found
