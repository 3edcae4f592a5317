"""The filter for everything that leaves (spec h.4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.masking import MASK, Mask
from tests.vector_files import cases


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "masking.json"))
def test_masking(case: dict[str, Any]) -> None:
    logins = [(user, secret) for user in case["users"] for secret in case["secrets"]]
    assert Mask(case["secrets"], logins)(case["text"]) == case["expect"]


def test_nothing_to_mask() -> None:
    assert Mask()("x") == "x"
    assert Mask([""])("x") == "x"


@given(st.text(min_size=4, max_size=30), st.text(max_size=60), st.text(max_size=60))
def test_no_secret_passes(secret: str, before: str, after: str) -> None:
    shown = Mask([secret])(before + secret + after)
    assert secret not in shown.replace(MASK, "") or secret in before + after or "*" in secret
