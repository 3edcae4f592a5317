"""MQTT and InfluxDB output of sunsniff: what the vectors do not show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time

import pytest
from hypothesis import given, strategies as st

from hardwired.compat.sunsniff import influx as sunsniff_influx, mqtt as sunsniff_mqtt
from hardwired.compat.sunsniff.config import FieldSet
from hardwired.influx.line_protocol import line
from hardwired.mqtt.message import MqttMessage, OnChange, plain_number

MODBUS = sunsniff_mqtt.published_fields(modbus=True)
ALL = sunsniff_mqtt.published_fields(modbus=False, fields=FieldSet.ALL)


def configs(keys: tuple[str, ...], **options: object) -> dict[str, dict[str, object]]:
    found = sunsniff_mqtt.discovery("1235687108", keys, **options)  # type: ignore[arg-type]
    return {
        json.loads(item.payload)["object_id"].removeprefix("sunsniff_1235687108_"): json.loads(
            item.payload
        )
        for item in found
    }


def test_numbers_of_fields() -> None:
    assert len(sunsniff_mqtt.published_fields(modbus=False)) == 42
    assert len(MODBUS) == 56
    assert set(sunsniff_mqtt.published_fields(modbus=False)) < set(ALL)
    assert "fault_bits" not in ALL
    assert "inverter_program_time_1" not in ALL


def test_all_fields_over_modbus_are_those_that_it_reads() -> None:
    """Registers 312 to 319 of the BMS are read in each cycle; the old program left them out."""
    every = sunsniff_mqtt.published_fields(modbus=True, fields=FieldSet.ALL)
    assert set(every) == set(MODBUS) | set(ALL)
    assert {"bms_current", "bms_soc", "inverter_program_time_1"} <= set(every)


def test_additional_fields_are_sound_sensors() -> None:
    found = configs(ALL)
    assert found["inverter_state"]["device_class"] == "enum"
    assert "state_class" not in found["inverter_state"]
    assert "normal" in found["inverter_state"]["options"]  # type: ignore[operator]
    assert found["inverter_active_energy_daily"]["state_class"] == "total"
    assert found["battery_charge_daily"]["state_class"] == "total_increasing"
    assert "state_class" not in found["rated_power"]
    assert found["grid_frequency"]["device_class"] == "frequency"


def test_program_times_travel_in_seconds() -> None:
    (message,) = sunsniff_mqtt.states(
        "S", {"inverter_program_time_1": time(5, 30)}, ["inverter_program_time_1"]
    )
    assert message.payload == "19800"
    config = configs(MODBUS)["inverter_program_time_1"]
    assert config["unit_of_measurement"] == "s"
    assert config["state_class"] == "measurement"
    assert "device_class" not in config


def test_what_an_engine_reports_reads_as_a_report_does() -> None:
    keys = ["grid_connected", "pv_power", "inverter_state"]
    values = {"grid_connected": True, "pv_power": -0.0, "inverter_state": "normal"}
    payloads = [message.payload for message in sunsniff_mqtt.states("S", values, keys)]
    assert payloads == ["1", "0", "normal"]
    moment = datetime(2022, 11, 5, 6, 32, 46, 250, tzinfo=UTC)
    lines = [line(point) for point in sunsniff_influx.points("S", moment, values, keys)]
    assert lines[0] == "inverter,group=Grid,name=Connected,serial=S value=1 1667629966000250000"
    assert lines[2].endswith('serial=S text="normal" 1667629966000250000')


def test_nothing_is_said_of_absent_values() -> None:
    values = {"pv_power": None, "grid_voltage": float("nan")}
    assert not list(sunsniff_mqtt.states("S", values, ["pv_power", "grid_voltage", "load_power"]))
    moment = datetime(2022, 11, 5, tzinfo=UTC)
    assert not list(sunsniff_influx.points("S", moment, values, ["pv_power", "grid_voltage"]))


def test_options_of_discovery() -> None:
    keys = ("pv_power",)
    found = configs(keys, prefix="ha", with_availability=False, expire_after=120, rated_power=5000)
    config = found["pv_power"]
    assert config["state_topic"] == "ha/sensor/sunsniff_1235687108_pv_power/state"
    assert config["expire_after"] == 120
    assert "availability_topic" not in config
    assert config["device"]["model"] == "5.0 kW hybrid inverter"  # type: ignore[index]
    assert configs(keys)["pv_power"]["availability_topic"] == "sunsniff/1235687108/availability"


def test_availability_is_retained() -> None:
    message = sunsniff_mqtt.availability("S", online=False)
    assert message == MqttMessage("sunsniff/S/availability", "offline", retain=True, qos=1)


@pytest.mark.parametrize(
    "value, expected",
    [(230, "230"), (-72, "-72"), (49.86, "49.86"), (212.20000000000002, "212.20000000000002"),
     (1e22, "10000000000000000000000"), (1e-7, "0.0000001"), (-0.0, "0"), (100.0, "100"), (0, "0")],
)  # fmt: skip
def test_plain_numbers(value: float, expected: str) -> None:
    assert plain_number(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_plain_numbers_lose_nothing(value: float) -> None:
    found = plain_number(value)
    assert "e" not in found.lower()
    assert float(found) == float(value)


def test_repetition() -> None:
    gate = OnChange(repeat=60)
    message = MqttMessage("t", "1")
    assert gate.due([message], 0) == [message]
    assert gate.due([message], 59) == []
    assert gate.due([MqttMessage("t", "2")], 59) == [MqttMessage("t", "2")]
    assert gate.due([MqttMessage("t", "2")], 119) == [MqttMessage("t", "2")]
    assert OnChange().due([message, message], 0) == [message]
    gate.forget()
    assert gate.due([MqttMessage("t", "2")], 119) == [MqttMessage("t", "2")]
