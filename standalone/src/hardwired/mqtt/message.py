"""A message to publish."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message as a value."""

    topic: str
    payload: str
    retain: bool = False
    qos: int = 0
