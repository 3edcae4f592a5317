"""The bytes in what owners bring: recordings, hex dumps, logs of other programs, raw bytes."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from hardwired_engines.engine import Direction
from hardwired_engines.studer.scom.frame import START
from hardwired_engines.studer.scom.parser import Parser

from ...recording import Chunk, in_utf8, recorded_line

_NO_TEXT = frozenset(range(0x20)) - frozenset(b"\t\n\v\f\r\b\a\x1b")
"""Every frame has some of these bytes, no text has."""
_UNPRINTED = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0e-\x1f\ufeff]")
"""Colours of a terminal, and what a power cut leaves in a file."""
_ARROWS = {"<": Direction.IN, ">": Direction.OUT, "←": Direction.IN, "→": Direction.OUT}
_WAYS = {
    Direction.IN: re.compile(r"<-|<<|←|\b(?:rx|recv|received?|reads?|in|response|answer)\b"),
    Direction.OUT: re.compile(r"->|>>|→|\b(?:tx|sen[dt]|sending|writ(?:e|ten|ing)|out|request)\b"),
}


def read_chunks(raw: bytes, skip: Callable[[ValueError], None] | None = None) -> Iterator[Chunk]:
    """Return the bytes in a recording: our own log, a hex dump, or the raw bytes of a line.

    A line that is none of these goes to *skip*, or raises :class:`ValueError` where there is no
    *skip*. Of a program's log only the lines with bytes are meant; the others are passed over.
    """
    raw = in_utf8(raw)
    if not raw or (not _NO_TEXT.isdisjoint(raw[:4096]) and _is_raw(raw)):
        yield Chunk(raw)
        return
    text = raw.decode(errors="replace")
    if document := _document(text):
        yield from document
        return
    lines = list(_lines(text))
    # Of a program's log only the lines with bytes are meant.
    is_log = any(_logged(line) is not None for line in lines if not line.startswith("{"))
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        try:
            chunk = recorded_line(line, number) if line.startswith("{") else _bytes_in(line)
            if chunk is None and not is_log:
                raise ValueError(f"line {number} is neither hexadecimal nor a line of a recording")
        except ValueError as error:
            if skip is None:
                raise
            skip(error)
        else:
            if chunk is not None:
                yield chunk


def _lines(text: str) -> Iterator[str]:
    return (_UNPRINTED.sub("", line).strip() for line in text.splitlines())


def _is_raw(raw: bytes) -> bool:
    """Whether bytes that no text has are the line's own, not what has damaged a text."""
    if Parser().receive_data(raw):
        return True
    return all(_logged(line) is None for line in _lines(raw.decode(errors="replace")))


def _document(text: str) -> list[Chunk]:
    """Return what a JSON document holds, such as an entry's diagnostics; empty: it is none."""
    if text.lstrip()[:1] not in ("[", "{"):
        return []
    with contextlib.suppress(ValueError, RecursionError):
        return list(_within(json.loads(text)))
    return []


def _within(told: Any) -> Iterator[Chunk]:
    match told:
        case {"data": str(data)} if _is_hex(data):
            yield recorded_line(json.dumps(told), 1)
        case dict():
            for one in told.values():
                yield from _within(one)
        case list() if len(told) >= _LEAST and all(type(one) is int for one in told):
            yield Chunk(bytes(told))
        case list():
            for one in told:
                yield from _within(one)
        case str() if _HEX.fullmatch(told):
            yield Chunk(_hexadecimal(told))


def _is_hex(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(bytes.fromhex(text))
    return False


# ------------------------------------------------------------------------------ a line of bytes

_ONLY_BYTES = re.compile(
    r"[\[({\"']*(?P<bytes>(?:(?:0x)?[0-9a-f]{2}h?[\s,:;|]*)+)[\])}\"';]*", re.IGNORECASE
)
_BYTES_AND_TEXT = re.compile(
    r"(?P<bytes>(?:0x)?[0-9a-f]{2}(?: {1,2}[0-9a-f]{2}){0,15})(?:\s{2,}\S.{0,16}|\s+\(.*\))",
    re.IGNORECASE,
)
_OFFSET = re.compile(
    r"(?:0x)?(?P<digits>[0-9a-f]{4,8})(?P<mark>:?)(?P<gap>\s+)(?=\S)", re.IGNORECASE
)
_GROUP = re.compile(r"((?:[0-9a-f]{2})+)(?:(\s+)|(?=\|)|$)", re.IGNORECASE)
_WORDS = re.compile(r"[0-9a-f]{4}(?: +[0-9a-f]{4})*", re.IGNORECASE)
_HALF_ROW = 8


def _bytes_in(line: str) -> Chunk | None:
    data = _dumped(line.lstrip("<>←→ \t"))
    return _logged(line) if data is None else Chunk(data, _ARROWS.get(line[0]))


def _dumped(text: str) -> bytes | None:
    """Return the bytes of a line of a dump, with an offset and a text beside them or without."""
    offset = _OFFSET.match(text)
    if offset is not None and (found := _after_offset(offset, text[offset.end() :])):
        return found
    if (row := _ONLY_BYTES.fullmatch(text)) or (row := _BYTES_AND_TEXT.fullmatch(text)):
        return _hexadecimal(row["bytes"])
    return None


def _after_offset(offset: re.Match[str], text: str) -> bytes:
    """Return the bytes behind an offset; empty: it was none.

    ``od`` leaves one space behind six or seven digits. With words of two bytes there, ``od -x`` and
    ``hexdump`` have turned the bytes of each word around.
    """
    certain = bool(offset["mark"]) or len(offset["gap"]) > 1
    is_od = not offset["mark"] and len(offset["digits"]) in (6, 7)
    if is_od and _WORDS.fullmatch(text):
        words = bytes.fromhex(text)
        return bytes(words[at ^ 1] for at in range(len(words)))
    if not certain and not is_od:
        return b""
    found = b""
    at = width = 0
    while group := _GROUP.match(text, at):
        data = bytes.fromhex(group[1])
        if (width and len(data) > width) or (len(data) > 1 and not certain):
            break
        width = width or len(data)
        found += data
        at = group.end()
        # A wider gap parts the bytes from their text; one of two spaces also the halves of a row.
        if len(group[2] or "") > (2 if len(found) == _HALF_ROW else 1):
            break
    return found


# ------------------------------------------------------------------------------ a line of a log

_LEAST = 6
"""So many bytes in a row are no time, no date and no word."""
_BYTE = r"(?:0x)?[0-9a-f]{2}h?"
_HEX = re.compile(
    rf"\b{_BYTE}(?P<gap>[,:;|]? |[,:;|\t-])(?:{_BYTE}(?P=gap)){{{_LEAST - 2},}}{_BYTE}\b"
    r"|\b(?:0x)?(?:[0-9a-f]{2}){8,}\b"
    rf"|(?<![0-9a-z])[0-9a-f]{{2}}(?:_[0-9a-f]{{2}}){{{_LEAST - 1},}}(?![0-9a-z])",
    re.IGNORECASE,
)
_NO_DIGIT = re.compile(r"0x|[^0-9a-f]", re.IGNORECASE)
_SHORT_HEX = re.compile(
    rf"0x[0-9a-f]{{1,2}}(?:[ ,;]+0x[0-9a-f]{{1,2}}){{{_LEAST - 1},}}\b", re.IGNORECASE
)
_DECIMAL = re.compile(r"(?<![\w.:-])\d{1,3}(?:(?:, ?| )\d{1,3}){15,}(?![\w:-])")
_PIECE = re.compile(
    r"(?:\b[rt]x\b\W{0,3}|<-+|->|<<|>>|←|→)\s*(?P<bytes>(?:(?:0x)?[0-9a-f]{2}h?[\s,:;|-]*)+)$",
    re.IGNORECASE,
)
"""Fewer than that, but nothing else, behind what says that they are bytes: a frame in pieces."""
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


def _logged(text: str) -> Chunk | None:
    """Return the bytes in a line of another program's log: those with a frame, or the most."""
    found = max(
        (
            (bool(Parser().receive_data(data)), len(data), -match.start(), data)
            for pattern, read in _WRITINGS
            for match in pattern.finditer(text)
            if len(data := read(match[0])) >= _LEAST
        ),
        default=None,
    )
    if found is not None:
        return Chunk(found[3], _direction(text[: -found[2]]))
    if piece := _PIECE.search(text):
        return Chunk(_hexadecimal(piece["bytes"]), _direction(text[: piece.start("bytes")]))
    return None


def _direction(before: str) -> Direction | None:
    ways = {way for way, words in _WAYS.items() if words.search(before.lower())}
    return ways.pop() if len(ways) == 1 else None


def _hexadecimal(text: str) -> bytes:
    return bytes.fromhex(_NO_DIGIT.sub("", text))


def _numbers(text: str, base: int) -> bytes:
    with contextlib.suppress(ValueError):
        return bytes(int(word, base) for word in re.split(r"[ ,;]+", text))
    return b""


def _decimal(text: str) -> bytes:
    """Return a row of decimal numbers as bytes, where it is one of a frame."""
    data = _numbers(text, 10)
    return data if START in data else b""


def _escaped(text: str) -> bytes:
    """Return the bytes that Python and C write as a text with escapes."""
    if "\\" not in text:
        return b""
    with contextlib.suppress(ValueError, SyntaxError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = bytes(ast.literal_eval(f"b{text}"))
        return b"" if _NO_TEXT.isdisjoint(data) else data
    return b""


_WRITINGS: tuple[tuple[re.Pattern[str], Callable[[str], bytes]], ...] = (
    (_HEX, _hexadecimal),
    (_SHORT_HEX, lambda text: _numbers(text, 16)),
    (_DECIMAL, _decimal),
    (_QUOTED, _escaped),
)
