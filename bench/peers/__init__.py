"""Beside the other programs: wrong values, late LIN answers, capture speed, memory, as one table.

The programs come from the package index, each into an environment of its own below the cache
folder; nothing of them is kept here. One that can't be installed has its reason in the table.
``BENCH_SECONDS`` (45) is how long each fault of the Studer plant lasts, ``BENCH_HEADERS``
(4000) how many LIN headers each program answers.

Map: ``environments`` installs, ``studer``, ``truma`` and ``sunsynk`` measure, ``told`` is what is
read of a program and not measured, ``table`` prints. ``clients/`` are the scripts that run inside
the environments: each uses its library as the library's own page shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import studer, sunsynk, told, truma
from .table import Row, render


def run() -> Iterator[dict[str, Any]]:
    """Yield all figures, then print the table."""
    rows: list[Row] = []
    for part in (studer, truma, sunsynk, told):
        for found in part.measure():
            if isinstance(found, Row):
                rows.append(found)
            else:
                yield found
    print("\n" + render(rows), flush=True)
