"""The pages of docs/protocol: what the code cites is there, and what they show is true."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from custom_components.hardwired.engines.studer.scom.errors import ErrorCode
from custom_components.hardwired.engines.truma.devices import MODELS
from custom_components.hardwired.engines.truma.errors import MEANINGS
from custom_components.hardwired.engines.truma.inet.buffers import HEATER
from custom_components.hardwired.engines.truma.lin.frames import identifier_of

from . import register_table
from .citations import BRIDGE, Citation, Place, citations, sections
from .wire_examples import Example, NotSound, examples, facts

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "protocol"
ENGINES = ROOT / "custom_components" / "hardwired" / "engines"
PAGE_OF = {"venus": "venus-registration"}
"""Pages whose name is not the family's."""

MADE = frozenset({"artefacts", "build", "dist", "node_modules", "__pycache__"})
READ = (".py", ".md", ".yaml", ".toml", ".sh", ".service", ".conf")
NOT_READ = re.compile(
    r"^(docs/(protocol/|adding-a-family)|tests/packaging/(test_protocol_pages|citations)\.py)"
)


@cache
def families() -> frozenset[str]:
    """Every name that a citation may give: the pages, the engines, and those of another name."""
    engines = {path.parent.name for path in ENGINES.glob("*/__init__.py")} - {"link"}
    return frozenset({path.stem for path in pages()} | engines | PAGE_OF.keys() | {BRIDGE})


def pages() -> list[Path]:
    """Return the page of each family."""
    return sorted(path for path in PAGES.glob("*.md") if path.stem != "README")


@cache
def text_of(path: Path) -> str:
    """Return a file's text."""
    return path.read_text(encoding="utf-8")


def files() -> Iterator[Path]:
    """Yield the files of the repository, by name; what is made by tools is left out."""
    for folder, inside, names in os.walk(ROOT):
        inside[:] = sorted(name for name in inside if name[0] != "." and name not in MADE)
        yield from (Path(folder) / name for name in sorted(names))


@cache
def cited() -> dict[str | None, dict[Place, list[Citation]]]:
    """Return everything that is cited anywhere in the repository, by family."""
    found: dict[str | None, dict[Place, list[Citation]]] = defaultdict(lambda: defaultdict(list))
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix not in READ or NOT_READ.match(name):
            continue
        for citation in citations(text_of(path), name, families()):
            found[citation.family][citation.place].append(citation)
    return found


def where(found: list[Citation]) -> str:
    """Return the first places of a citation, for the message of a failing test."""
    return ", ".join(f"{citation.path}:{citation.line}" for citation in found[:3])


# -------------------------------------------------------------------------------- citations


@pytest.mark.parametrize("family", sorted(families()))
def test_every_cited_section_exists(family: str) -> None:
    page = PAGES / f"{PAGE_OF.get(family, family)}.md"
    wanted = cited().get(family, {})
    if not page.exists():
        assert not wanted, f"{len(wanted)} sections are cited of a page that is not there"
    there = sections(text_of(page)) if page.exists() else set()
    missing = [f"{place}: {where(at)}" for place, at in wanted.items() if place not in there]
    assert not missing, f"docs/protocol/{family}.md has no section\n" + "\n".join(missing)


def test_every_citation_says_whose_page_it_means() -> None:
    lost = [f"{place}: {where(at)}" for place, at in cited().get(None, {}).items()]
    assert not lost, "no family in the file's path, and none named:\n" + "\n".join(lost)


def test_the_finder_finds_what_there_is() -> None:
    """The three first families cite their pages often; a finder that goes blind would pass."""
    for family in ("studer", "truma", "sunsynk"):
        assert len(cited()[family]) > 30, family


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(spec b.1)", "b.1"),
        ("Spec c.", "c"),
        ("(spec b, c, i.3)", "b c i.3"),
        ("(spec b.1 to b.4, b.7)", "b.1 b.2 b.3 b.4 b.7"),
        ("Spec b.6, d.1 - d.3, d.12.", "b.6 d.1 d.2 d.3 d.12"),
        ("(spec b.11-13)", "b.11 b.12 b.13"),
        ("spec d.1.1 and d.2", "d.1.1 d.2"),
        ("(spec c.7 step 1)", "c.7 c.7/1"),
        ("(spec c.7 steps 3 to 5)", "c.7 c.7/3 c.7/4 c.7/5"),
        ("(spec c.4, rules 3 and 4)", "c.4 c.4/3 c.4/4"),
        ("rule 1 of spec b.10", "b.10 b.10/1"),
        ("steps 1 to 3 of spec b.11", "b.11 b.11/1 b.11/2 b.11/3"),
        ("(spec e, R2 and R3)", "e e/R2 e/R3"),
        ("(spec h, f.1 row 13)", "h f.1 f.1/13"),
        ("Spec R2: the last target", "e/R2"),
        ("named as in section d.", "d"),
        ("shift them (c.2).", "c.2"),
        ("a long line (spec\n    # c.2)", "c.2"),
        ("the spec a reader has; spec is None; spec infers", ""),
        ("Section 15 of the guide", ""),
    ],
)
def test_the_forms_of_a_citation(text: str, expected: str) -> None:
    found = citations(text, "engines/truma/x.py", frozenset({"truma"}))
    named = [
        place.section if place.item is None else f"{place.section}/{place.item}"
        for place in (citation.place for citation in found)
    ]
    # A rule that is named without its section is one of the rules of e.
    assert named == expected.split()


def test_whose_page_a_citation_means() -> None:
    known = frozenset({"truma", "studer"})

    def meant(text: str, path: str) -> list[str | None]:
        return [citation.family for citation in citations(text, path, known)]

    assert meant("(spec c.2)", "engines/truma/lin/frames.py") == ["truma"]
    assert meant("(spec c.2)", "tests/integration/test_studer.py") == ["studer"]
    assert meant("(spec studer g) ... (spec g)", "compat/xtmq.py") == ["studer", "studer"]
    assert meant("(spec studer c.2), (spec c.1)", "engines/truma/a.py") == ["studer", "truma"]
    assert meant("(spec c.2)", "standalone/src/hardwired/mqtt/topics.py") == ["bridge"]
    assert meant("(spec c.2), call(c.2)", "tests/test_fields.py") == [None]


# --------------------------------------------------------------------------------- examples


def shown() -> list[pytest.param]:  # type: ignore[valid-type]
    """Return every worked example of every page, and of the index."""
    return [
        pytest.param(example, id=f"{path.stem}-{example.line}-{example.kind}")
        for path in (*pages(), PAGES / "README.md")
        for example in examples(text_of(path))
    ]


@pytest.mark.parametrize("example", shown())
def test_a_worked_example_is_right(example: Example) -> None:
    assert example.claims, "an example that claims nothing"
    found = facts(example)
    wrong = [claim for claim in example.claims if claim not in found]
    assert not wrong, f"{wrong}, but the bytes say {sorted(found)}"


@pytest.mark.parametrize("family", ["studer", "truma", "sunsynk"])
def test_a_page_shows_how_it_is_done(family: str) -> None:
    assert len(list(examples(text_of(PAGES / f"{family}.md")))) >= 10


@pytest.mark.parametrize(
    "block",
    [
        "```scom\nAA 00 01000000 65000000 0A00 6F72 00 01 0100 B80B0000 0100 C590\n= x\n```",
        "```lin\nD8 FE FF FF FF FF FF FF FF 27\n= identifier 18, enhanced checksum 27\n```",
        "```inet\n03 05 B9 00 1F 00 01 FF  1F\n= x\n```",
        "```dongle\nA5 06 01 09 02 CE 00 00 FA 01\n= x\n```",
        "```modbus\n01 03 00 3B 00 42 B4 37\n= x\n```",
    ],
)
def test_an_example_with_a_wrong_byte_is_refused(block: str) -> None:
    (example,) = examples(block)
    with pytest.raises(NotSound):
        facts(example)


# ----------------------------------------------------------------------------------- tables


def test_the_register_table_is_that_of_the_decoder() -> None:
    page = text_of(PAGES / "sunsynk.md")
    table = page.partition("<!-- registers -->\n")[2].partition("<!-- /registers -->")[0]
    lines = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in table.strip().splitlines()[2:]
    ]
    width = len(register_table.HEADER)
    shown_rows = [tuple(cell.strip("| ") for cell in line[:width]) for line in lines]
    assert shown_rows == list(register_table.rows())


def test_every_error_code_of_scom_is_explained() -> None:
    section = _section("studer", "b.9")
    for code in ErrorCode:
        assert f"{code:04X}" in section, code
        assert code.name in section, code


def test_every_error_number_and_device_of_truma_is_explained() -> None:
    section = _section("truma", "d.10")
    numbers = {int(number) for number in re.findall(r"\b\d{2,3}\b", section)} | {98}
    assert set(MEANINGS) <= numbers, set(MEANINGS) - numbers
    devices = _section("truma", "d.8")
    assert [f"{hw_id:04X}" for hw_id in MODELS if f"{hw_id:04X}" not in devices] == []


def test_the_identifiers_of_the_lin_bus_have_their_parity() -> None:
    rows = re.findall(
        r"^\| ([0-9A-F]{2}) \| ([0-9A-F]{2}) \|", _section("truma", "b.2"), re.MULTILINE
    )
    assert len(rows) == 15
    for identifier, pid in rows:
        assert identifier_of(int(pid, 16)) == int(identifier, 16)


def test_the_heater_status_is_where_the_decoder_reads_it() -> None:
    table = re.compile(r"^\| (\d+) \| (\w+) \| u(8|16) \|", re.MULTILINE)
    rows = {
        name: (int(start), int(bits) // 8)
        for start, name, bits in table.findall(_section("truma", "d.1"))
    }
    known = {name: (start, size) for name, start, size in HEATER.fields}
    known.pop("unknown_19")
    assert rows == known


def _section(family: str, number: str) -> str:
    page = text_of(PAGES / f"{family}.md")
    start = re.search(rf"^#+ {re.escape(number)} ", page, re.MULTILINE)
    assert start is not None
    rest = page[start.end() :]
    end = re.search(r"^#{2,3} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


# ------------------------------------------------------------------------------------ pages


@pytest.mark.parametrize("path", [*pages(), PAGES / "README.md"], ids=lambda path: path.stem)
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of(path)):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_every_page_is_in_the_index() -> None:
    index = text_of(PAGES / "README.md")
    for path in pages():
        assert f"({path.name})" in index, path.name


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_a_page_refers_to_sections_that_it_has(path: Path) -> None:
    """ "(c.2)" in a page is a section of the same page, wherever it stands."""
    page = text_of(path)
    there = sections(page)
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    referred = set(re.findall(r"(?<![\w.`/])([a-j]\.\d+(?:\.\d+)?)\b(?![\w`/])", prose))
    assert sorted(number for number in referred if Place(number) not in there) == []
