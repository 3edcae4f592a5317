"""Contracts for import-linter: families do not know each other, simulators are asked for.

The families are not listed anywhere: each package inside the engines is one. So a fifth device
is held to the rules without a word of configuration.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import permutations
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

ROOT = Path(__file__).parents[1]
ENGINES = ROOT / "custom_components/hardwired/engines"


def _families() -> list[str]:
    return sorted(
        path.parent.name for path in ENGINES.glob("*/__init__.py") if path.parent.name != "link"
    )


class NoCircles(Contract):
    """No module of ``packages`` may reach itself, not even by an import on demand or for types."""

    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look for one circle of modules."""
        packages = set(self.packages)  # type: ignore[attr-defined]
        rooms = {one for one in graph.modules if one.partition(".")[0] in packages}
        above = {room: graph.find_modules_directly_imported_by(room) & rooms for room in rooms}
        try:
            TopologicalSorter(above).prepare()
        except CycleError as error:
            return ContractCheck(kept=False, metadata={"circle": error.args[1]})
        return ContractCheck(kept=True, metadata={"circle": []})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the circle."""
        output.print_error(" -> ".join(reversed(check.metadata["circle"])))


def _at_margin(module: str, line: int) -> bool:
    """Return whether an import is run when its module is: it is not indented."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return not path.read_text(encoding="utf-8").splitlines()[line - 1].startswith(" ")


class FamiliesApart(Contract):
    """Below each of ``parents``, no module of one family may reach one of another."""

    parents = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look for chains of imports from family to family."""
        families = _families()
        chains: list[Any] = []
        for parent in self.parents:  # type: ignore[attr-defined]
            rooms = [room for family in families if (room := f"{parent}.{family}") in graph.modules]
            for importer, imported in permutations(rooms, 2):
                chain = graph.find_shortest_chain(importer, imported, as_packages=True)
                if chain:
                    chains.append(chain)
        return ContractCheck(kept=not chains, metadata={"chains": chains})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the chains."""
        for chain in check.metadata["chains"]:
            output.print_error(" -> ".join(chain))


class SimulatorsApart(Contract):
    """Below each of ``parents``, a simulator is imported by simulators only.

    An import inside a function is the way to start one on demand.
    """

    parents = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look for imports of a simulator that stand at the left margin."""
        found: list[str] = []
        for parent in self.parents:  # type: ignore[attr-defined]
            for family in _families():
                rooms = f"{parent}.{family}.simulator"
                for imported in sorted(graph.modules):
                    if imported != rooms and not imported.startswith(rooms + "."):
                        continue
                    for importer in sorted(graph.find_modules_that_directly_import(imported)):
                        if importer == rooms or importer.startswith(rooms + "."):
                            continue
                        if not importer.startswith(parent):
                            continue
                        details = graph.get_import_details(importer=importer, imported=imported)
                        found += [
                            f"{importer}:{one['line_number']}: {one['line_contents']}"
                            for one in details
                            if _at_margin(importer, one["line_number"])
                        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports."""
        for line in check.metadata["found"]:
            output.print_error(line)
