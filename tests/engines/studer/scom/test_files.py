"""Files of the SD card: whatever gets lost or is late on the way, the file is whole (spec c.7)."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.studer.scom.files import BLOCK_SIZE, MAX_RETRIES, FileProperty, Transfer
from hardwired_engines.studer.scom.frame import Body, Request
from hardwired_engines.studer.simulator.files import Transfers

NAME = "LG240131.CSV"
LINE = 16


class Shelf:
    """A card with one file, each line of which is different."""

    def __init__(self, size: int) -> None:
        lines = (f"{number:0{LINE - 1}d}\n" for number in range(size // LINE + 1))
        self.content = "".join(lines).encode()[:size]

    def read(self, name: str) -> bytes:
        assert name == NAME
        return self.content


def answer_of(gateway: Transfers, request: Request) -> Body:
    kind, step = request.object_id, request.property_id
    found, data = gateway.step(kind, step, request.data, 0.0)
    return Body(2, request.service, request.object_type, kind, found, data)


def moved(shelf: Any, fates: list[str]) -> Transfer:
    """Read the file over a line on which each request meets the next fate, or until it gives up.

    What is late stays behind: no answer is dropped, so each later one is behind by one more.
    """
    gateway, transfer = Transfers(shelf), Transfer(NAME)
    late: list[Body] = []
    for fate in chain(fates, repeat("well")):
        if transfer.done:
            break
        if fate != "unheard":
            answer = answer_of(gateway, transfer.request)
            if fate != "answer lost":
                late.append(answer)
        if fate == "late" or not late:
            if not transfer.lost():
                break
        else:
            transfer.receive(late.pop(0))
    return transfer


@given(
    st.integers(0, 4 * BLOCK_SIZE) | st.sampled_from([BLOCK_SIZE, 3 * BLOCK_SIZE]),
    st.lists(st.sampled_from(["well", "well", "late", "unheard", "answer lost"]), max_size=12),
)
def test_a_file_is_whole(size: int, fates: list[str]) -> None:
    calm = list(chain.from_iterable((fate, "well", "well") for fate in fates))
    shelf = Shelf(size)
    transfer = moved(shelf, calm)
    behind = fates.count("late")
    assert transfer.done or behind >= MAX_RETRIES
    assert transfer.content == shelf.content[: len(transfer.content)]
    assert transfer.content == shelf.content or not transfer.done


@pytest.mark.parametrize("fate", ["late", "unheard", "answer lost"])
@pytest.mark.parametrize("place", range(5))
def test_one_mishap_at_each_place(fate: str, place: int) -> None:
    shelf = Shelf(3 * BLOCK_SIZE + 100)
    transfer = moved(shelf, ["well"] * place + [fate])
    assert transfer.done
    assert transfer.content == shelf.content


def test_equal_blocks_are_equal_blocks_while_nothing_gets_lost() -> None:
    shelf = Shelf(0)
    shelf.content = bytes(3 * BLOCK_SIZE)
    assert moved(shelf, []).content == shelf.content


def test_one_block_again_and_again_ends() -> None:
    transfer = Transfer(NAME)
    block = Body(2, 1, 0x101, 2, FileProperty.BLOCK, b"x" * BLOCK_SIZE)
    transfer.receive(block)
    assert transfer.lost()
    with pytest.raises(ValueError, match="again and again"):
        for _ in range(10):
            transfer.receive(block)
