"""Waking a silent terminal: which key comes next, and how long it may take (spec f.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..terminal import keys
from . import timing


@dataclass(frozen=True, slots=True)
class Knock:
    """A key that may wake it, and the seconds in which it should."""

    data: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing has woken it: so many seconds of listening, then the keys again."""

    seconds: float


Wake: TypeAlias = Knock | Rest


class Waking:
    """The series of keys. ``received`` counts the bytes since the link was opened."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The link is new."""
        self._series = 0
        self._received_before = 0
        self.look_around()

    def look_around(self) -> None:
        """Where we are is looked for: the keys begin anew."""
        self._step = 0
        self.untried = True
        """Whether no key was sent since then."""

    def succeeded(self) -> None:
        """The logger prints rows."""
        self._series = 0

    def next(self, received: int, logger_key: bytes) -> Wake:
        """Return what comes next.

        *logger_key* is for a menu that does not redraw itself; empty while it is not known that
        somebody is logged in.
        """
        if self._step == 0:
            self._received_before = received
        self.untried = False
        nothing_came = received == self._received_before
        match self._step:
            case 0 | 1:
                data = keys.ESCAPE
            case 2:
                data = keys.ENTER
            case 3 if nothing_came and logger_key:
                data = logger_key
            case _:
                pauses = timing.WAKE_PAUSES
                seconds = pauses[min(self._series, len(pauses) - 1)]
                self._series += 1
                self._step = 0
                return Rest(seconds)
        seconds = timing.WAKE_STEPS[self._step]
        self._step += 1
        return Knock(data, seconds)
