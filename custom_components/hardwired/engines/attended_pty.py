"""A pseudo-terminal that knows whether anybody has it open, for what must not be lost.

A device on :func:`.simulating.on_pty` talks whether or not somebody listens. What is told once
only begins when the port is opened, waits for its reader, and begins anew for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import struct
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

from .engine import LinkError, Reason
from .simulating import (
    LOOK_EVERY,
    REPLUG,
    OnEnd,
    PtyPort,
    PtyStream,
    Simulator,
    nothing_to_do,
    once,
    serve,
)

SETTLE = 0.3
"""Seconds from the opening of the port to the first byte: who opens it sets it up, and throws away
what has come until then."""
SURE = 2
"""Looks at which nothing waits to be read: bytes may be on their way from one end to the other."""


class AttendedPtyStream(PtyStream):
    """The device's end of a :class:`PtyPort`; the link is lost when the port's user closes it.

    Nothing is lost while it is open: who writes waits for who reads.
    """

    def __init__(self, port: PtyPort) -> None:
        super().__init__(port.plug())
        self._name = str(port.link.readlink())

    @property
    def is_open(self) -> bool:
        """Whether the port has a user now."""
        poll = select.poll()
        poll.register(self._master, 0)
        return not poll.poll(0)

    async def opened(self) -> None:
        """Wait until somebody opens the port."""
        while not self.is_open:  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(LOOK_EVERY)

    async def _not_open(self) -> None:
        raise LinkError(Reason.DISCONNECTED, "the port was closed")

    async def write(self, data: bytes) -> None:
        """Write, as fast as it is read."""
        loop = asyncio.get_running_loop()
        while data:
            if not self.is_open:
                await self._not_open()
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await once(loop.add_writer, loop.remove_writer, self._master)

    async def read_out(self) -> None:
        """Wait until everything has been read, or the port is closed."""
        nothing_since = 0
        while self.is_open and nothing_since < SURE:
            nothing_since = 0 if self._unread() else nothing_since + 1
            await asyncio.sleep(LOOK_EVERY)

    def discard(self) -> None:
        """Take away what the last user has not read: the next one is not to find it."""
        with contextlib.suppress(OSError, termios.error), self._far_end() as far:
            termios.tcflush(far, termios.TCIFLUSH)

    def _unread(self) -> int:
        """Return how many bytes wait; 0 where the user lets nobody else open the port."""
        with contextlib.suppress(OSError), self._far_end() as far:
            (waiting,) = struct.unpack("=i", fcntl.ioctl(far, termios.FIONREAD, bytes(4)))
            return int(waiting)
        return 0

    @contextlib.contextmanager
    def _far_end(self) -> Iterator[int]:
        far = os.open(self._name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            yield far
        finally:
            os.close(far)


async def on_attended_pty(
    make: Callable[[], Simulator],
    link: Path,
    *,
    on_plug: Callable[[], None] = lambda: None,
    on_end: OnEnd = nothing_to_do,
) -> None:
    """Serve on a pseudo-terminal at *link* until cancelled: a simulator for each who opens it.

    Replugged after each hang-up, once all was read. *on_plug* is called when the link is there.
    """
    port = PtyPort(link)
    try:
        while True:
            stream = AttendedPtyStream(port)
            on_plug()
            while not (simulator := await _served(make, stream)).hung_up:
                stream.discard()
                on_end(simulator)
            await stream.read_out()
            port.unplug()
            on_end(simulator)
            await asyncio.sleep(REPLUG)
    finally:
        port.unplug()


async def _served(make: Callable[[], Simulator], stream: AttendedPtyStream) -> Simulator:
    """Serve the next who opens the port; returns what they were served with."""
    await stream.opened()
    await asyncio.sleep(SETTLE)
    simulator = make()
    await serve(simulator, stream)
    return simulator
