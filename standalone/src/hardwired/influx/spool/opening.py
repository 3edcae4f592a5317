"""Opening a spool on disk: who has it, and what is saved from a file that can't be read."""

from __future__ import annotations

import contextlib
import glob
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...lock import Held, Lock
from .contract import Damaged, SpoolBusy, Unwritable
from .disk import DiskSpool

SALVAGE_SECONDS = 30.0
MOST_DAMAGED = 3
_CHUNK = 2000


def take_lock(path: Path) -> Lock:
    """Return the lock of a spool. Raises :class:`SpoolBusy`, :class:`Unwritable`."""
    try:
        return Lock(path)
    except Held as error:
        raise SpoolBusy(str(error)) from None
    except OSError as error:
        raise Unwritable(f"{path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Opened:
    """A spool that was opened; ``damaged`` is where an unreadable file went, ``saved`` of it."""

    spool: DiskSpool
    damaged: Path | None = None
    saved: int = 0


def open_spool(path: Path, most_bytes: int, now: Callable[[], datetime]) -> Opened:
    """Open a spool; a file that can't be read is set aside and saved from as far as it goes.

    Raises :class:`Unwritable`, :class:`SpoolTooNew`.
    """
    try:
        return Opened(DiskSpool(path, most_bytes))
    except Damaged:
        return renew(path, most_bytes, now)


def renew(path: Path, most_bytes: int, now: Callable[[], datetime]) -> Opened:
    """Set a damaged file aside, begin a new one, save what can be read."""
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    same = [one for one in damaged_files(path) if one.name.startswith(aside.name)]
    if same:
        aside = path.with_name(f"{aside.name}.{_number(same[-1]) + 1}")
    try:
        for end in ("", "-wal", "-shm"):
            part = Path(f"{path}{end}")
            if part.exists():
                part.rename(f"{aside}{end}")
    except OSError as error:
        raise Unwritable(str(error)) from error
    _forget_old(path)
    spool = DiskSpool(path, most_bytes)
    return Opened(spool, aside, _salvage(aside, spool))


def damaged_files(path: Path) -> list[Path]:
    """Return the damaged files that were set aside, the oldest first."""
    found = (
        one
        for one in path.parent.glob(f"{glob.escape(path.name)}.damaged-*")
        if not one.name.endswith(("-wal", "-shm"))
    )
    return sorted(found, key=lambda one: (one.name.split("Z.")[0].rstrip("Z"), _number(one)))


def _number(path: Path) -> int:
    """Return which of several of the same second a damaged file is."""
    number = path.name.rpartition("Z.")[2]
    return int(number) if number.isdecimal() else 1


def _forget_old(path: Path) -> None:
    for old in damaged_files(path)[:-MOST_DAMAGED]:
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{old}{end}").unlink()


def _salvage(damaged: Path, spool: DiskSpool) -> int:
    """Copy what one pass by id can read, up to the first error."""
    import sqlite3  # noqa: PLC0415

    until = time.monotonic() + SALVAGE_SECONDS
    saved = 0
    try:
        database = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=rw", uri=True, timeout=1)
    except sqlite3.Error:
        return 0
    lines: list[str] = []
    try:
        for (line,) in database.execute("SELECT line FROM point ORDER BY id"):
            if not isinstance(line, str) or not line or "\n" in line:
                break
            lines.append(line)
            if len(lines) == _CHUNK:
                spool.append(lines)
                saved, lines = saved + len(lines), []
            if time.monotonic() > until:
                break
    except (sqlite3.Error, UnicodeDecodeError, ValueError):
        pass
    finally:
        with contextlib.suppress(sqlite3.Error):
            database.close()
    if lines:
        spool.append(lines)
    return saved + len(lines)
