"""The pages for owners: an index, one order of headings, the same words as the UI, sound links."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import custom_components.hardwired  # noqa: F401 - pins the package before anything else
from custom_components.hardwired.engines.engine import Reason
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.issues import TRANSIENT

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TEXTS = json.loads((ROOT / "strings" / "common" / "en.json").read_text(encoding="utf-8"))
TRANSLATIONS = json.loads(
    (ROOT / "custom_components" / "hardwired" / "translations" / "en.json").read_text("utf-8")
)
QUOTED = re.compile(r"(?<![*\w])\*([^*]+)\*(?!\*)|`([^`]+)`")
OF_OTHERS = {"externally-managed-environment", "unrecognized arguments", "modifications installed"}
"""What pip, Python's reader of arguments and Venus OS say."""
FENCE = re.MULTILINE | re.DOTALL
SYMPTOMS = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "standalone" / "README.md"]
OTHERWISE = {"README.md", "docs/README.md", "docs/bridge-keys.md", "docs/adding-a-family.md"}
"""Overviews, a generated table, a page for developers."""
BELONGS = re.compile(r"^## If not\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sentence(text: str) -> str:
    """Return a text of the UI without what it fills in."""
    return re.sub(r":? *\{\w+\}", "", text).removesuffix(" under More settings").strip()


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.STARTING])
def test_each_reason_is_a_symptom_in_the_words_of_the_ui(reason: Reason) -> None:
    rows = [line.split(" | ") for line in SYMPTOMS.splitlines() if line.startswith("| ")]
    issue = TEXTS["issues"].get(f"silence_{reason.value}")
    if reason in TRANSIENT:
        said = sentence(TEXTS["exceptions"][reason.value]["message"].partition(" Details")[0])
        title = None
    else:
        assert issue is not None
        said = issue["description"].partition("\n")[0]
        title = issue["title"].removeprefix("{title}: ")
    (row,) = [row for row in rows if row[0].removeprefix("| ") == said]
    assert title is None or row[1] == title
    assert len(row[2]) > 10
    assert row[3] == f"`{reason.value}` |"


@pytest.mark.parametrize(
    "path", [path for path in PAGES if name_of(path) not in OTHERWISE], ids=name_of
)
def test_a_page_leads_through_in_one_order(path: Path) -> None:
    outside_of_code = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=FENCE)
    headings = re.findall(r"^## (.+)$", outside_of_code, re.MULTILINE)
    assert headings[:4] == ["What you need", "Steps", "Check", "If not"]


def _leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _leaves(value)
    else:
        yield tree


def symptoms(path: Path) -> Iterator[str]:
    """Yield what the first column of a page's table of symptoms quotes, slanted or as code."""
    found = BELONGS.search(path.read_text(encoding="utf-8"))
    assert found is not None
    for line in found[1].splitlines():
        if line.startswith("| "):
            for slanted, code in QUOTED.findall(line.split(" | ")[0]):
                yield slanted or code


@pytest.mark.parametrize("family", FAMILIES)
def test_a_symptom_has_the_words_of_the_ui(family: str) -> None:
    said = [text for text in symptoms(DOCS / f"{family}.md") if not text.startswith("esphome:")]
    assert len(said) > 4
    shown = [
        text
        for room in ("common", family)
        for text in _leaves(json.loads((ROOT / "strings" / room / "en.json").read_text("utf-8")))
    ]
    names = list(_leaves(TRANSLATIONS["entity"]))
    strange = [one for one in said if not any(one in text for text in (*shown, *names))]
    assert strange == []


@cache
def programs() -> str:
    """Return all that is said on a command line: its programs, texts in one piece."""
    files = [
        path
        for folder, pattern in (
            ("standalone", "**/*.py"), ("standalone/venus", "**/*.sh"), ("demo", "*.py"),
            ("script", "*.sh"), ("script", "setup"), ("strings/common", "en.json"),
            ("custom_components/hardwired/engines", "**/*.py"),
        )
        for path in (ROOT / folder).glob(pattern)
    ]  # fmt: skip
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in PAGES
        if name_of(path) not in OTHERWISE and path.stem not in {*FAMILIES, "troubleshooting"}
    ],
    ids=name_of,
)
def test_a_symptom_has_the_words_of_the_program(path: Path) -> None:
    """But for what is filled in: numbers, and what stands behind a colon or in brackets."""
    parts = [
        part.strip().rstrip(".")
        for text in symptoms(path)
        for part in re.split(r"[():]|\.\.\.|, |\d[\d.]*", text)
    ]
    strange = [part for part in parts if len(part) > 2 and part not in programs()]
    assert set(strange) <= OF_OTHERS


def test_the_index_names_each_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    linked = {Path(target.partition("#")[0]).name for target in _links(index)}
    assert pages - linked == set()
    assert {f"{family}.md" for family in FAMILIES} <= linked


def test_a_title_says_what_one_would_search_for() -> None:
    for path in DOCS.glob("*.md"):
        title = path.read_text(encoding="utf-8").partition("\n")[0]
        assert title.startswith("# "), path.name
        assert len(title.split()) > 3, f"{path.name}: {title}"


def _links(text: str) -> list[str]:
    return [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:", target)
    ]


def _anchors(text: str) -> set[str]:
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_each_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    broken = []
    for target in _links(text):
        name, _, anchor = target.partition("#")
        page = path if not name else (path.parent / name).resolve()
        there = page.exists()
        if anchor and there:
            there = anchor in _anchors(page.read_text(encoding="utf-8"))
        if not there:
            broken.append(target)
    assert broken == []


def test_each_picture_is_shown_light_and_dark() -> None:
    """But in the README: HACS shows it by a renderer that knows no ``picture``."""
    shown: set[Path] = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        pair = r'<picture><source [^>]*srcset="([^"]+)">\s*<img alt="[^"]{10,}" src="([^"]+)">'
        for dark, light in re.findall(pair, text):
            assert Path(dark) == Path(light).parent / "dark" / Path(light).name, page.name
            shown |= {page.parent / dark, page.parent / light}
        plain = re.findall(r"!\[[^\]]{10,}\]\((\S+\.png)\)", text)
        assert not plain or page.name == "README.md", page.name
        shown |= {page.parent / light for light in plain}
    there = set((DOCS / "pictures").rglob("*.png"))
    assert shown <= there
    assert {path.name for path in there - shown} == set()
