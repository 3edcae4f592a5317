"""Whether this computer's clock is right, as far as its system knows."""

from __future__ import annotations

import sys
from pathlib import Path

_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
"""Is there once systemd-timesyncd has set the clock since the start of the system."""
_UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of adjtimex(2)."""
_SIZE_OF_TIMEX = 512
"""More than a ``struct timex`` takes on any system."""


def is_synchronised() -> bool | None:
    """Return whether the system says that its clock is right; ``None``: it does not say.

    The kernel is asked, and systemd-timesyncd, whose word holds until the next start. In a
    container the kernel is the host's.
    """
    known = _kernel_says()
    return True if known is False and _TIMESYNCD.exists() else known


def _kernel_says() -> bool | None:
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - 2 MB, for those that set a clock

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_char * _SIZE_OF_TIMEX),
        )

    told = Timex()
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(told)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not told.status & _UNSYNCHRONISED
