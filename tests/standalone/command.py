"""The console command, run as a user runs it: a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("hardwired"))


async def run(*arguments: str, stdin: bytes = b"", limit: float = 60) -> tuple[int, list[Any], str]:
    """Run it to its end; returns exit code, lines of JSON and what it told."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(limit):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def until(condition: Callable[[], bool], limit: float = 60) -> None:
    """Wait until *condition* is true."""
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.02)
