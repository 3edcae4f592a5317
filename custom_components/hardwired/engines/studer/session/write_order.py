"""Whether a write to RAM came before or after a start of its device that a message tells of. Pure.

Messages are read some time after they were sent, and their time is that of another clock. What the
gateway knew when it answered a write tells more: whether there was a message that we had not read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

Written: TypeAlias = tuple[str, int]
"""A device and the number of a parameter."""


class Order(StrEnum):
    """When something was written."""

    BEFORE = "before"
    """Before the start: it is lost."""
    UNKNOWN = "unknown"
    AFTER = "after"
    """After the start: it is in force."""


class WriteOrder:
    """Keeps apart what was written before, while and after messages are read."""

    def __init__(self) -> None:
        self._unknown: set[Written] = set()
        self._after: dict[Written, bool] = {}
        """Written since the reading began, and whether there was another message then."""
        self._reading = False

    def note(self, written: Written, *, unread: bool) -> None:
        """Note a write; *unread*: the gateway had messages that were not read."""
        self._unknown.discard(written)
        if self._reading:
            self._after[written] = unread
        elif unread:
            self._unknown.add(written)

    def note_unclear(self, written: Written) -> None:
        """Note a write without a clear answer: nothing has told whether there were messages."""
        self._unknown.add(written)
        if self._reading:
            self._after[written] = True

    def begin(self) -> None:
        """Messages are read: those that the gateway has at this moment, and no newer ones."""
        self._reading = True

    def end(self, *, complete: bool) -> None:
        """Messages were read; unless *complete*, not all of them."""
        if complete:
            self._unknown.clear()
        self._unknown |= {written for written, unread in self._after.items() if unread}
        self._after.clear()
        self._reading = False

    def of(self, written: Written) -> Order:
        """Return when something was written, seen from the messages that are being read."""
        if written in self._unknown:
            return Order.UNKNOWN
        return Order.AFTER if written in self._after else Order.BEFORE
