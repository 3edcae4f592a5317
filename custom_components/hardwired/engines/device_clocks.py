"""Which time may be written into a device.

A computer that has just started may be in 1970, or at the time of its last shutdown, until a time
server, a GPS or its owner has set it.
"""

from __future__ import annotations

from .clock import Clock
from .engine import InvalidCommand

EARLIEST_YEAR, LATEST_YEAR = 2025, 2037
"""No clock of a device is ever set to another year: nobody means one."""


def doubt(clock: Clock, *, trusted: bool = False) -> str | None:
    """Return the key of the text why the time of *clock* is written into no device, else ``None``.

    *trusted*: the owner says that the clock is right, whatever the system knows of it.
    """
    if not EARLIEST_YEAR <= clock.now().year <= LATEST_YEAR:
        return "clock_not_set"
    if not trusted and clock.synchronised() is False:
        return "clock_not_synchronised"
    return None


def require_right(clock: Clock, *, trusted: bool = False) -> None:
    """Raise :class:`InvalidCommand` when the time of *clock* is doubtful, with the reason."""
    if (why := doubt(clock, trusted=trusted)) is not None:
        raise InvalidCommand(key=why, year=str(clock.now().year))
