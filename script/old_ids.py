"""Makes the tables of entities that other programs have in Home Assistant: which value is whose.

What a program announced by MQTT is known to the helper's ``compat`` rooms; the integration, which
is installed without the helper, gets a small table of it in each family's folder. Programs that
ask a Sunsynk inverter give names to its registers (``data/sunsynk/other_programs.json``: what was
read in which of their files): the same registers are the same value. Not in there: what they
reckon from several registers, and states and options, for which they have words of their own.

    script/old_ids.py [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "standalone" / "src"))

from entity_tables import name_of  # noqa: E402

from hardwired.compat.inetbox.adopt import announced  # noqa: E402
from hardwired.compat.inetbox.texts import Language, Texts  # noqa: E402
from hardwired.compat.xtender.adopt import KEYS  # noqa: E402
from hardwired_engines.sunsynk.catalogue import INVERTER, TABLE  # noqa: E402
from hardwired_engines.sunsynk.modbus.writable import SETTINGS  # noqa: E402
from hardwired_engines.truma.catalogue import CATALOGUES  # noqa: E402

FAMILIES = ROOT / "custom_components" / "hardwired" / "families"
NAME = "old_ids.json"
PAGE = ROOT / "docs" / "moving-in.md"
SUNSYNK = ROOT / "data" / "sunsynk" / "other_programs.json"
MQTT, SOLARMAN, ESPHOME = "mqtt", "solarman", "esphome"
LOGGER = "{any}_{number}_{name}"
"""Solarman: what its owner calls it, the serial number of the logger, the name."""

ESPHOME_NAMES = {
    "Current Room Temperature": "current_temp_room",
    "Current Water Temperature": "current_temp_water",
    "Target Room Temperature": "target_temp_room",
    "Target Water Temperature": "target_temp_water",
    "Electric power level": "el_power_level",
    "electric power level": "el_power_level",
    "Timer active": "timer_active",
    "Truma Room": "room",
    "Room": "room",
    "Truma Water": "water",
    "Water": "water",
}
"""What the examples of esphome-truma_inetbox call our values (README.md, examples/combi_E.yaml at
1e452c1a12e6, WomoLinControllerEthernet.yaml at 70aefdd705a7). Not in there: what it shows as a
number, ours as a word, and its flags, whose meaning is not the same as that of ours."""


def _old(program: str, integration: str, kind: str, unique_id: str, **more: Any) -> dict[str, Any]:
    """Return one row. Without ``names``, ``{name}`` is the end of our own unique id."""
    first = {"program": program, "integration": integration, "kind": kind}
    return {**first, "unique_id": unique_id, **more}


def _names(told: dict[str, Any]) -> dict[str, str]:
    """Return our key of each value of a program that reads an inverter's registers."""
    keys = {row.registers: row.key for row in TABLE if row.registers}
    keys |= {(setting.register,): setting.key for setting in SETTINGS.values()}
    return {name: keys[tuple(numbers)] for name, numbers in told["registers"].items()}


def _studer() -> Iterator[dict[str, Any]]:
    yield _old("xtender_mqtt", MQTT, "xt", "{address}_{name}", names=dict(KEYS))
    for kind, code in (("xt", "xt{place}"), ("vt", "vt{place}"), ("vs", "vs{place}"),
                       ("bsp", "bsp"), ("bms", "bms")):  # fmt: skip
        ids = f"studer_*_{code}_{{name}}"
        yield _old("hass-studer-xcom", "studer_xcom", kind, ids, serial_registered=True)


def _sunsynk() -> Iterator[dict[str, Any]]:
    kind = "inverter"
    yield _old("sunsniff", MQTT, kind, "sunsniff_{serial_number}_{name}")
    told = json.loads(SUNSYNK.read_text(encoding="utf-8"))
    kellerza = "kellerza/sunsynk"
    names = _names(told[kellerza])
    yield _old(kellerza, MQTT, kind, "{serial_number}_{name}", names=names)
    first = _names(told["StephanJoubert/home_assistant_solarman"])
    second = _names(told["davidrapan/ha-solarman"])
    told_by_first, told_by_second = ["Inverter ID", None], ["device_sensor", "Serial Number"]
    for unique_id, known, serial_in in (
        (LOGGER, first, told_by_first), (LOGGER, second, told_by_second),
        ("*_{name}", second, told_by_second),
    ):  # fmt: skip
        more = {"owner_says": True, "serial_in": serial_in}
        yield _old(SOLARMAN, SOLARMAN, kind, unique_id, names=known, **more)


def _truma() -> Iterator[dict[str, Any]]:
    names = {}
    for language in (Language.EN, Language.DE):
        ids, _, _ = announced(Texts(language=language), CATALOGUES["heater"])
        names |= {unique_id: key for key, (unique_id, _) in ids.items()}
    yield _old("inetbox.py", MQTT, "heater", "{name}", names=names)
    named = {name.lower().replace(" ", "_"): key for name, key in ESPHOME_NAMES.items()}
    more = {"owner_says": True, "named_by_owner": True}
    yield _old(
        "esphome-truma_inetbox", ESPHOME, "heater", "{any}-{any}-{name}",
        names={**named, **ESPHOME_NAMES}, **more,
    )  # fmt: skip


def _page() -> str:
    """Return the page of moving in, with the table of what others call an inverter's values."""
    programs = {
        name: _names(told) for name, told in json.loads(SUNSYNK.read_text(encoding="utf-8")).items()
    }
    lines = ["| Here | " + " | ".join(programs) + " |", "| --- |" + " --- |" * len(programs)]
    for key, field in INVERTER.items():
        called = [
            ", ".join(f"`{name}`" for name, ours in names.items() if ours == key)
            for names in programs.values()
        ]
        if any(called):
            lines.append(f"| {name_of('sunsynk', field)} | " + " | ".join(called) + " |")
    begin, end = "<!-- names: sunsynk -->\n", "<!-- /names -->"
    text = PAGE.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, ends, after = rest.partition(end)
    if not (found and ends):
        raise SystemExit(f"{PAGE.relative_to(ROOT)} has no place for the names")
    return before + begin + "\n".join(lines) + "\n" + end + after


def tables() -> dict[Path, str]:
    """Return the text of each table, by its file."""
    made = {"studer": _studer(), "sunsynk": _sunsynk(), "truma": _truma()}
    written = {
        FAMILIES / family / NAME: json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"
        for family, rows in made.items()
    }
    return {**written, PAGE: _page()}


def main(arguments: list[str]) -> int:
    """Write the tables, or say whether they are as they would be written."""
    stale = [
        path
        for path, text in tables().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not up to date: run script/old_ids.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(tables()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
