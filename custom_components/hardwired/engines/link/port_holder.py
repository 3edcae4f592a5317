"""Who holds a port that is busy, where the system lets us see it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from ..engine import LinkError, Reason

_PROCESSES = Path("/proc")


async def with_holder(error: LinkError, port: str) -> LinkError:
    """Return *error*; when it says that *port* is busy, with the program that holds it, if seen."""
    if error.reason is not Reason.BUSY or not port.startswith("/"):
        return error
    holders = await asyncio.to_thread(lambda: list(holders_of(port)))
    if not holders:
        return error
    return LinkError(Reason.BUSY, f"{error}; held by {', '.join(holders)}")


def holders_of(port: str) -> Iterator[str]:
    """Yield the programs that have *port* open, such as ``ModemManager (process 312)``.

    Those of other users and of other containers can't be seen.
    """
    device = os.path.realpath(port)
    for process in sorted(_PROCESSES.glob("[0-9]*")):
        if not _has_open(process, device):
            continue
        if process.name == str(os.getpid()):
            yield "this program itself, for something else"
            continue
        try:
            name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        yield f"{name} (process {process.name})"


def _has_open(process: Path, device: str) -> bool:
    try:
        descriptors = list(os.scandir(process / "fd"))
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(descriptor.path) == device:  # noqa: PTH115 - many of them
                return True
        except OSError:
            continue
    return False
