"""The families' composites as the vectors have them (spec c.9), and what Home Assistant sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hardwired_engines.composite import Composite, Part
from hardwired_engines.engine import Device, DeviceState, InvalidCommand
from hardwired_engines.factory import factory_of
from tests.vector_files import cases

pytestmark = pytest.mark.vectors

KINDS = {"truma.room": "heater", "truma.water": "heater", "truma.aircon": "aircon"}
LAST = {"truma.room": "target_temp_room", "truma.aircon": "mode"}
"""The field beside whose value the last one is remembered."""


def world(name: str, told: Mapping[str, Any]) -> tuple[Composite, DeviceState]:
    family, _, key = name.partition(".")
    factory = factory_of(family)
    kind = KINDS.get(name, "ecolution")
    [composite] = [one for one in factory.composites(kind) if one.key == key]
    fields = factory.catalogues[kind]
    if told.get("heater") == "vario":
        water = fields["water_mode"]
        fields = fields.with_fields([replace(water, options=("off", "eco", "high"))])
    values = {key: value for key, value in told.items() if key not in ("last", "heater")}
    details = {LAST[name]: {"last": told["last"]}} if "last" in told else {}
    return composite, DeviceState(Device(kind, kind, kind), values, fields=fields, details=details)


@pytest.mark.parametrize("case", cases("bridge", "composites.json", "truma.room"))
def test_truma_room(case: dict[str, Any]) -> None:
    composite, state = world("truma.room", case["values"])
    shown = {part.value: value for part, value in composite.read(state).items()}
    assert {role: shown[role] for role in case["roles"]} == case["roles"]


@pytest.mark.parametrize("case", cases("bridge", "composites.json", "inventum.fan"))
def test_inventum_fan(case: dict[str, Any]) -> None:
    composite, state = world("inventum.fan", case["values"])
    shown = {part.value: value for part, value in composite.read(state).items()}
    assert {role: shown[role] for role in case["roles"]} == case["roles"]


@pytest.mark.parametrize("case", cases("bridge", "composites.json", "writes"))
def test_write(case: dict[str, Any]) -> None:
    composite, state = world(case["composite"], case["state"])
    wishes = [(Part(role), text) for role, text in case["wishes"]]
    if "error" in case:
        with pytest.raises(InvalidCommand) as caught:
            composite.write(wishes, state)
        assert caught.value.key == case["error"]
        return
    assert composite.write(wishes, state) == ({} if case.get("nothing") else case["values"])
