"""The table: one row a question, ours first, then each program that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One question and its answers. ``others`` are answers by the program's name."""

    question: str
    ours: str
    others: Mapping[str, str]


def render(rows: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    lines = ["| | Hardwired | the others |", "| --- | --- | --- |"]
    for row in rows:
        others = " · ".join(f"{name} {answer}" for name, answer in row.others.items())
        lines.append(f"| {row.question} | {row.ours} | {others} |")
    return "\n".join(lines)
