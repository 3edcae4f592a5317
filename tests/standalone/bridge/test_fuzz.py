"""Hostile messages against every dialect; ``script/bench bridge-fuzz`` throws a million (i.1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings, strategies as st

from bench._bridge_fuzz import Fuzz

CASES = 20_000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def fuzz() -> Fuzz:
    return Fuzz(11)


@pytest.mark.slow
def test_no_message_makes_a_dialect_fall(fuzz: Fuzz) -> None:
    fuzz.run(CASES)
    assert fuzz.counts["cases"] >= CASES
    assert fuzz.counts["Wish"] > CASES / 100  # enough of them were right
    assert fuzz.counts["Request"] > 20


TOPICS = st.lists(st.sampled_from(["hardwired", "service", "truma", "xtender", "device", "set"]))


@settings(max_examples=50)
@given(st.text(max_size=40) | TOPICS.map("/".join), st.binary(max_size=200), st.booleans())
def test_any_message_to_any_dialect(fuzz: Fuzz, topic: str, payload: bytes, retained: bool) -> None:
    for dialect in fuzz.dialects:
        fuzz.throw(dialect, topic, payload, retained=retained)
