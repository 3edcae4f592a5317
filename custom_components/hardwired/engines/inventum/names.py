"""What a column is called, and the unit in its name (spec d.4)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..fields import Quantity

FAN_KEY = "3-standen"
STATUS_SUFFIX = "_status"

_MQTT = str.maketrans({"(": None, ")": None, ".": None, " ": "_"})
_UNIT = re.compile(r"\(([^()]*)\)\s*$")
_IGNORED_IN_UNIT = re.compile(r"[.\s]")
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and the quantity that it measures."""

    text: str
    quantity: Quantity


_TABLE: Mapping[Unit, tuple[str, ...]] = {
    Unit("°C", Quantity.TEMPERATURE): ("c", "°c", "grc", "gradenc"),
    Unit("K", Quantity.TEMPERATURE_DELTA): ("k",),
    Unit("%", Quantity.PERCENTAGE): ("%",),
    Unit("rpm", Quantity.ROTATION): ("rpm", "tpm", "omw/min", "1/min"),
    Unit("W", Quantity.POWER): ("w",),
    Unit("kW", Quantity.POWER): ("kw",),
    Unit("Wh", Quantity.ENERGY): ("wh",),
    Unit("kWh", Quantity.ENERGY): ("kwh",),
    Unit("V", Quantity.VOLTAGE): ("v",),
    Unit("mV", Quantity.VOLTAGE): ("mv",),
    Unit("A", Quantity.CURRENT): ("a",),
    Unit("mA", Quantity.CURRENT): ("ma",),
    Unit("Hz", Quantity.FREQUENCY): ("hz",),
    Unit("bar", Quantity.PRESSURE): ("bar",),
    Unit("mbar", Quantity.PRESSURE): ("mbar",),
    Unit("Pa", Quantity.PRESSURE): ("pa",),
    Unit("m³/h", Quantity.FLOW): ("m3/h", "m³/h", "m3/u"),
    Unit("L/min", Quantity.FLOW): ("l/min",),
    Unit("L/h", Quantity.FLOW): ("l/h",),
    Unit("L", Quantity.VOLUME): ("l",),
    Unit("ppm", Quantity.NUMBER): ("ppm",),
    Unit("s", Quantity.DURATION): ("s", "sec"),
    Unit("min", Quantity.DURATION): ("min",),
    Unit("h", Quantity.DURATION): ("h", "u", "uur"),
}
_BY_PRINTED = {printed: unit for unit, spellings in _TABLE.items() for printed in spellings}
UNITS: Mapping[str, Unit] = MappingProxyType({unit.text: unit for unit in _TABLE})
"""The units that are known, by the way they are shown."""


def mqtt_key(name: str) -> str:
    """Return the key of a column as the old program formed it."""
    return name.strip().translate(_MQTT)


def slug_of(name: str) -> str:
    """Return a column's name in plain characters; empty when none is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NOT_IN_SLUG.sub("_", plain.lower()).strip("_")


def is_free(slug: str, taken: Collection[str]) -> bool:
    """Whether neither the value nor the status of *slug* has a key of the slugs in *taken*."""
    rivals = (slug, slug + STATUS_SUFFIX, slug.removesuffix(STATUS_SUFFIX))
    return not any(rival in taken for rival in rivals)


class Slugs:
    """Gives each column of a unit a slug of its own, beside those that are *taken*."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._counts: dict[str, int] = {}

    def add(self, name: str, number: int) -> str:
        """Return the slug of the column with this *number* (from 1); it is taken then."""
        slug = base = slug_of(name) or f"column_{number}"
        count = self._counts.get(base, 1)
        while not is_free(slug, self._taken):
            count += 1
            slug = f"{base}_{count}"
        self._counts[base] = count
        self._taken.add(slug)
        return slug


def slugs_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return a slug for each column of a header, none of them twice."""
    slugs = Slugs()
    return tuple(slugs.add(name, number) for number, name in enumerate(names, 1))


def words_of(name: str) -> frozenset[str]:
    """Return the words of a column's slug."""
    return frozenset(slug_of(name).split("_"))


def unit_of(name: str) -> Unit | None:
    """Return the unit in the parentheses that end a name; ``None``: none that is known."""
    match = _UNIT.search(name)
    if match is None:
        return None
    return _BY_PRINTED.get(_IGNORED_IN_UNIT.sub("", match.group(1)).casefold())


def fan_column(names: Iterable[str], chosen: str | None = None) -> int | None:
    """Return the index of the fan's column in a header (spec d.2); ``None``: there is none.

    The last one of that key; without it, the last of the only key that begins with it. *chosen* is
    the name or the key of the column that the owner takes for it; capitals count only where two
    columns differ in nothing else.
    """
    keys = [mqtt_key(name) for name in names]
    if chosen is not None and (key := mqtt_key(chosen)) != FAN_KEY:
        if key not in keys:
            keys, key = [one.casefold() for one in keys], key.casefold()
        return _last(keys, key)
    beginning = {key for key in keys if key.lower().startswith(FAN_KEY)}
    if FAN_KEY in keys or len(beginning) != 1:
        return _last(keys, FAN_KEY)
    return _last(keys, beginning.pop())


def _last(keys: Sequence[str], key: str) -> int | None:
    return len(keys) - 1 - keys[::-1].index(key) if key in keys else None
