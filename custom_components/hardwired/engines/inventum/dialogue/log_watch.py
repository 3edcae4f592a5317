"""The data logger over time: which header to trust, how long to wait for a row (spec f.6)."""

from __future__ import annotations

from collections import deque
from statistics import median

from ..names import fan_column
from ..terminal.log import Column
from . import timing

Header = tuple[Column, ...]


class LogWatch:
    """Facts of all runs of the logger, and of the present one."""

    def __init__(self, header: Header | None = None, chosen: str | None = None) -> None:
        self.header = header
        """The header that was taken last; kept over restarts."""
        self._chosen = chosen
        self._distrusted: Header | None = None
        self.taken = False
        """Whether the present run has a header that was taken: only then its rows count."""
        self._bad = 0
        self._rows = 0
        self._gaps: deque[float] = deque(maxlen=timing.GAPS)
        self._last_in_run: float | None = None

    @property
    def fan_column(self) -> int | None:
        """The place of the fan's column in the header; ``None``: it has none."""
        return None if self.header is None else self._place(self.header)

    def _place(self, header: Header) -> int | None:
        return fan_column([column.name for column in header], self._chosen)

    def reopened(self) -> None:
        """The link is new: its gaps are not known."""
        self._distrusted = None
        self._rows = 0
        self._gaps.clear()
        self.start_run()

    def start_run(self) -> None:
        """The logger is started, or was found running."""
        self.taken = False
        self._bad = 0
        self._last_in_run = None

    def take_header(self, header: Header) -> bool:
        """Judge a header: a changed one is taken only when it comes twice."""
        self.taken = (
            header in (self.header, self._distrusted)
            if self.header is not None or self._distrusted == header
            else self._place(header) is not None
        )
        if self.taken:
            self.header, self._distrusted = header, None
        else:
            self._distrusted = header
        return self.taken

    def take_row(self, now: float) -> None:
        """Count a good row."""
        self._bad = 0
        self._rows += 1
        if self._last_in_run is not None:
            self._gaps.append(now - self._last_in_run)
        self._last_in_run = now

    def take_bad(self) -> bool:
        """Count a bad row or header; return whether the logger should be started again."""
        self._bad += 1
        return self._bad >= timing.BAD_ROWS

    @property
    def patience(self) -> float:
        """How long to wait for the next row."""
        if self._rows < 2 or not self._gaps:
            return timing.FIRST_ROW
        shortest, longest = timing.PATIENCE
        return min(max(timing.PATIENCE_FACTOR * max(self._gaps), shortest), longest)

    @property
    def confirmation_limit(self) -> float:
        """How long the rows that confirm a command may take."""
        longest = max(self._gaps, default=0.0)
        return max(timing.CONFIRM, timing.PATIENCE_FACTOR * longest + timing.CONFIRM_MARGIN)

    @property
    def row_interval(self) -> float | None:
        """The usual time between two rows."""
        return median(self._gaps) if self._gaps else None
