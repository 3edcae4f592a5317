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
from hardwired.config.secrets import Secret
from hardwired.influx.answers import Answer, Class, Failure, read_answer, read_failure
from hardwired.influx.line_protocol import escape, line
from hardwired.influx.target import target_of
from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.dongle.report import Report, read_report
from hardwired_engines.sunsynk.dongle.timestamps import resolve
from tests.standalone.influx.reader import parse_line
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors

ACTIONS = {
    Class.STORED: "done",
    Class.CONFIGURATION: "config_error",
    Class.REFUSED: "drop_batch",
    Class.TOO_BIG: "split_batch",
}
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


def action(answer: Answer) -> str:
    """Return what an answer leads to, in the vectors' words."""
    return ACTIONS.get(answer.cls, "retry" if answer.wait is None else "retry_after")


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json", "responses"))
def test_responses(case: dict[str, Any]) -> None:
    retry_after = "7" if case["action"] == "retry_after" else None
    assert action(read_answer(case["status"], retry_after=retry_after)) == case["action"]


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json", "transport"))
def test_transport_failures(case: dict[str, Any]) -> None:
    answer = read_failure(Failure(case["error"]))
    assert action(answer) == case["action"].split(" ")[0]
    assert (answer.tell_after is not None) == ("tell the user" in case["action"])


@pytest.mark.parametrize("case", cases("sunsynk", "influx.json", "escape"))
def test_escaping(case: dict[str, Any]) -> None:
    assert escape(case["tag"]) == case["escaped"]


def test_write_urls() -> None:
    names = {name: f"{name}1" for name in ("org", "bucket", "database", "retention_policy")}
    for version, wanted in load("sunsynk", "influx.json")["write_urls"].items():
        told = {"url": "http://h:8086", "username": "u", "ca_file": None, "verify": "full"}
        login = {"token": Secret("secret"), "password": Secret("p")}
        more = {"version": int(version), "timeout": 30.0, "gzip": True}
        target = target_of({**told, **login, **names, **more})
        method, url, rest = re.split(" +", wanted, maxsplit=2)
        assert method == "POST"
        assert f"http://h:8086{target.write}" == url.format(host="http://h:8086", **names)
        authorization = target.headers["Authorization"]
        if "Authorization:" in rest:
            assert f"Authorization: {authorization}" == rest.format(token="secret")
        else:
            assert "basic auth" in rest
            assert authorization == "Basic dTpw"
