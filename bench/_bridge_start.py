"""Starts the bridge as it is installed, and looks at the process: time to READY, memory, CPU.

Installed programs have their bytecode beside them: compiling it anew, as from a fresh checkout,
costs a second and leaves 8 MB behind that no owner ever sees. So the first start of all fills a
cache of its own and does not count.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

READY_WITHIN = 90.0
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
HARDWIRED = (sys.executable, "-m", "hardwired")


def environment(cache: Path) -> dict[str, str]:
    """Return the environment of a program whose bytecode lies in *cache*."""
    found = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**found, "PYTHONPYCACHEPREFIX": str(cache)}


def free_port() -> int:
    """Return a TCP port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Looks:
    """What a process and its children have used so far."""

    rss: float
    cpu: float
    child_rss: float
    child_cpu: float

    @classmethod
    def at(cls, pid: int) -> Looks:
        """Look at a process. Memory in MB, CPU in seconds."""
        children = [_process(one) for one in _children(pid)]
        rss, cpu = _process(pid)
        return cls(rss, cpu, sum(rss for rss, _ in children), sum(cpu for _, cpu in children))


def _process(pid: int) -> tuple[float, float]:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        stat = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except (OSError, IndexError):
        return 0.0, 0.0
    return pages * PAGE / 1e6, (int(stat[11]) + int(stat[12])) / TICK


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [int(one) for one in told.split()]
    return []


@dataclass
class Started:
    """A bridge that is up."""

    seconds: float
    pid: int

    def look(self) -> Looks:
        """Look at it now."""
        return Looks.at(self.pid)


@contextlib.contextmanager
def bridge(config: Path, environ: dict[str, str]) -> Iterator[Started]:
    """Run ``hardwired run CONFIG`` for the length of a block, which begins at READY."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        address = Path(folder) / "notify"
        manager.bind(str(address))
        manager.settimeout(READY_WITHIN)
        began = time.monotonic()
        process = subprocess.Popen(
            [*HARDWIRED, "run", str(config)],
            env={**environ, "NOTIFY_SOCKET": str(address)},
            stderr=subprocess.DEVNULL,
        )
        try:
            while not manager.recv(1000).startswith(b"READY=1"):
                pass
            yield Started(time.monotonic() - began, process.pid)
        finally:
            _end(process)


@contextlib.contextmanager
def program(arguments: Sequence[str], environ: dict[str, str]) -> Iterator[int]:
    """Run another program for the length of a block; yields its process id."""
    process = subprocess.Popen(
        list(arguments),
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens on *port*. Raises :class:`TimeoutError`."""
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")


def wait_for_path(path: Path) -> None:
    """Wait until *path* is there. Raises :class:`TimeoutError`."""
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until:
        if path.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(f"{path} does not come")
