"""Where points wait until a server has them (spec e.3, e.5).

:class:`DiskSpool` is SQLite and loses nothing that it has accepted, whatever ends the program.
:class:`MemorySpool` is a ring. :class:`OutageSpool` spares the flash: in memory while the server
answers, on disk from the first failure on. All are used from one thread.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..lock import Held, Lock
from .delivery import Point

if TYPE_CHECKING:
    import sqlite3

SCHEMA = 1
BUSY_TIMEOUT = 5.0
CHECKED_BELOW = 64 * 2**20
SALVAGE_SECONDS = 30.0
MOST_DAMAGED = 3
ASIDE_SHARE = 10
"""What was set aside may take this part of the spool's size."""
_ROW_OVERHEAD = 24
_CHUNK = 2000

NOTADB, CORRUPT = 26, 11
_FOUND_DAMAGED = frozenset({NOTADB, CORRUPT})


class SpoolError(Exception):
    """The spool can't be used as it is."""


class SpoolBusy(SpoolError):
    """Another process has it."""


class SpoolTooNew(SpoolError):
    """A newer release wrote it."""


class Unwritable(SpoolError):
    """Nothing can be written now: disk full, read only, I/O error."""


class Damaged(SpoolError):
    """The file can't be read."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What has happened to points since the spool was begun.

    accepted = delivered + waiting + dropped + set_aside, but for points that were dropped before
    they could be accepted. ``refused`` are those within dropped that the server did not take.
    """

    accepted: int = 0
    delivered: int = 0
    dropped: int = 0
    set_aside: int = 0
    refused: int = 0

    def plus(self, other: Counters) -> Counters:
        """Return the sums."""
        return Counters(
            self.accepted + other.accepted,
            self.delivered + other.delivered,
            self.dropped + other.dropped,
            self.set_aside + other.set_aside,
            self.refused + other.refused,
        )


_NAMES = ("accepted", "delivered", "dropped", "set_aside", "refused")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of points that were taken from the spool."""

    stored: Sequence[int] = ()
    dropped: Sequence[int] = ()
    set_aside: Sequence[int] = ()
    refused: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Points that had to go because the spool was full: how many, and the time they span."""

    count: int
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How the spool is."""

    waiting: int = 0
    size: int = 0
    """Bytes in use."""
    oldest: str | None = None
    """The line of the oldest point."""
    counters: Counters = field(default_factory=Counters)


class Spool(Protocol):
    """Where points wait."""

    @property
    def where(self) -> str:
        """``disk`` or ``memory``."""

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines*; *dropped* counts older ones that were lost before. In order.

        Raises :class:`Unwritable` when they are not accepted, :class:`Damaged`.
        """

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points, at most *count* and *size* bytes, but at least one."""

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after the id *after*."""

    def settle(self, settled: Settled) -> None:
        """Remove points for good. In one transaction."""

    def spill(self) -> None:
        """The server does not answer: what waits must be safe."""

    @property
    def state(self) -> SpoolState:
        """How it is."""

    def close(self) -> None:
        """An orderly end."""


# ------------------------------------------------------------------------------------ in memory


class MemorySpool:
    """A ring of at most *most* points; the oldest go first."""

    where = "memory"

    def __init__(self, most: int) -> None:
        self._most = most
        self._points: deque[Point] = deque()
        self._next = 1
        self._counters = Counters()

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines*."""
        for line in lines:
            self._points.append((self._next, line))
            self._next += 1
        gone = [self._points.popleft() for _ in range(len(self._points) - self._most)]
        self._counters = self._counters.plus(
            Counters(accepted=len(lines), dropped=len(gone) + dropped)
        )
        return None  # a ring is meant to lose the oldest: counted, not told

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points."""
        return _within(self._points, count, size)

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after *after*."""
        found = []
        for point in self._points:
            if point[0] > after:
                found.append(point)
                if len(found) == count:
                    break
        return found

    def settle(self, settled: Settled) -> None:
        """Remove points; what would be set aside is dropped."""
        gone = {*settled.stored, *settled.dropped, *settled.set_aside}
        before = len(self._points)
        there = {ident for ident, _ in self._points} & gone
        self._points = deque(point for point in self._points if point[0] not in gone)
        lost = len(gone) - len(there)  # the ring dropped them meanwhile, and counted them so
        stored = sum(ident in there for ident in settled.stored)
        self._counters = self._counters.plus(
            Counters(
                delivered=stored,
                dropped=before - len(self._points) - stored,
                refused=max(0, settled.refused - lost),
            )
        )

    def spill(self) -> None:
        """There is nowhere else."""

    @property
    def state(self) -> SpoolState:
        """How it is."""
        oldest = self._points[0][1] if self._points else None
        return SpoolState(len(self._points), 0, oldest, self._counters)

    def close(self) -> None:
        """Nothing to do."""

    def hand_over(self) -> tuple[list[str], Counters]:
        """Return what waits and what was counted, and forget both."""
        lines = [line for _, line in self._points]
        counters = replace(self._counters, accepted=self._counters.accepted - len(lines))
        self._points.clear()
        self._counters = Counters()
        return lines, counters


def _within(points: Iterable[Point], count: int, size: int) -> list[Point]:
    found: list[Point] = []
    used = 0
    for point in points:
        used += len(point[1].encode()) + 1
        if len(found) == count or (found and used > size):
            break
        found.append(point)
    return found


# -------------------------------------------------------------------------------------- on disk


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
            found = _within(rows, count, size)
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


# ------------------------------------------------------------------- memory first, disk in need


class OutageSpool:
    """In memory while the server answers; on disk from the first failure until it is empty."""

    def __init__(self, disk: DiskSpool, most_points: int) -> None:
        self._disk = disk
        self._memory = MemorySpool(most_points)
        self._direct = not disk.state.waiting

    @property
    def where(self) -> str:
        """Where points go now."""
        return "memory" if self._direct else "disk"

    @property
    def _now(self) -> MemorySpool | DiskSpool:
        return self._memory if self._direct else self._disk

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines*."""
        return self._now.append(lines, dropped)

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points."""
        return self._now.take(count, size)

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after *after*."""
        return self._now.behind(after, count)

    def settle(self, settled: Settled) -> None:
        """Remove points; an empty disk is left for memory."""
        if self._direct and settled.set_aside:
            # What is set aside is kept on disk for the owner; memory keeps nothing for long.
            self.spill()
            taken = self._disk.take(len(settled.stored) + 10_000_000, 2**40)
            order = {old: new for (old, _), (new, _) in zip(self._spilled, taken, strict=False)}
            settled = replace(
                settled,
                stored=[order[one] for one in settled.stored if one in order],
                dropped=[order[one] for one in settled.dropped if one in order],
                set_aside=[order[one] for one in settled.set_aside if one in order],
            )
        self._now.settle(settled)
        if not self._direct and not self._disk.state.waiting:
            self._direct = True

    _spilled: Sequence[Point] = ()

    def spill(self) -> None:
        """Write what waits in memory to disk."""
        if not self._direct:
            return
        self._spilled = self._memory.take(10_000_000, 2**40)
        lines, counters = self._memory.hand_over()
        try:
            self._disk.restore(lines, counters)
        except SpoolError:
            self._memory.append(lines)
            raise
        self._direct = not lines

    @property
    def state(self) -> SpoolState:
        """How it is: both together."""
        disk, memory = self._disk.state, self._memory.state
        return SpoolState(
            disk.waiting + memory.waiting,
            disk.size,
            disk.oldest or memory.oldest,
            disk.counters.plus(memory.counters),
        )

    def close(self) -> None:
        """What waits in memory goes to disk."""
        with contextlib.suppress(SpoolError):
            self.spill()
            lines, counters = self._memory.hand_over()
            self._disk.restore(lines, counters)
        self._disk.close()
