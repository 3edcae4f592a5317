"""Where points wait until a server has them (spec e.3, e.5).

``contract``: what a spool is. ``disk``: SQLite, loses nothing that it has accepted, whatever ends
the program. ``memory``: a ring. ``outage``: in memory while the server answers, on disk from the
first failure on. ``opening``: locks, and files that can't be read. All are used from one thread.
"""

from .contract import (
    Counters,
    Damaged,
    Lost,
    Settled,
    Spool,
    SpoolBusy,
    SpoolError,
    SpoolState,
    SpoolTooNew,
    Unwritable,
)
from .disk import DiskSpool
from .memory import MemorySpool
from .opening import Opened, damaged_files, open_spool, renew, take_lock
from .outage import OutageSpool

__all__ = [
    "Counters",
    "Damaged",
    "DiskSpool",
    "Lost",
    "MemorySpool",
    "Opened",
    "OutageSpool",
    "Settled",
    "Spool",
    "SpoolBusy",
    "SpoolError",
    "SpoolState",
    "SpoolTooNew",
    "Unwritable",
    "damaged_files",
    "open_spool",
    "renew",
    "take_lock",
]
