"""Reads recordings of the LIN bus: text logs, or the raw bytes of a line."""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hardwired_engines.truma.lin.frames import LinEvent, Receiver

from ...output import empty
from ...recording import is_utf16

CHUNK = 1 << 16
SPEED = 0.001
"""Seconds a byte of a raw recording takes: there are no time stamps in it."""
SAMPLE = 4096
"""How many bytes tell a text log from raw bytes."""
NOTHING_KNOWN = "there is no sound LIN frame in it"

_TEXT = frozenset(map(chr, range(0x20, 0x7F))) | {"\t", "\n", "\r", "\x1b"}


@contextlib.contextmanager
def opened(file: str) -> Iterator[tuple[Iterator[bytes], str | None]]:
    """Open a recording (``-``: standard input): its bytes, and how it is encoded as a text.

    ``None``: these are raw bytes. Raises :class:`ValueError` for an empty file.
    """
    with contextlib.ExitStack() as stack:
        stream: BinaryIO = sys.stdin.buffer
        if file != "-":
            stream = stack.enter_context(Path(file).open("rb"))
        first = stream.read(CHUNK)
        if not first.strip():
            raise empty(file)
        yield _chunks(stream, first), encoding_of(first)


def _chunks(stream: BinaryIO, first: bytes) -> Iterator[bytes]:
    while first:
        yield first
        first = stream.read(CHUNK)


def encoding_of(first: bytes) -> str | None:
    """Return how a text log that begins so is encoded; ``None``: these are raw bytes.

    Comments may hold anything, so that a part of the text may be no ASCII.
    """
    encoding = "utf-16" if is_utf16(first) else "utf-8-sig"
    text = first[:SAMPLE].decode(encoding, "replace")
    foreign = sum(character > "\x7f" for character in text)
    plain = sum(character in _TEXT for character in text)
    return encoding if plain + foreign == len(text) and foreign <= len(text) // 4 else None


def lines_of(chunks: Iterator[bytes], encoding: str) -> Iterator[str]:
    """Yield the lines of a text log."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from lines
    yield rest + decoder.decode(b"", final=True)


def events_of(chunks: Iterator[bytes], receiver: Receiver) -> Iterator[LinEvent]:
    """Yield what the raw bytes of a line mean."""
    now = 0.0
    for chunk in chunks:
        now += SPEED
        yield from receiver.receive_data(chunk, now)
    yield from receiver.expire(now + 1)
