"""Arguments that are no number, or no number that can be."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.arguments import count_of, factor_of, port_of, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("0.5", 0.5), ("90s", 90), ("15m", 900), ("1d", 86400)]
)
def test_a_duration(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *(
            (seconds_of, text)
            for text in ("", "s", "soon", "nan", "inf", "0", "-1", "1e9", "9 d d")
        ),
        *((factor_of, text) for text in ("", "fast", "nan", "inf", "0", "-2", "1000001")),
        *((count_of, text) for text in ("", "0", "-1", "1.5", "many", "1" * 10)),
        *((port_of, text) for text in ("", "0", "65536", "99999", "-1", "http", "123456")),
    ],
)
def test_what_can_not_be(kind: Callable[[str], float], wrong: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=repr(wrong)):
        kind(wrong)


@given(st.text(max_size=12), st.sampled_from([seconds_of, factor_of, count_of, port_of]))
def test_any_text(text: str, kind: Callable[[str], float]) -> None:
    try:
        value = kind(text)
    except argparse.ArgumentTypeError:
        return
    assert 0 < value < math.inf
