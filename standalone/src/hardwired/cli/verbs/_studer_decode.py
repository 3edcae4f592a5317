"""``hardwired decode studer``: what the frames of a recording say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from hardwired_engines.engine import Direction
from hardwired_engines.studer.explain import Explainer
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.frame import Frame
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.redaction import mask

from ..output import emit, read_whole, tell
from ..recording import Chunk, in_utf8, moment_of, recorded_line
from . import Verb

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
IDLE = timedelta(seconds=0.5)
"""So long a frame does not pause, on any link."""
_OFFSET = re.compile(r"^\s*(?:0x)?[0-9A-Fa-f]{4,8}(?::\s|\s{2})")
_ASCII_COLUMN = re.compile(r"\s{2,}(?:\|.*\||\S.*)$")
_ARROWS = {"<": Direction.IN, ">": Direction.OUT}
_LOGGED = re.compile(
    r"\b(?:0x)?[0-9A-Fa-f]{2}(?:(?P<gap>[ ,:-]|, )(?:0x)?[0-9A-Fa-f]{2})"
    r"(?:(?P=gap)(?:0x)?[0-9A-Fa-f]{2}){4,}\b|\b(?:0x)?(?:[0-9A-Fa-f]{2}){8,}\b"
)
"""Bytes within a line: not a time, a date or a word."""
_WAYS = {
    Direction.IN: re.compile(r"<-|\b(?:rx|recv|received?|reads?|in|response|answer)\b"),
    Direction.OUT: re.compile(r"->|\b(?:tx|sen[dt]|sending|writ(?:e|ten|ing)|out|request)\b"),
}
_NO_TEXT = frozenset(range(0x20)) - {9, 10, 13}
"""Every frame has some of these bytes, no text has."""


def read_chunks(raw: bytes) -> Iterator[Chunk]:
    """Return the bytes in a recording: our own log, a hex dump, or the raw bytes of a line."""
    raw = in_utf8(raw)
    if not raw or not _NO_TEXT.isdisjoint(raw[:4096]):
        yield Chunk(raw)
        return
    lines = [line.strip() for line in raw.decode(errors="replace").splitlines()]
    # Of a program's log only the lines with bytes are meant.
    is_log = any(_LOGGED.search(text) and not text.startswith("{") for text in lines)
    for number, text in enumerate(lines, 1):
        if text.startswith("{"):
            yield recorded_line(text, number)
        elif text and not text.startswith("#"):
            chunk = _dumped(text) or _logged(text)
            if chunk is not None:
                yield chunk
            elif not is_log:
                raise ValueError(f"line {number} is neither hexadecimal nor a line of a recording")


def _dumped(text: str) -> Chunk | None:
    """Return the bytes in a line of a hex dump."""
    direction = _ARROWS.get(text[0])
    text = text.lstrip("<> ").removeprefix("0x")
    if _OFFSET.match(text):
        text = _ASCII_COLUMN.sub("", _OFFSET.sub("", text))
    digits = re.sub(r"[\s,:]|0x", "", text)
    return Chunk(bytes.fromhex(digits), direction) if _HEX.fullmatch(digits) else None


def _logged(text: str) -> Chunk | None:
    """Return the bytes in a line of another program's log: the longest hexadecimal word."""
    found = max(_LOGGED.finditer(text), key=lambda word: len(word[0]), default=None)
    if found is None:
        return None
    before = text[: found.start()].lower()
    ways = {way for way, words in _WAYS.items() if words.search(before)}
    digits = re.sub(r"[\s,:-]|0x", "", found[0])
    return Chunk(bytes.fromhex(digits), ways.pop() if len(ways) == 1 else None)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a recording, a hex dump, a log with bytes in it or the raw bytes; - is stdin",
    )
    parser.add_argument(
        "--battery",
        choices=("bsp", "bms"),
        default="bsp",
        help="what stands at address 601: a BSP, or the BMS of an Xcom-CAN (default: bsp)",
    )
    parser.add_argument(
        "--nominal",
        type=int,
        choices=(12, 24, 48),
        default=48,
        help="the battery's nominal voltage, for what is plausible (default: 48)",
    )
    parser.add_argument(
        "--mask", action="store_true", help="replace FIDs, serial numbers and the GUID"
    )
    parser.add_argument(
        "--summary", action="store_true", help="add the counters at the end, as {'summary': ...}"
    )


def run(options: argparse.Namespace) -> int:
    """Print what the frames of a recording say."""
    raw = read_whole(options.file)
    explainer = Explainer(Family(options.battery), options.nominal)
    found = 0
    sides: dict[Direction | None, Side] = {}
    for chunk in read_chunks(raw):
        side = sides.setdefault(chunk.direction, Side())
        for frame in side.frames(chunk):
            found += 1
            _print(frame, chunk, explainer, masked=options.mask)
    for direction, side in sides.items():
        for frame in side.parser.flush():
            found += 1
            _print(frame, Chunk(b"", direction), explainer, masked=options.mask)
    if options.summary:
        totals: dict[str, int] = {}
        for side in sides.values():
            for name, count in asdict(side.parser.counters).items():
                totals[name] = totals.get(name, 0) + count
        emit({"summary": totals})
    if not found:
        tell("there is no sound SCOM frame in it")
        return 1
    return 0


class Side:
    """What one end of the line has said."""

    def __init__(self) -> None:
        self.parser = Parser()
        self._heard: datetime | None = None

    def frames(self, chunk: Chunk) -> list[Frame]:
        """Return the frames that *chunk* completes; a silence before ends a broken one (b.10)."""
        moment = moment_of(chunk.time)
        silent = moment is not None and self._heard is not None and moment - self._heard >= IDLE
        found = self.parser.flush() if silent else []
        self._heard = moment or self._heard
        return found + self.parser.receive_data(chunk.data)


def _print(frame: Frame, chunk: Chunk, explainer: Explainer, *, masked: bool) -> None:
    frame = mask(frame) if masked else frame
    record: dict[str, Any] = {}
    if chunk.time is not None:
        record["time"] = chunk.time
    if chunk.direction is not None:
        record["direction"] = chunk.direction.value
    emit({**record, **explainer.explain(frame), "frame": frame.encode()})


DECODE = Verb("say what the frames of a recording mean, one JSON object a line", configure, run)
