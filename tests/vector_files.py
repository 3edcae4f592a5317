"""Where the golden vectors lie, and how tests find their files and cases.

The folder comes from the environment variable ``HARDWIRED_VECTORS``; without it, it is the
project's own copy. What the product's tables are made from lies in ``data/<family>``; a set of
vectors may hold it too. Tests discover files and cases; no list of cases stands in the code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"


def vectors(family: str) -> Path:
    """Return the folder of a family's vectors."""
    default = Path(__file__).parent / "vectors"
    return Path(os.environ.get("HARDWIRED_VECTORS", default)).resolve() / family


def _file(family: str, name: str) -> Path:
    path = vectors(family) / name
    return path if path.exists() else DATA / family / name


def load(family: str, name: str) -> Any:
    """Return the content of one JSON file; skips the test when this set does not hold it."""
    path = _file(family, name)
    if not path.exists():
        pytest.skip(f"this set of vectors has no {family}/{name}")
    return json.loads(path.read_text(encoding="utf-8"))


def cases(family: str, name: str, key: str = "cases") -> list[Any]:
    """Return the cases of one file as pytest parameters; one skipped one when it is not there."""
    path = _file(family, name)
    if not path.exists():
        reason = f"this set of vectors has no {family}/{name}"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    found = json.loads(path.read_text(encoding="utf-8"))[key]
    return [pytest.param(case, id=_identify(case, index)) for index, case in enumerate(found)]


def _identify(case: Any, index: int) -> str:
    if isinstance(case, dict):
        for key in ("name", "id", "note", "title"):
            if isinstance(case.get(key), str):
                return f"{index}-{case[key][:40]}"
    return str(index)
