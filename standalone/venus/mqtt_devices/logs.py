"""The log: one line for each thing said, whatever a device put into it, and never a flood.

What devices send comes into the log in parts. So control characters are escaped (a line can't be
forged), long lines are cut, and beyond a burst only some lines a second are written: the log is
on the GX's flash.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Callable

BURST = 200  # lines; a GX with many devices says that much when it starts
PER_SECOND = 2.0
LONGEST = 1000  # characters of one message


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text without what could be taken for another line, cut to a length."""
    if len(text) > longest:
        text = text[:longest] + "..."
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else ascii(it)[1:-1] for it in text)


class OneLine(logging.Formatter):
    """Formats ``LEVEL:module:message``; a traceback keeps its lines, which begin with spaces."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s:%(name)s:%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line of a record."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback; what an exception says can't look like a line of its own."""
        lines = super().formatException(ei).splitlines()
        return "\n".join("  " + one_line(line) for line in lines)


class Flood(logging.Filter):
    """Lets a burst through, then so many lines a second; says how many it kept back.

    With log level debug everything goes through: whoever asks for that wants to see it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._left = float(BURST)
        self._since = clock()
        self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            return True
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._since) * PER_SECOND)
        self._since = now
        if self._left < 1:
            self._kept_back += 1
            return False
        self._left -= 1
        if self._kept_back:
            record.msg = f"{record.getMessage()} ({self._kept_back} lines before it were left out)"
            record.args = None
            self._kept_back = 0
        return True


def set_up(level: str) -> None:
    """Log to the standard output, a line each, as multilog likes it."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine())
    handler.addFilter(Flood())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
