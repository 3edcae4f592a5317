"""What the columns of this unit's logger mean, learnt from its header and first rows (spec d.6).

A meaning is decided once and stored, so that no entity changes its unit later. Where the rules
are not sure, the column is raw and offered switched off; the owner may say what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ..fields import Offer, Value
from .names import FAN_KEY, STATUS_SUFFIX, UNITS, Slugs, is_free, mqtt_key, unit_of, words_of
from .terminal.log import Column
from .values import value_of

SAMPLES = 3
"""Good rows from which a meaning is decided."""

FLAGS: Mapping[str, bool] = {
    "aan": True,
    "ja": True,
    "on": True,
    "open": True,
    "uit": False,
    "nee": False,
    "off": False,
    "dicht": False,
}

_DEGREES = re.compile(r"[+-]?[0-9]+\.[0-9]+")
_LIKELY_DEGREES = (-40.0, 120.0)

_PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "°C": (-60, 150),
    "%": (0, 110),
    "rpm": (0, 20000),
    "W": (-10000, 20000),
    "V": (0, 500),
    "Hz": (0, 100),
}


class Kind(StrEnum):
    """What a column holds."""

    FAN_POSITION = "fan_position"
    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"


class Source(StrEnum):
    """Why a meaning was taken."""

    NAME = "name"
    UNIT = "unit"
    VALUES = "values"
    WORD = "word"
    NONE = "none"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column's values are."""

    kind: Kind
    unit: str | None = None
    offer: Offer = Offer.EXTRA
    source: Source = Source.NONE
    factor: float = 1.0

    def read(self, text: str) -> Value | None:
        """Return a printed value; ``None`` when it is absent, of another kind or implausible."""
        value = value_of(text)
        match self.kind:
            case Kind.NUMBER:
                return None if isinstance(value, str) else self._number(value)
            case Kind.FLAG:
                return FLAGS.get(text.strip().casefold())
            case Kind.TEXT:
                return None if value is None else text.strip()[:255]
        return None

    def _number(self, value: float | None) -> float | None:
        if value is None:
            return None
        scaled = value if self.factor == 1.0 else round(value * self.factor, 6)
        low, high = _PLAUSIBLE.get(self.unit or "", (float("-inf"), float("inf")))
        return scaled if low <= scaled <= high else None


def meaning_of(name: str, samples: Sequence[str]) -> Meaning:
    """Return the meaning of a column from its name and first values; the first rule that fits."""
    if mqtt_key(name).lower().startswith(FAN_KEY):
        return Meaning(Kind.FAN_POSITION, None, Offer.DEFAULT, Source.NAME)
    if (unit := unit_of(name)) is not None:
        return Meaning(Kind.NUMBER, unit.text, Offer.DEFAULT, Source.UNIT)
    if samples and all(sample.strip().casefold() in FLAGS for sample in samples):
        return Meaning(Kind.FLAG, None, Offer.DEFAULT, Source.VALUES)
    if _names_a_temperature(name) and len(samples) == SAMPLES and all(map(_is_degrees, samples)):
        return Meaning(Kind.NUMBER, "°C", Offer.DEFAULT, Source.WORD)
    values = [value_of(sample) for sample in samples]
    numbers = [value for value in values if isinstance(value, (int, float))]
    if numbers and not any(isinstance(value, str) for value in values):
        return Meaning(Kind.NUMBER)
    return Meaning(Kind.TEXT)


def _names_a_temperature(name: str) -> bool:
    return any(word == "temp" or word.startswith("temperatu") for word in words_of(name))


def _is_degrees(sample: str) -> bool:
    """Whether a value can only be degrees: a printed decimal point, a likely temperature."""
    text = sample.strip()
    low, high = _LIKELY_DEGREES
    return _DEGREES.fullmatch(text) is not None and low <= float(text) <= high


@dataclass(frozen=True, slots=True)
class LoggedColumn:
    """A column as it is stored. ``slug`` is frozen; no ``meaning``: too few rows yet."""

    name: str
    slug: str
    meaning: Meaning | None = None
    label: str = ""
    """The owner's own name for it."""

    @property
    def key(self) -> str:
        """The key of its value in the catalogue."""
        return f"log_{self.slug}"

    @property
    def status_key(self) -> str:
        """The key of its status in the catalogue."""
        return f"{self.key}{STATUS_SUFFIX}"

    @property
    def is_fan(self) -> bool:
        """Whether it is the fan's position by its name: no owner's word changes that."""
        return self.meaning is not None and self.meaning.kind is Kind.FAN_POSITION

    @property
    def title(self) -> str:
        """What people read: as the device prints it, the first letter a capital."""
        text = self.label or self.name or self.slug
        return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Profile:
    """All columns that this unit was ever seen to print. Grows, never forgets."""

    columns: tuple[LoggedColumn, ...] = ()

    def with_header(self, header: Iterable[Column]) -> Profile:
        """Return a profile that also holds the columns of *header*; itself if they are known."""
        names = [column.name for column in header]
        if None not in self.placed(names):
            return self
        slugs = Slugs(column.slug for column in self.columns)
        added = []
        for place, (name, known) in enumerate(zip(names, self.placed(names), strict=True), 1):
            if known is None:
                added.append(LoggedColumn(name, slugs.add(name, place)))
        return Profile((*self.columns, *added))

    def placed(self, names: Sequence[str]) -> tuple[LoggedColumn | None, ...]:
        """Return the column that stands at each place of a header; ``None``: not known.

        Of a name that stands several times, the first is the first that was stored.
        """
        waiting: dict[str, list[LoggedColumn]] = {}
        for column in self.columns:
            waiting.setdefault(column.name, []).append(column)
        return tuple(waiting[name].pop(0) if waiting.get(name) else None for name in names)

    def decided(self, samples: Mapping[str, Sequence[str]]) -> Profile:
        """Return a profile in which the columns in *samples* (by slug) have a meaning."""
        return Profile(
            tuple(
                replace(column, meaning=meaning_of(column.name, samples[column.slug]))
                if column.meaning is None and column.slug in samples
                else column
                for column in self.columns
            )
        )

    def corrected(self, owner: Mapping[str, Correction]) -> Profile:
        """Return the profile with what the owner has said of columns, by slug."""
        return Profile(
            tuple(
                owner[column.slug].apply(column) if column.slug in owner else column
                for column in self.columns
            )
        )

    def plain(self) -> list[dict[str, Any]]:
        """Return the profile for the store."""
        return [
            {
                "name": column.name,
                "slug": column.slug,
                "meaning": None if column.meaning is None else _plain_meaning(column.meaning),
            }
            for column in self.columns
        ]

    @classmethod
    def restored(cls, stored: Any) -> Profile:
        """Return a profile from the store; what can't be read there is left out."""
        columns: dict[str, LoggedColumn] = {}
        for item in stored if isinstance(stored, list) else ():
            try:
                name, slug = item["name"], item["slug"]
                meaning = None if item["meaning"] is None else _read_meaning(item["meaning"])
            except (KeyError, TypeError, ValueError):
                continue
            if isinstance(name, str) and isinstance(slug, str) and is_free(slug, columns):
                columns[slug] = LoggedColumn(name, slug, meaning)
        return cls(tuple(columns.values()))


@dataclass(frozen=True, slots=True)
class Correction:
    """What the owner says of a column; what is ``None`` stays by the rules."""

    kind: Kind | None = None
    unit: str | None = None
    factor: float = 1.0
    name: str = ""

    def apply(self, column: LoggedColumn) -> LoggedColumn:
        """Return *column* as the owner wants it."""
        meaning = column.meaning
        if self.kind is not None and not column.is_fan:
            meaning = Meaning(self.kind, self.unit, Offer.DEFAULT, Source.OWNER, self.factor)
        return replace(column, meaning=meaning, label=self.name)

    @classmethod
    def read(cls, value: Any) -> Correction:
        """Return a correction from plain values. Raises :class:`ValueError`."""
        if not isinstance(value, Mapping):
            raise ValueError("a column's correction is a table of kind, unit, factor and name")
        kind, unit = value.get("kind"), value.get("unit")
        if kind is not None:
            kind = Kind(kind)
            if kind is Kind.FAN_POSITION:
                raise ValueError("the fan's column is chosen by the option for it")
        if unit is not None and unit not in UNITS:
            raise ValueError(f"there is no unit {unit!r}")
        factor = value.get("factor", 1.0)
        if kind is not Kind.NUMBER and (unit is not None or factor != 1.0):
            raise ValueError("a unit and a factor belong to the kind number")
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not factor:
            raise ValueError("a factor is a number other than 0")
        if not -1e9 < factor < 1e9:
            raise ValueError("the factor is too large")
        return cls(kind, unit, float(factor), str(value.get("name") or "")[:100])


@dataclass(slots=True)
class Samples:
    """The first values of columns whose meaning is not decided yet."""

    _by_slug: dict[str, list[str]] = field(default_factory=dict)

    def add(self, slug: str, text: str) -> None:
        """Remember one value."""
        values = self._by_slug.setdefault(slug, [])
        if len(values) < SAMPLES:
            values.append(text)

    @property
    def complete(self) -> Mapping[str, Sequence[str]]:
        """The columns of which enough is known."""
        return {slug: texts for slug, texts in self._by_slug.items() if len(texts) == SAMPLES}

    def forget(self, slugs: Iterable[str]) -> None:
        """Drop the samples of columns that are decided."""
        for slug in tuple(slugs):
            self._by_slug.pop(slug, None)


def _plain_meaning(meaning: Meaning) -> dict[str, Any]:
    return {
        "kind": meaning.kind.value,
        "unit": meaning.unit,
        "offer": meaning.offer.value,
        "source": meaning.source.value,
    }


def _read_meaning(stored: Mapping[str, Any]) -> Meaning:
    unit = stored["unit"]
    if unit is not None and unit not in UNITS:
        raise ValueError("the unit is unknown")
    return Meaning(Kind(stored["kind"]), unit, Offer(stored["offer"]), Source(stored["source"]))
