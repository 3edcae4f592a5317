"""The SD card of a simulated gateway: daily logs, and their transfer in blocks (spec c.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..scom.errors import ErrorCode
from ..scom.files import BLOCK_SIZE, FileObject, FileProperty
from ..scom.values import TEXT_ENCODING, plant_seconds, plant_time
from .devices import ScomError
from .plant import Plant, load_watts

PATIENCE = 10.0
"""A transfer that is not continued ends after so many seconds."""
WHOLE_LOGS = 31
"""Of so many days the log is kept as it was written; an older one is invented when it is read."""
HEADER = "Date;Ubat [Vdc];Ibat [A];SOC [%];Pout [kW];Psolar [kW];\n"


def log_name(moment: float) -> str:
    """Return the name of the log of a day."""
    return f"LG{plant_time(int(moment)):%y%m%d}.CSV"


def _day_of(name: str) -> datetime:
    return datetime.strptime(name, "LG%y%m%d.CSV")  # noqa: DTZ007 - the plant's own clock


def _row(moment: float, values: Sequence[float]) -> str:
    cells = "".join(f"{value:.3f};" for value in values)
    return f"{plant_time(int(moment)):%d.%m.%Y %H:%M};{cells}\n"


class Card:
    """Files by name. Today's is written minute by minute."""

    def __init__(self, plant: Plant, days: int) -> None:
        self._plant = plant
        self._past: dict[str, str | datetime] = {}
        """Logs of past days; for a day that was not simulated, only its date."""
        self._fields: dict[str, list[str]] = {}
        self.present = True
        self.full = False
        self.new_file = False
        self.corrupt: set[str] = set()
        today = plant_time(int(plant.moment)).replace(hour=0, minute=0, second=0)
        for age in range(days, 0, -1):
            day = today - timedelta(days=age)
            self._past[log_name(plant_seconds(day))] = day
        self._rows: list[str] = []
        self._today = log_name(plant.moment)

    def _invent(self, day: datetime) -> Iterator[str]:
        """Invent the log of a day that was not simulated."""
        start = plant_seconds(day)
        for minute in range(0, 1440, 15):
            moment = float(start + minute * 60)
            sun = self._plant.sky.sun(moment) * sum(solar.peak for solar in self._plant.solars)
            out = sum(
                load_watts(self._plant.seed, phase, moment)
                for phase in range(self._plant.layout.phases)
            )
            volts = self._plant.layout.nominal * (1.06 + 0.04 * (sun > out))
            soc = 60.0 + 20 * (sun > out)
            yield _row(moment, (volts, (sun - out) / volts, soc, out / 1000, sun / 1000))

    def minute(self, moment: float) -> None:
        """Write today's next line."""
        if not self.present or self.full:
            return
        plant = self._plant
        self._rows.append(
            _row(
                moment,
                (
                    plant.volts,
                    plant.amps,
                    plant.battery.soc * 100,
                    sum(unit.p_out for unit in plant.xtenders) / 1000,
                    sum(solar.watts for solar in plant.solars) / 1000,
                ),
            )
        )

    def midnight(self, moment: float) -> None:
        """Close today's file."""
        if self.present and not self.full:
            self._past[self._today] = self._content_of_today()
            self.new_file = True
        self._fields.clear()
        for name in sorted(self._past)[:-WHOLE_LOGS]:
            self._past[name] = _day_of(name)
        self._rows.clear()
        self._today = log_name(moment)

    def save_today(self) -> None:
        """Make today's file available now: parameter 5059."""
        if self.present and not self.full:
            self.new_file = True

    def add_field(self, data: bytes) -> None:
        """Write the custom field into today's log. Raises :class:`ScomError`."""
        if len(data) > 250:
            raise ScomError(ErrorCode.INVALID_DATA_LENGTH)
        if not self.present or self.full:
            raise ScomError(ErrorCode.WRITE_PROPERTY_FAILED)
        self._fields.setdefault(self._today, []).append(data.decode(TEXT_ENCODING))

    def field(self) -> tuple[str, ...]:
        """Return the custom fields of today."""
        return tuple(self._fields.get(self._today, ()))

    def erase(self, count: int | None = None) -> None:
        """Erase the *count* oldest logs; all, without."""
        for name in sorted(self._past)[:count]:
            del self._past[name]

    def names(self) -> tuple[str, ...]:
        """Return the files there are."""
        return (*sorted(self._past), *((self._today,) if self._rows else ()))

    def read(self, name: str) -> bytes:
        """Return a file. Raises :class:`ScomError`."""
        if name in self.corrupt:
            raise ScomError(ErrorCode.FILE_CORRUPTED)
        if not self.present or name not in self.names():
            raise ScomError(ErrorCode.FILE_OR_DIR_NOT_PRESENT)
        self.new_file = False
        text = self._content_of_today() if name == self._today else self._past[name]
        if isinstance(text, datetime):
            text = self._past[name] = "".join((HEADER, *self._invent(text)))
        return text.encode(TEXT_ENCODING)

    def directory(self) -> bytes:
        """Return the listing. Raises :class:`ScomError`."""
        if not self.present:
            raise ScomError(ErrorCode.FILE_OR_DIR_NOT_PRESENT)
        self.new_file = False
        return "".join(f"{name}\n" for name in self.names()).encode(TEXT_ENCODING)

    def _content_of_today(self) -> str:
        custom = "".join(f"{text}\n" for text in self._fields.get(self._today, ()))
        return HEADER + "".join(self._rows) + custom


class Transfers:
    """At most one transfer at a time; the gateway does nothing else meanwhile."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._kind: int | None = None
        self._content = b""
        self._at = 0
        self._last = 0.0

    def active(self, now: float) -> bool:
        """Whether a transfer is under way; its last block has not been sent yet."""
        if self._kind is not None and now - self._last > PATIENCE:
            self._kind = None
        return self._kind is not None and self._at + BLOCK_SIZE <= len(self._content)

    def stop(self) -> None:
        """Forget it."""
        self._kind = None

    def step(self, kind: int, step: int, data: bytes, now: float) -> tuple[int, bytes]:
        """Do a step; return property and data of the answer. Raises :class:`ScomError`."""
        if kind not in (FileObject.DIRECTORY, FileObject.FILE):
            raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)
        self._last = now
        match step:
            case FileProperty.START:
                self._start(kind, data)
            case FileProperty.ABORT:
                self._kind = None
                return FileProperty.FINISH, b""
            case FileProperty.CONTINUE if self._kind == kind:
                self._at += BLOCK_SIZE
            case FileProperty.RETRY if self._kind == kind:
                pass
            case FileProperty.CONTINUE | FileProperty.RETRY:
                raise ScomError(ErrorCode.OBJECT_PROPERTY_INVALID)
            case _:
                raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
        block = self._content[self._at : self._at + BLOCK_SIZE]
        if self._at + BLOCK_SIZE > len(self._content):
            # The last block stays for a repetition until another request comes.
            return FileProperty.FINISH, block
        return FileProperty.BLOCK, block

    def _start(self, kind: int, data: bytes) -> None:
        self._kind = None
        if kind == FileObject.DIRECTORY:
            if data:
                raise ScomError(ErrorCode.INVALID_SERVICE_ARGUMENT)
            content = self._card.directory()
        else:
            name, end, rest = data.partition(b"\n")
            if not end or rest:
                raise ScomError(ErrorCode.INVALID_SERVICE_ARGUMENT)
            content = self._card.read(name.decode("ascii", "replace"))
        self._kind, self._content, self._at = kind, content, 0
