"""The logger's columns of this unit: its profile as it grows, and the values of the last row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import Catalogue, Value
from .catalogue import catalogue_of
from .dialogue.log_watch import Header
from .dialogue.machine import Record
from .profile import Correction, Kind, LoggedColumn, Profile, Samples
from .terminal.log import Column


class LogBook:
    """What the rows say, by the keys of the catalogue."""

    def __init__(
        self,
        stored: Mapping[str, Any],
        corrections: Mapping[str, Correction],
        *,
        other_positions: bool = False,
    ) -> None:
        self._corrections = corrections
        self._other_positions = other_positions
        self.learnt = Profile.restored(stored.get("profile"))
        """By the rules alone: what is stored."""
        self.header = _read_header(stored.get("header"))
        """The header that was taken last; ``None``: none yet."""
        self._samples = Samples()
        self._placed: tuple[LoggedColumn | None, ...] = ()
        self._header_placed: Header | None = None
        self.values: dict[str, Value | None] = {}
        self.catalogue: Catalogue
        self._describe()

    def _describe(self) -> None:
        profile = self.learnt.corrected(self._corrections)
        self.catalogue = catalogue_of(profile, other_positions=self._other_positions)
        if self._header_placed is not None:
            names = [column.name for column in self._header_placed]
            self._placed = profile.placed(names)
        known = [key for key in self.catalogue if key.startswith("log_")]
        self.values = {key: self.values.get(key) for key in known}

    def take(self, record: Record) -> bool:
        """Take a good row; return whether the profile has grown."""
        grown = False
        if record.columns != self._header_placed:
            self.header = self._header_placed = record.columns
            learnt = self.learnt.with_header(record.columns)
            grown = learnt is not self.learnt
            self.learnt = learnt
            self._describe()
        grown = self._learn(record) or grown
        values: dict[str, Value | None] = dict.fromkeys(self.values)
        for column, cell in zip(self._placed, record.row.cells, strict=True):
            if column is None or column.meaning is None:
                continue
            if column.meaning.kind is not Kind.FAN_POSITION:
                values[column.key] = column.meaning.read(cell.value)
            values[column.status_key] = cell.status.strip()[:255] or None
        self.values = values
        return grown

    def _learn(self, record: Record) -> bool:
        undecided = False
        for column, cell in zip(self._placed, record.row.cells, strict=True):
            if column is not None and column.meaning is None:
                self._samples.add(column.slug, cell.value)
                undecided = True
        complete = self._samples.complete if undecided else {}
        if not complete:
            return False
        self.learnt = self.learnt.decided(complete)
        self._samples.forget(complete)
        self._describe()
        return True

    def stored(self) -> dict[str, Any]:
        """Return what must survive a restart, in plain types."""
        header = self.header
        return {
            "profile": self.learnt.plain(),
            "header": None
            if header is None
            else [[column.status, column.name] for column in header],
        }


def _read_header(stored: Any) -> Header | None:
    if not isinstance(stored, list) or not stored:
        return None
    columns = []
    for item in stored:
        match item:
            case [str(status), str(name)]:
                columns.append(Column(status, name))
            case _:
                return None
    return tuple(columns)
