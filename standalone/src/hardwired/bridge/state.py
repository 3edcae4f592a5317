"""The state folder: what the bridge remembers over restarts (spec f.1).

Each file is ``{"version": 1, "data": ...}``, written beside and renamed, at most once a second. A
file that can't be used is set aside, one of a newer release left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOGGER = logging.getLogger(__name__)

VERSION = 1
LARGEST = 16 * 2**20
WRITE_EVERY = 1.0
RETRY_EVERY = 30.0
"""Seconds after which what a disk did not take is written again."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def state_folder(told: str | None, environ: Mapping[str, str] | None = None) -> Path:
    """Return where the state lies (spec b.2)."""
    environ = os.environ if environ is None else environ
    if told:
        return Path(told).expanduser()
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if given := environ.get("XDG_STATE_HOME"):
        return Path(given) / "hardwired"
    return Path("~/.local/state/hardwired").expanduser()


class StateFile:
    """One JSON file, or memory where there is no folder. Used from the event loop."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._data: Mapping[str, Any] = {}
        self._written = 0.0
        self._task: asyncio.Task[None] | None = None
        self._dirty = self._failed = False
        self._writing = threading.Lock()
        if path is not None:
            self._read(path)

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last; empty the first time."""
        return self._data

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*; it is written soon, in a thread."""
        self._data = data
        if self._path is None:
            return
        self._dirty = True
        if self._task is None:
            try:
                self._task = asyncio.get_running_loop().create_task(self._write_soon())
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Write what is not written yet; blocks."""
        if self._path is None:
            return
        with self._writing:
            if self._dirty:
                self._write_newest(self._path)

    async def async_flush(self) -> None:
        """Return when what was saved is on the disk."""
        if self._path is not None:
            await asyncio.to_thread(self.flush)

    async def _write_soon(self) -> None:
        try:
            while self._dirty and self._path is not None:
                pause = RETRY_EVERY if self._failed else WRITE_EVERY
                wait = self._written + pause - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                await asyncio.to_thread(self._write, self._path)
        finally:
            self._task = None

    def _write(self, path: Path) -> None:
        with self._writing:  # the end may come while a thread still writes: the newest stays
            self._write_newest(path)

    def _write_newest(self, path: Path) -> None:
        known, self._dirty, self._failed = self._failed, False, False
        self._written = time.monotonic()
        content = json.dumps({"version": VERSION, "data": self._data}, ensure_ascii=False)
        beside = path.with_name(f"{path.name}.new")
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(path)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):  # a full disk may have room again
                self._dirty = self._failed = True
            level = logging.DEBUG if known else logging.WARNING  # once, not every half minute
            _LOGGER.log(level, "%s can't be written: %s", path, error)

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            _LOGGER.warning("%s can't be read: %s", path, error)
            return
        try:
            told = json.loads(content[:LARGEST])
            version, data = told["version"], told["data"]
            if not isinstance(version, int) or not isinstance(data, dict):
                raise TypeError("not a state file")
        except (ValueError, TypeError, KeyError, RecursionError):
            _LOGGER.warning("%s can't be used; set aside, begun anew", path)
            with contextlib.suppress(OSError):
                path.replace(path.with_name(f"{path.name}.damaged"))
            return
        if version > VERSION:
            _LOGGER.warning("%s is of a newer release; left alone, nothing is remembered", path)
            self._path = None
            return
        self._data = data


class State:
    """The state folder, or memory. The folder is this process's own while it lives."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._files: dict[str, StateFile] = {}

    @classmethod
    def open(cls, folder: Path) -> State:
        """Return the state of *folder*, made if need be; memory if it can't be written."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = folder / ".probe"
            probe.touch(0o600)
            probe.unlink()
        except OSError as error:
            _LOGGER.warning(
                "the state folder %s can't be written (%s): nothing is remembered",
                folder,
                error.strerror,
            )
            return cls(None)
        return cls(folder)

    def file(self, name: str) -> StateFile:
        """Return a file by its name without ``.json``; the same object each time."""
        if name not in self._files:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a state file")
            path = None if self.folder is None else self.folder / f"{name}.json"
            self._files[name] = StateFile(path)
        return self._files[name]

    def flush(self) -> None:
        """Write everything; blocks."""
        for file in self._files.values():
            file.flush()

    def files_folder(self) -> Path | None:
        """Return the folder for files that must lie on disk."""
        if self.folder is None:
            return None
        found = self.folder / "files"
        with contextlib.suppress(OSError):
            found.mkdir(mode=0o700, exist_ok=True)
        return found if found.is_dir() else None

    def instance(self, bridge: str) -> str:
        """Return the uuid of this installation; drawn once, or made of what does not change."""
        file = self.file("bridge")
        data = file.load()
        told = data.get("instance")
        try:
            return str(uuid.UUID(str(told)))
        except ValueError:
            pass
        if self.folder is None:
            return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{_machine()}/{bridge}"))
        drawn = str(uuid.uuid4())
        file.save({**data, "instance": drawn})
        return drawn


def _machine() -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            if found := Path(path).read_text("utf-8").strip():
                return found
    return f"{uuid.getnode():012x}"
