"""Truma: how late the answers on the LIN bus are, each program as its owner runs it.

Both are services of their own beside a real broker, on a pseudo-terminal, with the same driver as
``lin-latency``: first on an idle machine, then with a computing process for each core. Ours is
measured twice: with the real-time priority that it takes when it may, and without.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port

from .. import Unavailable
from .._lin_host import drive, terminal
from ..lin_latency import DEADLINE_MS
from .environments import INETBOX, NotInstalled
from .table import Row

HEADERS = int(os.environ.get("BENCH_HEADERS", "4000"))
LOADS = ("idle", "busy")
WITHOUT_PRIORITY = ("setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")
BUSY = "while True: pass"


@dataclass(frozen=True, slots=True)
class Program:
    """How a service is started, and the file that configures it."""

    name: str
    command: Sequence[str]
    file: str
    text: str


def ours(name: str, prefix: Sequence[str]) -> Program:
    """Return our bridge, its command after *prefix*."""
    return Program(
        name,
        (*prefix, sys.executable, "-m", "hardwired", "run", "CONFIG.toml"),
        "CONFIG.toml",
        '[bridge]\nstate_dir = "state"\n[devices.van]\nfamily = "truma"\nlink = "{line}"\n'
        'time_zone = "UTC"\n[sinks.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {broker}\n',
    )


def inetbox() -> Program:
    """Return inetbox.py's service. Raises :class:`NotInstalled`."""
    start = "from inetbox.truma_service import run; run()"
    return Program(
        INETBOX.name,
        (str(INETBOX.python()), "-c", start),
        "miqro.yml",
        "broker:\n  host: 127.0.0.1\n  port: {broker}\n  keepalive: 60\nlog_level: INFO\n"
        "services:\n  truma:\n    serial_device: {line}\n"
        "    language: en\n",
    )


@asynccontextmanager
async def _process(folder: Path, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 15)
        if process.returncode is None:
            process.kill()
            await process.wait()


def memory(pid: int) -> float:
    """Return the memory of a process and its children, shared pages divided, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    kib = next(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )
    return kib / 1024 + sum(memory(int(child)) for child in children)


async def _measure(program: Program, load: str) -> dict[str, Any]:
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if mosquitto is None:
        raise Unavailable("mosquitto is not installed")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        master, line = await stack.enter_async_context(terminal())
        broker = free_port()
        await stack.enter_async_context(_process(folder, mosquitto, "-p", str(broker)))
        (folder / program.file).write_text(program.text.format(line=line, broker=broker))
        service = await stack.enter_async_context(_process(folder, *program.command))
        await asyncio.sleep(3)
        if load == "busy":
            for _ in range(os.cpu_count() or 1):
                await stack.enter_async_context(_process(folder, sys.executable, "-c", BUSY))
        found = await drive(master, "latency", str(HEADERS))
        used = memory(service.pid)
    delays = sorted(found["delays_ms"])
    late = sum(delay > DEADLINE_MS for delay in delays)
    return {
        "program": program.name,
        "load": load,
        "headers": HEADERS,
        "p50_ms": round(delays[len(delays) // 2], 3),
        "p99_ms": round(delays[len(delays) * 99 // 100], 3),
        "max_ms": round(delays[-1], 3),
        "late": late,
        "unanswered": found["unanswered"],
        "memory_mib": round(used, 1),
    }


def _programs() -> Iterator[Program]:
    yield ours("Hardwired", ())
    if shutil.which(WITHOUT_PRIORITY[0]):
        yield ours("Hardwired without priority", WITHOUT_PRIORITY)
    yield inetbox()


def measure() -> Iterator[dict[str, Any] | Row]:
    """Yield the figures of each program and load, then the rows."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    missing = ""
    try:
        for program in _programs():
            for load in LOADS:
                figures = asyncio.run(_measure(program, load))
                found.setdefault(program.name, {})[load] = figures
                yield figures
    except NotInstalled as reason:
        missing = f"not installed: {reason}"

    def late(name: str, load: str) -> str:
        figures = found[name][load]
        return f"{figures['late']:,} late, {figures['unanswered']:,} none"

    for load, words in zip(LOADS, ("nothing else to do", "all cores computing"), strict=True):
        mine = late("Hardwired", load)
        if "Hardwired without priority" in found:
            mine += f"; without real-time priority {late('Hardwired without priority', load)}"
        theirs = missing or late(INETBOX.name, load)
        yield Row(
            f"Truma: answers to {HEADERS:,} LIN headers, {words}", mine, {INETBOX.title: theirs}
        )
    yield Row(
        "Truma: memory of the service to MQTT",
        f"{found['Hardwired']['idle']['memory_mib']:.0f} MiB",
        {INETBOX.title: missing or f"{found[INETBOX.name]['idle']['memory_mib']:.0f} MiB"},
    )
