"""A byte link to a device, and what keeps it up.

:mod:`.opener` opens one by URL, :mod:`.listener` waits for a gateway to connect;
:mod:`.stream` is the open link, :mod:`.read_ahead` reads it beside other things,
:mod:`.errors` says why it is none, and :mod:`.port_holder` who holds a port that is busy;
:mod:`.child_process` ends a process that we started.
:mod:`.supervisor` keeps a session running on it; :mod:`.priority_lock` lets one ask at a time.
"""

from .errors import link_error
from .listener import IPAddress, ListenOpener, stop_listening
from .opener import (
    CONNECT_TIMEOUT,
    Opener,
    Parity,
    SerialOpener,
    SerialSettings,
    SimulatorFactory,
    make_opener,
)
from .priority_lock import PriorityLock
from .read_ahead import ReadAhead
from .stream import (
    CLOSE_TIMEOUT,
    READ_SIZE,
    WRITE_TIMEOUT,
    AsyncioStream,
    MemoryStream,
    Stream,
    StreamPair,
    keep_alive,
)
from .supervisor import Backoff, Ended, LinkState, OnLinkChange, Resource, Supervisor

__all__ = [
    "CLOSE_TIMEOUT",
    "CONNECT_TIMEOUT",
    "READ_SIZE",
    "WRITE_TIMEOUT",
    "AsyncioStream",
    "Backoff",
    "Ended",
    "IPAddress",
    "LinkState",
    "ListenOpener",
    "MemoryStream",
    "OnLinkChange",
    "Opener",
    "Parity",
    "PriorityLock",
    "ReadAhead",
    "Resource",
    "SerialOpener",
    "SerialSettings",
    "SimulatorFactory",
    "Stream",
    "StreamPair",
    "Supervisor",
    "keep_alive",
    "link_error",
    "make_opener",
    "stop_listening",
]
