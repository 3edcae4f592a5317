"""Telling the service manager: a datagram to ``NOTIFY_SOCKET`` (spec f.2)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends notifications; without a socket silently nothing."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET") or None
        self._socket: socket.socket | None = None
        self.interval = _interval(environ)
        """Seconds within which the watchdog must be fed; ``None``: there is none."""
        self._status = ""

    def __call__(self, *lines: str) -> None:
        """Send ``KEY=VALUE`` lines as one message."""
        if self._address is None:
            return
        with contextlib.suppress(OSError, ValueError):
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                )
            address = self._address
            if address.startswith("@"):
                address = f"\0{address[1:]}"
            self._socket.sendto("\n".join(lines).encode(), address)

    def ready(self) -> None:
        """All that is up is up."""
        self("READY=1")

    def reloading(self) -> None:
        """CONFIG is read again."""
        self("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say how it is, if it has changed."""
        if text != self._status:
            self._status = text
            self(f"STATUS={text}")


def _interval(environ: Mapping[str, str]) -> float | None:
    try:
        seconds = int(environ["WATCHDOG_USEC"]) / 1e6
        if environ.get("WATCHDOG_PID") and int(environ["WATCHDOG_PID"]) != os.getpid():
            return None
    except (KeyError, ValueError):
        return None
    return seconds if seconds > 0 else None
