"""Two weeks behind the simulated devices, as the recorder would have kept them.

Where a past of :mod:`.pasts` is not the device's own, its last hours bend towards what that says
now, so that a graph has no step where the demonstration begins. Home Assistant's own interface
takes one hour of each entity, so that it knows of them; it would need seconds for the rest, and
takes no states: these go into the recorder's tables.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .home_assistant import HomeAssistant
from .pasts import Past

STATES_FOR = timedelta(hours=25)
RECORDED_WITHIN = 10.0
"""Seconds in which the recorder has written a state down; it does so every second."""
BENDS = timedelta(hours=6)
"""Before now, within which the past bends towards the present."""
BENT_UNITS = frozenset({"%", "°C"})
"""What changes slowly; a power may jump, but for the sun's, which is bent in proportion."""
SUN = "pv_power"


@dataclass(frozen=True, slots=True)
class Curve:
    """One entity's past."""

    entity_id: str
    meter: bool
    unit: str | None
    precision: int
    points: Sequence[tuple[datetime, float]]


async def make_history(
    ha: HomeAssistant, families: Mapping[str, str], told: Mapping[str, Past]
) -> None:
    """Put two weeks behind the entities of the entries; *families* by entry id."""
    states = await ha.states()
    registry = await ha.command("config/entity_registry/list")
    curves: list[Curve] = []
    for entry_id, family in families.items():
        if family not in told:
            continue
        past = told[family]
        for ending in past.rows[0][1]:
            entity = next(
                (
                    one
                    for one in registry
                    if one["config_entry_id"] == entry_id
                    and one["unique_id"].endswith(ending)
                    and one["entity_id"] in states
                ),
                None,
            )
            if entity is None:
                continue
            now = _number(states[entity["entity_id"]]["state"])
            if now is None:
                continue
            points = [(moment, row[ending]) for moment, row in past.rows]
            meter = ending in past.meters
            unit = states[entity["entity_id"]]["attributes"].get("unit_of_measurement")
            shift = now - points[-1][1]
            if meter:
                points = [(moment, value + shift) for moment, value in points]
            elif past.true:
                pass
            elif unit in BENT_UNITS:
                points = list(_bent(points, now))
            elif ending.endswith(SUN):
                points = list(_dimmed(points, now))
            curves.append(
                Curve(
                    entity["entity_id"],
                    meter,
                    unit,
                    2 if unit in ("kW", "kWh") else 1 if unit == "°C" else 0,
                    points,
                )
            )
    for curve in curves:
        rows = hours(curve)[-1:]
        metadata = _metadata(curve)
        await ha.command("recorder/import_statistics", metadata=metadata, stats=rows)
    await asyncio.to_thread(_insert, str(ha.folder / "home-assistant_v2.db"), curves)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _bent(points: Sequence[tuple[datetime, float]], now: float) -> Iterable[tuple[datetime, float]]:
    """Yield the points, the last of them on their way to *now*."""
    end, last = points[-1]
    for moment, value in points:
        share = max(0.0, 1 - (end - moment) / BENDS)
        yield moment, value + (now - last) * share


def _dimmed(
    points: Sequence[tuple[datetime, float]], now: float
) -> Iterable[tuple[datetime, float]]:
    """Yield the points, the last of them clouded until they give *now*, never more than before."""
    end, last = points[-1]
    clear = min(1.0, now / last) if last > 0 else 1.0
    for moment, value in points:
        share = max(0.0, 1 - (end - moment) / BENDS)
        yield moment, value * (1 + (clear - 1) * share)


UNIT_CLASSES = {
    "W": "power", "kW": "power", "kWh": "energy", "°C": "temperature", "%": "unitless",
}  # fmt: skip


def hours(curve: Curve) -> list[dict[str, Any]]:
    """Return the full hours of a curve, as Home Assistant takes them; a meter's sum begins at 0."""
    by_hour: dict[datetime, list[float]] = {}
    for moment, value in curve.points:
        by_hour.setdefault(moment.replace(minute=0), []).append(value)
    base = curve.points[0][1]
    rows = []
    for (hour, values), (_, later) in itertools.pairwise(by_hour.items()):
        start = hour.astimezone(UTC).isoformat()
        if curve.meter:
            end = later[0]
            rows.append({"start": start, "state": round(end, 3), "sum": round(end - base, 3)})
        else:
            levels = {"mean": sum(values) / len(values), "min": min(values), "max": max(values)}
            rows.append({"start": start, **{key: round(it, 3) for key, it in levels.items()}})
    return rows


def _metadata(curve: Curve) -> dict[str, Any]:
    return {
        "has_mean": not curve.meter,
        "has_sum": curve.meter,
        "mean_type": 0 if curve.meter else 1,
        "name": None,
        "source": "recorder",
        "statistic_id": curve.entity_id,
        "unit_class": UNIT_CLASSES.get(curve.unit or ""),
        "unit_of_measurement": curve.unit,
    }


def _insert(database: str, curves: Sequence[Curve]) -> None:
    """Write the hours, and the states of the last day before the first of the recorder's own."""
    with closing(sqlite3.connect(database, timeout=30.0)) as connection:
        keys = [
            (
                _found(
                    connection,
                    "select s.metadata_id from statistics s join statistics_meta m"
                    " on s.metadata_id = m.id where m.statistic_id = ?",
                    curve.entity_id,
                ),
                _found(
                    connection,
                    "select m.metadata_id, s.attributes_id, min(s.last_updated_ts)"
                    " from states_meta m join states s on s.metadata_id = m.metadata_id"
                    " where m.entity_id = ? and s.state not in ('unknown', 'unavailable')",
                    curve.entity_id,
                ),
            )
            for curve in curves
        ]
        with connection:
            for curve, (statistics, states) in zip(curves, keys, strict=True):
                if statistics is not None:
                    _insert_hours(connection, curve, *statistics)
                if states is not None:
                    _insert_states(connection, curve, *states)


def _insert_hours(connection: sqlite3.Connection, curve: Curve, metadata_id: int) -> None:
    names = ("mean", "min", "max", "state", "sum")
    rows = [
        (metadata_id, start, start + 3610, *(row.get(name) for name in names))
        for row in hours(curve)[:-1]
        for start in (datetime.fromisoformat(row["start"]).timestamp(),)
    ]
    connection.executemany(
        "insert into statistics"
        " (metadata_id, start_ts, created_ts, mean, min, max, state, sum)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    if curve.meter:
        _go_on(connection, curve, metadata_id)


def _go_on(connection: sqlite3.Connection, curve: Curve, metadata_id: int) -> None:
    """Let the recorder count on from the past: it adds to the newest five minutes that it has."""
    now = curve.points[-1][1]
    passed = now - curve.points[0][1]
    begun = connection.execute(
        "update statistics_short_term set sum = sum + ? where metadata_id = ?",
        (passed, metadata_id),
    )
    if begun.rowcount == 0:
        start = time.time() // 300 * 300 - 600  # the newest that the recorder does not make
        connection.execute(
            "insert into statistics_short_term"
            " (metadata_id, start_ts, created_ts, state, sum) values (?, ?, ?, ?, ?)",
            (metadata_id, start, start + 310, now, passed),
        )


def _insert_states(
    connection: sqlite3.Connection,
    curve: Curve,
    metadata_id: int,
    attributes_id: int,
    until: float,
) -> None:
    since = (curve.points[-1][0] - STATES_FOR).timestamp()
    shown = None
    rows = []
    for moment, value in curve.points:
        text = f"{value:.{curve.precision}f}"
        if since <= moment.timestamp() < until and text != shown:
            rows.append((metadata_id, text, moment.timestamp(), attributes_id))
            shown = text
    connection.executemany(
        "insert into states"
        " (metadata_id, state, last_updated_ts, attributes_id, origin_idx)"
        " values (?, ?, ?, ?, 0)",
        rows,
    )


def _found(connection: sqlite3.Connection, query: str, name: str) -> tuple[Any, ...] | None:
    """Return the first row that a query finds; the recorder writes in turns."""
    deadline = time.monotonic() + RECORDED_WITHIN
    while True:
        row: tuple[Any, ...] | None = connection.execute(query, (name,)).fetchone()
        if row is not None and row[0] is not None:
            return row
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
