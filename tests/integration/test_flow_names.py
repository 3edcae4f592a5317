"""The steps of all families make up one class, so no two families may use the same name."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path

import custom_components.hardwired
from custom_components.hardwired.families import FAMILIES
from custom_components.hardwired.flow import FamilyFlow

SOURCES = Path(custom_components.hardwired.__file__).parent


def _own_names(flow: type[FamilyFlow]) -> set[str]:
    own = [part for part in flow.__mro__ if part not in FamilyFlow.__mro__]
    names = {name for part in own for name in (*vars(part), *inspect.get_annotations(part))}
    return {name for name in names if not name.startswith("__")}


def test_no_two_flows_share_a_name() -> None:
    owners = Counter(name for family in FAMILIES.values() for name in _own_names(family.flow))
    assert len(owners) > 50
    assert [name for name, count in owners.items() if count > 1] == []


def test_no_flow_hides_what_all_share() -> None:
    for family in FAMILIES.values():
        assert not _own_names(family.flow) & set(dir(FamilyFlow))


def test_what_progress_is_shown_of_is_never_done_at_once() -> None:
    """Else Home Assistant gives the form's input to the next step, for ever: see start_work."""
    shown = []
    for path in SOURCES.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for task in re.findall(r"progress_task=self\.(\w+)", source):
            shown.append(path.name)
            started = re.findall(rf"self\.{task} = (\w[\w.]*)\(", source)
            assert started == ["start_work"] * len(started), path
            assert started, path
    assert sorted(shown) == ["entry_menu.py", "flow.py"]
