#!/usr/bin/env python3
"""Write the entity tables of docs/<family>.md from the families' catalogues.

A page says where its tables go, between marker comments that name the kind of device:

    <!-- entities: inverter -->
    <!-- /entities -->

Usage: script/entity_tables.py [--check] [FAMILY ...]; without a family, every page that has
markers. ``--check`` writes nothing and exits with 1 when a page is not up to date. Runs in the
engines' environment: ``.venv/engines/bin/python script/entity_tables.py``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "standalone" / "src"))

from hardwired_engines.fields import Catalogue, Field, Offer, Quantity, Role  # noqa: E402
from hardwired_engines.presentation import control_of  # noqa: E402

MARKED = re.compile(
    r"(?P<open><!-- entities: (?P<kind>[\w-]+)(?P<options>[^>]*) -->\n)"
    r".*?"
    r"(?P<close><!-- /entities -->)",
    re.DOTALL,
)
HEADER = ("Key", "Name", "Unit", "Values", "For", "Offered")
OFFERED = {
    Offer.DEFAULT: "yes",
    Offer.EXTRA: "switched off at first",
    Offer.ON_REQUEST: "on request",
}
FOR = {Role.LIFE: "daily life", Role.DIAGNOSTIC: "diagnosis", Role.SETTING: "setting"}


def catalogues(family: str) -> Mapping[str, Catalogue]:
    """Return the catalogues of a family, wherever in its folder they are."""
    for module in ("catalogue", "engine"):
        try:
            found = importlib.import_module(f"hardwired_engines.{family}.{module}")
        except ModuleNotFoundError:
            continue
        if hasattr(found, "CATALOGUES"):
            tables: Mapping[str, Catalogue] = found.CATALOGUES
            return tables
    raise SystemExit(f"{family}: no CATALOGUES in its catalogue or engine module")


@cache
def _texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    path = ROOT / "custom_components" / "hardwired" / "translations" / "en.json"
    found: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(path.read_text("utf-8"))[
        "entity"
    ]
    return found


def name_of(family: str, field: Field) -> str:
    """Return how the entity is called; what has no text of its own has the field's name."""
    control = control_of(field)
    texts = {} if control is None else _texts().get(control.value, {})
    return texts.get(f"{family}_{field.key}", {}).get("name", field.name)


def values_of(field: Field) -> str:
    """Return what a value looks like, for people."""
    if field.options:
        return ", ".join(f"`{option}`" for option in field.options)
    if field.binary:
        return "on, off"
    if field.writable and field.minimum is not None and field.maximum is not None:
        return f"{field.minimum:g} … {field.maximum:g}"
    match field.quantity:
        case Quantity.TIMESTAMP:
            return "date and time"
        case Quantity.CLOCK_TIME:
            return "HH:MM"
        case Quantity.TEXT:
            return "text"
        case Quantity.SIGNAL:
            return "press"
        case _:
            return f"to {10**-field.precision:g}" if field.precision else "whole number"


def table(family: str, catalogue: Catalogue, skip: str = "") -> str:
    """Return the table of a kind of device; fields that are never an entity are left out."""
    rows = [HEADER, tuple("---" for _ in HEADER)]
    rows += [
        (
            f"`{field.key}`",
            name_of(family, field) + (" ✎" if field.writable else ""),
            field.unit or "–",
            values_of(field),
            FOR[field.role],
            OFFERED[field.offer],
        )
        for field in catalogue.values()
        if field.offer is not Offer.NEVER and not (skip and re.match(skip, field.key))
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def render(text: str, family: str) -> str:
    """Return a page with its tables made anew."""

    def replacement(found: re.Match[str]) -> str:
        kinds = catalogues(family)
        if found["kind"] not in kinds:
            raise SystemExit(f"{family}: there is no kind {found['kind']!r}: {', '.join(kinds)}")
        options = dict(re.findall(r"(\w+)=(\S+)", found["options"]))
        made = table(family, kinds[found["kind"]], **options)
        return f"{found['open']}\n{made}\n{found['close']}"

    return MARKED.sub(replacement, text)


def main() -> int:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--check", action="store_true", help="only say which pages are outdated")
    options = parser.parse_args()
    pages = [ROOT / "docs" / f"{family}.md" for family in options.families]
    outdated = 0
    for page in pages or sorted((ROOT / "docs").glob("*.md")):
        before = page.read_text(encoding="utf-8")
        if not MARKED.search(before):
            continue
        after = render(before, page.stem)
        if after == before:
            continue
        outdated += 1
        if options.check:
            print(f"{page.relative_to(ROOT)}: the entity tables are outdated", file=sys.stderr)
        else:
            page.write_text(after, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: written")
    return 1 if options.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
