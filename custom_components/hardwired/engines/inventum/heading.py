"""What the logger prints once at its start, kept for recordings: its rows mean nothing without."""

from __future__ import annotations

from datetime import datetime

from ..engine import Direction, RecordedFrame
from .terminal.log import LogParser


class Heading:
    """Preamble and header of the present run of the logger."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._told = False

    def complete(self, parser: LogParser, now: datetime) -> RecordedFrame | None:
        """Return it once, when it is complete: as a frame of the time at which it began."""
        if not parser.heading:
            self._since, self._told = None, False
            return None
        if not parser.columns:
            self._since = self._since if self._since is not None and not self._told else now
            self._told = False
            return None
        if self._told:
            return None
        self._told = True
        return RecordedFrame(self._since or now, Direction.IN, parser.heading)
