"""sircuri/InventumUSB: its configuration, topics and words against the golden vectors (spec g)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hardwired.bridge.sink import Moment, Outcome, Publication, Request, Verb, Wish
from hardwired.compat.dialects import make_dialect
from hardwired.compat.importing import Refused
from hardwired.compat.inventumusb import config
from hardwired.compat.inventumusb.config import parse
from hardwired.compat.inventumusb.dialect import WORDS, data_of
from hardwired.compat.inventumusb.importer import convert
from hardwired.compat.settings import ConfigError
from hardwired_engines.engine import Device, DeviceState, Snapshot, Unit
from hardwired_engines.inventum.dialogue.wishes import AUTO, BOOST, Boost, Kind, Wishes
from hardwired_engines.inventum.terminal.log import Column, Columns, LogParser, Row
from tests.standalone.mqtt.fakes import FakeHub, FakeLink
from tests.vector_files import cases

NOW = Moment(1000.0, datetime(2026, 1, 1, tzinfo=UTC))
DEVICE = Device("ecolution", "ecolution", "Ecolution")
LEVELS = {name: getattr(logging, name) for name in config.LEVELS}


def dialect_of(*others: FakeLink, **settings: Any) -> Any:
    link = FakeLink("fan", snapshot=Snapshot({"ecolution": DeviceState(DEVICE)}))
    settings = {"dialect": "inventumusb", "topic": "ventilation/inventum", **settings}
    return make_dialect(settings, link, FakeHub(link, *others), "mqtt")


def rows_of(chunks: list[str]) -> list[Unit]:
    parser, columns, units = LogParser(), (), []
    for chunk in chunks:
        for event in parser.receive_data(bytes.fromhex(chunk)):
            match event:
                case Columns(found):
                    columns: tuple[Column, ...] = found
                case Row():
                    printed = {
                        key: {"value": cell.value, "status": cell.status}
                        for key, cell in event.record(columns).items()
                    }
                    units.append(Unit(DEVICE, "row", printed, NOW.wall, event.raw))
    return units


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "mqtt.json"))
def test_publication_vectors(case: dict[str, Any]) -> None:
    dialect = dialect_of(topic=case["topic"])
    dialect.connected({}, NOW)
    said = [
        message
        for row in rows_of(case["chunks"])
        for message in dialect.occurrence("fan", row, NOW)
    ]
    assert [(one.topic, one.retain, one.qos) for one in said] == [
        (wanted["topic"], False, 0) for wanted in case["expect"]
    ]
    for message, wanted in zip(said, case["expect"], strict=True):
        assert json.loads(message.payload) == wanted["payload"]
        assert message.payload.isascii()


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "commands.json"))
def test_command_vectors(case: dict[str, Any]) -> None:
    dialect = dialect_of()
    dialect.connected({}, NOW)
    payload = bytes.fromhex(case["payload"])
    topic = "ventilation/inventum/commands"
    wanted = case["expect"]
    assert dialect.receive(topic, payload, True, NOW) == []
    found = dialect.receive(topic, payload, False, NOW)
    match wanted["action"]:
        case "rejected":
            assert found == []
            return
        case "quit":
            assert [one.verb for one in found] == [Verb.STOP]
            return
        case action:
            [wish] = found
            assert isinstance(wish, Wish)
            assert wish.ticket == action == WORDS[payload]
    if action in ("pause", "resume"):
        assert wish.command.values == {"data_logger": action == "resume"}
        return
    assert wish.command.values == {"boost": action == "high"}
    wishes = Wishes(lambda moment: False)
    if case["boost_active"]:
        wishes.boost = Boost(NOW.wall + timedelta(minutes=5), 20)
    boost = Boost(NOW.wall + timedelta(minutes=20), 20)
    target = BOOST if action == "high" else AUTO
    wishes.ask(target, boost if action == "high" else None, NOW.monotonic, case["position"])
    assert (wishes.pending is not None) == wanted["dialogue"]
    if wanted["timer"] == "restart":
        until = wishes.pending.boost if wishes.pending else wishes.boost
        assert until == boost
    else:
        assert wishes.boost is None or wishes.pending.kind is Kind.AUTO


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "config.json"))
def test_configuration_vectors(case: dict[str, Any]) -> None:
    wanted = case["expect"]
    if "error" in wanted or "port_out_of_range" in case["warnings"]:
        with pytest.raises(ConfigError):
            parse(case["ini"])
        with pytest.raises(Refused):
            convert(case["ini"])
        return
    old = parse(case["ini"])
    assert {
        "device": old.device,
        "reset_minutes": old.reset,
        "log_level": LEVELS[old.loglevel],
        "log_file": old.logfile or "/var/log/inventum.log",
        "mqtt": {
            "host": old.server,
            "port": old.port,
            "client_id": old.clientid,
            "username": old.username or None,
            "password": (old.password or None) if old.username else None,
            "data_topic": f"{old.topic}/data",
            "command_topic": f"{old.topic}/commands",
        },
    } == wanted
    if not (old.server and old.device and old.topic):
        with pytest.raises(Refused):
            convert(case["ini"])
        return
    told = json.dumps([str(one) for one in convert(case["ini"]).said], default=str)
    for kind in case["warnings"]:
        assert {
            "topic_ends_with_commands": "/commands",
            "password_without_username": "username",
            "reset_not_positive": "minutes",
        }[kind] in told


@pytest.mark.parametrize(
    "text",
    [
        "[inventum]\ndevice =",
        "[inventum]\ndevice = /dev/a\n  b",
        "[mqtt]\nserver =",
        "[mqtt]\ntopic =",
        "[mqtt]\ntopic = /",
    ],
)
def test_what_nobody_can_use_is_refused(text: str) -> None:
    parse(text)
    with pytest.raises(Refused, match="must not be empty"):
        convert(text)


def test_texts_are_told_as_they_stand() -> None:
    """A password key without a user name is told even when it is empty."""
    text = "[mqtt]\nclientid =\npassword =\n[inventum]\nloglevel = critical\n"
    old = parse(text)
    assert (old.clientid, old.password, old.loglevel) == ("", "", "CRITICAL")
    imported = convert(text)
    assert imported.config["sinks"]["mqtt"]["client_id"] == "inventum-usb"
    assert "mqtt.password" in [one.as_dict()["key"] for one in imported.said]


def test_who_is_there() -> None:
    dialect = dialect_of()
    assert dialect.subscriptions == [("ventilation/inventum/commands", 0)]
    [online] = dialect.connected({}, NOW)
    assert (online.topic, online.payload, online.retain) == (
        "ventilation/inventum/status",
        "online",
        True,
    )
    assert dialect.will == Publication(
        "ventilation/inventum/status", "offline", True, 0, online.traffic
    )
    assert dialect.stopping(NOW) == [dialect.will]


def test_quit_is_for_this_link_and_may_be_forbidden(caplog: pytest.LogCaptureFixture) -> None:
    topic = "ventilation/inventum/commands"
    beside = dialect_of(FakeLink("heater"))
    [request] = beside.receive(topic, b"QUIT", False, NOW)
    assert isinstance(request, Request)
    assert (request.verb, request.link) == (Verb.RESTART, "fan")
    assert dialect_of(allow_quit=False).receive(topic, b"QUIT", False, NOW) == []
    assert "allow_quit" in caplog.text
    assert dialect_of(read_only=True).subscriptions == []


def test_what_was_not_carried_out_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    dialect = dialect_of()
    [wish] = dialect.receive("ventilation/inventum/commands", b"FAN=1", False, NOW)
    assert dialect.answered(wish, Outcome(key="not_confirmed", text="no row"), NOW) == []
    assert "high failed: no row" in caplog.text
    dialect.receive("ventilation/inventum/commands", b"FAN=9", False, NOW)
    assert "FAN=9" in caplog.text


def test_the_example_of_the_page() -> None:
    stream = "Interval : 00:01:00\r\nS,Temp. boiler (C),S,3-standen\r\n0,45.5,0,2\r\n"
    [row] = rows_of([stream.encode().hex()])
    assert json.loads(data_of(row)) == {
        "Temp_boiler_C": {"value": "45.5", "status": "0"},
        "3-standen": {"value": "2", "status": "0"},
    }
