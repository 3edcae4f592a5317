"""What a spool is: how points wait, what was counted, what can go wrong (spec e.3, e.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..delivery import Point


class SpoolError(Exception):
    """The spool can't be used as it is."""


class SpoolBusy(SpoolError):
    """Another process has it."""


class SpoolTooNew(SpoolError):
    """A newer release wrote it."""


class Unwritable(SpoolError):
    """Nothing can be written now: disk full, read only, I/O error."""


class Damaged(SpoolError):
    """The file can't be read."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What has happened to points since the spool was begun.

    accepted = delivered + waiting + dropped + set_aside, but for points that were dropped before
    they could be accepted. ``refused`` are those within dropped that the server did not take.
    """

    accepted: int = 0
    delivered: int = 0
    dropped: int = 0
    set_aside: int = 0
    refused: int = 0

    def plus(self, other: Counters) -> Counters:
        """Return the sums."""
        return Counters(
            self.accepted + other.accepted,
            self.delivered + other.delivered,
            self.dropped + other.dropped,
            self.set_aside + other.set_aside,
            self.refused + other.refused,
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of points that were taken from the spool."""

    stored: Sequence[int] = ()
    dropped: Sequence[int] = ()
    set_aside: Sequence[int] = ()
    refused: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Points that had to go because the spool was full: how many, and the time they span."""

    count: int
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How the spool is."""

    waiting: int = 0
    size: int = 0
    """Bytes in use."""
    oldest: str | None = None
    """The line of the oldest point."""
    counters: Counters = field(default_factory=Counters)


class Spool(Protocol):
    """Where points wait."""

    @property
    def where(self) -> str:
        """``disk`` or ``memory``."""

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines*; *dropped* counts older ones that were lost before. In order.

        Raises :class:`Unwritable` when they are not accepted, :class:`Damaged`.
        """

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points, at most *count* and *size* bytes, but at least one."""

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after the id *after*."""

    def settle(self, settled: Settled) -> None:
        """Remove points for good. In one transaction."""

    def spill(self) -> None:
        """The server does not answer: what waits must be safe."""

    @property
    def state(self) -> SpoolState:
        """How it is."""

    def close(self) -> None:
        """An orderly end."""


def within(points: Iterable[Point], count: int, size: int) -> list[Point]:
    """Return the first points, at most *count* and *size* bytes, but at least one."""
    found: list[Point] = []
    used = 0
    for point in points:
        used += len(point[1].encode()) + 1
        if len(found) == count or (found and used > size):
            break
        found.append(point)
    return found
