"""An owner's code stands nowhere, whatever the device draws and when (spec f.9, f.10)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterable

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Direction
from hardwired_engines.inventum.masking import Mask
from hardwired_engines.link import StreamPair
from hardwired_engines.storage import MemoryStorage
from tests.engines.inventum.home import Owner

CODE = "84629173"
PARTS = [CODE[start : start + 2] for start in range(len(CODE) - 1)]
LOGIN = b"\x1b[2J\x1b[1;1HVoer code in : "
Answer = Callable[[bytes, bytes], Iterable[tuple[float, bytes]]]
"""What the terminal says to a key, and when: the key, what was typed so far."""


def redrawn_after_enter(key: bytes, typed: bytes) -> Iterable[tuple[float, bytes]]:
    if key.isdigit():
        yield 0, key
    if key == b"\r":
        yield 0.5, LOGIN + typed
        yield 0.6, b"\r\nFOUT\r\n" + LOGIN


def redrawn_with_each_key(key: bytes, typed: bytes) -> Iterable[tuple[float, bytes]]:
    yield 0.01, LOGIN + typed
    if key == b"\r":
        yield 0.1, LOGIN + typed + b"\r\nfout\r\nVoer code in : "


def said_again(key: bytes, typed: bytes) -> Iterable[tuple[float, bytes]]:
    if key == b"\r":
        yield 0.1, b"\r\nU typte " + typed + b"\r\nVoer code in : "


def late_and_by_cursor(key: bytes, typed: bytes) -> Iterable[tuple[float, bytes]]:
    if key.isdigit():
        yield 1.0, b"\x1b[1;%dH" % (15 + len(typed)) + key
    if key == b"\r":
        yield 0.2, b"\r\nVoer code in : "


def lost_while_typing(key: bytes, typed: bytes) -> Iterable[tuple[float, bytes]]:
    if len(typed) == 4:
        yield 0.01, b"\x1b[2J\x1b[1;1HStoring 12\x1b[4;1Hcode=" + typed
    elif key.isdigit():
        yield 0.01, key
    if key == b"\x1b":
        yield 0.3, b"\x1b[2J\x1b[5;5H " + typed


async def heard(answer: Answer, *, in_single_bytes: bool) -> tuple[bytes, str]:
    """Return what a recording and the diagnostics have of 40 seconds with this terminal."""
    clock = ManualClock()
    one = Owner("interval=1", clock, MemoryStorage(), login_code=CODE)
    pair = StreamPair()

    class Opener:
        async def open(self) -> object:
            return pair.near

        async def close(self) -> None:
            return None

    one.engine._opener = Opener()  # type: ignore[assignment]
    told: list[bytes] = []
    one.engine.frames.listen(
        lambda frame: told.append(frame.data) if frame.direction is Direction.IN else None
    )
    saying: set[asyncio.Task[None]] = set()

    async def say(after: float, data: bytes) -> None:
        await clock.sleep(after)
        for piece in [bytes([byte]) for byte in data] if in_single_bytes else [data]:
            await pair.far.write(piece)

    async def terminal() -> None:
        typed = b""
        await pair.far.write(LOGIN)
        while True:
            for key in map(chr, await pair.far.read()):
                typed += key.encode() if key.isdigit() else b""
                for after, data in answer(key.encode(), typed):
                    saying.add(asyncio.ensure_future(say(after, data)))
                typed = b"" if key == "\r" else typed

    tasks = [
        asyncio.ensure_future(one.engine.run(lambda _: None)),
        asyncio.ensure_future(terminal()),
    ]
    screens: list[str] = []
    for _ in range(400):
        await clock.advance(0.1)
        screens.append(json.dumps(one.engine.diagnostics()["screen"]))
    for task in (*tasks, *saying):
        task.cancel()
    await clock.advance(1)
    for task in (*tasks, *saying):
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return b"".join(told), "\n".join(screens)


@pytest.mark.parametrize("in_single_bytes", [False, True])
@pytest.mark.parametrize(
    "answer",
    [redrawn_after_enter, redrawn_with_each_key, said_again, late_and_by_cursor, lost_while_typing],
)
async def test_no_two_digits_of_a_code(answer: Answer, in_single_bytes: bool) -> None:
    recorded, screens = await heard(answer, in_single_bytes=in_single_bytes)
    assert b"Voer code in" in recorded
    printed = re.sub(rb"\x1b\[[0-9;]*[@-~]", b"", recorded).decode("latin-1")
    assert [part for part in PARTS if part in printed] == []
    assert [part for part in PARTS if part in screens] == []


async def test_usual_codes_leave_the_numbers_of_challenges_readable() -> None:
    clock = ManualClock()
    one = Owner("interval=1", clock, MemoryStorage())
    prompt = b"\x1b[2J\x1b[1;15HVoer beveiligingscode in (42445) : "
    assert Mask(own=False).received(prompt, one.engine.dialogue) == prompt
    hidden = prompt.replace(b"42445", b"*****")
    assert Mask(own=True).received(prompt, one.engine.dialogue) == hidden
