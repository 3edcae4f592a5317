#!/usr/bin/env python3
"""Write docs/bridge-keys.md, the keys of CONFIG.toml of each family, from the reader's own tables.

Usage: script/config_tables.py [--check]; ``--check`` writes nothing and exits with 1 when the
page is not up to date. Runs in the engines' environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "standalone" / "src"))

from hardwired.config import tables  # noqa: E402
from hardwired.config.kinds import secret  # noqa: E402
from hardwired.config.tables import Key  # noqa: E402

PAGE = ROOT / "docs" / "bridge-keys.md"
TITLES = {
    "inventum": ("Inventum", "inventum.md"),
    "studer": ("Studer", "studer.md"),
    "sunsynk": ("Sunsynk", "sunsynk.md"),
    "truma": ("Truma", "truma.md"),
}
NAMES = {"string": "text", "integer": "whole number", "number": "number", "object": "table"}
HEAD = """\
# CONFIG.toml: the keys of each family

Besides the [keys of all devices](bridge.md#configtoml), a `[devices.NAME]` takes these. What they
mean stands in each family's own page; `hardwired check` says what is wrong, with its line.
"""


def takes(key: Key) -> str:
    """Return what a key takes, in words."""
    return "a secret" if key.kind is secret else _words(key.kind.schema)


def _words(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"enum": options}:
            return ", ".join(f"`{option}`" for option in options)
        case {"oneOf": [{"type": kind, "minimum": low, "maximum": high}, {"type": "string"}]}:
            unit = "minutes" if kind == "integer" else "seconds"
            return f'{low:g} to {high:g} {unit}, or a time such as `"2m"`'
        case {"oneOf": options} | {"anyOf": options}:
            return " or ".join(dict.fromkeys(map(_words, options)))
        case {"type": "boolean"}:
            return "true, false"
        case {"type": "array", "items": item}:
            return f"list of {_words(item)}"
        case {"type": str(kind), "minimum": low, "maximum": high}:
            return f"{NAMES[kind]}, {low} to {high}"
        case {"type": str(kind)}:
            return NAMES.get(kind, kind)
    return ""


def rows(keys: tuple[Key, ...]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| Key | Takes | Default |"
    yield "| --- | --- | --- |"
    for key in keys:
        default = "needed" if key.needed else ""
        if key.default is not None and not key.needed:
            default = f"`{json.dumps(key.default, ensure_ascii=False)}`"
        yield f"| `{key.name}` | {takes(key)} | {default} |"


def page() -> str:
    """Return the whole page."""
    lines = [HEAD]
    for name in tables.family_names():
        family = tables.family(name)
        title, link = TITLES.get(name, (name, f"{name}.md"))
        lines += [f"## [{title}]({link})", "", *rows(family.table.keys), ""]
        for dialect in family.dialects:
            told = f'`[[devices.NAME.legacy]]` with `dialect = "{dialect.name}"`:'
            lines += [told, "", *rows(dialect.keys), ""]
    return "\n".join(lines)


def main() -> int:
    """Write the page, or say whether it is up to date."""
    text = page()
    if "--check" in sys.argv:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not fresh:
            print(f"{PAGE.name} is not up to date: script/config_tables.py", file=sys.stderr)
        return 0 if fresh else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
