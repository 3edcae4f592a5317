#!/usr/bin/env python3
"""Count the import graph of each device family's engine: is the map of the house true to it.

    python script/import_graph.py [--rev COMMIT] [FAMILY ...]

Rooms are modules; folders are those inside a family, and each module beside them is one of its
own. Floors are the longest path of imports. Imports inside functions count too. Tables:
rooms, folders, floors and arrows between rooms and between folders, circles, lines, and the files
of more than 400 lines. ``--rev`` looks at another commit.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENGINES = Path("custom_components/hardwired/engines")
SOURCES = (Path("custom_components/hardwired"), Path("standalone/src/hardwired"))
LONG = 400

Graph = Mapping[str, frozenset[str]]


def modules_of(folder: Path) -> dict[str, Path]:
    """Return the modules below a folder, by their dotted name inside it."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts)] = path
    return found


def _targets(node: ast.ImportFrom, here: list[str]) -> Iterable[str]:
    base = here[: len(here) - node.level + 1]
    if len(here) - node.level + 1 < 0:
        return
    module = [*base, *(node.module.split(".") if node.module else [])]
    for alias in node.names:
        yield ".".join([*module, alias.name])
    yield ".".join(module)


def imports(folder: Path) -> Graph:
    """Return who imports whom inside a family; the maps in ``__init__`` are left out."""
    modules = modules_of(folder)
    graph = {}
    for name, path in modules.items():
        if path.name == "__init__.py":
            continue
        here = name.split(".")[:-1]
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(here) + 1:
                found |= {target for target in _targets(node, here) if target in modules}
        graph[name] = frozenset(found - {name})
    return graph


def folder_of(room: str) -> str:
    """Return the folder of a room; one that stands beside the folders is its own."""
    return room.partition(".")[0]


def by_folder(graph: Graph) -> Graph:
    """Return the same graph between folders."""
    folders: dict[str, set[str]] = {folder_of(room): set() for room in graph}
    for room, targets in graph.items():
        folders[folder_of(room)] |= {folder_of(target) for target in targets}
    return {name: frozenset(targets - {name}) for name, targets in folders.items()}


def circle(graph: Graph) -> list[str]:
    """Return a circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def floors(graph: Graph) -> int | None:
    """Return the length of the longest path; nothing when there is a circle."""
    if circle(graph):
        return None

    @cache
    def height(room: str) -> int:
        return 1 + max((height(target) for target in graph.get(room, ())), default=0)

    return max(map(height, graph), default=0)


def row(name: str, folder: Path) -> str:
    """Return the figures of one family."""
    rooms = imports(folder)
    products = {
        room: frozenset(target for target in targets if not _plays(target))
        for room, targets in rooms.items()
        if not _plays(room)
    }
    houses = by_folder(products)
    arrows, between = (sum(map(len, graph.values())) for graph in (products, houses))
    return (
        f"{name:10} {len(products):5} {floors(products) or 'circle':>6} {arrows:6}  "
        f"{len(houses):7} {floors(houses) or 'circle':>6} {between:6}  "
        f"{len(rooms) - len(products):9}"
    )


def _plays(room: str) -> bool:
    return room.startswith("simulat")


def report(root: Path, families: list[str]) -> None:
    """Print the tables."""
    known = sorted(path.parent.name for path in (root / ENGINES).glob("*/__init__.py"))
    print("           rooms floors arrows  folders floors arrows  simulator")
    for family in families or known:
        folder = root / ENGINES / family
        print(row(family, folder))
        houses = by_folder(imports(folder))
        for label, graph in (("rooms", imports(folder)), ("folders", houses)):
            if found := circle(graph):
                print(f"{'':10} circle of {label}: {' -> '.join(found)}")
    lengths = {
        path.relative_to(root): len(path.read_text(encoding="utf-8").splitlines())
        for source in SOURCES
        for path in (root / source).rglob("*.py")
    }
    long = sorted((path for path in lengths if lengths[path] > LONG), key=lengths.__getitem__)
    print(
        f"\n{len(lengths)} files, {sum(lengths.values())} lines, {len(long)} of more than {LONG}:"
    )
    for path in reversed(long):
        print(f"{lengths[path]:6}  {path}")


def main() -> int:
    """Look at this tree or at a commit; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--rev", help="look at this commit instead of the files that are here")
    options = parser.parse_args()
    if options.rev is None:
        report(ROOT, options.families)
        return 0
    packed = subprocess.run(
        ["git", "archive", "--format=zip", options.rev, *map(str, SOURCES)],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(folder)
        report(Path(folder), options.families)
    return 0


if __name__ == "__main__":
    sys.exit(main())
