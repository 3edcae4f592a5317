"""Damages bytes and knows nothing of what they mean: what a fuzzer of bytes does.

Seeds are messages, files or texts that are right. What is drawn follows from the seed of the
random generator alone, so that a case can be had again.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

ODD_BYTES = (0, 1, 0x0A, 0x0D, 0x1B, 0x55, 0x7F, 0x80, 0xA5, 0xAA, 0xFE, 0xFF)
ODD_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
ODD_TEXTS = (
    b"", b"0", b"-1", b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 400, b"1" + b"0" * 5000,
    b"null", b"true", b"[]", b"{}", b'""', b"\xff\xfe", b"\0", b"\xc3\x28", b"\xed\xa0\x80",
    b"\xe2\x80\xae", b"%s%n", b"{message}", b"../../x", b"\r\n", b'"', b"'", b"\\", b"=", b"#",
    b"2026-02-30T25:61:61Z", b"9999-12-31T23:59:59+14:00", b"0001-01-01T00:00:00-14:00",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**400), 1e308, -1e308, 5e-324, 0.1,
    float("nan"), float("inf"), float("-inf"), "", "0", "nan", "x" * 300, "\ud800", "\0", "Ω",
    [], [[]], {}, {"": None}, [None], [1, "a", {}], {"a": {"a": {"a": []}}},
    "2026-02-30T25:61:61Z", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00",
)  # fmt: skip
LONGEST = 20_000

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


class Mutator:
    """Draws damaged copies of seeds, and now and then bytes that were never right."""

    def __init__(self, seeds: Sequence[bytes], random_seed: int | str) -> None:
        self._chance = random.Random(random_seed)
        self._seeds = tuple(seeds) or (b"\0",)
        self._trees = {
            index: tree
            for index, seed in enumerate(self._seeds)
            if (tree := _tree(seed)) is not None
        }

    def next(self) -> bytes:
        """Return the next case."""
        chance = self._chance
        draw = chance.random()
        if draw < 0.02:
            return chance.randbytes(chance.randrange(400))
        index = chance.randrange(len(self._seeds))
        if index in self._trees and draw < 0.6:
            return self._in_structure(index)
        data = bytearray(self._seeds[index])
        for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 12))):
            self._damage(data)
        return bytes(data[:LONGEST])

    # ---------------------------------------------------------------------------- bytes

    def _span(self, data: bytearray) -> tuple[int, int]:
        start = self._chance.randrange(len(data) + 1)
        longest = min(len(data) - start, self._chance.choice((1, 2, 4, 16, 64, 400)))
        return start, start + (self._chance.randint(0, longest) if longest else 0)

    def _damage(self, data: bytearray) -> None:
        chance = self._chance
        if not data:
            data += chance.randbytes(chance.randrange(1, 40))
            return
        place = chance.randrange(len(data))
        match chance.randrange(12):
            case 0 | 1:
                data[place] ^= 1 << chance.randrange(8)
            case 2:
                data[place] = chance.choice(ODD_BYTES)
            case 3:
                data[place] = chance.randrange(256)
            case 4:
                del data[place:]
            case 5:
                data[place:place] = chance.randbytes(chance.choice((1, 2, 8, 100)))
            case 6:
                other = chance.choice(self._seeds)
                data[place:] = other[chance.randrange(len(other) + 1) :]
            case 7:
                self._lie(data, place)
            case 8:
                self._write_over_a_number(data, place)
            case _:
                self._move(data)

    def _move(self, data: bytearray) -> None:
        """Leave out, double or move a piece."""
        chance = self._chance
        start, end = self._span(data)
        piece = data[start:end]
        what = chance.randrange(3)
        if what == 0 and len(data) < LONGEST:
            data[start:start] = piece * chance.choice((1, 1, 2, 20))
            return
        del data[start:end]
        if what == 1:
            again = chance.randrange(len(data) + 1)
            data[again:again] = piece

    def _lie(self, data: bytearray, place: int) -> None:
        """Write an odd number, or one near the true length, as some header might hold it."""
        chance = self._chance
        size = chance.choice((1, 2, 2, 4))
        near = len(data) + chance.randint(-3, 3)
        number = chance.choice((*ODD_NUMBERS, near, near, chance.randrange(1 << 16)))
        order = chance.choice(("little", "big"))
        data[place : place + size] = (number % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]

    def _write_over_a_number(self, data: bytearray, place: int) -> None:
        found = _NUMBER.search(data, place) or _NUMBER.search(data)
        start, end = found.span() if found is not None else (place, place)
        data[start:end] = self._chance.choice(ODD_TEXTS)

    # ------------------------------------------------------------------------ structure

    def _in_structure(self, index: int) -> bytes:
        """Return a JSON seed with members that are missing, doubled or of another kind."""
        chance = self._chance
        tree = json.loads(self._trees[index])
        for _ in range(chance.choice((1, 1, 2, 4))):
            places = list(_places(tree))
            if not places:
                break
            holder, key = chance.choice(places)
            match chance.randrange(6):
                case 0 if isinstance(holder, dict):
                    del holder[key]
                case 1 if isinstance(holder, dict):
                    holder[chance.choice(("", "0", "x", str(key) + "_", "None", "1e5"))] = (
                        holder.pop(key)
                    )
                case 2 if isinstance(holder, list):
                    holder.insert(key, chance.choice(holder))
                case 3:
                    other, there = chance.choice(places)
                    holder[key] = json.loads(json.dumps(other[there]))
                case _:
                    holder[key] = deepcopy(chance.choice(ODD_VALUES))
        return json.dumps(tree).encode(errors="replace")[: 10 * LONGEST]


def _tree(seed: bytes) -> str | None:
    """Return a seed that is a JSON object or list, as text."""
    if seed[:1] not in (b"{", b"["):
        return None
    try:
        return json.dumps(json.loads(seed))
    except (ValueError, RecursionError):
        return None


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return where values stand: holder and key, every depth."""
    found = []
    waiting = [tree]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return found
