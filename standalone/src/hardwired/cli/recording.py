"""Writes down what an engine hears and says: ``record`` of the families with a dialogue.

And reads it again, a line at a time.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from hardwired_engines.engine import (
    Direction,
    Engine,
    LinkError,
    RecordedFrame,
    Snapshot,
)
from hardwired_engines.link.errors import CAN_NOT_OPEN
from hardwired_engines.recording import without_secrets

from .output import STOPPED, emit, tell
from .verbs import NOTHING_HEARD


def is_utf16(first: bytes) -> bool:
    """Return whether a file that begins so is text in UTF-16, as ``>`` of PowerShell writes it."""
    return first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def in_utf8(raw: bytes) -> bytes:
    """Return a file's bytes without a byte order mark; text in UTF-16 in UTF-8 instead."""
    if is_utf16(raw):
        return raw.decode("utf-16", "replace").encode(errors="replace")
    return raw.removeprefix(codecs.BOM_UTF8)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as they were found, with what is known of them."""

    data: bytes
    direction: Direction | None = None
    time: str | None = None


def recorded_line(text: str, number: int) -> Chunk:
    """Return what a line of our own recordings says. Raises :class:`ValueError`."""
    try:
        entry = json.loads(text)
        return Chunk(
            bytes.fromhex(entry["data"]),
            Direction(entry["direction"]) if "direction" in entry else None,
            entry.get("time"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"line {number} is no line of a recording: {error}") from error


def moment_of(told: str | None) -> datetime | None:
    """Return the time of a chunk; ``None``: it has none that is understood."""
    with contextlib.suppress(TypeError, ValueError):
        moment = datetime.fromisoformat(told or "")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


@dataclass(slots=True)
class Ending:
    """How a recording has ended."""

    stopped: bool = False
    """By the user: Ctrl-C."""

    def code(self, heard: int) -> int:
        """Return the exit code when *heard* pieces were received."""
        if self.stopped:
            return STOPPED
        return 0 if heard else NOTHING_HEARD


@contextlib.asynccontextmanager
async def until_stopped(seconds: float | None) -> AsyncIterator[Ending]:
    """Let a block of the main task last for *seconds* (``None``: no end), or until Ctrl-C.

    What follows the block says what was recorded, in either case.
    """
    ending = Ending()
    try:
        async with asyncio.timeout(seconds):
            yield ending
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        ending.stopped = True


@dataclass(slots=True)
class _Written:
    received: int = 0
    sent: int = 0


def record(engine: Engine, output: str | None, seconds: float | None) -> int:
    """Run *engine* and write its frames to *output* (``None``: standard output), a line each.

    For *seconds* (``None``: until Ctrl-C). A link that is lost is waited for; one that can't be
    opened in the first place raises :class:`LinkError`. Returns the exit code.
    """
    written = _Written()
    with contextlib.ExitStack() as stack:
        target: TextIO = sys.stdout
        if output:
            target = stack.enter_context(Path(output).open("w", encoding="ascii"))
        ending = asyncio.run(_record(engine, target, seconds, written))
    total = written.received + written.sent
    tell(f"{total} pieces recorded: {written.received} received, {written.sent} sent")
    return ending.code(written.received)


async def _record(
    engine: Engine, target: TextIO, seconds: float | None, written: _Written
) -> Ending:
    hopeless: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    last: list[str | None] = [None]

    def write(whole: RecordedFrame) -> None:
        if whole.direction is Direction.IN:
            written.received += 1
        else:
            written.sent += 1
        [frame] = without_secrets([whole], engine.secrets())
        emit({"time": frame.time, "direction": frame.direction, "data": frame.data}, target)
        target.flush()

    def look(snapshot: Snapshot) -> None:
        reason = snapshot.reason
        detail = snapshot.detail or ""
        if reason in CAN_NOT_OPEN and not engine.statistics.connects:
            if not hopeless.done():
                hopeless.set_exception(LinkError(reason, detail))
            return
        told = None if reason is None else f"{reason.value}: {detail}".removesuffix(": ")
        if told != last[0]:
            last[0] = told
            tell(told or "connected")

    engine.frames.listen(write)
    task = asyncio.ensure_future(engine.run(look))
    try:
        async with until_stopped(seconds) as ending:
            await asyncio.wait((task, hopeless), return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for ended in (hopeless, task):
        if ended.done() and not ended.cancelled():
            ended.result()
    return ending
