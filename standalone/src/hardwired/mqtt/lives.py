"""What it means when a broker closes connections soon after they began (spec c.2). Pure.

A broker closes without a word when another client of our id comes; Mosquitto 2.0.11 with its
dynamic security also when a message is not allowed: it acknowledges it, and closes. So after a
first short life messages go one by one. Two lives in a row that end at the same place, with more
to say, end at a message that is not allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

from .losses import ConnectionLost, Loss

SETTLED = 10.0
"""Seconds after which a connection counts as one that holds."""
SHORT_LIVES = 3
"""Short lives in a row after which something must be wrong."""


@dataclass(slots=True)
class Life:
    """One connection. Topics are ``None`` where there is no such message."""

    since: float | None = None
    """Monotonic, when the broker accepted us; ``None``: it did not."""
    acknowledged: str | None = None
    """The topic of the last message that the broker has acknowledged."""
    unsaid: str | None = None
    """The topic of the next message, in flight or waiting, when it ended."""


class ShortLives:
    """The connections in a row that lived shorter than :data:`SETTLED`."""

    def __init__(self) -> None:
        self._lives: list[Life] = []

    @property
    def careful(self) -> bool:
        """Whether messages should go one by one."""
        return bool(self._lives)

    def forget(self) -> None:
        """A connection has held."""
        self._lives.clear()

    def ended(self, lost: ConnectionLost, life: Life) -> ConnectionLost:
        """Return why a connection really ended that was accepted and lived shortly."""
        where = life.acknowledged or life.unsaid
        if lost.loss is Loss.NOT_AUTHORISED:  # MQTT 5 says so; the login was accepted
            return ConnectionLost(Loss.NO_RIGHT, f"near {where}")
        if lost.loss is not Loss.CLOSED:
            return lost
        self._lives = [*self._lives, life][-SHORT_LIVES:]
        if len(self._lives) < SHORT_LIVES:
            return lost
        before, last = self._lives[-2:]
        if before.unsaid and last.unsaid and before.acknowledged == last.acknowledged:
            return ConnectionLost(Loss.NO_RIGHT, f"near {where}")
        return ConnectionLost(Loss.TAKEN_OVER)
