"""The tables of service types, outputs, inputs and energy counters (spec D.2, D.3, D.8).

They come from ``service_types.json`` beside this file, read once at start, and from the owner's
``types_file`` in the same format, which adds types or takes the place of ours (spec G.1).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from .rows import Row, from_table
from .rules import ACCEPTED, judge_plain
from .values import is_finite, is_text

OWN_FILE = Path(__file__).with_name("service_types.json")

KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
PATH = re.compile(r"(/[A-Za-z0-9_]+)+")

METERS = ("grid", "pvinverter", "acload", "genset", "heatpump", "evcharger")

# What systemcalc and the GUI stumble over when it is not there (spec D.1).
LEAST_ALL = ("/ProductId", "/CustomName")
_CONVERTER = ("/Dc/0/Voltage", "/Dc/0/Current", "/State", "/Mode", "/Ac/Out/L1/P")
LEAST = {
    "battery": ("/Dc/0/Voltage", "/Dc/0/Current", "/Dc/0/Power", "/Soc"),
    "solarcharger": (
        "/Dc/0/Voltage",
        "/Dc/0/Current",
        "/NrOfTrackers",
        "/Yield/Power",
        "/State",
    ),
    "vebus": (*_CONVERTER, "/Ac/ActiveIn/ActiveInput", "/Ac/NumberOfPhases"),
    "inverter": _CONVERTER,
    "multi": _CONVERTER,
    "grid": ("/Ac/L1/Power", "/Ac/L1/Current"),
    "genset": ("/Ac/L1/Power", "/Ac/L1/Current"),
    "pvinverter": ("/Ac/L1/Power",),
    "alternator": ("/Dc/0/Voltage", "/Dc/0/Current", "/State"),
    "charger": ("/Dc/0/Voltage", "/Dc/0/Current", "/State"),
}
# Rows that promise something to the GX (spec D.1).
PROMISES = (
    "/Link/NetworkMode",
    "/Link/ChargeVoltage",
    "/Link/ChargeCurrent",
    "/Info/MaxChargeVoltage",
)
OWN_PATHS = frozenset(
    (
        "/Mgmt/ProcessName",
        "/Mgmt/ProcessVersion",
        "/Mgmt/Connection",
        "/DeviceInstance",
        "/DeviceName",
        "/ProductName",
        "/FirmwareVersion",
        "/Connected",
        "/Serial",
    )
)


class BadTable(ValueError):
    """A types file can't be used; the text says where and why."""


class ServiceType(NamedTuple):
    """One type: its rows, how many outputs it has without being asked, what it lacks."""

    name: str
    rows: tuple[Row, ...]
    default_outputs: int = 0
    lacks: str | None = None


class ChannelTable(NamedTuple):
    """The table of outputs or of inputs."""

    prefix: str
    type_names: Mapping[str, int]
    families: list[list[int]]
    rows: list[Mapping[str, Any]]
    settings: Mapping[str, Any]


class Tables(NamedTuple):
    """All tables in force."""

    types: Mapping[str, ServiceType]
    engine_rows: tuple[Row, ...]
    output: ChannelTable
    input: ChannelTable
    energy: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...] = ()


def _channel(entry: Mapping[str, Any]) -> ChannelTable:
    prefix = entry["prefix"].replace("<n>/", "")
    return ChannelTable(
        prefix, entry["type_names"], entry["families"], entry["rows"], entry.get("settings", {})
    )


def load(types_file: Path | None = None) -> Tables:
    """Read our own tables and the owner's; raises BadTable or OSError for the owner's."""
    raw = json.loads(OWN_FILE.read_text(encoding="utf-8"))
    types = {name: _service_type(name, entry) for name, entry in raw["types"].items()}
    warnings: list[str] = []
    if types_file is not None:
        for name, kind in _owners(types_file).items():
            if kind.lacks:
                warnings.append(f"type {name} lacks {kind.lacks}")
            promised = [row.path for row in kind.rows if row.path in PROMISES]
            warnings.extend(f"type {name} promises {it} to the GX" for it in promised)
            types[name] = kind
    return Tables(
        types,
        tuple(from_table(entry) for entry in raw["option_rows"]["genset"]["engine"]),
        _channel(raw["channels"]["output"]),
        _channel(raw["channels"]["input"]),
        raw["energy"],
        tuple(warnings),
    )


def _owners(path: Path) -> dict[str, ServiceType]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        entries = raw["types"].items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadTable(f"{path}: not a types file ({error})") from error
    found = {}
    for name, entry in entries:
        if not isinstance(name, str) or not KIND.fullmatch(name):
            raise BadTable(f"{path}: bad type name {name!r}")
        try:
            found[name] = _service_type(name, entry)
            for row in found[name].rows:
                _check(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadTable(f"{path}: type {name}: {error}") from error
    return found


def _service_type(name: str, entry: Mapping[str, Any]) -> ServiceType:
    rows = tuple(from_table(row) for row in entry["paths"])
    paths = {row.path for row in rows}
    lacks = [path for path in (*LEAST_ALL, *LEAST.get(name, ())) if path not in paths]
    outputs = int(entry.get("default_outputs", 0))
    return ServiceType(name, rows, outputs, lacks[0] if lacks else None)


def _check(row: Row) -> None:
    """Raise ValueError for a row that could harm the service it would be in."""
    if not PATH.fullmatch(row.path) or row.path in OWN_PATHS:
        raise ValueError(f"bad path {row.path!r}")
    if row.path.startswith(("/SwitchableOutput/", "/GenericInput/")):
        raise ValueError(f"{row.path} belongs to an output or input")
    default = row.default
    if row.is_list:
        fine = default is None or (isinstance(default, list) and all(map(is_text, default)))
    elif row.is_number:
        fine = default is None or is_finite(default)
    else:
        fine = default is None or is_text(default)
    if not fine or (row.kind == "integer" and isinstance(default, float)):
        raise ValueError(f"{row.path}: bad default {default!r}")
    if row.stored and (row.is_list or default is None):
        raise ValueError(f"{row.path}: a stored path needs a text or a number")
    for limit in (row.low, row.high):
        if limit is not None and not is_finite(limit):
            raise ValueError(f"{row.path}: bad limit {limit!r}")
    if row.stored and row.is_number and judge_plain(row, default).code != ACCEPTED:
        raise ValueError(f"{row.path}: the default is outside the limits")
    if row.text_format is not None:
        row.text_format.format(1)
