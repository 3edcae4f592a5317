"""A field refuses what the device could not take."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.fields import (
    BINARY_QUANTITIES,
    NUMERIC_QUANTITIES,
    Catalogue,
    Field,
    Quantity,
)


def number(**details: Any) -> Field:
    return Field(key="n", name="N", quantity=Quantity.NUMBER, writable=True, **details)


def test_every_quantity_is_of_one_sort() -> None:
    assert not BINARY_QUANTITIES & NUMERIC_QUANTITIES


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_outside_its_limits_is_refused(value: float) -> None:
    field = number(minimum=5, maximum=30)
    if math.isfinite(value) and 5 <= value <= 30:
        assert field.check(value) == value
    elif not (math.isfinite(value) and (abs(value - 5) < 1e-4 or abs(value - 30) < 1e-3)):
        with pytest.raises(ValueError, match="n "):
            field.check(value)


@pytest.mark.parametrize(
    ("quantity", "good", "bad"),
    [
        (Quantity.BOOLEAN, True, 1),
        (Quantity.NUMBER, 3, True),
        (Quantity.NUMBER, 3.5, "3.5"),
        (Quantity.CLOCK_TIME, time(7, 30), "07:30"),
        (Quantity.TIMESTAMP, datetime(2026, 1, 1, tzinfo=UTC), 12345),
        (Quantity.TEXT, "hello", 5),
        (Quantity.OPTION, "eco", "turbo"),
    ],
)
def test_the_type_has_to_fit(quantity: Quantity, good: Any, bad: Any) -> None:
    field = Field(key="x", name="X", quantity=quantity, writable=True, options=("eco", "high"))
    assert field.check(good) == good
    with pytest.raises(ValueError, match="x takes"):
        field.check(bad)


def test_what_is_only_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="can't be written"):
        Field(key="x", name="X", quantity=Quantity.NUMBER).check(1)


def test_a_catalogue_keeps_its_order_and_refuses_doubles() -> None:
    fields = [Field(key=key, name=key, quantity=Quantity.NUMBER) for key in "cab"]
    assert list(Catalogue("k", fields)) == ["c", "a", "b"]
    with pytest.raises(ValueError, match="stands twice"):
        Catalogue("k", [*fields, fields[0]])
