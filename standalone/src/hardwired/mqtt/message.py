"""A message to publish, and what may become of it while the broker is away (spec c.4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a message waits."""

    LATEST = "state"
    """Retained: the latest text of a topic is kept."""
    STEP = "discovery"
    """One of several messages of one topic that must all be sent, in their order."""
    PASSING_STATE = "passing_state"
    """A state of an old program, not retained: it passes; while away, the latest is kept."""
    EVENT = "event"
    RESULT = "result"
    RESPONSE = "response"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message as a value. ``waits`` says how; else it follows from ``retain``."""

    topic: str
    payload: str
    retain: bool = False
    qos: int = 0
    waits: Kind | None = None

    @property
    def kind(self) -> Kind:
        """How it waits."""
        if self.waits is not None:
            return self.waits
        return Kind.LATEST if self.retain else Kind.PASSING_STATE
