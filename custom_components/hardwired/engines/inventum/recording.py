"""What a recording of the terminal says: its pages, the logger's columns and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .names import fan_column
from .terminal.cells import CellModel
from .terminal.log import BadRow, Column, Columns, LogError, LogEvent, LogParser, Preamble, Row
from .terminal.screens import View, fan_row, menu_keys, selected, view_of
from .values import fan_position, value_of

_PIECES = re.compile(rb"[\r\n\x1b]?[^\r\n\x1b]*")
_ENDS = re.compile(rb"\r|\n|\x1b\[[0-9;]*J|\x1b\[(?:[0-3]?(?:;[0-9]*)?)[Hf]")
"""What may end a page: another line, erasing, and the cursor on one of the rows of titles."""


class Decoder:
    """The device's bytes in, plain records out.

    A recording may have no times: a page counts when another one takes its place.
    """

    def __init__(self) -> None:
        self._cells = CellModel()
        self._parser = LogParser()
        self._columns: tuple[Column, ...] = ()
        self._shown: Mapping[str, Any] = {"view": View.UNKNOWN.value}
        self._seen: Mapping[str, Any] = self._shown
        """The screen as it was when a page was last whole."""
        self._view = View.UNKNOWN

    def receive_data(self, data: bytes) -> Iterator[Mapping[str, Any]]:
        """Yield what *data* completes. Any bytes are allowed."""
        for found in _PIECES.finditer(data):
            yield from self._look(whole=_ENDS.match(found.group()) is not None)
            self._cells.receive_data(found.group())
            for event in self._parser.receive_data(found.group()):
                if isinstance(event, Preamble):
                    yield from self._replaced()
                yield self._logged(event)
        yield from self._look(whole=True)
        yield from self._tell()

    def _look(self, *, whole: bool) -> Iterator[Mapping[str, Any]]:
        """Look at the screen; *whole*: a page may be complete, so that all of it is read."""
        view = view_of(self._cells)
        if view is not self._view:
            self._view = view
            yield from self._replaced()
            if view is View.UNKNOWN:
                self._seen = self._screen(view)
            else:
                self._parser.restart()
        if whole and view is not View.UNKNOWN:
            self._seen = self._screen(view)

    def _replaced(self) -> Iterator[Mapping[str, Any]]:
        if self._seen["view"] != View.UNKNOWN.value:
            yield from self._tell()

    def _tell(self) -> Iterator[Mapping[str, Any]]:
        if self._seen != self._shown:
            self._shown = self._seen
            yield {"event": "screen", **self._seen}

    def _screen(self, view: View) -> Mapping[str, Any]:
        shown: dict[str, Any] = {"view": view.value}
        match view:
            case View.IO_STATUS:
                selection = selected(self._cells)
                shown["selected_row"] = None if selection is None else selection.row
                shown["fan_row"] = fan_row(self._cells)
            case View.EXTRA_MENU:
                keys = menu_keys(self._cells)
                shown |= {"io_key": keys.io_status, "logger_key": keys.data_logger}
        return shown

    def _logged(self, event: LogEvent) -> Mapping[str, Any]:
        match event:
            case Preamble(text):
                self._cells.clear()
                self._view = View.UNKNOWN
                self._seen = self._shown = self._screen(View.UNKNOWN)
                return {"event": "logger", "preamble": text}
            case Columns(columns):
                self._columns = columns
                pairs = [[column.status, column.name] for column in columns]
                return {"event": "columns", "columns": pairs}
            case Row():
                return {"event": "row", **self._row(event)}
            case BadRow() | LogError():
                return {"event": event.name.lower()}

    def _row(self, row: Row) -> Mapping[str, Any]:
        place = fan_column([column.name for column in self._columns])
        record = row.record(self._columns)
        return {
            "fan_position": None if place is None else fan_position(row.cells[place].value),
            "values": {key: value_of(cell.value) for key, cell in record.items()},
            "statuses": {key: cell.status.strip() for key, cell in record.items()},
        }
