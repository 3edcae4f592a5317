"""Login, clock, redirect and polling map (spec b.2, b.4)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.dongle.messages import (
    PollingMap,
    read_clock,
    read_login,
    read_polling_map,
    read_redirect,
)
from tests.vector_files import cases

from ..helpers import FAMILY, moment, polling_map


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "messages.json"))
def test_bodies(case: dict[str, Any]) -> None:
    body = bytes.fromhex(case["hex"])[11:]
    if "register_key" in case:
        login = read_login(body)
        assert login is not None
        assert login.dongle_serial == case["dongle_serial"]
        assert login.register_key == case["register_key"]
        assert case["register_key"] not in f"{login} {login!r}"
    if "clock" in case:
        assert read_clock(body) == moment(case["clock"])
    if "target" in case:
        assert read_redirect(body) == case["target"]
    if "polling_map" in case:
        found = read_polling_map(body)
        assert (None if found is None else asdict(found)) == (
            None if case["polling_map"] is None else _as_tuples(case["polling_map"])
        )
        if found is not None:
            check_blocks(found, case)


def check_blocks(found: PollingMap, case: dict[str, Any]) -> None:
    """Compare the blocks of the reports to come."""
    if "report_blocks" in case:
        assert [list(block) for block in found.report_blocks] == case["report_blocks"]
    if "report_length" in case:
        assert found.layout is not None
        assert found.layout.length == case["report_length"]


def _as_tuples(expected: dict[str, Any]) -> dict[str, Any]:
    return {**expected, "entries": tuple(expected["entries"])}


@given(st.binary(max_size=600))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    read_login(body)
    read_clock(body)
    read_redirect(body)
    found = read_polling_map(body)
    if found is not None and found.layout is not None:
        assert found.layout.length <= 4096 + 11


def test_a_map_that_asks_for_more_than_a_frame_holds_is_no_layout() -> None:
    found = read_polling_map(polling_map([(0, 255)] * 9))
    assert found is not None
    assert found.layout is None
    nothing = read_polling_map(polling_map([(59, 66)], cls=1))
    assert nothing is not None
    assert nothing.layout is None


@pytest.mark.parametrize("function", [1, 2, 4])
def test_what_is_no_holding_register_makes_no_layout(function: int) -> None:
    """An input register 184 is not the battery's state of charge."""
    body = bytearray(polling_map([(59, 66), (150, 50)]))
    body[17 + 6 + 2] = function
    found = read_polling_map(bytes(body))
    assert found is not None
    assert found.layout is None
    body[17 + 6] = 2
    other_class = read_polling_map(bytes(body))
    assert other_class is not None
    assert other_class.layout is not None
