"""Makes the tables of entities that other programs have in Home Assistant: which value is whose.

What a program announced by MQTT is known to the helper's ``compat`` rooms; the integration, which
is installed without the helper, gets a small table of it in each family's folder.

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

from hardwired.compat.inetbox.adopt import announced  # noqa: E402
from hardwired.compat.inetbox.texts import Language, Texts  # noqa: E402
from hardwired.compat.xtender.adopt import KEYS  # noqa: E402
from hardwired_engines.truma.catalogue import CATALOGUES  # noqa: E402

FAMILIES = ROOT / "custom_components" / "hardwired" / "families"
NAME = "old_ids.json"
MQTT = "mqtt"


def _old(program: str, integration: str, kind: str, unique_id: str, **more: Any) -> dict[str, Any]:
    """Return one row. Without ``names``, ``{name}`` is the end of our own unique id."""
    first = {"program": program, "integration": integration, "kind": kind}
    return {**first, "unique_id": unique_id, **more}


def _studer() -> Iterator[dict[str, Any]]:
    yield _old("xtender_mqtt", MQTT, "xt", "{address}_{name}", names=dict(KEYS))
    for kind, code in (("xt", "xt{place}"), ("vt", "vt{place}"), ("vs", "vs{place}"),
                       ("bsp", "bsp"), ("bms", "bms")):  # fmt: skip
        yield _old("hass-studer-xcom", "studer_xcom", kind, f"studer_*_{code}_{{name}}")


def _sunsynk() -> Iterator[dict[str, Any]]:
    yield _old("sunsniff", MQTT, "inverter", "sunsniff_{serial_number}_{name}")


def _truma() -> Iterator[dict[str, Any]]:
    names = {}
    for language in (Language.EN, Language.DE):
        ids, _, _ = announced(Texts(language=language), CATALOGUES["heater"])
        names |= {unique_id: key for key, (unique_id, _) in ids.items()}
    yield _old("inetbox.py", MQTT, "heater", "{name}", names=names)


def tables() -> dict[Path, str]:
    """Return the text of each table, by its file."""
    made = {"studer": _studer(), "sunsynk": _sunsynk(), "truma": _truma()}
    return {
        FAMILIES / family / NAME: json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"
        for family, rows in made.items()
    }


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
