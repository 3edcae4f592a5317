"""What a recording of the terminal says: its pages, the logger's columns and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .names import fan_column
from .terminal.cells import CellModel
from .terminal.log import BadRow, Column, Columns, LogError, LogEvent, LogParser, Preamble, Row
from .terminal.screens import View, fan_row, menu_keys, selected, view_of
from .values import fan_position, value_of


class Decoder:
    """The device's bytes in, plain records out."""

    def __init__(self) -> None:
        self._cells = CellModel()
        self._parser = LogParser()
        self._columns: tuple[Column, ...] = ()
        self._shown: Mapping[str, Any] = {"view": View.UNKNOWN.value}

    def receive_data(self, data: bytes) -> Iterator[Mapping[str, Any]]:
        """Yield what *data* completes. Any bytes are allowed."""
        for line in data.splitlines(keepends=True):
            self._cells.receive_data(line)
            for event in self._parser.receive_data(line):
                yield self._logged(event)
        shown = self._screen()
        if shown != self._shown:
            self._shown = shown
            if shown["view"] != View.UNKNOWN.value:
                self._parser.restart()
            yield {"event": "screen", **shown}

    def _screen(self) -> Mapping[str, Any]:
        view = view_of(self._cells)
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
