"""The vectors of section H: what Home Assistant's entities become on the GX, and back.

They concern the engine room ``victron_gx``. Its state machines are pure: the sequences are played
without a broker, in time that is turned by hand.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardwired_engines.victron_gx.config import read_export
from hardwired_engines.victron_gx.export import Plan, plan
from hardwired_engines.victron_gx.exporter import Exporter, Memory, StartCall
from hardwired_engines.victron_gx.gx import Gx
from hardwired_engines.victron_gx.home import EntityState, Home
from hardwired_engines.victron_gx.outcome import Call, Ignore, Remember, WriteBack
from hardwired_engines.victron_gx.protocol import Message
from hardwired_engines.victron_gx.report import notices
from hardwired_engines.victron_gx.sources import Source
from tests.vector_files import cases

pytestmark = pytest.mark.vectors

OWN = frozenset({"venus", "victron_gx"})
"""How the vectors call this family, and how the integration does."""


def state_of(entity: dict[str, Any]) -> EntityState:
    return EntityState(entity["entity_id"], entity["state"], entity.get("attributes", {}))


def planned(case: dict[str, Any]) -> Plan:
    states = {one["entity_id"]: state_of(one) for one in case["entities"]}
    home = Home(states, fahrenheit=case["temperature_unit"] == "°F")
    return plan(read_export(case["config"]), home, case["config"].get("last_mode", 0))


@pytest.mark.parametrize("case", cases("venus", "ha/export.json"))
def test_export(case: dict[str, Any]) -> None:
    found, expected = planned(case), case["expected"]
    assert found.config.client_id == expected["clientId"]
    assert found.types == expected["services"]
    assert found.options == expected["options"]
    assert found.values == expected["values"]


@pytest.mark.parametrize("case", cases("venus", "ha/writeback.json"))
def test_write_back(case: dict[str, Any]) -> None:
    told = case["set"]
    found = planned(case).wish(told["service"], told["path"], told["value"])
    match case["expected"]:
        case {"call": [service, data]}:
            assert isinstance(found, Call)
            assert (found.service, dict(found.data)) == (service, data)
        case {"ignore": True}:
            assert found == Ignore()
        case {"write_back": value}:
            assert found == WriteBack(value)
        case {"remember": index}:
            assert found == Remember(index)
        case other:
            pytest.fail(f"unknown expectation {other}")


@pytest.mark.parametrize("case", cases("venus", "ha/source_filter.json"))
def test_source_filter(case: dict[str, Any]) -> None:
    entity, expected = case["entity"], case["expected"]
    device = entity["device"] or {}
    identifiers = device.get("identifiers", [])
    source = Source(
        entity["entity_id"],
        entity["platform"],
        frozenset(domain for domain, _ in identifiers),
        device.get("manufacturer") or "",
        device.get("family") in OWN,
        (
            *(ident for _, ident in identifiers),
            *(str(entity[key]) for key in ("unique_id",) if entity.get(key)),
            *(str(device[key]) for key in ("serial_number", "serial") if device.get(key)),
        ),
    )
    assert source.offered == expected["offered"]
    assert source.doubtful == expected["warning"]


# -------------------------------------------------------------------------------- sequences

PORTAL = "c0ffee12ab34"
STIMULI = frozenset({"set", "state", "topic", "helper", "gx", "unload"})
EVERYTHING = ["notify", "options", "labels", "measurement", "ranges", "inputs", "energy"]


class Played:
    """One export with everything around it, in time that is turned by hand."""

    def __init__(self, case: dict[str, Any]) -> None:
        config = {**case["config"], "client_id": case["client_id"]}
        steps = case["steps"]
        for step in steps:
            if "controls_allowed" in step:
                config["controls_allowed"] = step["controls_allowed"]
        self.now = -100.0
        self.exporter = Exporter("key", read_export(config), "1", Memory())
        self.gx = Gx(PORTAL, {"x": self.exporter}, self.now)
        told = case.get("entity")
        self.entities = {
            one: EntityState(one, "off") for one in self.exporter.config.every_entity()
        }
        if told:
            self.entities[told["entity_id"]] = state_of(told)
        self.result = "ok"
        self.calls: list[Any] = []
        self.sends: dict[str, Any] = {}
        self.status: list[Any] = []
        self.answers = True
        self._feed(None)
        self.gx.start(self.now)
        self.connect(PORTAL)
        self.play(-50.0)
        self.clear()

    def clear(self) -> None:
        self.calls, self.sends, self.status = [], {}, []

    def connect(self, portal: str) -> None:
        self.gx.connect(self.now)
        payload = json.dumps({"value": portal}).encode()
        self.gx.receive(f"N/{portal}/system/0/Serial", payload, self.now)
        self.helper({"state": "online", "started": 1}, portal)
        self.gx.link("x", self.now)
        self._drain()

    def helper(self, told: dict[str, Any], portal: str = PORTAL) -> None:
        whole = {"features": EVERYTHING, "types": ["switch", "temperature"], **told}
        whole["portalId"] = portal
        self.gx.receive("dbus-mqtt-devices/status", json.dumps(whole).encode(), self.now)
        self._drain()

    def state(self, entity_id: str, state: str) -> None:
        before = self.entities[entity_id]
        self.entities[entity_id] = EntityState(entity_id, state, before.attributes)
        self._feed(frozenset({entity_id}))

    def _feed(self, changed: frozenset[str] | None) -> None:
        self.gx.home(Home(dict(self.entities)), changed, self.now)
        self._drain()

    def set(self, path: str, value: Any) -> None:
        told = {"service": "ctl", "path": path, "value": value}
        topic = f"device/{self.exporter.config.client_id}/Set"
        self.gx.receive_export("x", topic, json.dumps(told).encode(), self.now)
        self._drain()

    def play(self, until: float) -> None:
        while (due := self.gx.due(self.now)) is not None and due <= until:
            self.now = max(self.now, due)
            self.gx.tick(self.now)
            self._drain()
        self.now = until
        self.gx.tick(until)
        self._drain()

    def _drain(self) -> None:
        while self.exporter.actions:
            for action in [self.exporter.actions.pop(0)]:
                match action:
                    case StartCall(number, call):
                        self.calls.append([call.service, dict(call.data)])
                        self.exporter.called(number, self.result == "ok", self.now)
                    case Message(topic, payload):
                        self._published(topic, json.loads(payload))

    def _published(self, topic: str, told: dict[str, Any]) -> None:
        client = self.exporter.config.client_id
        if topic == f"device/{client}/Status":
            self.status.append(told)
            if told["connected"]:
                number = dict.fromkeys(told["services"], 1)
                paths = {
                    one: {"W": f"W/{PORTAL}/{kind}/1"} for one, kind in told["services"].items()
                }
                reply = {"portalId": PORTAL, "deviceInstance": number, "topicPath": paths}
                payload = json.dumps({**reply, "extensions": 1}).encode()
                self.gx.receive_export("x", f"device/{client}/DBus", payload, self.now)
        elif topic == f"device/{client}/Proxy":
            self.sends |= told["values"]


@pytest.mark.parametrize("case", cases("venus", "ha/sequences.json"))
def test_sequence(case: dict[str, Any]) -> None:
    played = Played(case)
    refused = 0
    for step in case["steps"]:
        played.clear()
        played.play(step["t"])
        if step.keys() & STIMULI:  # what is expected comes of it, not of what was before
            played.clear()
        played.result = step.get("call_result", "ok")
        portal = step.get("portal", PORTAL)
        match step:
            case {"set": [path, value]}:
                played.set(path, value)
            case {"state": [entity_id, state]}:
                played.state(entity_id, state)
            case {"topic": topic}:
                played.gx.receive(topic, b"", played.now)
            case {"helper": told}:
                played.helper(told)
            case {"gx": "lost"}:
                played.gx.lose()
            case {"gx": "connected"}:
                played.connect(portal)
            case {"unload": True}:
                played.exporter.leave()
        played._drain()
        if "calls" in step:
            assert played.calls == step["calls"]
        for key in ("sends", "sends_after_reply"):
            if key in step:
                assert played.sends == step[key]
        if "status" in step:
            if step["status"] is None:
                assert played.status == []
            else:
                assert played.status[-1].items() >= step["status"].items()
        if "registered" in step:
            assert played.exporter.registered == step["registered"]
        if "refused" in step:
            refused += step["refused"]
            assert played.exporter.counters.refused == refused
        if "repair" in step:
            found = {notice.key for notice in notices(played.gx, {}, played.now)}
            assert step["repair"] in found
