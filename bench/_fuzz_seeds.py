"""What is damaged: the raw bytes of the golden vectors, of the tests' cases and captures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "tests"
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A decoder. ``make`` returns what takes the bytes of a case; made anew every ``renew`` cases.

    ``documented`` are the exceptions with which it says that it does not take them. ``weight``
    above 1 gives it less of the time. ``slow`` are the seconds from which on a case is slow.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    make: Callable[[], Callable[[bytes], object]]
    documented: tuple[type[Exception], ...] = ()
    renew: int = 100
    weight: float = 1.0
    slow: float = 0.05


def _texts(tree: Any) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case dict():
            for value in tree.values():
                yield from _texts(value)
        case list():
            for value in tree:
                yield from _texts(value)


@cache
def _all_texts(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    paths = sorted((TESTS / "vectors" / folder).rglob("*.json"))
    wanted = [path for path in paths if not names or path.stem in names]
    return tuple(
        text for path in wanted for text in _texts(json.loads(path.read_text(encoding="utf-8")))
    )


def unique(found: Iterable[bytes], most: int = 3000) -> list[bytes]:
    """Return each once, *most* of them, evenly chosen, in a fixed order."""
    kept = list(dict.fromkeys(found))
    return kept[:: -(-len(kept) // most)] if len(kept) > most else kept


def hexadecimal(folder: str, *names: str, longest: int = 6000) -> list[bytes]:
    """Return all bytes that stand in hexadecimal in a family's vectors."""
    found = (
        bytes.fromhex(text)
        for text in (one.replace(" ", "") for one in _all_texts(folder, names))
        if _HEX.fullmatch(text)
    )
    return unique(one for one in found if len(one) <= longest)


def texts(folder: str, *names: str, least: int = 3, longest: int = 6000) -> list[bytes]:
    """Return all texts of a family's vectors."""
    return unique(
        text.encode()
        for text in _all_texts(folder, names)
        if least <= len(text) <= longest and not _HEX.fullmatch(text)
    )


def files(*patterns: str, longest: int = 4000) -> list[bytes]:
    """Return the content of files below the tests, those that are small."""
    found = (path for pattern in patterns for path in sorted(TESTS.glob(pattern)))
    return unique(
        path.read_bytes() for path in found if path.is_file() and path.stat().st_size <= longest
    )


def objects(folder: str, *names: str, longest: int = 6000) -> list[bytes]:
    """Return every object of a family's vectors, as JSON."""

    def inside(tree: Any) -> Iterator[Any]:
        if isinstance(tree, dict):
            yield tree
        for value in tree.values() if isinstance(tree, dict) else tree:
            if isinstance(value, (dict, list)):
                yield from inside(value)

    paths = sorted((TESTS / "vectors" / folder).rglob("*.json"))
    found = (
        json.dumps(one).encode()
        for path in paths
        if not names or path.stem in names
        for one in inside(json.loads(path.read_text(encoding="utf-8")))
    )
    return unique(one for one in found if 2 < len(one) <= longest)
