"""A contract for import-linter: device families do not know each other.

The families are not listed anywhere: each package inside the engines is one. So a fifth device
is held to the rule without a word of configuration.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

ENGINES = Path(__file__).parents[1] / "custom_components/hardwired/engines"


class FamiliesApart(Contract):
    """Below each of ``parents``, no module of one family may reach one of another."""

    parents = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look for chains of imports from family to family."""
        families = sorted(path.parent.name for path in ENGINES.glob("*/__init__.py"))
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
