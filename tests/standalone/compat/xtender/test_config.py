"""The YAML file of xtender_mqtt: what is accepted, what is told, what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from hardwired.compat.settings import ConfigError
from hardwired.compat.xtender.config import WriteProperty, XtmqConfig, parse

MQTT = """
mqtt_setup:
  mqtt_username : homeassistant
  mqtt_client_id : mine
  mqtt_broker : 10.10.10.10
  mqtt_password : password
  mqtt_port : 1884
  mqtt_root_prefix : plant
"""
DEVICES = """
device_manager_config:
  scom:
    interface: /dev/ttyUSB0
    baudrate: '38400'
  number_of_scom_devices:
    xtender: 3
"""
EMPTY_MQTT = """
mqtt_setup:
  mqtt_username :
  mqtt_client_id :
  mqtt_broker : b
  mqtt_password :
  mqtt_port :
  mqtt_root_prefix :
"""
EMPTY_DEVICES = """
device_manager_config:
  scom:
    interface: socket://moxa:4001
    baudrate:
  number_of_scom_devices:
    xtender:
"""


def test_a_filled_file() -> None:
    config = parse(MQTT + DEVICES + "logging:\n  version: 1\n")
    assert (config.broker, config.port, config.username) == ("10.10.10.10", 1884, "homeassistant")
    assert (config.password, config.client_id, config.prefix) == ("password", "mine", "plant")
    assert (config.interface, config.baudrate) == ("/dev/ttyUSB0", 38400)
    assert list(config.addresses) == [101, 102, 103]
    assert config.logging == {"version": 1}
    assert config.write_property is WriteProperty.RAM
    assert config.warnings == ()
    assert "password'" not in repr(config)


def test_empty_means_default() -> None:
    config = parse(EMPTY_MQTT + EMPTY_DEVICES + "parameters:\nsensors:\nlogging:\nurgent_list:\n")
    assert (config.port, config.client_id, config.prefix) == (1883, "xtender-mqtt-001", "xtender")
    assert (config.username, config.password, config.baudrate) == (None, None, None)
    assert list(config.addresses) == list(range(101, 107))
    assert config.urgent == {3022}
    assert config.loop_sleep == 5
    assert len(config.sensors) == 16
    assert len(config.parameters) == 9


def test_each_optional_key_stands_for_itself() -> None:
    # In the reference the first missing one hid all later ones.
    extra = "loop_sleep: 2\nurgent_list: [3000, '3001']\nparameters: {allowCharger: False}\n"
    config = parse(MQTT + DEVICES + extra)
    assert config.loop_sleep == 2
    assert config.urgent == {3000, 3001}
    assert "allowCharger" not in config.parameters
    assert config.discovery_prefix == "homeassistant"


def test_names_that_nobody_knows_are_told() -> None:
    config = parse(MQTT + DEVICES + "sensors: {batteryVoltag: True, soc: on}\ncolour: red\n")
    assert "soc" in config.sensors
    assert "sensors.batteryVoltag is not known; is batteryVoltage meant?" in config.warnings
    assert "colour is not known" in config.warnings


def test_older_files_have_the_pause_elsewhere() -> None:
    assert parse(MQTT + "  loop_sleep: 7\n" + DEVICES).loop_sleep == 7
    assert parse(MQTT + "  loop_sleep: 7\n" + DEVICES + "loop_sleep: 3\n").loop_sleep == 3


def test_flash_is_chosen_and_warned_of() -> None:
    config = parse(MQTT + DEVICES + "write_property: flash\n")
    assert config.write_property is WriteProperty.FLASH
    assert "1000 writes" in config.warnings[0]


def test_what_acts_on_the_whole_plant_needs_a_word_of_its_own() -> None:
    extra = "parameters: {restoreFactorySettings: True, powerOnXtender: True}\n"
    config = parse(MQTT + DEVICES + extra)
    assert "restoreFactorySettings" not in config.parameters
    assert "powerOnXtender" in config.parameters
    assert "restoreFactorySettings" in config.warnings[0]
    config = parse(MQTT + DEVICES + extra + "allow_guarded: true\n")
    assert "restoreFactorySettings" in config.parameters
    assert config.warnings == ()


@pytest.mark.parametrize(
    "content, match",
    [
        ("", "mqtt_setup is missing"),
        ("[]", "a list, not sections"),
        ("a: [", "not YAML in line"),
        ("mqtt_setup: 5", "mqtt_setup takes a section"),
        (MQTT, "device_manager_config is missing"),
        (MQTT.replace("  mqtt_port : 1884\n", "") + DEVICES, "mqtt_setup.mqtt_port is missing"),
        (MQTT.replace("10.10.10.10", "") + DEVICES, "mqtt_broker is empty"),
        (MQTT.replace("1884", "70000") + DEVICES, "mqtt_port takes a whole number"),
        (MQTT.replace("1884", "abc") + DEVICES, "mqtt_port takes a whole number"),
        (MQTT.replace(": password", ": 4711") + DEVICES, "mqtt_password .*in quotes"),
        (MQTT.replace("plant", "a/+/b") + DEVICES, "mqtt_root_prefix .*wildcards"),
        (MQTT.replace("plant", "/a") + DEVICES, "mqtt_root_prefix .*slash"),
        (MQTT + DEVICES.replace("/dev/ttyUSB0", ""), "scom.interface is missing"),
        (MQTT + DEVICES.replace("38400", "fast"), "scom.baudrate"),
        (MQTT + DEVICES.replace(": 3", ": 10"), "number_of_scom_devices.xtender"),
        (MQTT + DEVICES + "sensors: {soc: 7}", "sensors.soc takes true or false"),
        (MQTT + DEVICES + "sensors: [soc]", "sensors takes a section"),
        (MQTT + DEVICES + "urgent_list: 3022", "urgent_list takes a list"),
        (MQTT + DEVICES + "urgent_list: [x]", "urgent_list takes a whole number"),
        (MQTT + DEVICES + "loop_sleep: -1", "loop_sleep takes a number"),
        (MQTT + DEVICES + "write_property: eeprom", "write_property takes one of ram, flash"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("a: 2026-13-45", "not YAML"),
        ("a: !!int ''", "not YAML"),
        ("[" * 2000, "not YAML"),
    ],
)
def test_refused_files(content: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        parse(content)


@given(st.text())
def test_any_text_is_a_configuration_or_a_clear_error(content: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(content), XtmqConfig)


LINES = st.sampled_from(
    [*MQTT.splitlines(), *DEVICES.splitlines(), "sensors:", "  soc: yes", "parameters: ~", "? x",
     "  mqtt_port: !!float x", "urgent_list: [3022, 3.5]", "- a", "  &a b: *a", "loop_sleep: .nan",
     "logging: {1: 2}", "  xtender: 0b_", "'", "%", "\t"]
)  # fmt: skip


@given(st.lists(LINES, max_size=25))
def test_shuffled_files_never_crash(lines: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse("\n".join(lines)), XtmqConfig)
