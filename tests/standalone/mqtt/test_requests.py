"""Requests by MQTT (spec c.7), and the bridge's own device (spec c.8)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.mqtt.announcement import compact
from hardwired.mqtt.bridge_device import BridgeDevice
from hardwired.mqtt.requests import (
    VERBS,
    LinkView,
    Request,
    RequestRefused,
    World,
    answer,
    read_request,
    refusal,
)
from hardwired.mqtt.topics import Topics
from hardwired_engines.engine import Device, DeviceState, Snapshot
from tests.standalone.mqtt.worlds import fields_of
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors
REQUESTS = {"truma": {"refresh", "sync_clock"}, "studer": {"identify", "messages", "fast"}}


def world(config: dict[str, Any]) -> World:
    links = {}
    for name, told in load("bridge", "requests.json")["links"].items():
        devices = {
            ident: DeviceState(
                Device(ident, ident, ident),
                told["values"].get(ident, {}),
                fields=fields_of(fields),
            )
            for ident, fields in told["devices"].items()
        }
        links[name] = LinkView(
            family=told["family"],
            snapshot=Snapshot(devices, connected=told["connected"], reason=None),
            requests=frozenset(REQUESTS[told["family"]]),
        )
    return World(links=links, **config)


def actions(request: Request) -> list[Any]:
    """Return what a request does, in the vectors' words."""
    if request.done:
        return []
    match request.verb:
        case "health" | "notices" | "republish" | "stop":
            return [{request.verb: True}]
        case "refresh" | "restart":
            return [{request.verb: request.link}]
        case "log_level":
            return [{"log_level": request.data}]
        case "fast":
            assert request.command is not None
            assert request.command.options == {"minutes": request.minutes}
            return [{"fast": [request.link, request.minutes]}]
        case "remove":
            return [{"remove": [request.link, request.device]}]
        case _:
            assert request.command is not None
            told = {
                "link": request.link,
                "device": request.command.device,
                "name": request.command.name,
                "values": dict(request.command.values),
            }
            return [{"execute": told}]


@pytest.mark.parametrize("case", cases("bridge", "requests.json"))
def test_request(case: dict[str, Any]) -> None:
    payload = (
        bytes.fromhex(case["payload_hex"]) if "payload_hex" in case else case["payload"].encode()
    )
    try:
        request = read_request(case["verb"], payload, world(case.get("config", {})))
    except RequestRefused as error:
        found = refusal(error.transaction, error.key, str(error))
        assert case["actions"] == []
    else:
        found = answer(request.transaction, request.data)
        assert actions(request) == case["actions"]
    assert found == case["response"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
MEMBERS = st.dictionaries(
    st.sampled_from(
        ["link", "device", "values", "keys", "name", "options", "level", "minutes", "transaction"]
    ),
    JSON | st.sampled_from(["van", "plant", "heater", "debug", {"water_mode": "eco"}]),
)


@given(
    st.sampled_from(VERBS) | st.text(max_size=5),
    st.binary(max_size=60) | MEMBERS.map(lambda told: json.dumps(told).encode()),
    st.booleans(),
)
def test_any_request_is_read_or_refused_in_words(verb: str, payload: bytes, only: bool) -> None:
    try:
        request = read_request(verb, payload, world({"read_only": only, "allow_stop": True}))
        found = answer(request.transaction, request.data)
    except RequestRefused as error:
        found = refusal(error.transaction, error.key, str(error))
    assert compact(found)


def test_what_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(RequestRefused) as caught:
        read_request("health", b"{" * 70_000, world({}))
    assert caught.value.key == "too_large"


@pytest.mark.parametrize("case", cases("bridge", "bridge_device.json"))
def test_the_bridges_own_device(case: dict[str, Any]) -> None:
    bridge = dict(case["bridge"])
    topics = Topics(
        bridge.pop("prefix", "hardwired"), bridge.pop("discovery_prefix", "homeassistant")
    )
    own = BridgeDevice(
        **bridge,
        version="1.0.0",
        links={told["name"]: told.get("fast", False) for told in case["links"]},
        sinks=case["influx_sinks"],
        texts={},
    )
    [expected] = case["messages"]
    assert topics.announcement(own.ident) == expected["topic"]
    found = {**own.head(topics), "components": own.components(topics)}
    for component in (*found["components"].values(), *expected["payload"]["components"].values()):
        if component["name"].endswith("reason"):
            # Families add reasons; none may be lost.
            component["options"] = sorted(set(component["options"]) - {"logging_in", "wrong_code"})
    assert found == expected["payload"]


HALF = "\\ud800"


@pytest.mark.parametrize(
    ("verb", "members"),
    [
        ("write", f'"values": {{"water_mode": "{HALF}"}}'),
        ("write", f'"values": {{"{HALF}": 1}}'),
        ("command", f'"name": "refresh", "options": {{"{HALF}": 1}}'),
        ("command", f'"name": "refresh", "values": {{"a": "{HALF}"}}'),
        ("command", '"name": "refresh", "options": {"minutes": 1e999}'),
        ("command", f'"name": "refresh", "options": {{"minutes": 1{"0" * 400}}}'),
        ("read", f'"keys": ["{HALF}"]'),
        ("health", f'"transaction": "{HALF}"'),
    ],
)
def test_what_json_says_and_nothing_else_holds_is_refused(verb: str, members: str) -> None:
    payload = f'{{"link": "van", "device": "heater", {members}}}'.encode()
    with pytest.raises(RequestRefused) as refused:
        read_request(verb, payload, world({}))
    compact(refusal(refused.value.transaction, refused.value.key, str(refused.value))).encode()
