"""Values become JSON's types, whatever they are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from enum import Enum

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.plain import plain, read_json


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value,expected",
    [
        (Colour.RED, "red"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(7, 30), "07:30:00"),
        (b"\x01\xff", "01ff"),
        (bytearray(b"\x02"), "02"),
        (float("nan"), None),
        (float("-inf"), None),
        ({1: (2, None)}, {"1": [2, None]}),
        ({"b", "a"}, ["a", "b"]),
        (True, True),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_each_kind_of_value_has_its_form(value: object, expected: object) -> None:
    assert plain(value) == expected


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.times()
    | st.frozensets(st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(anything)
def test_strict_json_takes_everything(value: object) -> None:
    json.dumps(plain(value), allow_nan=False)


NONE = (
    b"NaN", b"[-Infinity]", b'{"a": 1e999}', b"-1e999", b"[" * 100_000, b"{", b"\xff", "x",
    b"1" * 400, b"-" + b"9" * 309, b'["\\ud800"]', b'{"\\uDFFF": 1}', b'"\xed\xa0\x80"', '"\ud800"',
)  # fmt: skip


@pytest.mark.parametrize("content", NONE)
def test_json_from_anybody_is_read_or_refused(content: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(content)


def test_json_that_is_right_is_read() -> None:
    told = {"a": [1, 2.5, None, True, "x😀"], "b": 10**308}
    assert read_json(json.dumps(told)) == told
