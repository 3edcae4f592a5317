"""Arguments that are no number, or no number that can be."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.arguments import (
    WrongArguments,
    address_of,
    count_of,
    factor_of,
    port_of,
    seconds_of,
    speed_of,
)


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
        *((speed_of, text) for text in ("", "fast", "nan", "inf", "-1", "00", "1000001")),
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


@pytest.mark.parametrize(("text", "speed"), [("0", 0), ("0.0", 0), ("0.5", 0.5), ("60", 60)])
def test_a_speed(text: str, speed: float) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize(
    ("text", "usual", "address"),
    [
        ("4001", None, ("127.0.0.1", 4001)),
        (":0", None, ("127.0.0.1", 0)),
        ("pi:4001", None, ("pi", 4001)),
        ("[::1]:4001", None, ("::1", 4001)),
        ("pi", 4001, ("pi", 4001)),
        ("4002", 4001, ("127.0.0.1", 4002)),
    ],
)
def test_an_address(text: str, usual: int | None, address: tuple[str, int]) -> None:
    assert address_of(text, port=usual) == address


@pytest.mark.parametrize("text", ["", "pi", "pi:", "pi:x", "pi:65536", "pi:\u0663", "65536"])
def test_no_address(text: str) -> None:
    with pytest.raises(WrongArguments, match="is not HOST:PORT"):
        address_of(text)


@given(st.text(max_size=20), st.none() | st.just(4001))
def test_any_text_as_an_address(text: str, usual: int | None) -> None:
    try:
        host, port = address_of(text, port=usual)
    except WrongArguments:
        return
    assert host
    assert 0 <= port <= 65535
