"""A spool on disk: SQLite, which loses nothing that it has accepted (spec e.5)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..delivery import Point
from .contract import (
    Counters,
    Damaged,
    Lost,
    Settled,
    SpoolError,
    SpoolState,
    SpoolTooNew,
    Unwritable,
    within,
)

if TYPE_CHECKING:
    import sqlite3

SCHEMA = 1
BUSY_TIMEOUT = 5.0
CHECKED_BELOW = 64 * 2**20
ASIDE_SHARE = 10
"""What was set aside may take this part of the spool's size."""
_ROW_OVERHEAD = 24
_CHUNK = 2000

NOTADB, CORRUPT = 26, 11
_FOUND_DAMAGED = frozenset({NOTADB, CORRUPT})
_NAMES = ("accepted", "delivered", "dropped", "set_aside", "refused")


class DiskSpool:
    """SQLite, write-ahead log, synchronous FULL. Made by :func:`open_spool`."""

    where = "disk"

    def __init__(self, path: Path, most_bytes: int, *, owner: bool = True) -> None:
        """*owner* is the bridge itself, not somebody who looks in."""
        self._path = path
        self._owner = owner
        self._most_bytes = most_bytes
        self._database = _connect(path)
        try:
            self._prepare()
            self._waiting = self._count("SELECT count(*) FROM point")
        except Exception as error:  # noqa: BLE001 - told apart there
            self._database.close()
            _raise_known(error)

    def _prepare(self) -> None:
        database = self._database
        if not self._count("SELECT count(*) FROM sqlite_master"):
            database.execute("PRAGMA auto_vacuum=INCREMENTAL")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        with _transaction(database):
            for statement in _TABLES:
                database.execute(statement)
        schema = self._meta("schema", SCHEMA)
        if schema > SCHEMA:
            raise SpoolTooNew(
                f"{self._path} was written by a newer release (schema {schema}, we know {SCHEMA})"
            )
        if not self._owner:
            return
        if self._meta("open", 0) and self._path.stat().st_size < CHECKED_BELOW:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise Damaged(str(found))
        with _transaction(database):
            self._set_meta("schema", SCHEMA)
            self._set_meta("open", 1)

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines* in one transaction; makes room first if need be."""
        with self._known_errors(), _transaction(self._database):
            lost = self._make_room(sum(len(line) for line in lines))
            self._database.executemany(
                "INSERT INTO point(line) VALUES (?)", ((line,) for line in lines)
            )
            gone = 0 if lost is None else lost.count
            self._add(Counters(accepted=len(lines), dropped=dropped + gone))
        self._waiting += len(lines) - gone
        if lost is not None:
            with contextlib.suppress(SpoolError), self._known_errors():
                self._database.execute("PRAGMA incremental_vacuum")
        return lost

    def restore(self, lines: Sequence[str], counters: Counters) -> None:
        """Take over what waited elsewhere, with its counters."""
        with self._known_errors(), _transaction(self._database):
            self._database.executemany(
                "INSERT INTO point(line) VALUES (?)", ((line,) for line in lines)
            )
            self._add(counters.plus(Counters(accepted=len(lines))))
        self._waiting += len(lines)

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points."""
        with self._known_errors():
            rows = self._database.execute(
                "SELECT id, line FROM point ORDER BY id LIMIT ?", (count,)
            )
            found = within(rows, count, size)
            rows.close()
        return found

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after *after*."""
        with self._known_errors():
            return self._database.execute(
                "SELECT id, line FROM point WHERE id > ? ORDER BY id LIMIT ?", (after, count)
            ).fetchall()

    def settle(self, settled: Settled) -> None:
        """Remove points, in the transaction that counts them."""
        with self._known_errors(), _transaction(self._database):
            aside = self._set_aside(settled.set_aside, settled.why)
            stored = self._delete(settled.stored)
            dropped = self._delete(settled.dropped)
            self._add(
                Counters(
                    delivered=stored,
                    dropped=dropped,
                    set_aside=aside,
                    refused=min(settled.refused, dropped),
                )
            )
        self._waiting -= stored + dropped + aside

    def spill(self) -> None:
        """All is safe already."""

    @property
    def state(self) -> SpoolState:
        """How it is."""
        with self._known_errors():
            row = self._database.execute("SELECT line FROM point ORDER BY id LIMIT 1").fetchone()
            counters = Counters(*(self._meta(name, 0) for name in _NAMES))
            return SpoolState(self._waiting, self._used(), row and row[0], counters)

    def close(self) -> None:
        """Note an orderly end."""
        if not self._owner:
            self._database.close()
            return
        closing = (contextlib.suppress(SpoolError), self._known_errors())
        with closing[0], closing[1], _transaction(self._database):
            self._set_meta("open", 0)
        with contextlib.suppress(Exception):
            self._database.close()

    # ------------------------------------------------------------------------- for the owner

    def aside(self) -> list[tuple[int, str, str, str]]:
        """Return what was set aside: id, since when, why, line."""
        with self._known_errors():
            return self._database.execute(
                "SELECT id, since, why, line FROM aside ORDER BY id"
            ).fetchall()

    def requeue(self) -> int:
        """Put what was set aside back into the queue."""
        with self._known_errors(), _transaction(self._database):
            count = self._count("SELECT count(*) FROM aside")
            self._database.execute("INSERT INTO point(line) SELECT line FROM aside ORDER BY id")
            self._database.execute("DELETE FROM aside")
            self._add(Counters(set_aside=-count))
        self._waiting += count
        return count

    def drop(self, *, waiting: bool) -> int:
        """Throw away what was set aside, or what waits."""
        table = "point" if waiting else "aside"
        with self._known_errors(), _transaction(self._database):
            count = self._count(f"SELECT count(*) FROM {table}")  # noqa: S608
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608
            self._add(Counters(dropped=count, set_aside=0 if waiting else -count))
        if waiting:
            self._waiting -= count
        return count

    # ------------------------------------------------------------------------------- inside

    def _count(self, statement: str, *arguments: Any) -> int:
        return int(self._database.execute(statement, arguments).fetchone()[0])

    def _meta(self, key: str, default: int) -> int:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else int(row[0])

    def _set_meta(self, key: str, value: int) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (key, value)
        )

    def _add(self, counters: Counters) -> None:
        for name in _NAMES:
            if change := getattr(counters, name):
                self._set_meta(name, self._meta(name, 0) + change)

    def _delete(self, idents: Sequence[int]) -> int:
        before = self._database.total_changes
        self._database.executemany("DELETE FROM point WHERE id = ?", ((one,) for one in idents))
        return self._database.total_changes - before

    def _used(self) -> int:
        pages = self._count("PRAGMA page_count") - self._count("PRAGMA freelist_count")
        return pages * self._count("PRAGMA page_size")

    def _make_room(self, coming: int) -> Lost | None:
        """Delete the oldest points down to 95 % when the spool would be over its size."""
        if self._used() + coming <= self._most_bytes:
            return None
        wanted = self._most_bytes * 95 // 100 - coming
        gone, first, last = 0, "", ""
        while self._used() > wanted and self._count("SELECT count(*) FROM point"):
            rows = self._database.execute(
                "SELECT id, line FROM point ORDER BY id LIMIT ?", (_CHUNK,)
            ).fetchall()
            excess, freed = self._used() - wanted, 0
            idents: list[int] = []
            for ident, line in rows:
                if idents and freed >= excess:
                    break
                idents.append(ident)
                freed += len(line) + _ROW_OVERHEAD
                first, last = first or line, line
            gone += self._delete(idents)
        return Lost(gone, first, last) if gone else None

    def _set_aside(self, idents: Sequence[int], why: str) -> int:
        if not idents:
            return 0
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._database.executemany(
            "INSERT INTO aside(since, why, line) SELECT ?, ?, line FROM point WHERE id = ?",
            ((since, why, ident) for ident in idents),
        )
        moved = self._delete(idents)
        over = self._count("SELECT coalesce(sum(length(line)), 0) FROM aside")
        over -= self._most_bytes // ASIDE_SHARE
        rows = self._database.execute("SELECT id, length(line) FROM aside ORDER BY id")
        gone = []
        for ident, length in rows:
            if over <= 0:
                break
            gone.append(ident)
            over -= length
        self._database.executemany("DELETE FROM aside WHERE id = ?", ((one,) for one in gone))
        self._add(Counters(set_aside=-len(gone), dropped=len(gone)))
        return moved

    @contextlib.contextmanager
    def _known_errors(self) -> Any:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told apart there
            _raise_known(error)


_TABLES = (
    "CREATE TABLE IF NOT EXISTS point(id INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aside(id INTEGER PRIMARY KEY AUTOINCREMENT, since TEXT NOT NULL,"
    " why TEXT NOT NULL, line TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3  # noqa: PLC0415 - only where a spool lies on disk

    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        return sqlite3.connect(
            path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
    except (sqlite3.Error, OSError) as error:
        raise Unwritable(str(error)) from error


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Any:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            with contextlib.suppress(Exception):
                database.execute("ROLLBACK")
        raise


def _raise_known(error: BaseException) -> None:
    """Raise what an error of SQLite means."""
    import sqlite3  # noqa: PLC0415

    if isinstance(error, sqlite3.DatabaseError):
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _FOUND_DAMAGED:
            raise Damaged(str(error)) from error
        if isinstance(error, sqlite3.OperationalError):
            text = str(error)
            if any(sign in text for sign in ("no such table", "no such column", "decode")):
                raise Damaged(text) from error
            raise Unwritable(text) from error
        raise Damaged(str(error)) from error
    if isinstance(error, OSError):
        raise Unwritable(str(error)) from error
    if isinstance(error, (UnicodeDecodeError, ValueError, TypeError)):
        raise Damaged(str(error)) from error  # what stands in the file is not what we wrote
    raise error
