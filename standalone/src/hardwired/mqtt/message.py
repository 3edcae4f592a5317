"""An MQTT message as a value, and what decides whether it is to be sent again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message to publish."""

    topic: str
    payload: str
    retain: bool = False
    qos: int = 0


def json_text(value: Mapping[str, object]) -> str:
    """Return compact JSON, readable in the broker's tools."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain_number(value: float) -> str:
    """Return a finite number in its shortest decimal form: ``230``, ``-72``, ``49.86``.

    Never an exponent, never ``-0``. Raises :class:`ValueError` for nan and infinity.
    """
    return shortest(exact(value))


def exact(value: float) -> Decimal:
    """Return a finite number as it is shown. Raises :class:`ValueError` for nan and infinity."""
    if value - value != 0:
        raise ValueError("only finite numbers have a decimal form")
    return Decimal(repr(value))


def shortest(number: Decimal) -> str:
    """Return a number without an exponent, without zeros at its end, without ``-0``."""
    found = format(number, "f")
    if "." in found:
        found = found.rstrip("0").rstrip(".")
    return "0" if found == "-0" else found


class OnChange:
    """Lets a message pass when its payload is new, or when its repetition is due.

    *repeat* is the longest time in seconds without the message; ``None``: only when changed.
    """

    def __init__(self, repeat: float | None = None) -> None:
        self._repeat = repeat
        self._sent: dict[str, tuple[str, float]] = {}

    def due(self, messages: Iterable[MqttMessage], now: float) -> list[MqttMessage]:
        """Return the messages to send at *now* (seconds of a clock that never runs back)."""
        return [message for message in messages if self._take(message, now)]

    def forget(self) -> None:
        """Let everything pass once more: the broker may have forgotten."""
        self._sent.clear()

    def _take(self, message: MqttMessage, now: float) -> bool:
        sent = self._sent.get(message.topic)
        if (
            sent is not None
            and sent[0] == message.payload
            and (self._repeat is None or now - sent[1] < self._repeat)
        ):
            return False
        self._sent[message.topic] = (message.payload, now)
        return True
