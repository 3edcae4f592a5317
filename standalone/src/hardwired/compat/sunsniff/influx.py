"""The points that bmerry/sunsniff writes to InfluxDB (spec sunsynk g.5).

Group and name identify a series: they are never renamed. An option (the old program had none)
is a field ``text``, so that ``value`` stays a number for the whole measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time

from hardwired_engines.fields import Value
from hardwired_engines.sunsynk.catalogue import TABLE

from ...influx.line_protocol import Point, nanoseconds

MEASUREMENT = "inverter"

_ROWS = {row.key: row for row in TABLE}


def points(
    serial: str, moment: datetime, values: Mapping[str, Value | None], keys: Iterable[str]
) -> Iterator[Point]:
    """Return the points of a report; a field without value has none. *moment* is aware."""
    stamp = nanoseconds(moment)
    for key in keys:
        fields = _fields(values.get(key))
        if not fields:
            continue
        row = _ROWS[key]
        tags = {"group": row.group, "name": row.label, "serial": serial}
        if row.unit:
            tags["unit"] = row.unit
        yield Point(MEASUREMENT, fields, tags, stamp)


def _fields(value: Value | None) -> dict[str, float | str]:
    match value:
        case str():
            return {"text": value}
        case time():
            return {"value": value.hour * 3600 + value.minute * 60 + value.second}
        case int() | float() if value - value == 0:
            return {"value": float(value)}
        case _:
            return {}
