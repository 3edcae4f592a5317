"""What the driver keeps over restarts: energy counters, and Status messages (spec C.9, D.8 N8).

The file is replaced whole: written beside, flushed to the disk, renamed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import threading
from pathlib import Path
from typing import Any

_LOG = logging.getLogger("state")


PAUSE = 10.0  # s between two writes: whoever comes and goes must not wear out the flash
MOST_ENERGY = 1000  # services whose counters are kept


class State:
    """The state file. Without a path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asked = self._done = 0
        self._last: str | None = None  # what was asked for last
        self.energy: dict[str, dict[str, Any]] = {}
        self.statuses: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._saved_at = -math.inf
        if path is not None:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except OSError as error:
            _LOG.error("%s can't be read: %s", path, error)
            return
        except (ValueError, RecursionError) as error:
            _LOG.error("%s is damaged and set aside: %s", path, error)
            self._set_aside(path)
            return
        kept = kept if isinstance(kept, dict) else {}
        energy, statuses = kept.get("energy"), kept.get("statuses")
        if isinstance(energy, dict):
            self.energy = {
                str(name): dict(counters)
                for name, counters in energy.items()
                if isinstance(counters, dict)
            }
        if isinstance(statuses, dict):
            self.statuses = dict(statuses)

    @staticmethod
    def _set_aside(path: Path) -> None:
        try:
            path.replace(path.with_suffix(path.suffix + ".damaged"))
        except OSError as error:
            _LOG.error("%s can't be set aside: %s", path, error)

    def _text(self) -> str:
        return json.dumps({"energy": self.energy, "statuses": self.statuses})

    def keep(self, name: str, counters: dict[str, Any]) -> None:
        """Keep the counters of a service; those that nobody has renewed for longest make room."""
        self.energy.pop(name, None)
        self.energy[name] = counters
        while len(self.energy) > MOST_ENERGY:
            del self.energy[next(iter(self.energy))]

    def save_soon(self) -> None:
        """Write the file aside: now, or when the last time is long enough ago."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._saved_at + PAUSE - loop.time())
            self._timer = loop.call_later(wait, self._save_now)

    def _save_now(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        self._saved_at = loop.time()
        self._saving = loop.create_task(self.save_aside())

    def save(self) -> None:
        """Write the file now, if anything in it is new."""
        text = self._news()
        if text is not None:
            self._write(text, self._asked)

    async def save_aside(self) -> None:
        """Write the file without holding up the messages."""
        text = self._news()
        if text is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._write, text, self._asked)

    def _news(self) -> str | None:
        """Return what is to be written; None when that is asked for already."""
        text = self._text()
        if text == self._last:
            return None
        self._asked += 1
        self._last = text
        return text

    def _write(self, text: str, number: int) -> None:
        """Write a text, unless one that was asked for later is written already."""
        with self._lock:
            if number <= self._done or self._path is None:
                return
            new = self._path.with_name(self._path.name + ".new")
            try:
                with new.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._path)
            except OSError as error:
                _LOG.error("%s can't be written: %s", self._path, error)
                self._last = None  # so that the next time tries again
                return
            self._done = number
