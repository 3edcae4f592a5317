"""What stands on stderr (spec a.5): for people, for the journal, or as JSON; never a secret."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_PRIORITY = {"ERROR": 3, "CRITICAL": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
_COLOURS = {"ERROR": "\033[31m", "CRITICAL": "\033[31m", "WARNING": "\033[33m"}
_PLAIN = "\033[0m"

MODULES: Mapping[str, str] = {
    "bridge": "hardwired.bridge",
    "mqtt": "hardwired.mqtt",
    "influx": "hardwired.influx",
    "venus": "hardwired.gx",
    "http": "hardwired.ops.http",
}
COMPLAIN_EVERY = 3600.0


def logger_name(module: str) -> str:
    """Return the name of the logger of a module of ``[log]``: ours, a family, or a dotted name."""
    if module in MODULES:
        return MODULES[module]
    return module if "." in module else f"hardwired_engines.{module}"


def chosen_format(told: str, stream: TextIO, environ: Mapping[str, str] | None = None) -> str:
    """Return ``people``, ``journal`` or ``json``."""
    if told != "auto":
        return told
    environ = os.environ if environ is None else environ
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return "people"
    return (
        "journal" if environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}" else "people"
    )


class Formatter(logging.Formatter):
    """Formats a record and takes the secrets out."""

    def __init__(self, form: str, mask: Callable[[str], str], *, colour: bool = False) -> None:
        super().__init__()
        self._form = form
        self._mask = mask
        self._colour = colour
        self.names: frozenset[str] = frozenset()
        """Names of links and sinks, which begin a text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = self._mask(record.getMessage())
        error = ""
        if record.exc_info and record.exc_info[0] is not None:
            error = self._mask(self.formatException(record.exc_info))
        level = record.levelname.lower().replace("critical", "error")
        match self._form:
            case "json":
                return self._json(record, level, text, error)
            case "journal":
                whole = f"{text} | {error}" if error else text
                one_line = " | ".join(whole.splitlines())
                return f"<{_PRIORITY.get(record.levelname, 6)}>{one_line}"
            case _:
                moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
                told = f"{moment} {level} {text}"
                if self._colour and record.levelname in _COLOURS:
                    told = f"{moment} {_COLOURS[record.levelname]}{level}{_PLAIN} {text}"
                return f"{told}\n{error}" if error else told

    def _json(self, record: logging.LogRecord, level: str, text: str, error: str) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"t": moment, "level": level, "logger": record.name}
        name = text.partition(":")[0].partition("/")[0]
        for kind in ("link", "sink", "key"):
            if (given := getattr(record, kind, None)) is not None:
                told[kind] = given
        if name in self.names and "link" not in told and "sink" not in told:
            told["link" if record.name.startswith("hardwired.bridge.link") else "sink"] = name
        told["text"] = text
        if error:
            told["error"] = error
        return json.dumps(told, ensure_ascii=False)


class Repeats(logging.Filter):
    """A repeated complaint stands in the log at most once an hour, with its count."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is told."""
        if record.levelno < logging.WARNING or record.exc_info:
            return True
        now = self._now()
        key = (record.name, record.levelno, record.getMessage())
        if len(self._seen) > 500:
            self._seen = {
                one: told for one, told in self._seen.items() if now - told[0] < COMPLAIN_EVERY
            }
            if len(self._seen) > 500:
                self._seen.clear()
        last, count = self._seen.get(key, (None, 0))
        if last is not None and now - last < COMPLAIN_EVERY:
            self._seen[key] = (last, count + 1)
            return False
        if count:
            record.msg, record.args = f"{key[2]} (and {count} times before)", ()
        self._seen[key] = (now, 0)
        return True


class Logs:
    """The log of one run: level, levels of modules, and a level that goes back by itself."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        mask: Callable[[str], str],
        stream: TextIO | None = None,
    ) -> None:
        stream = sys.stderr if stream is None else stream
        form = chosen_format(settings["format"], stream)
        colour = form == "people" and stream.isatty() and "NO_COLOR" not in os.environ
        self.formatter = Formatter(form, mask, colour=colour)
        self._handler = logging.StreamHandler(stream)
        self._handler.setFormatter(self.formatter)
        self._handler.addFilter(Repeats())
        self._touched: set[str] = set()
        self.level = settings["level"]
        self.settings = settings

    def begin(self) -> None:
        """Take over the root logger."""
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        root.addHandler(self._handler)
        self.apply(self.settings)

    def apply(self, settings: Mapping[str, Any]) -> None:
        """Set the levels of ``[log]``."""
        self.settings = settings
        for name in self._touched:
            logging.getLogger(name).setLevel(logging.NOTSET)
        self._touched.clear()
        self.set(settings["level"], None)
        for module, level in settings["levels"].items():
            self.set(level, module)

    def set(self, level: str, module: str | None) -> None:
        """Set the level of a module, or of all."""
        if module is None:
            self.level = level
            logging.getLogger().setLevel(level.upper())
            return
        name = logger_name(module)
        self._touched.add(name)
        logging.getLogger(name).setLevel(level.upper())
