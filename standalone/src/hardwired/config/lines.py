"""In which line of a TOML file each key stands, for the places of errors (spec b.1).

Knows headers, bare and quoted keys and texts over several lines; nothing more is needed of a
file that the real parser has read already. In doubt there is no line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_PARTS = re.compile(_PART)


def key_lines(content: str) -> Mapping[str, int]:
    """Return the line of each key and header, by its full name: ``devices.van.legacy[1].topic``."""
    found: dict[str, int] = {}
    counts: Counter[str] = Counter()
    table = ""
    open_end = _Value()
    for number, line in enumerate(content.split("\n"), 1):
        if open_end.goes_on:
            open_end.read(line)
        elif header := _HEADER.fullmatch(line):
            table = _under_lists("", header[2], counts, last=header[1] == "[")
            if header[1] == "[[":
                found.setdefault(table, number)
                counts[table] += 1
                table = f"{table}[{counts[table]}]"
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _under_lists(table, key[1], counts, last=True)
            found.setdefault(name, number)
            open_end.read(line[key.end() :])
    return found


def _under_lists(table: str, dotted: str, counts: Counter[str], *, last: bool) -> str:
    """Return the full name, the last entry of a list in the place of the list."""
    name = table
    parts = [part.strip("\"'") for part in _PARTS.findall(dotted)]
    for index, part in enumerate(parts):
        name = f"{name}.{part}" if name else part
        if name in counts and (last or index < len(parts) - 1):
            name = f"{name}[{counts[name]}]"
    return name


class _Value:
    """Whether a value that has begun goes on in the next line."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""

    @property
    def goes_on(self) -> bool:
        return self._depth > 0 or len(self._quote) == 3

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            sign = text[at]
            if self._quote:
                if sign == "\\" and self._quote[0] == '"':
                    at += 1
                elif text.startswith(self._quote, at):
                    at += len(self._quote) - 1
                    self._quote = ""
            elif sign in "\"'":
                self._quote = sign * 3 if text.startswith(sign * 3, at) else sign
                at += len(self._quote) - 1
            elif sign == "#":
                break
            elif sign in "[{":
                self._depth += 1
            elif sign in "]}":
                self._depth = max(0, self._depth - 1)
            at += 1
        if len(self._quote) == 1:
            self._quote = ""
