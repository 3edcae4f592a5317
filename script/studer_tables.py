#!/usr/bin/env python3
"""Write the Studer tables as Python modules, from the master data in ``data/studer``.

``script/studer_tables.py`` writes them, ``--check`` fails when they are not up to date. No JSON
is read when the integration runs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data" / "studer"
TARGET = ROOT / "custom_components" / "hardwired" / "engines" / "studer"

FLAGS = (
    "writable",
    "signal",
    "guarded",
    "dc_scaled",
    "time_of_day",
    "wall_clock",
    "nan_ok",
    "no_sensor_at",
    "plausible_dc_scaled",
)
"""Bit n of a row's flags, in the order of the fields of ``Datapoint``."""

LINE_LENGTH = 100

HEAD = '''"""{about}

Written by script/studer_tables.py; do not edit.
"""

from typing import Any, Final

'''


def long_lines_allowed(text: str) -> str:
    """Return a module with the linter's leave for its long lines, when it has any."""
    if max(map(len, text.splitlines())) <= LINE_LENGTH:
        return text
    return text.replace("from typing", "# ruff: noqa: E501\nfrom typing", 1)


def _told_apart(labels: dict[str, str], option_of: dict[str, str]) -> dict[str, str]:
    """Return the options with those told apart that lost the sign of a pole on their way.

    ``PV+ grounded`` and ``PV- grounded`` have one option in the source: a setting would be a guess.
    """
    result = {}
    for wire, option in option_of.items():
        sign = re.match(r"\w+([+-]) ", labels[wire])
        pole = {"+": "plus", "-": "minus"}.get(sign[1]) if sign else None
        shared = list(option_of.values()).count(option) > 1
        head, _, tail = option.partition("_")
        result[wire] = f"{head}_{pole}_{tail}" if pole and shared else option
    return result


def row(point: dict[str, Any]) -> tuple[Any, ...]:
    """Return a datapoint as the columns of the table."""
    ha = point["ha"]
    option_of = _told_apart(point.get("enum", {}), ha.get("option_of", {}))
    enum = tuple(
        (int(wire), label, option_of.get(wire)) for wire, label in point.get("enum", {}).items()
    )
    flags = sum(1 << bit for bit, name in enumerate(FLAGS) if point.get(name))
    limits = tuple(point.get(name) for name in ("default", "min", "max", "step"))
    ac120 = point.get("ac120")
    return (
        point["id"],
        point["kind"] == "param",
        point["key"],
        point["name"],
        point["unit"],
        point["format"],
        point["level"],
        point["poll"],
        flags,
        limits if any(limit is not None for limit in limits) else None,
        tuple(point["plausible"]) if "plausible" in point else None,
        enum or None,
        {"one_bit": 1, "bits": 2}.get(point.get("enum_kind", ""), 0),
        tuple(point["enum_absent"]) if point.get("enum_absent") else None,
        tuple((int(bit), text) for bit, text in point["bits"].items()) if "bits" in point else None,
        tuple(ac120[name] for name in ("default", "min", "max", "step")) if ac120 else None,
        tuple(point.get("menus", ())),
        (
            ha["platform"],
            ha.get("device_class"),
            ha.get("state_class"),
            ha.get("unit"),
            ha.get("precision"),
            ha.get("entity_category"),
            ha["tier"],
        ),
    )


def datapoints() -> str:
    """Return the module of the datapoints."""
    points = json.loads((DATA / "datapoints.json").read_text(encoding="utf-8"))["datapoints"]
    by_family: dict[str, list[str]] = {}
    menus: list[str] = []
    for point in points:
        if point["kind"] == "menu":
            heading = tuple(point[name] for name in ("family", "id", "name", "level"))
            menu = (*heading, tuple(point.get("menus", ())))
            menus.append(f"    {menu!r},")
        else:
            by_family.setdefault(point["family"], []).append(f"    {row(point)!r},")
    text = HEAD.format(about="Every datapoint of every family of device (spec d.1).")
    for family, rows in by_family.items():
        text += f"{family.upper()}: Final[tuple[tuple[Any, ...], ...]] = (\n"
        text += "\n".join(rows) + "\n)\n\n"
    text += "MENUS: Final[tuple[tuple[Any, ...], ...]] = (\n" + "\n".join(menus) + "\n)\n"
    return text


def messages() -> str:
    """Return the module of the messages."""
    found = json.loads((DATA / "messages.json").read_text(encoding="utf-8"))["messages"]
    text = HEAD.format(about="Number, severity, text and topology of each message (spec c.7).")
    text += "MESSAGES: Final[tuple[tuple[Any, ...], ...]] = (\n"
    for message in found:
        entry = (message["id"], message["severity"], message["text"], message.get("topology"))
        text += f"    {entry!r},\n"
    return text + ")\n"


def protocol() -> str:
    """Return the module of the families of devices."""
    found = json.loads((DATA / "protocol.json").read_text(encoding="utf-8"))["families"]
    text = HEAD.format(about="Addresses and identifying infos of each family (spec b.8, c.3).")
    text += "FAMILIES: Final[tuple[tuple[Any, ...], ...]] = (\n"
    for family in found:
        entry = (
            family["family"],
            family["name"],
            family["multicast"],
            family["first"],
            family["last"],
            tuple(family["params"]),
            family["infos"] and tuple(family["infos"]),
            family["probe"],
            family["probe_object_type"],
            family["fid"] and tuple(family["fid"]),
            family["software"] and tuple(family["software"]),
        )
        text += f"    {entry!r},\n"
    return text + ")\n"


MODULES = {
    "datapoints/table.py": datapoints,
    "scom/message_table.py": messages,
    "scom/family_table.py": protocol,
}


def main() -> int:
    """Write or check the modules; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    check = parser.parse_args().check
    stale = []
    for name, make in MODULES.items():
        path = TARGET / name
        text = long_lines_allowed(make())
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is out of date' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
