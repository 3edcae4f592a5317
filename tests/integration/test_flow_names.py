"""The steps of all families make up one class, so no two families may use the same name."""

from __future__ import annotations

import inspect
from collections import Counter

from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.flow import FamilyFlow

TOGETHER = {"async_remove"}
"""Each family does its part and hands on to the next."""


def _own_names(flow: type[FamilyFlow]) -> set[str]:
    own = [part for part in flow.__mro__ if part not in FamilyFlow.__mro__]
    names = {name for part in own for name in (*vars(part), *inspect.get_annotations(part))}
    return {name for name in names if not name.startswith("__")} - TOGETHER


def test_no_two_flows_share_a_name() -> None:
    owners = Counter(name for family in FAMILIES.values() for name in _own_names(family.flow))
    assert len(owners) > 50
    assert [name for name, count in owners.items() if count > 1] == []


def test_no_flow_hides_what_all_share() -> None:
    for family in FAMILIES.values():
        assert not _own_names(family.flow) & set(dir(FamilyFlow))
