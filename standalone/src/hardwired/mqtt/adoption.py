"""Moving a device from an old program's announcements to ours, and back (spec d.4). Pure.

Home Assistant keeps an entity's history, name and id when it is told first that its discovery
moves, then of the new place, then that the old one is empty; two seconds lie between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from ..bridge.sink import Publication, Traffic

PAUSE = 2.0
MIGRATE = '{"migrate_discovery":true}'


class Phase(Enum):
    """What comes next."""

    ANNOUNCE = auto()
    CLEAR = auto()


@dataclass(slots=True)
class Move:
    """A device on its way; ``due`` is when *phase* comes."""

    topics: tuple[str, ...]
    due: float
    phase: Phase = Phase.ANNOUNCE


def leaving(topics: Iterable[str]) -> list[Publication]:
    """Return the messages that say that the discovery of *topics* moves."""
    return [_retained(topic, MIGRATE) for topic in topics]


def emptied(topics: Iterable[str]) -> list[Publication]:
    """Return the messages that empty *topics*."""
    return [_retained(topic, "") for topic in topics]


def _retained(topic: str, payload: str) -> Publication:
    return Publication(topic, payload, retain=True, qos=1, traffic=Traffic.DISCOVERY)
