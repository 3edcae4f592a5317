"""The catalogues as they were frozen: see :mod:`tests.golden_files`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from hardwired_engines.factory import families
from hardwired_engines.fields import Field
from hardwired_engines.plain import plain
from tests.golden_files import GOLDEN, check

MEMBERS = (
    "name", "quantity", "unit", "precision", "accumulation", "role", "offer", "readable",
    "writable", "minimum", "maximum", "step", "options",
)  # fmt: skip
"""Named one by one: a member that is added later changes nothing of what is frozen."""


def row(place: int, field: Field) -> dict[str, Any]:
    return {"place": place, **{name: plain(getattr(field, name)) for name in MEMBERS}}


@pytest.mark.parametrize("family", families())
def test_catalogue(family: str) -> None:
    catalogues = import_module(f"hardwired_engines.{family}.catalogue").CATALOGUES
    rows = {
        f"{kind}/{key}": row(place, field)
        for kind, catalogue in catalogues.items()
        for place, (key, field) in enumerate(catalogue.items())
    }
    check(family, "catalogue", rows)


def test_every_frozen_family_is_there() -> None:
    """A family that has gone would leave its files behind, and take owners' entities along."""
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} == set(families())
