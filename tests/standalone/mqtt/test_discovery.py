"""Device-based discovery (spec c.8): messages and states of the vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardwired.mqtt.announcement import announce, bridge_ident, head_of
from hardwired.mqtt.components import Choice, Naming, Place, components
from hardwired.mqtt.topics import Topics, slug
from hardwired_engines.engine import DeviceState
from tests.standalone.mqtt.worlds import ToldComposite, state_of
from tests.vector_files import cases

pytestmark = pytest.mark.vectors
VERSION = "1.0.0"


def place_of(case: dict[str, Any], device: str) -> Place:
    bridge, link = case["bridge"], case["link"]
    topics = Topics(
        bridge.get("prefix", "hardwired"), bridge.get("discovery_prefix", "homeassistant")
    )
    own = slug(device)
    scope = own if link["identified"] else f"{link['name']}_{own}"
    return Place(f"hardwired_{scope}", link["name"], own, topics)


def composites_of(case: dict[str, Any]) -> tuple[ToldComposite, ...]:
    roles = case.get("roles", {})
    return tuple(ToldComposite(told, roles.get(told["key"])) for told in case.get("composites", []))


def state(case: dict[str, Any]) -> DeviceState:
    return state_of(case["device"], case["fields"], case["values"], case.get("details", ()))


@pytest.mark.parametrize("case", cases("bridge", "discovery.json"))
def test_discovery(case: dict[str, Any]) -> None:
    bridge, now = case["bridge"], state(case)
    device = now.device
    place = place_of(case, device.id)
    via = bridge_ident(bridge.get("id", "hardwired"))
    if device.via is not None and device.via != device.id:
        via = place_of(case, device.via).ident
    suffixes = {told["key"]: told.get("id_suffix", told["key"]) for told in case["fields"]}
    naming = Naming(suffix=lambda key: suffixes.get(key, key), texts=case.get("texts", {}))
    choice = Choice(
        included=frozenset(case.get("wanted") or ()),
        times=bridge.get("times", True),
        read_only=bridge.get("read_only", False),
    )
    found = announce(
        place,
        head_of(device, place, via=via, version=VERSION, area=case["link"].get("area")),
        components(place, naming, choice, now, composites_of(case)),
        {place.topics.announcement(place.ident): told} if (told := case.get("announced")) else {},
        bridge.get("max_payload", 128 * 1024),
    )
    told = [
        {
            "topic": message.topic,
            "payload": json.loads(message.payload),
            "retain": message.retain,
            "qos": message.qos,
        }
        for message in found.messages
    ]
    assert told == case["messages"]
    for message, expected in zip(told, case["messages"], strict=True):
        assert list(message["payload"]["components"]) == list(expected["payload"]["components"])
