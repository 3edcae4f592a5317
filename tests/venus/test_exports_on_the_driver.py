"""What Home Assistant offers, the driver takes: exports, judged by the driver's own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardwired_engines.victron_gx import protocol
from hardwired_engines.victron_gx.config import read_export
from hardwired_engines.victron_gx.export import Plan, plan
from hardwired_engines.victron_gx.home import EntityState, Home
from mqtt_devices import options, rules, status, tables
from mqtt_devices.items import Items
from mqtt_devices.wire import from_json
from tests.vector_files import cases

from .test_vectors_home_assistant import planned

TABLES = tables.load()


def shown(found: Plan) -> dict[str, Items]:
    """Return the services as the driver would have them, all values written."""
    message = protocol.status(
        protocol.register(found.config.client_id, "1", found.types, found.options)
    )
    judged = status.parse_status(message.payload, TABLES)
    assert isinstance(judged, status.Registration), judged
    on_gx = {}
    for service in found.services:
        option = dict(judged.options)[service.id]
        made = options.plan(TABLES.types[service.type], option, TABLES)
        assert made.errors == {}
        items = on_gx[service.id] = Items(made, {}, {})
        for path, value in json.loads(json.dumps(service.values)).items():
            row = items.row(f"/{path}")
            assert row is not None, path
            usable, meant = from_json(value)
            verdict = rules.judge(row, meant, items.value)
            # V2: what is stored can't become invalid.
            stored = row.stored and value is None
            assert usable
            assert verdict.code == (rules.REFUSED if stored else rules.ACCEPTED), (path, value)
            items.set(row.path, verdict.value)
    return on_gx


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("venus", "ha/export.json"))
def test_every_export_is_taken_by_the_driver(case: dict[str, Any]) -> None:
    assert set(shown(planned(case))) == set(case["expected"]["services"])


def made(config: dict[str, Any], *entities: EntityState) -> Plan:
    states = {one.entity_id: one for one in entities}
    return plan(read_export({"name": "Van", **config}), Home(states))


@pytest.mark.parametrize("role", ["grid", "pvinverter", "genset", "acload", "evcharger"])
@pytest.mark.parametrize("phase", ["L1", "L2", "L3"])
def test_a_meter_on_any_one_phase_is_shown_on_it(role: str, phase: str) -> None:
    power = EntityState("sensor.p", "1.5", {"unit_of_measurement": "kW"})
    config = {"template": "meter", "role": role, "phases": {phase: {"power": "sensor.p"}}}
    meter = shown(made(config, power))["m"]
    assert meter.value(f"/Ac/{phase}/Power") == meter.value("/Ac/Power") == 1500
    assert meter.value("/NrOfPhases") == int(phase[1])


def test_a_list_with_an_empty_option_can_be_chosen_from() -> None:
    select = EntityState("select.scene", "b", {"options": ["", "a", "b"]})
    mode = EntityState("sensor.mode", "", {"device_class": "enum", "options": ["", "a"]})
    found = made({"template": "panel", "entities": ["select.scene", "sensor.mode"]}, select, mode)
    panel = shown(found)["ctl"]
    assert panel.value("/SwitchableOutput/select_scene/Settings/Labels") == ["–", "a", "b"]
    assert panel.text("/SwitchableOutput/select_scene/Dimming") == "b"
    assert panel.value("/GenericInput/sensor_mode/Settings/Labels") == ["–", "a"]
    [control] = found.services[0].controls.values()
    assert control(0).data["option"] == ""  # type: ignore[union-attr]
