"""Finds where the code cites a protocol page, and what such a page has to cite.

A citation names sections of ``docs/protocol/<family>.md``: "spec" and a section, in any of the
forms that a sentence asks for: one section, several, a range, a step or rule of one, the family's
name before it. A section in brackets alone counts too, in the files of a family.

The family is the one that is named, else that of the folder or file, else the one that the same
file named last. What the standalone helper says of itself is the bridge's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SECTION = r"[a-j](?:\.\d+)*"
_GAP = r"(?:\s+(?:#:?\s*)?)"
"""Space, or a line's end and the sign of a comment on the next."""

BRIDGE = "bridge"
"""Whose page the standalone helper's own rooms cite, where no family is named."""

_ITEM = re.compile(
    rf"(?P<sep>{_GAP}?(?:,|and\b|or\b|to\b|-|–|/){_GAP}?|{_GAP})?"
    rf"(?:(?P<unit>steps?|rules?|rows?|requirements?){_GAP}(?P<numbered>\d+)"
    rf"|(?P<named>[A-Z]\d+)|(?P<section>{SECTION})|(?P<number>\d+))(?!\w)"
)
_BEFORE = re.compile(
    rf"(?:steps?|rules?|rows?){_GAP}(\d+)(?:{_GAP}(?:to|and|-){_GAP}(\d+))?{_GAP}of{_GAP}$"
)
_BARE = re.compile(rf"\((?=[a-j]\.\d)(?P<list>{SECTION}(?:(?:, | - | and | to ){SECTION})*)\)")


class Place(NamedTuple):
    """What is cited: a section, and a numbered step or a named rule in it."""

    section: str
    item: str | None = None

    def __str__(self) -> str:
        return self.section if self.item is None else f"{self.section} item {self.item}"


@dataclass(frozen=True, slots=True)
class Citation:
    """One citation; ``family`` is ``None`` where nothing says which page is meant."""

    path: str
    line: int
    family: str | None
    place: Place


def citations(text: str, path: str, families: frozenset[str]) -> Iterator[Citation]:
    """Yield every citation in the text of a file."""
    family = _family_of(path, families)
    own = family is not None
    if not own and "standalone" in Path(path).parts[:2]:
        family = BRIDGE
    names = "|".join(sorted(map(re.escape, families), key=len, reverse=True)) or "(?!)"
    start = re.compile(
        rf"\b(?:[Ss]pec(?:ification)?|[Ss]ections?){_GAP}"
        rf"(?:(?P<family>{names}){_GAP})?(?=(?:{SECTION}|R\d+)(?!\w))"
    )
    found: list[tuple[int, str | None, Place]] = []
    for match in start.finditer(text):
        rest = text[match.end() :]
        if not match["family"] and re.match(rf"a{_GAP}\w", rest):
            continue  # the article
        if match["family"] and not own:
            family = match["family"]
        places = list(_places(rest))
        before = _BEFORE.search(text, max(0, match.start() - 60), match.start())
        if before:
            places += _numbered(places[0].section, int(before[1]), int(before[2] or before[1]))
        found += ((match.start(), match["family"] or family, place) for place in places)
    if own:
        for match in _BARE.finditer(text):
            found += ((match.start(), family, place) for place in _places(match["list"]))
    for at, whose, place in sorted(found, key=lambda entry: entry[0]):
        yield Citation(path, text.count("\n", 0, at) + 1, whose, place)


def _places(text: str) -> Iterator[Place]:
    """Yield what a list of sections names; it ends with the first word that is none."""
    at, section, last, unit = 0, "e", 0, False
    while match := _ITEM.match(text, at):
        separated = (match["sep"] or "").strip(" \n#:")
        if at and not separated and (match["section"] or match["number"]):
            return  # "spec h, f.1 row 13" goes on, "spec d 5" does not
        ranged = separated in ("-", "–", "to")
        at = match.end()
        if match["section"]:
            first, section = section, match["section"]
            yield from (_between(first, section) if ranged else (Place(section),))
            last, unit = int(section.rpartition(".")[2]) if "." in section else 0, False
        elif match["named"]:
            yield Place(section, match["named"])
        else:
            number = int(match["numbered"] or match["number"])
            unit = unit or bool(match["unit"])
            first_number = last + 1 if ranged else number
            if unit:
                yield from _numbered(section, first_number, number)
            elif ranged and "." in section:  # "b.11-13"
                yield from _between(section, f"{section.rpartition('.')[0]}.{number}")
            else:
                return
            last = number


def _numbered(section: str, first: int, last: int) -> list[Place]:
    return [Place(section, str(number)) for number in range(first, last + 1)]


def _between(first: str, last: str) -> Iterator[Place]:
    """Yield the sections after *first* up to *last*: b.1 to b.4 are three more."""
    parent, _, start = first.rpartition(".")
    other, _, end = last.rpartition(".")
    if parent != other or not start.isdigit():
        yield Place(last)
        return
    for number in range(int(start) + 1, int(end) + 1):
        yield Place(f"{parent}.{number}")


def _family_of(path: str, families: frozenset[str]) -> str | None:
    """Return whose file it is, by its folders, then by the words of its name."""
    *folders, name = Path(path).parts
    for word in (*reversed(folders), *Path(name).stem.split("_")):
        if word in families:
            return word
    return None


_HEADING = re.compile(rf"^#{{2,5}} +(?P<section>{SECTION})(?:[.:])? ")
_ROW = re.compile(r"^\| *\**(?P<section>[a-j]\.\d+(?:\.\d+)*)\** *\|")
_NUMBER = re.compile(r"^(?:\| *)?\**(?P<item>\d+|[A-Z]\d+)(?:\.|\** *\|)")
_RULE = re.compile(r"^(?:[-*] +)?\*\*(?P<item>[A-Z]\d+)\b")


def sections(page: str) -> set[Place]:
    """Return what a page has: headings and rows of sections, and the numbered items in them."""
    found: set[Place] = set()
    section, fenced = "", False
    for line in page.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if fenced:
            continue
        if match := _HEADING.match(line):
            section = match["section"]
            found.add(Place(section))
        elif match := _ROW.match(line):
            found.add(Place(match["section"]))
        elif section and (match := _NUMBER.match(line.strip()) or _RULE.match(line.strip())):
            found.add(Place(section, match["item"]))
    return found
