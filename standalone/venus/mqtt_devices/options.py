"""Options of a registration: they add rows, drop rows, or change what a row begins with.

The outcome is a plan: all that is fixed about one service before its settings are read
(spec D.7). The plan of a type without options is shared by all services of that type.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from .channels import parse_channels
from .energy import counters
from .rows import Row
from .rules import ACCEPTED, judge_plain
from .tables import METERS, ServiceType, Tables
from .values import as_flag, as_int, is_finite, is_number, is_text

DEFAULT_GAP = 300.0


class Plan(NamedTuple):
    """What a service of this type with these options is.

    ``rows`` are all rows below those of every service (spec D.1). ``errors`` has the error keys
    without the service id: "" is the service's options as a whole. ``max_gap`` is in seconds;
    None without energy from power.
    """

    kind: str
    rows: Mapping[str, Row]
    errors: Mapping[str, str]
    instance: int = 1
    auto_status: bool = False
    stamp: bool = False
    max_gap: float | None = None
    energy_sources: Mapping[str, Any] = {}


def plan(kind: ServiceType, options: Any, tables: Tables) -> Plan:
    """Make the plan of a service; ``options`` is its member as it came, None when absent."""
    return _Planner(kind, options, tables).plan()


def split_options(
    options: Any, services: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options of each service, and errors by key (spec O1)."""
    if not isinstance(options, dict):
        return {}, {"options": "not an object"}
    errors = {key: "no such service" for key in options if key not in services}
    return {key: options[key] for key in options if key in services}, errors


class _Planner:
    def __init__(self, kind: ServiceType, options: Any, tables: Tables) -> None:
        self.kind = kind
        self.tables = tables
        self.errors: dict[str, str] = {}
        if options is not None and not isinstance(options, dict):
            self.errors[""] = "not an object"
            options = None
        self.options: Mapping[str, Any] = options or {}
        self.rows: dict[str, Row] = {row.path: row for row in kind.rows}

    def plan(self) -> Plan:
        generic = self._flag("generic_meter", self.kind.name in METERS)
        if generic and self.kind.name == "evcharger":
            self.rows = _evcharger_meter(self.kind, self.tables)
        self._defaults()
        self._engine(generic)
        self._generic_meter(generic)
        self._phases()
        self._position()
        self._name()
        sources, max_gap = self._energy()
        auto_status = self._channels()
        return Plan(
            self.kind.name,
            self.rows,
            self.errors,
            self._instance(),
            auto_status,
            bool(self._flag("stamp", self.kind.name == "ev")),
            max_gap,
            sources,
        )

    def _report(self, key: str, text: str) -> None:
        self.errors[key] = text

    def _take(self, option: str, fits: bool, check: Callable[[Any], Any]) -> Any:
        """Return a checked option; None when it is absent, does not fit or is unusable."""
        if not fits or option not in self.options:
            return None
        value = check(self.options[option])
        if value is None:
            self._report(option, "unusable value")
        return value

    def _flag(self, option: str, fits: bool) -> int | None:
        value = self._take(option, fits, as_flag)
        return None if value is None else int(value)

    def _number(self, option: str, fits: bool, low: int, high: int) -> int | None:
        def check(value: Any) -> int | None:
            number = as_int(value)
            return number if number is not None and low <= number <= high else None

        value = self._take(option, fits, check)
        return None if value is None else int(value)

    def _set(self, path: str, default: Any) -> None:
        self.rows[path] = self.rows[path]._replace(default=default)

    def _fixed(self, path: str, value: int) -> None:
        """Add a read-only row, or make one of the table read-only."""
        self.rows[path] = Row(path, "int", value, writable=False)

    # ------------------------------------------------------------- the options

    def _defaults(self) -> None:
        given = self.options.get("defaults")
        if "defaults" not in self.options:
            return
        if not isinstance(given, dict):
            self._report("defaults", "not an object")
            return
        for path, value in given.items():
            row = self.rows.get("/" + path.lstrip("/")) if path[:2] != "//" else None
            usable = None if row is None else _default(row, value)
            if row is None or usable is None:
                key = path[1:] if path.startswith("/") else path
                self._report(f"defaults.{key}", "unusable value or no such path")
            else:
                self._set(row.path, usable[0])

    def _engine(self, generic: int | None) -> None:
        if self._flag("engine", self.kind.name == "genset"):
            self.rows.update((row.path, row) for row in self.tables.engine_rows)
            if not generic:
                self._set("/IsGenericEnergyMeter", 0)

    def _generic_meter(self, generic: int | None) -> None:
        path = "/IsGenericEnergyMeter"
        if generic is None:
            return
        if path in self.rows:
            if self.kind.name != "evcharger":
                self._set(path, generic)
        elif generic:
            self._fixed(path, 1)

    def _phases(self) -> None:
        phases = self._number("phases", self.kind.name in METERS, 1, 3)
        if phases is None:
            return
        gone = tuple(f"/Ac/L{number}/" for number in range(phases + 1, 4))
        for path in [path for path in self.rows if path.startswith(gone)] if gone else []:
            del self.rows[path]
        self._fixed("/NrOfPhases", phases)

    def _position(self) -> None:
        fits = "/Position" in self.rows
        highest = 2 if self.kind.name == "pvinverter" else 1
        position = self._number("position", fits, 0, highest)
        if position is not None:
            self._set("/Position", position)
        adjustable = self._flag("position_adjustable", fits)
        if adjustable is not None:
            self._fixed("/PositionIsAdjustable", adjustable)

    def _name(self) -> None:
        name = self._take("name", True, lambda it: it if is_text(it, 1, 64) else None)
        if name is not None:
            self._set("/CustomName", name)

    def _instance(self) -> int:
        return self._number("instance", True, 1, 9999) or 1

    def _energy(self) -> tuple[Mapping[str, Any], float | None]:
        found = counters(self.kind.name, self.rows, self.tables)
        gap = self._take("energy", bool(found), _gap)
        if not gap:
            return {}, None
        for path in sorted({path for pair in found.values() for side in pair for path in side}):
            self._set(path, 0.0)
        return found, float(gap)

    def _channels(self) -> bool:
        auto_status = self._flag("auto_status", True)
        made: list[Any] = []
        for word, table in (("outputs", self.tables.output), ("inputs", self.tables.input)):
            found = None
            if word in self.options:
                found = parse_channels(
                    self.options[word], table, word, bool(auto_status), self._report
                )
            if found is None and word == "outputs" and self.kind.default_outputs:
                found = parse_channels(
                    self.kind.default_outputs, table, word, bool(auto_status), self._report
                )
            if word == "outputs" and not found:
                self.errors.pop("auto_status", None)
            made.extend(found or [])
        for channel in made:
            self.rows.update((row.path, row) for row in channel.rows)
        return bool(auto_status)


def _evcharger_meter(kind: ServiceType, tables: Tables) -> dict[str, Row]:
    """Return the rows of a wall box that is only metered (spec D.7)."""
    rows = {row.path: row for row in tables.types["acload"].rows}
    mine = {row.path: row for row in kind.rows}
    rows["/CustomName"] = rows["/CustomName"]._replace(default=mine["/CustomName"].default)
    rows["/Role"] = rows["/Role"]._replace(default="evcharger")
    rows["/AllowedRoles"] = rows["/AllowedRoles"]._replace(default=["evcharger"])
    for path, default in (("/Status", 1), ("/Current", None), ("/MaxCurrent", None)):
        rows[path] = Row(path, "number", default)
    return rows


def _default(row: Row, value: Any) -> tuple[Any] | None:
    """Return the usable form of a member of ``defaults``, in a tuple; None without one."""
    if not row.writable or row.is_list or row.path == "/ProductId" or value is None:
        return None
    verdict = judge_plain(row, value)
    if verdict.code != ACCEPTED:
        return None
    fraction = isinstance(verdict.value, float) and isinstance(row.default, int)
    return None if row.stored and fraction else (verdict.value,)


def _gap(value: Any) -> float | None:
    """Return the longest gap in seconds, 0 for no energy, None for an unusable option."""
    if value is True:
        return DEFAULT_GAP
    if value is False:
        return 0.0
    if not isinstance(value, dict):
        return None
    gap = value.get("max_gap", DEFAULT_GAP)
    usable = is_number(gap) and is_finite(gap) and 10 <= gap <= 3600
    return float(gap) if usable else None
