"""What one service holds: rows, values, texts, and how two registrations differ (spec D.7 O12)."""

from __future__ import annotations

from typing import Callable, Iterator, Mapping, NamedTuple

from .options import Plan
from .rows import Row
from .rules import channel_range
from .texts import text
from .values import Value, is_number, same

OWN_ROWS = {
    row.path: row
    for row in (
        Row("/Mgmt/ProcessName", "text", writable=False),
        Row("/Mgmt/ProcessVersion", "text", writable=False),
        Row("/Mgmt/Connection", "text", writable=False),
        Row("/DeviceInstance", "int", writable=False),
        Row("/DeviceName", "text", writable=False),
        Row("/ProductName", "text", writable=False),
        Row("/FirmwareVersion", "text", writable=False),
        Row("/Connected", "int", writable=False),
        Row("/Serial", "text", writable=False),
    )
}

# The kinds of D-Bus that rows are compared by: n is an int or a double, as written.
_KINDS = {
    "number": "n",
    "integer": "i",
    "int": "i",
    "double": "d",
    "text": "s",
    "list": "as",
    "list_text": "as",
    "list_int": "ai",
}


Lookup = Callable[[str], Value]


class Items:
    """Rows and values of one service; every read gives what holds now."""

    __slots__ = ("_values", "plan")

    def __init__(self, plan: Plan, own: Mapping[str, Value], stored: Mapping[str, Value]) -> None:
        self.plan = plan
        self._values: dict[str, Value] = dict(own)
        for path, row in plan.rows.items():
            self._values[path] = stored.get(path, row.default)

    def __contains__(self, path: str) -> bool:
        return path in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def row(self, path: str) -> Row | None:
        """Return the row of a path; None for a path that is not there."""
        return self.plan.rows.get(path) or OWN_ROWS.get(path)

    def value(self, path: str) -> Value:
        """Return what a path holds; None when it is invalid or not there."""
        return self._values.get(path)

    def text(self, path: str) -> str:
        """Return the text of a path."""
        row = self.row(path)
        assert row is not None
        return text(row, self._values[path], self.value)

    def set(self, path: str, value: Value) -> bool:
        """Take a value over as it is; says whether anything changed."""
        if same(self._values[path], value):
            return False
        self._values[path] = value
        return True

    def below(self, node: str) -> list[str]:
        """Return the paths below an inner node, ``/`` for all; empty for what is none."""
        prefix = node if node == "/" else node + "/"
        return [path for path in self._values if path.startswith(prefix)]


class Difference(NamedTuple):
    """What a repeated registration with other options asks of a service.

    ``added`` and ``gone`` are paths; either, or ``rebuild``, means that the service must leave
    the bus and return. ``values`` is what else to set; ``defaults`` of these are stored.
    """

    rebuild: bool
    added: list[str]
    gone: list[str]
    values: dict[str, Value]


def difference(items: Items, plan: Plan) -> Difference:
    """Compare a service with the plan made from its new options (spec O12)."""
    before, after = items.plan.rows, plan.rows
    added = [path for path in after if path not in before]
    gone = [path for path in before if path not in after]
    kinds_differ = any(
        _KINDS[row.kind] != _KINDS[before[path].kind]
        for path, row in after.items()
        if path in before
    )
    if added or gone or kinds_differ:
        return Difference(True, added, gone, {})
    values = {
        path: row.default
        for path, row in after.items()
        if not row.writable and not same(items.value(path), row.default)
    }

    def lookup(path: str) -> Value:
        return values[path] if path in values else items.value(path)

    for path, row in after.items():
        if not row.channel or not row.writable:
            continue
        present = items.value(path)
        wanted = _fitting(row, present, lookup)
        if not same(present, wanted):
            values[path] = wanted
    return Difference(False, [], [], values)


def _fitting(row: Row, present: Value, lookup: Lookup) -> Value:
    """Return what a row of a channel holds under its new rules."""
    if row.field in ("Settings/Type", "Settings/Function"):
        mask = lookup(row.channel + row.field.replace("/", "/Valid") + "s")
        fits = isinstance(mask, int) and isinstance(present, int) and mask >> present & 1
        return present if fits else row.default
    if row.field not in ("Dimming", "Value") or not is_number(present):
        return present
    low, high = channel_range(row, lookup)
    nearer = present
    if low is not None and nearer < low:  # type: ignore[operator]
        nearer = low
    if high is not None and nearer > high:  # type: ignore[operator]
        nearer = high
    if nearer is present:
        return present
    return float(nearer) if row.kind == "double" else int(nearer)  # type: ignore[arg-type]


def kept_values(items: Items, plan: Plan) -> dict[str, Value]:
    """Return what a rebuilt service takes along: rows of both sides with the same kind."""
    before = items.plan.rows
    return {
        path: items.value(path)
        for path, row in plan.rows.items()
        if path in before and row.writable and _KINDS[row.kind] == _KINDS[before[path].kind]
    }
