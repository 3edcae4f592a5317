"""The drop-in face of sunsniff, held against the golden vectors."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from hardwired.compat.settings import ConfigError
from hardwired.compat.sunsniff import (
    config as sunsniff_config,
    influx as sunsniff_influx,
    mqtt as sunsniff_mqtt,
)
from hardwired.influx.line_protocol import escape, line
from hardwired.influx.responses import Action, Failure, InfluxTarget, classify, classify_failure
from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.dongle.report import Report, read_report
from hardwired_engines.sunsynk.dongle.timestamps import resolve
from tests.standalone.influx.reader import parse_line
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors

OURS = {"default_entity_id", "availability_topic", "device_class"}
OURS_OF_DEVICE = {"name", "manufacturer", "model", "serial_number"}


def report_of(case: dict[str, Any]) -> Report:
    return read_report(bytes.fromhex(case["hex"]))


@pytest.mark.parametrize("case", cases("sunsynk", "toml.json"))
def test_configuration_files(case: dict[str, Any]) -> None:
    if case["ours"] == "accept":
        sunsniff_config.parse(case["toml"])
    else:
        with pytest.raises(ConfigError):
            sunsniff_config.parse(case["toml"])


@pytest.mark.parametrize("case", cases("sunsynk", "mqtt.json"))
def test_discovery_and_states(case: dict[str, Any]) -> None:
    report = report_of(case)
    keys = sunsniff_mqtt.published_fields(modbus=False)
    configs = list(sunsniff_mqtt.discovery(report.serial, keys))
    assert [message.topic for message in configs] == [m["config_topic"] for m in case["messages"]]
    for message, expected in zip(configs, case["messages"], strict=True):
        assert (message.retain, message.qos) == (True, 1)
        config = json.loads(message.payload)
        wanted = expected["config"]
        assert {key: config.get(key) for key in wanted if key != "device"} == {
            key: value for key, value in wanted.items() if key != "device"
        }
        assert set(config) - set(wanted) <= OURS
        assert config["device"]["identifiers"] == wanted["device"]["identifiers"]
        assert set(config["device"]) - set(wanted["device"]) <= OURS_OF_DEVICE
        assert config["state_topic"] == expected["state_topic"]
    states = list(sunsniff_mqtt.states(report.serial, report.values, keys))
    assert not any(message.retain or message.qos for message in states)
    assert [(message.topic, message.payload) for message in states] == [
        (m["state_topic"], m["state"]) for m in case["messages"] if m["state"] is not None
    ]


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json"))
def test_points(case: dict[str, Any]) -> None:
    report = report_of(case)
    moment = resolve(report.local_time, load_zone(case["timezone"])).time
    keys = sunsniff_mqtt.published_fields(modbus=False)
    points = list(sunsniff_influx.points(report.serial, moment, report.values, keys))
    lines = [line(point) for point in points]
    assert lines == case["lines"]
    assert [parse_line(item) for item in lines] == points


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json", "responses"))
def test_responses(case: dict[str, Any]) -> None:
    assert classify(case["status"]).action == case["action"]


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json", "transport"))
def test_transport_failures(case: dict[str, Any]) -> None:
    verdict = classify_failure(Failure(case["error"]))
    assert verdict.action == Action(case["action"].split(" ")[0])
    assert (verdict.tell_after is not None) == ("tell the user" in case["action"])


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json", "escape"))
def test_escaping(case: dict[str, Any]) -> None:
    assert escape(case["tag"]) == case["escaped"]


def test_write_urls() -> None:
    names = {name: f"{name}1" for name in ("org", "bucket", "database", "retention_policy")}
    for version, wanted in load("sunsynk", "influx.json")["write_urls"].items():
        target = InfluxTarget(
            int(version), "http://h:8086", token="secret", username="u", password="p", **names
        ).write_target()
        method, url, rest = re.split(" +", wanted, maxsplit=2)
        assert method == "POST"
        assert target.url == url.format(host="http://h:8086", **names)
        authorization = target.headers["Authorization"]
        if "Authorization:" in rest:
            assert f"Authorization: {authorization}" == rest.format(token="secret")
        else:
            assert "basic auth" in rest
            assert authorization == "Basic dTpw"
