"""The topics of xtender_mqtt: what the recording does not show."""

from __future__ import annotations

import json
from datetime import datetime, time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.compat.xtender.config import WriteProperty
from hardwired.compat.xtender.mqtt import CommandRefused, XtmqCommand, XtmqFace, payload_of, text_of
from hardwired.compat.xtender.names import PARAMETERS, SENSORS, Entry
from hardwired_engines.engine import Command
from hardwired_engines.studer.catalogue import to_field
from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id, datapoints
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.values import Format
from tests.standalone.mqtt.test_components import check_entity

ALL = XtmqFace(frozenset(SENSORS), frozenset(PARAMETERS))


def point(family: Family, number: int) -> Datapoint:
    found = by_id(family, number)
    assert found is not None
    return found


def command(name: str, payload: str, face: XtmqFace = ALL, address: int = 101) -> XtmqCommand:
    return face.command(f"xtender/{address}/parameters/{name}/set", payload)


@pytest.mark.parametrize("entry", [*SENSORS.values(), *PARAMETERS.values()], ids=lambda e: e.unique)
def test_every_name_stands_for_a_datapoint(entry: Entry) -> None:
    found = point(Family.XT, entry.read)
    assert found.is_parameter == entry.parameter
    assert found.writable == entry.parameter
    assert found.signal == (entry.kind == "signal")
    if entry.texts is not None:
        assert {choice.wire for choice in found.choices} >= set(entry.texts)
    if entry.component == "number":
        assert found.limits.minimum == entry.minimum


def test_ids_that_are_read() -> None:
    reads = ALL.reads()
    assert {3081, 3078, 3000, 1138, 1545} <= reads
    assert not reads & {3080, 3074, 1142, 1467, 1415}


def test_values_come_from_the_engine_as_they_are() -> None:
    values = {
        3000: (52.4, ["52.4"]),
        3020: (True, ["Closed"]),
        3028: ("inverter", ["Inverter", "Inverter"]),
        3049: (False, ["Off"]),
        1124: (True, ["1"]),
        1125: (False, ["0", "0"]),
        1525: (time(13, 41), ["821"]),
        1545: ("open", ["1"]),
        3081: (3.25, ["3.25"]),
        3001: (20.0, []),
        1142: (None, []),
        3010: (None, []),
        3160: ("charger_power", ["Pchar"]),
    }
    for number, (value, payloads) in values.items():
        messages = ALL.values(101, point(Family.XT, number), value)
        assert [message.payload for message in messages] == payloads, number
    (message,) = ALL.values(103, point(Family.XT, 3081), 3.25)
    assert message.topic == "xtender/103/values/energyACInCurrentDay"


def test_an_enum_beyond_its_words_says_nothing() -> None:
    assert payload_of(SENSORS["operatingMode"], 6) is None
    assert payload_of(SENSORS["operatingMode"], 1.5) is None
    assert payload_of(PARAMETERS["remoteEntryActivate"], 1) == "1"
    assert payload_of(PARAMETERS["remoteEntryActivate"], 12.0) is None
    assert payload_of(SENSORS["batteryVoltage"], float("nan")) is None
    assert payload_of(PARAMETERS["forceNewChargeCycle"], 1) is None
    assert payload_of(SENSORS["batteryVoltage"], b"x") is None


def test_other_families_go_by_number() -> None:
    assert ALL.values(301, point(Family.VT, 11000), 51.5)[0].topic == "xtender/301/values/11000"
    mode = point(Family.VT, 11016)
    assert text_of(mode, mode.choices[1].wire) == mode.choices[1].label
    assert text_of(mode, 999) is None
    assert ALL.values(501, point(Family.RCC, 5002), datetime(2026, 1, 1).astimezone())


@pytest.mark.parametrize("family", list(Family))
def test_announcements_of_other_families(family: Family) -> None:
    messages = list(ALL.discovery_of_points(301, "VarioTrack", datapoints(family)))
    assert bool(messages) is (family is not Family.XT)
    for message in messages:
        config: dict[str, Any] = json.loads(message.payload)
        component = message.topic.split("/")[1]
        check_entity({"default_entity_id": f"{component}.x", "platform": component, **config})
        assert message.topic.endswith(f"/{config['unique_id']}/config")
        assert message.retain
    assert len({message.topic for message in messages}) == len(messages)


def test_commands_are_wire_values() -> None:
    assert command("batteryChargeReferenceCurrent", "12.34").value == 12.34
    assert command("allowInverter", "0").value is False
    assert command("allowInverter", "ON").value is True
    assert command("chargerAllowed", "true").point.id == 1125
    assert command("gridFeedingStartTime", "821").value == 821
    assert command("remoteEntryActivate", "off").value == 0
    assert command("forceNewChargeCycle", "1").value == 1
    assert command("1138", "12").value == 12
    assert command("10037", "1", address=301).point.family is Family.VT


def test_commands_reach_the_engine() -> None:
    asked = command("batteryChargeReferenceCurrent", "12")
    assert asked.for_engine("fid") == Command(
        "fid", name="write", options={"id": 1138, "value": 12.0}
    )
    flash = XtmqFace(ALL.sensors, ALL.parameters, write_property=WriteProperty.FLASH)
    assert (
        command("batteryChargeReferenceCurrent", "12", flash).for_engine("f").options["persistent"]
    )
    assert "persistent" not in command("forceNewChargeCycle", "1", flash).for_engine("f").options
    allowed = XtmqFace(ALL.sensors, ALL.parameters, allow_guarded=True)
    asked = command("resetAllInverters", "1", allowed)
    assert asked.for_engine("f").options["confirm"] == "1468"


@pytest.mark.parametrize(
    "name, payload",
    [
        ("batteryChargeReferenceCurrent", "warm"),
        ("batteryChargeReferenceCurrent", ""),
        ("batteryChargeReferenceCurrent", "nan"),
        ("batteryChargeReferenceCurrent", "1e300"),
        ("allowInverter", "2"),
        ("allowInverter", "maybe"),
        ("gridFeedingStartTime", "8.5"),
        ("forceNewChargeCycle", "0"),
        ("resetAllInverters", "1"),
        ("restoreFactorySettings", "1"),
        ("batteryVoltage", "1"),
        ("3000", "1"),
        ("99999", "1"),
        ("nonsense", "1"),
        ("1" * 5000, "1"),
    ],
)
def test_refused_commands_know_where_the_result_belongs(name: str, payload: str) -> None:
    with pytest.raises(CommandRefused) as caught:
        command(name, payload)
    assert caught.value.address == 101
    result = ALL.result(101, done=False)
    assert (result.topic, result.payload) == ("xtender/101/dbg/last_cmd_result", "Error")


def test_what_is_not_published_takes_commands_as_with_the_old_program() -> None:
    face = XtmqFace(frozenset(), frozenset())
    inverter = point(Family.XT, 1124)
    assert command("allowInverter", "1", face).point is inverter
    assert face.values(101, inverter, True) == []
    with pytest.raises(CommandRefused, match="whole plant"):
        command("powerOffAllXtenders", "1", face)


def test_both_prefixes_are_heard() -> None:
    face = XtmqFace(ALL.sensors, ALL.parameters, prefix="plant/a")
    assert face.subscriptions() == (
        "xtender/+/parameters/+/set",
        "plant/a/+/parameters/+/set",
    )
    for prefix in ("xtender", "plant/a"):
        assert face.command(f"{prefix}/101/parameters/allowInverter/set", "1").address == 101
    assert ALL.subscriptions() == ("xtender/+/parameters/+/set",)
    (message,) = face.values(101, point(Family.XT, 3000), 50.0)
    assert message.topic == "plant/a/101/values/batteryVoltage"
    assert face.availability(101, online=True).topic == "plant/a/101/availability"
    assert face.bridge(online=False).payload == "offline"


def test_bsp_and_bms_share_an_address() -> None:
    topic = "xtender/601/parameters/6001/set"
    for family in (Family.BSP, Family.BMS):
        found = by_id(family, 6001)
        if found is not None and found.writable and not found.guarded:
            assert ALL.command(topic, "100", family).point.family is family


TOPICS = st.text(max_size=40) | st.builds(
    "{}/{}/{}/{}/set".format,
    st.sampled_from(["xtender", "", "x", "xtender/xtender"]),
    st.sampled_from(["101", "0", "-1", "1e2", "٣", "601", "192", "100", "9" * 300, ""]),
    st.sampled_from(["parameters", "values", ""]),
    st.sampled_from([*PARAMETERS, "1138", "10037", "", "+", "#", "é"]),
)
PAYLOADS = st.text(max_size=20) | st.sampled_from(
    ["1", "0", "1e400", "-0", "inf", "0x1", "true", "\x00", "12", "1" * 400, "Open", "٣"]
)


@given(TOPICS, PAYLOADS)
def test_hostile_messages_are_commands_or_refused(topic: str, payload: str) -> None:
    try:
        asked = ALL.command(topic, payload)
    except CommandRefused as error:
        reason, address = str(error), error.address
        assert 0 < len(reason) < 2000
        assert address is None or 0 < address < 10000
    else:
        assert not asked.point.guarded
        assert asked.point.writable


@given(st.sampled_from([*SENSORS.values(), *PARAMETERS.values()]), st.floats() | st.integers())
def test_any_number_has_a_payload_or_none(entry: Entry, wire: float) -> None:
    if isinstance(wire, int) and abs(wire) > 2**32:
        return
    if isinstance(wire, float) and abs(wire) > 3e38:
        return
    payload = payload_of(entry, wire)
    assert payload is None or payload not in ("nan", "inf", "-inf")


@given(st.sampled_from([*datapoints(Family.RCC), *datapoints(Family.VS)]), st.integers(0, 2**31))
def test_any_datapoint_has_a_text_or_none(found: Datapoint, wire: int) -> None:
    payload = text_of(found, float(wire) if found.wire_format is Format.FLOAT else wire)
    assert payload is None or payload


@pytest.mark.parametrize("minutes", [1439, 1440, 0, 821])
def test_a_time_of_day_is_published_as_it_was_read(minutes: int) -> None:
    """Both 1439 and 1440 are shown as 23:59 elsewhere."""
    start = point(Family.XT, 1525)
    shown = to_field(start, minutes, None)
    messages = ALL.values(101, start, shown, minutes=minutes)
    assert [message.payload for message in messages] == [str(minutes)]
