"""The data logger's print-out: preamble, header, rows (spec d.2).

Lines are cut at every CR or LF. The header's length, its columns and how often rows come are the
device's own affair: anything that pairs a status with a value is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from ..names import mqtt_key
from ..values import is_number

LINE_LIMIT = 65536
PREAMBLE = "Interval"
LOGGER_COMMAS = 20
"""From so many commas on, a line is columns or values, not a preamble of its own."""
_PREAMBLE_LENGTH = 21
_SAME_WIDTH = 3
"""Rows of an unexpected width that must agree before it becomes the width."""
_FEWEST_FIELDS = 4

_LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the heading of its status, its name; both trimmed."""

    status: str
    name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What a row holds for one column, exactly as printed."""

    status: str
    value: str


@dataclass(frozen=True, slots=True)
class Preamble:
    """The logger begins; the text is trimmed."""

    text: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The header is complete."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A good row; ``cells`` in the order of the columns, ``raw`` the line itself.

    ``widened``: it has more fields than the header, as the rows before it. Text without end may
    look so, too.
    """

    cells: tuple[Cell, ...]
    raw: bytes
    widened: bool = False

    def record(self, columns: tuple[Column, ...]) -> Mapping[str, Cell]:
        """Return the cells by MQTT key; of two equal keys the later one."""
        return {
            mqtt_key(column.name): cell for column, cell in zip(columns, self.cells, strict=True)
        }


class BadRow(Enum):
    """Why a line among the rows was thrown away."""

    ESCAPE = auto()
    """It holds an escape sequence: a page, not a row."""
    WIDTH = auto()
    """It has too few or too many fields."""


class LogError(Enum):
    """What else went wrong."""

    NO_HEADER = auto()
    """What stood where the header should be is none."""
    OVERFLOW = auto()
    """No end of a line within 64 KiB."""


LogEvent: TypeAlias = Preamble | Columns | Row | BadRow | LogError


class _State(Enum):
    SEEK = auto()
    HEADER = auto()
    ROWS = auto()


class LogParser:
    """Bytes in, events out. Any bytes are allowed; memory is bounded."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.restart()

    def restart(self) -> None:
        """Forget everything: another run of the logger begins."""
        self._buffer.clear()
        self._state = _State.SEEK
        self._set_header("")
        self._width = 0
        self._odd_width = 0
        self._odd_count = 0
        self.columns: tuple[Column, ...] = ()
        """Those of the present run; empty before its header."""
        self.heading = b""
        """Preamble and header of the present run as they were printed, as far as they have come."""

    def _set_header(self, text: str) -> None:
        self._header = text
        self._header_commas = text.count(",")

    def receive_data(self, data: bytes) -> list[LogEvent]:
        """Take in bytes and return what they complete."""
        events: list[LogEvent] = []
        start = 0
        for end in _LINE_END.finditer(data):
            self._collect(data[start : end.start()], events)
            line = bytes(self._buffer)
            self._buffer.clear()
            start = end.end()
            if line:
                self._take_line(line, events)
        self._collect(data[start:], events)
        return events

    def _collect(self, part: bytes, events: list[LogEvent]) -> None:
        while len(self._buffer) + len(part) > LINE_LIMIT:
            part = part[LINE_LIMIT + 1 - len(self._buffer) :]
            self._buffer.clear()
            events.append(LogError.OVERFLOW)
        self._buffer += part

    def _take_line(self, raw: bytes, events: list[LogEvent]) -> None:
        line = _decoded(raw)
        if not line.strip():
            return
        if self._is_preamble(line):
            self._begin(line[line.index(PREAMBLE) :], events)
            self.heading = raw[raw.index(PREAMBLE.encode()) :] + b"\r\n"
            return
        match self._state:
            case _State.SEEK:
                return
            case _State.HEADER:
                if not (self._header and self._is_data(line)):
                    added = line[: 2 * LINE_LIMIT - len(self._header)]
                    self._header += added
                    self._header_commas += added.count(",")
                    self.heading += (raw + b"\r\n")[: 2 * LINE_LIMIT - len(self.heading)]
                    return
                if not self._complete_header(line, events):
                    return
        self._take_row(line, raw, events)

    def _is_preamble(self, line: str) -> bool:
        return PREAMBLE in line and (
            self._state is _State.SEEK
            or line.count(",") < LOGGER_COMMAS
            or line.lstrip().startswith(PREAMBLE)
        )

    def _begin(self, text: str, events: list[LogEvent]) -> None:
        header = ""
        if text.count(",") >= LOGGER_COMMAS:
            header, text = text[_PREAMBLE_LENGTH:], text[:_PREAMBLE_LENGTH]
        self._set_header(header)
        self._state = _State.HEADER
        self.columns = ()
        events.append(Preamble(text.strip()))

    def _is_data(self, line: str) -> bool:
        fields = line.split(",")
        values = fields[1::2]
        if sum(map(is_number, values)) * 2 > len(values):
            return True
        commas = self._header_commas
        blank_end = commas and not self._header[self._header.rindex(",") + 1 :].strip()
        width = commas if blank_end else commas + 1
        return width >= _FEWEST_FIELDS and _fits(fields, width)

    def _complete_header(self, line: str, events: list[LogEvent]) -> bool:
        fields = _fields(self._header)
        columns = tuple(
            Column(status.strip(), name.strip())
            for status, name in zip(fields[0::2], fields[1::2], strict=False)
        )
        if not columns or sum(is_number(column.name) for column in columns) * 2 > len(columns):
            events.append(LogError.NO_HEADER)
            self._set_header(line)
            return False
        self.columns = columns
        self._width = 2 * len(columns)
        self._odd_width = self._odd_count = 0
        self._state = _State.ROWS
        events.append(Columns(columns))
        return True

    def _take_row(self, line: str, raw: bytes, events: list[LogEvent]) -> None:
        if "\x1b" in line:
            events.append(BadRow.ESCAPE)
            return
        fields = line.split(",")
        if not _fits(fields, self._width) and not self._widened(fields):
            events.append(BadRow.WIDTH)
            return
        self._odd_width = self._odd_count = 0
        count = 2 * len(self.columns)
        pairs = zip(fields[0:count:2], fields[1:count:2], strict=True)
        cells = tuple(Cell(status, value) for status, value in pairs)
        events.append(Row(cells, raw, widened=self._width > count))

    def _widened(self, fields: list[str]) -> bool:
        """Whether rows of this width have come so often that it is the right one."""
        width = len(fields)
        self._odd_count = self._odd_count + 1 if width == self._odd_width else 1
        self._odd_width = width
        if width <= 2 * len(self.columns) or self._odd_count < _SAME_WIDTH:
            return False
        self._width = width
        return True


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _fields(text: str) -> list[str]:
    fields = text.split(",")
    if len(fields) > 1 and not fields[-1].strip():
        fields.pop()
    return fields


def _fits(fields: list[str], width: int) -> bool:
    return len(fields) == width or (len(fields) == width + 1 and not fields[-1].strip())
