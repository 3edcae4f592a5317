"""What the GX's driver for MQTT devices says of itself (spec g.1, venus E.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hardwired_engines.plain import read_json

STATUS_TOPIC = "dbus-mqtt-devices/status"
LARGEST = 16_384
REFERENCE_TYPES = frozenset(
    {"temperature", "tank", "pvinverter", "grid", "gps", "evcharger", "battery", "vebus"}
)
"""What the reference driver knows, which says nothing of itself (spec venus D.2)."""


class Feature(StrEnum):
    """Words of the protocol that not every driver knows."""

    NOTIFY = "notify"
    OPTIONS = "options"
    LABELS = "labels"
    MEASUREMENT = "measurement"
    RANGES = "ranges"
    INPUTS = "inputs"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver. ``reference``: it has no status, and watches one client for each connection."""

    types: frozenset[str] = REFERENCE_TYPES
    features: frozenset[str] = frozenset()
    started: str | None = None
    reference: bool = True

    def has(self, feature: Feature) -> bool:
        """Whether it knows a word."""
        return feature.value in self.features


REFERENCE = Driver()


def read_status(payload: bytes) -> Driver | None:
    """Return the driver that a status tells of; ``None``: it is away or tells nonsense."""
    if len(payload) > LARGEST:
        return None
    try:
        told = read_json(payload)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("state") == "offline":
        return None
    types, features = told.get("types"), told.get("features", [])
    if not isinstance(types, list) or not isinstance(features, list):
        return None
    if not all(isinstance(one, str) for one in (*types, *features)):
        return None
    return Driver(frozenset(types), frozenset(features), str(told.get("started")), reference=False)
