"""Golden files: what must stay as it is, written down once and compared ever after.

They lie in ``tests/golden/FAMILY/NAME.json``: keys, ids, units, topics, payloads, what the
command prints. Keys and unique ids are frozen from the first release, since entities, histories
and automations of owners hang on them; these files are the guard.

A file is one JSON object with sorted keys, one key a line, so that a difference reads well. When
a test finds another content than the file's, it fails and shows the difference. A change that is
meant is written by ``script/golden`` (it sets ``HARDWIRED_GOLDEN=write`` for the tests) and then
stands in the commit for everyone to see.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
LONGEST_DIFFERENCE = 60


def writing() -> bool:
    """Whether the files are to be written anew, not compared."""
    return os.environ.get("HARDWIRED_GOLDEN") == "write"


def text_of(rows: Mapping[str, Any]) -> str:
    """Return the content of a file: sorted, one row a line."""
    lines = [
        f"{json.dumps(key, ensure_ascii=False)}: "
        f"{json.dumps(rows[key], ensure_ascii=False, sort_keys=True, allow_nan=False)}"
        for key in sorted(rows)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def path_of(family: str, name: str) -> Path:
    """Return where a file lies."""
    return GOLDEN / family / f"{name}.json"


def matches(family: str, name: str, rows: Mapping[str, Any]) -> bool:
    """Whether the rows are the file's, for tests that wait until they are."""
    path = path_of(family, name)
    return path.exists() and path.read_text(encoding="utf-8") == text_of(rows)


def check(family: str, name: str, rows: Mapping[str, Any]) -> None:
    """Compare the rows with the file, or write it when that is wanted; fails when they differ."""
    assert rows, "a golden file of nothing guards nothing"
    path, found = path_of(family, name), text_of(rows)
    assert len(json.loads(found)) == len(rows)
    if writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return
    assert path.exists(), f"there is no {path}; script/golden writes it"
    wanted = path.read_text(encoding="utf-8")
    if found == wanted:
        return
    difference = list(
        difflib.unified_diff(
            wanted.splitlines(), found.splitlines(), "golden", "now", n=0, lineterm=""
        )
    )
    more = len(difference) - LONGEST_DIFFERENCE
    told = "\n".join(line[:400] for line in difference[:LONGEST_DIFFERENCE])
    raise AssertionError(
        f"{path.relative_to(GOLDEN.parent)} differs{f' ({more} more lines)' if more > 0 else ''}; "
        f"if it is meant: script/golden\n{told}"
    )
