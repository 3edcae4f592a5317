"""Ports for tests that must name one before anybody listens on it.

A port that the system picks and that is let go again may be anyone's a moment later: another
test's, or the near end of an outgoing connection. So these come from below the range that the
system picks from, and each is one process's alone until it ends.
"""

from __future__ import annotations

import itertools
import os
import socket

PORTS = range(10_000, 32_000)
_ours: list[socket.socket] = []
_next = itertools.count(os.getpid() * 97)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port of 127.0.0.1 that nobody uses now, and that no other test is given."""
    for number in itertools.islice(_next, len(PORTS)):
        port = PORTS[number % len(PORTS)]
        if _claimed(port) and _unused(port, kind):
            return port
    raise AssertionError("no port is free")


def _claimed(port: int) -> bool:
    """Take the port among tests: a name that only one process of this machine can have."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0hardwired-test-port-{port}")
    except OSError:
        claim.close()
        return False
    _ours.append(claim)
    return True


def _unused(port: int, kind: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
