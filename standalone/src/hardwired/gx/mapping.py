"""Which services a kind of device becomes on a GX, and what they show (spec g.2).

The table is ``map.json``; here it is read into values. Nothing here knows a family by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from hardwired_engines.fields import Value


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a set point or a number box may be set to."""

    minimum: float
    maximum: float
    step: float = 1


@dataclass(frozen=True, slots=True)
class Source:
    """Where a control's value comes from: a field, or a role of a composite."""

    field: str = ""
    composite: str = ""
    role: str = ""
    on: str | None = None
    """The word that means on; of a toggle."""
    off: str | None = None
    """The word that means off; all others mean on."""


WishRow = tuple[str, str, str]
"""Composite (or nothing), role or key, text; ``{}`` stands for what is set."""


@dataclass(frozen=True, slots=True)
class Control:
    """An output or input as the table has it."""

    id: str
    type: str
    name: str
    source: Source = Source()
    measurement: str | None = None
    unit: str | None = None
    bounds: Bounds | None = None
    bounds_of_field: bool = False
    labels: tuple[str, ...] = ()
    labels_of: tuple[str, str] | None = None
    """What of which composite gives the labels."""
    pairs: tuple[tuple[str, ...], ...] = ()
    fields: tuple[str, ...] = ()
    """With ``pairs``: the fields that are set together."""
    wish: tuple[WishRow, ...] = ()
    wish_by_state: Mapping[int, tuple[WishRow, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PathRow:
    """A value that is sent as a number."""

    path: str
    field: str
    scale: float = 1
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service of the table."""

    id: str
    type: str
    energy: bool
    """Whether it belongs to the profile that feeds the GX's balance."""
    name: str
    temperature_type: int | None = None
    phases: int | None = None
    position: int | None = None
    paths: tuple[PathRow, ...] = ()
    outputs: tuple[Control, ...] = ()
    inputs: tuple[Control, ...] = ()
    each: bool = False
    """Whether there is one for each of the device's temperatures that are shown by default."""


class View(Protocol):
    """A device as the mapping sees it."""

    @property
    def name(self) -> str:
        """What it is called."""

    def has(self, key: str) -> bool:
        """Whether it has a field."""

    def value(self, key: str) -> Value | None:
        """Return a field's value."""

    def has_composite(self, key: str) -> bool:
        """Whether it has a composite."""

    def role(self, composite: str, role: str) -> Value | None:
        """Return what a role of a composite shows."""

    def words(self, composite: str, what: str) -> Sequence[str]:
        """Return a composite's modes, fan modes or presets."""

    def bounds(self, key: str) -> Bounds | None:
        """Return the bounds of a field; ``None``: it has none."""

    def temperatures(self) -> Sequence[tuple[str, str]]:
        """Return keys and names of the temperatures that are shown by default."""


@cache
def table() -> Mapping[str, tuple[ServiceRow, ...]]:
    """Return the services by ``FAMILY.KIND``."""
    told = json.loads(files(__package__).joinpath("map.json").read_text(encoding="utf-8"))
    return {kind: tuple(map(_service, rows)) for kind, rows in told.items()}


def _service(row: Mapping[str, Any]) -> ServiceRow:
    return ServiceRow(
        id=row["id"],
        type=row["type"],
        energy=row["profile"] == "energy",
        name=row["name"],
        temperature_type=row.get("defaults", {}).get("TemperatureType"),
        phases=row.get("phases"),
        position=row.get("position"),
        paths=tuple(
            PathRow(one["path"], one["field"], one.get("scale", 1), one["decimals"])
            for one in row.get("paths", ())
        ),
        outputs=tuple(map(_control, row.get("outputs", ()))),
        inputs=tuple(map(_control, row.get("inputs", ()))),
        each="each" in row,
    )


def _control(row: Mapping[str, Any]) -> Control:
    labels, labels_of = row.get("labels", ()), None
    if isinstance(labels, str):
        what, _, composite = labels.partition(" of ")
        labels, labels_of = (), (composite, what)
    wish = row.get("wish", ())
    by_state: dict[int, tuple[WishRow, ...]] = {}
    if isinstance(wish, dict):
        by_state = {int(state): _rows(rows) for state, rows in wish.items()}
        wish = ()
    return Control(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        source=Source(**(row.get("state") or row.get("value") or {})),
        measurement=row.get("measurement", {}).get("field"),
        unit=row.get("unit"),
        bounds=Bounds(row["min"], row["max"], row["step"]) if "min" in row else None,
        bounds_of_field="bounds" in row,
        labels=tuple(labels),
        labels_of=labels_of,
        pairs=tuple(map(tuple, row.get("pairs", ()))),
        fields=tuple(row.get("fields", ())),
        wish=_rows(wish),
        wish_by_state=by_state,
    )


def _rows(rows: Sequence[Sequence[str]]) -> tuple[WishRow, ...]:
    return tuple((one[0], one[1], one[2]) for one in rows)
