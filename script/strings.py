"""Put the texts of all rooms together into the integration's own files.

``strings/<room>/`` holds what one room (``common`` or a family) says: ``en.json``, ``nl.json``,
``de.json``, ``fr.json``, ``icons.json`` and ``services.yaml``. What a room makes of a glossary
comes from its own script, ``<room>_names.py``. Home Assistant wants one file
each. The standalone bridge has one file a language: the same names, and its own texts, which
stand in ``strings/_bridge/``. The engines have what their errors say, in English, as a module.
``python script/strings.py`` writes them, ``--check`` says whether they are up to date.
"""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
from copy import deepcopy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "strings"
TARGET = ROOT / "custom_components" / "hardwired"
BRIDGE = ROOT / "standalone" / "src" / "hardwired" / "mqtt" / "names"
ERRORS = TARGET / "engines" / "texts.py"
WIDTH = 100
LANGUAGES = ("en", "nl", "de", "fr")


def merge(into: dict[str, Any], more: dict[str, Any], where: str) -> None:
    """Add *more* to *into*; a text that stands twice is an error."""
    for key, value in more.items():
        here = f"{where}.{key}"
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            merge(into[key], value, here)
        else:
            raise SystemExit(f"{here} stands twice")


def rooms() -> list[Path]:
    """Return the rooms, ``common`` first."""
    found = [path for path in SOURCE.iterdir() if path.is_dir() and path.name[0] != "_"]
    return sorted(found, key=lambda path: (path.name != "common", path.name))


def combined(name: str) -> str:
    """Return the combined text of one JSON file of all rooms."""
    whole: dict[str, Any] = {}
    for room in rooms():
        path = room / name
        if path.exists():
            merge(whole, json.loads(path.read_text(encoding="utf-8")), f"{room.name}/{name}")
        if (room / "glossary.json").exists():
            more = importlib.import_module(f"{room.name}_names").made()
            merge(whole, deepcopy(more.get(name, {})), f"{room.name}/glossary.json")
    return json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def families() -> list[str]:
    """Return the families that have texts, the longest names first."""
    names = {room.name for room in rooms()} - {"common"}
    return sorted(names, key=len, reverse=True)


def standalone(language: str) -> str:
    """Return what the standalone bridge says in one language: names of fields, notices, its own."""
    whole = json.loads(combined(f"{language}.json"))
    found: dict[str, dict[str, dict[str, str]]] = {}
    for rows in whole.get("entity", {}).values():
        for key, told in rows.items():
            family = next((name for name in families() if key.startswith(f"{name}_")), None)
            if family is not None and "name" in told:
                names = found.setdefault(family, {}).setdefault("*", {})
                names[key.removeprefix(f"{family}_")] = told["name"]
    notices = {
        key: told["title"].removeprefix("{title}").lstrip("\u00a0 :")
        for key, told in whole.get("issues", {}).items()
    }
    found["bridge"] = {"notices": notices}
    own = SOURCE / "_bridge" / f"{language}.json"
    if own.exists():
        found["bridge"]["bridge"] = json.loads(own.read_text(encoding="utf-8"))
    return json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def errors() -> str:
    """Return the module of what the engines' errors say, in English."""
    lines = [
        '"""What errors say, in English. Made of ``strings/`` by ``script/strings.py``."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
        "TEXTS: Final[Mapping[str, str]] = {",
    ]
    for key, told in json.loads(combined("en.json"))["exceptions"].items():
        line = f"    {_literal(key)}: {_literal(told['message'])},"
        if len(line) <= WIDTH:
            lines.append(line)
            continue
        lines.append(f"    {_literal(key)}: (")
        parts = textwrap.wrap(told["message"], WIDTH - 11, break_on_hyphens=False)
        spaced = [f"{part} " for part in parts[:-1]] + parts[-1:]
        lines += [f"        {_literal(part)}" for part in spaced] + ["    ),"]
    return "\n".join([*lines, "}"]) + "\n"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def services() -> str:
    """Return the descriptions of the actions of all rooms."""
    parts = [
        path.read_text(encoding="utf-8").strip()
        for room in rooms()
        if (path := room / "services.yaml").exists()
    ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the files, or with ``--check`` compare them; returns the exit code."""
    files = {
        TARGET / "translations" / f"{lang}.json": combined(f"{lang}.json") for lang in LANGUAGES
    }
    files |= {BRIDGE / f"{lang}.json": standalone(lang) for lang in LANGUAGES}
    files[TARGET / "icons.json"] = combined("icons.json")
    files[TARGET / "services.yaml"] = services()
    files[ERRORS] = errors()
    stale = [
        path
        for path, text in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run python script/strings.py")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
