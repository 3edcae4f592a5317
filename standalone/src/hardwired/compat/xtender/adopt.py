"""What xtender_mqtt announced of an Xtender (spec d.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hardwired_engines.engine import DeviceState
from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.scom.families import Family

from ..adopting import Old
from .mqtt import XtmqFace
from .names import PARAMETERS, SENSORS

KEYS: Mapping[str, str] = {
    entry.unique: point.key
    for entry in (*SENSORS.values(), *PARAMETERS.values())
    if entry.component is not None and (point := by_id(Family.XT, entry.read)) is not None
}
"""Our key of the value that was announced, by what stands after the address in the unique id.

The number there is not always that of the value: see :mod:`.names`.
"""


def old(state: DeviceState, settings: Mapping[str, Any], prefix: str) -> Old | None:
    """Return its entities; only Xtenders were announced, by their address."""
    told = state.device.address or ""
    if state.device.kind != "xt" or not told.isdecimal():
        return None
    face = XtmqFace(
        sensors=_names(settings.get("sensors"), SENSORS),
        parameters=_names(settings.get("parameters"), PARAMETERS),
        prefix=str(settings.get("prefix", "xtender")),
        discovery_prefix=prefix,
    )
    ids: dict[str, tuple[str, str]] = {}
    identifiers: dict[str, None] = {}
    topics = []
    for message in face.discovery(int(told)):
        if not message.payload:
            continue
        config = json.loads(message.payload)
        unique = str(config["unique_id"])
        key = KEYS.get(unique.partition("_")[2])
        if key is None or key not in state.fields:
            continue
        component = message.topic.removeprefix(f"{prefix}/").partition("/")[0]
        ids.setdefault(key, (unique, f"{component}.{unique.lower()}"))
        identifiers[str(config["device"]["identifiers"])] = None
        topics.append(message.topic)
    return Old(ids, tuple(identifiers), tuple(topics)) if ids else None


def _names(told: list[str] | None, table: Mapping[str, Any]) -> frozenset[str]:
    if told is None:
        return frozenset(name for name, entry in table.items() if entry.enabled)
    return frozenset(name for name in told if name in table)
