"""A recording that is played by the console command, and made: in processes of their own."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.standalone.command import COMMAND


class Played:
    """A running ``hardwired replay``. ``where`` is what to connect to."""

    def __init__(self, process: asyncio.subprocess.Process, where: str) -> None:
        self._process = process
        self.where = where
        self.code: int | None = None
        self.told = ""

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def until_told(self, text: str) -> None:
        """Wait until it has said something on stderr."""
        assert self._process.stderr is not None
        async with asyncio.timeout(60):
            while text not in (line := (await self._process.stderr.readline()).decode()):
                assert line, f"it has ended without {text!r}"

    async def end(self) -> dict[str, Any]:
        """Wait for the end; returns what it counted."""
        async with asyncio.timeout(60):
            out, err = await self._process.communicate()
        self.code, self.told = self._process.returncode, err.decode()
        last = json.loads(out.splitlines()[-1])
        assert last["event"] in ("ended", "stopped")
        counts: dict[str, Any] = last["counts"]
        return counts


async def started(*arguments: str) -> asyncio.subprocess.Process:
    """Start the command, which Ctrl-C reaches."""
    return await asyncio.create_subprocess_exec(
        COMMAND, *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


@asynccontextmanager
async def recorded(family: str, port: str, file: Path) -> AsyncIterator[None]:
    """Record what passes on a port until the block ends."""
    process = await started("record", family, port, "-o", str(file))
    try:
        yield
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def played(family: str, file: Path, *arguments: str) -> AsyncIterator[Played]:
    """Play a file; it is ended with the block."""
    process = await started("replay", family, str(file), *arguments)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        assert line, (await process.communicate())[1]
        yield Played(process, json.loads(line)["connect_to"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
