"""The IO list: which key leads to the fan's row, and when Enter is safe (spec f.4).

The neighbours of that row are compressor, heating element and valves. Enter is sent only when
the selected row names the fan, is reversed as a whole (or as it was when the page was entered
before), and no second reversed row is unexplained: one that could be the selection itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from ..terminal.screens import (
    FAN_NUMBER,
    Mark,
    Selection,
    View,
    fan_row,
    mark_of,
    selections,
)
from . import timing
from .sight import Due, Sight
from .wishes import Failure


class Press(Enum):
    """A key that may be sent now."""

    UP = auto()
    DOWN = auto()
    ENTER = auto()


class Turn(Enum):
    """What else comes next."""

    WAIT = auto()
    EDIT = auto()
    """The prompt is open."""
    LEAVE = auto()
    RESYNC = auto()


@dataclass(frozen=True, slots=True)
class Failed:
    """The page is left, or sought again, and the wish has failed this time."""

    why: Failure
    final: bool = False
    lost: bool = False
    """Whether the page is gone, so that there is nothing to leave."""


Step: TypeAlias = Press | Turn | Failed


class ListKnowledge:
    """What was learnt of this unit's page; kept as long as the engine lives."""

    def __init__(self) -> None:
        self.decoration: frozenset[int] = frozenset()
        """Rows that are always reversed."""
        self.still: frozenset[int] = frozenset()
        """Those of them that stayed while the selection moved: they are not the selection."""
        self.mark: Mark | None = None
        """Where its selected row is not reversed."""


class Navigation:
    """One visit to the list."""

    def __init__(self, sight: Sight, due: Due, knowledge: ListKnowledge, now: float) -> None:
        self._sight = sight
        self._due = due
        self._knowledge = knowledge
        self._deadline = now + timing.IO
        self._leave_by = now + timing.VISIT
        self._moves = 0
        self._dead_keys = 0
        self._lagging = False
        """Whether a key had no effect on this visit: it may yet have one."""
        self._pressed_at = now
        self._slowest = 0.0
        self._moved_from: Selection | None = None
        self._others_then: frozenset[int] = frozenset()
        self._tried = False
        """Whether a key was pressed only to see what moves."""
        self._longer = False
        self._entered = False

    def step(self, now: float, *, wanted: bool) -> Step:
        """Return what to do now; *wanted*: whether there still is a wish."""
        match self._sight.view:
            case View.EDIT_FAN if self._entered:
                ready = self._sight.quiet_for(timing.QUIET) or self._sight.same_for(
                    timing.EDIT_STABLE
                )
                return Turn.EDIT if ready else Turn.WAIT
            case View.EDIT_FAN:
                return Failed(Failure.UNASKED_EDIT)
            case View.IO_STATUS:
                pass
            case _:
                return self._late(Failed(Failure.IO_LOST, lost=True))
        if self._entered:
            return self._late(Failed(Failure.NO_EDIT))
        if not wanted:
            return Turn.LEAVE
        if self._due(self._leave_by):
            return Failed(Failure.NAVIGATION)
        selection = self._sight.selection
        if selection is None:
            return self._late(Failed(Failure.NO_SELECTION))
        return (
            self._between(selection)
            or self._unexplained()
            or self._unmoved(selection, now)
            or self._towards(selection)
        )

    def pressed(self, press: Press, now: float) -> None:
        """Note that a key was sent."""
        if press is Press.ENTER:
            self._entered = True
            self._deadline = now + timing.ENTER
            return
        self._moves += 1
        self._pressed_at = now
        self._moved_from = self._sight.selection
        self._others_then = self._others
        self._longer = False
        self._deadline = now + timing.MOVE

    def _late(self, otherwise: Step) -> Step:
        return otherwise if self._due(self._deadline) else Turn.WAIT

    @property
    def _others(self) -> frozenset[int]:
        """The reversed rows beside the uppermost, which counts as the selection."""
        return frozenset(selections(self._sight.cells)[1:])

    def _between(self, selection: Selection) -> Step | None:
        """Whether the selection is between two rows: what is left is what is always reversed."""
        decoration = selection.row in self._knowledge.decoration
        return Turn.WAIT if decoration and not self._sight.settled else None

    def _unexplained(self) -> Step | None:
        """Whether another row is reversed that is not known to be always so."""
        others = self._others
        if others <= self._knowledge.decoration:
            return None
        if not self._sight.settled:
            return Turn.WAIT
        self._knowledge.decoration = others
        return Failed(Failure.AMBIGUOUS)

    def _unmoved(self, selection: Selection, now: float) -> Step | None:
        """Whether a cursor key is still to take effect."""
        before = self._moved_from
        if before is None:
            return None
        if (before.row, before.number) != (selection.row, selection.number):
            self._moved_from, self._dead_keys = None, 0
            if before.number != selection.number:
                # A row that a list has only scrolled keeps its number.
                self._knowledge.still |= self._others_then & self._others
            self._slowest = max(self._slowest, now - self._pressed_at)
            return None
        if not self._due(self._deadline):
            return Turn.WAIT
        if not self._longer and not self._sight.quiet_for(timing.QUIET):
            longest = self._deadline + timing.MOVE_LONGER
            if not self._due(longest):
                return Turn.WAIT
        self._moved_from = None
        self._dead_keys += 1
        self._lagging = True
        return None

    def _towards(self, selection: Selection) -> Step:
        target = fan_row(self._sight.cells)
        if target is not None:
            here, there = selection.row, target
        elif selection.number is None or selection.number == FAN_NUMBER:
            # No page names the fan: there is nothing to press.
            if self._sight.settled:
                return Failed(Failure.NO_FAN_ROW, final=True)
            return Turn.WAIT
        else:
            here, there = selection.number, FAN_NUMBER
        if here != there:
            return self._move(down=here < there)
        if not self._sight.settled or not self._arrived():
            return Turn.WAIT
        return self._on_the_fan(selection)

    def _on_the_fan(self, selection: Selection) -> Step:
        """Press Enter, if this row is the selection beyond doubt."""
        if not self._others <= self._knowledge.still:
            # Whichever of them moves is the selection.
            if self._tried and not self._dead_keys:
                return Failed(Failure.AMBIGUOUS)
            self._tried = True
            return self._move(down=not self._dead_keys)
        mark = mark_of(self._sight.cells, selection.row)
        if mark is not None and mark != self._knowledge.mark:
            self._knowledge.mark = mark
            return Failed(Failure.AMBIGUOUS)
        if self._others and mark is not None and mark[1] is not None:
            # The other row may be the selection, and what is reversed here its decoration.
            return Failed(Failure.AMBIGUOUS)
        return Press.ENTER

    def _move(self, *, down: bool) -> Step:
        if self._moves >= timing.MOVES or self._dead_keys >= timing.DEAD_KEYS:
            return Failed(Failure.NAVIGATION)
        return Press.DOWN if down else Press.UP

    def _arrived(self) -> bool:
        """Whether no cursor key can still be under way."""
        if not self._lagging:
            return True
        return self._due(self._pressed_at + timing.LAG_FACTOR * self._slowest)
