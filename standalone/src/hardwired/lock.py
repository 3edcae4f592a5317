"""One process has a file or a folder: a lock that ends with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Held(Exception):
    """Another process has it; the text names the process."""


class Lock:
    """Held from its making on. Raises :class:`Held`, :class:`OSError`."""

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 20).decode("ascii", "replace").strip()
            os.close(file)
            raise Held(
                f"{path} is held by another bridge (process {holder or 'unknown'})"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Let go."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
