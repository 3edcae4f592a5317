"""inetbox2mqtt had no unique ids: there is nothing to carry over (spec d.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hardwired_engines.engine import DeviceState

from ..adopting import Old


def old(state: DeviceState, settings: Mapping[str, Any], prefix: str) -> Old | None:
    """Return nothing; the recorder finds the history by the entity id that the owner gives."""
    return None
