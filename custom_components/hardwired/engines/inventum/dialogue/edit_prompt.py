"""The fan's prompt: what is typed there, and when Enter is safe (spec f.2, *edit*)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..terminal import keys
from ..terminal.screens import View, edit_field
from . import timing
from .navigation import Failed, Turn
from .sight import Due, Sight
from .wishes import Failure, Kind, Target


@dataclass(frozen=True, slots=True)
class Key:
    """What is sent now; ``done``: it closes the prompt."""

    data: bytes
    done: bool = False


Edit: TypeAlias = Key | Turn | Failed


class EditPrompt:
    """One visit to the prompt. ``target`` is what Enter has set; ``None``: Escape was sent."""

    def __init__(self, sight: Sight, due: Due, now: float) -> None:
        self._sight = sight
        self._due = due
        self._deadline = now + timing.EDIT
        self._before: str | None = None
        self.target: Target | None = None

    def step(self, target: Target | None, now: float) -> Edit:
        """Return what to do now; *target*: what is wished, ``None``: nothing any more."""
        shown = edit_field(self._sight.cells)
        if self._sight.view is not View.EDIT_FAN or shown is None:
            known = self._sight.view is not View.UNKNOWN and self._sight.calm
            return Turn.RESYNC if known or self._due(self._deadline) else Turn.WAIT
        if target is None or target.kind is Kind.AUTO:
            return Key(keys.ESCAPE, done=True)
        field, wanted = shown[1], str(target.level)
        if field == wanted:
            self.target = target
            return Key(keys.ENTER, done=True)
        if self._before is None:
            self._before = field
            self._deadline = now + timing.EDIT
            return Key(wanted.encode())
        if field != self._before and self._sight.quiet_for(timing.QUIET):
            return Failed(Failure.FIELD)
        return Failed(Failure.NO_ECHO) if self._due(self._deadline) else Turn.WAIT
