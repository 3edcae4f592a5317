"""The drop-in face of xtender_mqtt, held against what the reference was recorded to say."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from hardwired.compat.xtender import config as xtmq_config
from hardwired.compat.xtender.config import XtmqConfig
from hardwired.compat.xtender.mqtt import XtmqFace
from hardwired.compat.xtender.names import PARAMETERS, SENSORS
from hardwired_engines.studer.catalogue import to_field
from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.values import Format
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors

MINIMAL = """
mqtt_setup: {mqtt_username: , mqtt_client_id: , mqtt_broker: b, mqtt_password: , mqtt_port: ,
             mqtt_root_prefix: }
device_manager_config: {scom: {interface: /dev/ttyUSB0, baudrate: 38400}}
"""
OURS = {"state_class", "availability", "availability_mode"}


def defaults() -> XtmqConfig:
    return xtmq_config.parse(MINIMAL)


def face(everything: bool = False) -> XtmqFace:
    config = defaults()
    if everything:
        return XtmqFace(frozenset(SENSORS), frozenset(PARAMETERS), allow_guarded=True)
    return XtmqFace(config.sensors, config.parameters)


def float32(text: str) -> bytes:
    return struct.pack("<f", float(text))


def test_what_is_on_by_default() -> None:
    recorded = load("studer", "mqtt_compat.json")
    assert defaults().sensors == set(recorded["enabled_sensors"])
    assert defaults().parameters == set(recorded["enabled_parameters"])


def test_announcements() -> None:
    recorded = load("studer", "mqtt_compat.json")
    address = recorded["address"]
    ours = {message.topic: message for message in face().discovery(address)}
    everything = {message.topic: message for message in face(True).discovery(address)}
    # A topic that the reference first removes and then announces again is one that is off.
    off = {item["topic"] for item in recorded["discovery"] if item["payload"] == ""}
    assert set(ours) == {item["topic"] for item in recorded["discovery"]}
    for item in recorded["discovery"]:
        message = ours[item["topic"]]
        assert message.retain is item["retain"]
        if item["topic"] in off:
            assert message.payload == ""
        if item["payload"] == "":
            assert everything[item["topic"]].payload
            continue
        config = json.loads(everything[item["topic"]].payload)
        assert {key: config.get(key) for key in item["payload"]} == item["payload"]
        assert set(config) - set(item["payload"]) <= OURS
        if item["topic"] not in off:
            assert json.loads(message.payload) == config


@pytest.mark.parametrize("case", cases("studer", "mqtt_compat.json", "state"))
def test_values(case: dict[str, Any]) -> None:
    entries = [
        entry
        for entry in face().entries()
        if entry.name == case["name"] and entry.read == case["meta"]["number"]
    ]
    assert len(entries) == 1
    entry = entries[0]
    address = int(case["topic"].split("/")[1])
    point = by_id(Family.XT, entry.read)
    assert point is not None
    meta = face().meta(address, entry)
    assert meta.topic == case["meta_topic"]
    assert json.loads(json.loads(meta.payload)) == case["meta"]
    assert not meta.retain
    wire = bool(case["raw"]) if point.wire_format is Format.BOOL else case["raw"]
    messages = [
        message
        for message in face().wire_values(address, point, wire)
        if message.topic == case["topic"]
    ]
    if entry.component == "switch" and case["raw"] not in (0, 1):
        # {1545}: the recording feeds a number that the device can't send; the fix publishes 0/1.
        assert messages == []
        return
    (message,) = messages
    assert (message.retain, message.qos) == (False, 0)
    if entry.texts is None and entry.kind == "float":
        assert float32(message.payload) == float32(case["payload"])
    else:
        assert message.payload == case["payload"]
    # The same when it comes as the engine reports it.
    value = to_field(point, wire, None)
    minutes = int(wire) if point.time_of_day else None
    assert message in face().values(address, point, value, minutes=minutes)
