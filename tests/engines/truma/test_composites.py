"""Thermostats and boiler by the vectors: what they show, what a wish becomes (bridge c.9)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from hardwired_engines.composite import Composite, Part
from hardwired_engines.engine import Device, DeviceState, InvalidCommand
from hardwired_engines.truma.catalogue import CATALOGUES
from hardwired_engines.truma.composites import COMPOSITES, LAST
from hardwired_engines.truma.inet.rules import HeaterKind
from hardwired_engines.truma.installation import HEATERS
from tests.vector_files import load

pytestmark = pytest.mark.vectors

VECTORS: dict[str, Any] = load("bridge", "composites.json")
COMPOSITE: dict[str, tuple[str, Composite]] = {
    f"truma.{one.key}": (kind, one) for kind, ones in COMPOSITES.items() for one in ones
}
REMEMBERED = {"truma.room": "target_temp_room", "truma.aircon": "mode"}
WRITES = [case for case in VECTORS["writes"] if case["composite"] in COMPOSITE]


def state_of(name: str, values: dict[str, Any]) -> DeviceState:
    kind, _ = COMPOSITE[name]
    known = dict(values)
    last, heater = known.pop("last", None), HeaterKind(known.pop("heater", "combi"))
    details = {} if last is None else {REMEMBERED[name]: MappingProxyType({LAST: last})}
    return DeviceState(
        Device(kind, kind, kind),
        MappingProxyType(known),
        fields=HEATERS[heater] if kind == "heater" else CATALOGUES[kind],
        details=MappingProxyType(details),
    )


def test_every_composite_has_its_vectors() -> None:
    assert {case["composite"] for case in WRITES} == set(COMPOSITE)


@pytest.mark.parametrize("case", VECTORS["truma.room"], ids=lambda case: str(case["values"]))
def test_reads(case: dict[str, Any]) -> None:
    _, composite = COMPOSITE["truma.room"]
    read = composite.read(state_of("truma.room", case["values"]))
    assert {role: read.get(Part(role)) for role in case["roles"]} == case["roles"]


@pytest.mark.parametrize("case", WRITES, ids=lambda case: case["name"])
def test_writes(case: dict[str, Any]) -> None:
    _, composite = COMPOSITE[case["composite"]]
    wishes = [(Part(role), text) for role, text in case["wishes"]]
    state = state_of(case["composite"], case["state"])
    if "error" in case:
        with pytest.raises(InvalidCommand) as caught:
            composite.write(wishes, state)
        assert caught.value.key == case["error"]
        return
    assert composite.write(wishes, state) == case.get("values", {})
    assert case.get("nothing", False) == (not case.get("values"))
