"""The YAML file of inetbox.py: what is accepted, what is told, what is refused."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, strategies as st

from hardwired.compat.inetbox.config import InetboxConfig, TlsSettings, parse
from hardwired.compat.inetbox.discovery import discovery
from hardwired.compat.inetbox.texts import (
    Dialect,
    Kind,
    Language,
    Texts,
    UpdateStatus,
    display_text,
    tenths,
)
from hardwired.compat.settings import ConfigError

BROKER = "broker:\n  host: localhost\n"
TRUMA = BROKER + "services:\n  truma:\n"


def test_defaults() -> None:
    config = parse(BROKER + "services: {}\nlog_level: INFO\n")
    assert (config.host, config.port, config.keepalive) == ("localhost", 1883, 60)
    assert (config.serial_device, config.baudrate) == ("/dev/serial0", 9600)
    assert config.texts == Texts()
    assert (config.default_target_temp_room, config.default_heating_mode) == (5, 1)
    assert (config.updates_buffer_time, config.set_time) == (1, False)
    assert config.data_topic == "service/truma/"
    assert config.tls is None
    assert config.warnings == ("services.truma is missing: everything there has its default",)


def test_everything() -> None:
    config = parse(
        BROKER + "  port: 8883\n  keepalive: 30\nauth: {username: u, password: geheim}\n"
        "tls: {ca_certs: /a, cert_reqs: CERT_NONE, tls_version: PROTOCOL_TLS_CLIENT}\n"
        "log_level: debug\nha_discovery_prefix: ha\nservices:\n  other: {a: 1}\n  truma:\n"
        "    serial_device: /dev/ttyS0\n    baudrate: 9600\n    timeout: 0.03\n"
        "    language: de\n    default_target_temp_room: 19\n    default_heating_mode: boost\n"
        "    updates_buffer_time: 0.5\n    set_time: true\n    timezone_override: Europe/Berlin\n"
        "    log_dir: /var/log\n    debug_lin: true\n    ha_optimistic: true\n"
        "    data_topic: womo/truma/\n    extended_texts: true\n"
    )
    assert config.tls == TlsSettings(
        ca_certs="/a", cert_reqs="CERT_NONE", tls_version="PROTOCOL_TLS_CLIENT"
    )
    assert config.texts == Texts(Dialect.INETBOX_PY, Language.DE, extended=True)
    assert (config.default_heating_mode, config.log_level) == (10, "DEBUG")
    assert (config.timezone_override, config.data_topic) == ("Europe/Berlin", "womo/truma/")
    assert config.warnings == ()
    assert "geheim" not in repr(config)


def test_what_the_old_program_took_as_well() -> None:
    config = parse(
        TRUMA.replace("broker:", "log_level: warn\nbroker:")
        + "    default_target_temp_room: '18.5'\n    set_time: 1\n    debug_lin: 0\n"
    )
    assert (config.log_level, config.default_target_temp_room) == ("WARNING", 18.5)
    assert (config.set_time, config.debug_lin) == (True, False)


def test_empty_tls_is_tls() -> None:
    assert parse(BROKER + "tls:\n").tls == TlsSettings()


def test_environment_counts_where_the_file_is_silent() -> None:
    environ = {"DEBUG_LIN": "", "DEBUG_APP": "1", "LOG_DIR": "/tmp/x"}
    config = parse(TRUMA + "    debug_app: false\n", environ)
    assert (config.debug_lin, config.debug_app, config.debug_protocol) == (True, False, False)
    assert config.log_dir == "/tmp/x"


def test_unknown_keys_are_told() -> None:
    (warning,) = parse(TRUMA + "    serial_port: /dev/ttyS0\n").warnings
    assert warning == "services.truma.serial_port is not known; is serial_device meant?"
    (warning,) = parse(TRUMA + "    data_topic: womo\n").warnings
    assert "slash" in warning


@pytest.mark.parametrize(
    "content, match",
    [
        ("", "broker is missing"),
        ("broker: {port: 1}", "broker.host is missing"),
        ("broker: {host: 5}", "broker.host takes a text"),
        (BROKER + "  port: 0", "broker.port"),
        (BROKER + "auth: {password: 1}", "auth.password .*in quotes"),
        (BROKER + "tls: {cert_reqs: MAYBE}", "tls.cert_reqs takes one of CERT_NONE"),
        (BROKER + "tls: {tls_version: TLSv9}", "tls.tls_version takes one of PROTOCOL_"),
        (BROKER + "log_level: LOUD", "log_level takes one of DEBUG"),
        (BROKER + "services: 5", "services takes a section"),
        (TRUMA + "    language: fr\n", "language takes one of none, en, de"),
        (TRUMA + "    default_target_temp_room: 31\n", "default_target_temp_room"),
        (
            TRUMA + "    default_heating_mode: high\n",
            "default_heating_mode takes one of eco, boost",
        ),
        (TRUMA + "    default_heating_mode: off\n", "default_heating_mode takes one of eco, boost"),
        (TRUMA + "    default_heating_mode: 1\n", "default_heating_mode takes one of eco, boost"),
        (TRUMA + "    updates_buffer_time: -1\n", "updates_buffer_time"),
        (TRUMA + "    timezone_override: Berlin\n", "timezone_override"),
        (TRUMA + "    data_topic: a/#\n", "data_topic .*wildcards"),
        (TRUMA + "    default_target_temp_room: '4'\n", "default_target_temp_room"),
        (TRUMA + "    default_target_temp_room: warm\n", "default_target_temp_room"),
        (TRUMA + "    set_time: 2\n", "set_time takes true or false"),
        (TRUMA + "    set_time: daily\n", "set_time takes true or false"),
        (TRUMA + "\tx", "not YAML in line"),
    ],
)
def test_refused_files(content: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        parse(content)


LINES = st.sampled_from(
    ["broker:", "  host: localhost", "  port: 1883", "services:", "  truma:", "    language: de",
     "    default_heating_mode: off", "    updates_buffer_time: .inf", "auth: []", "tls: {}",
     "log_level: [x]", "    data_topic: ''", "    baudrate: 1e3", "? [a]", "- x", "!!map", "%YAML"]
)  # fmt: skip


@given(st.text() | st.lists(LINES, max_size=12).map("\n".join))
def test_any_text_is_a_configuration_or_a_clear_error(content: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(content), InetboxConfig)


ANY_TEXTS = st.builds(
    Texts, st.sampled_from(Dialect), st.sampled_from(Language), extended=st.booleans()
)


@given(ANY_TEXTS, st.sampled_from(Kind), st.integers(0, 0xFFFF))
def test_every_code_has_a_text_and_every_word_its_code(texts: Texts, kind: Kind, code: int) -> None:
    assert texts.text(kind, code)
    for known, word in texts.words(kind).items():
        if kind is not Kind.WATER or texts.dialect is Dialect.INETBOX_PY:
            assert texts.code(kind, word) == known


@given(ANY_TEXTS, st.sampled_from(Kind), st.text(max_size=12) | st.from_regex(r"-?[0-9.e]{1,9}"))
def test_any_text_is_a_code_or_refused(texts: Texts, kind: Kind, text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= texts.code(kind, text) <= 0xFFFF


@given(ANY_TEXTS, st.integers(2780, 3030))
def test_temperatures_come_back(texts: Texts, code: int) -> None:
    assert texts.code(Kind.TEMPERATURE, texts.text(Kind.TEMPERATURE, code)) == code


def test_words_that_the_old_program_lacked() -> None:
    texts = Texts(extended=True)
    assert texts.text(Kind.OPERATING_STATUS, 7) == "On (230 V)"
    assert texts.text(Kind.HEATING_MODE, 3) == "auto"
    assert texts.text(Kind.HEATING_MODE, 10) == "boost"
    assert texts.code(Kind.HEATING_MODE, "night") == 2


def test_status_words() -> None:
    german = Texts(language=Language.DE)
    assert german.update_status(UpdateStatus.WAITING_TRUMA) == "Warte auf Truma"
    assert (german.cp_plus_status(online=True), german.cp_plus_status(online=False)) == (
        "online",
        "warte...",
    )
    assert Texts().update_status(UpdateStatus.WAITING_COMMIT) == "waiting_commit"
    assert Texts().cp_plus_status(online=False) == "waiting"
    assert display_text("vent_mode", 10) == "Vent 10"
    assert display_text("heating_status", 0x0A) == "unknown value 0a"
    assert tenths(2729) == "-0.1"


def test_discovery_follows_the_settings() -> None:
    (message,) = discovery(Texts(), data_topic="womo/", prefix="ha", optimistic=True)
    payload = json.loads(message.payload)
    assert message.topic == "ha/device/truma_Truma-Device/config"
    climate = payload["components"]["truma_Truma-Device__climate_Room-Temperature"]
    assert climate["optimistic"] is True
    assert climate["mode_command_topic"] == "womo/set/mode"
    selects = [item for item in payload["components"].values() if item["platform"] == "select"]
    assert [item["options"] for item in selects] == [
        ["0", "40", "60", "200"],
        ["none", "gas", "electricity", "mix"],
        ["0", "900", "1800"],
    ]
    first = next(iter(discovery(Texts(Dialect.INETBOX2MQTT), data_topic="service/womo/")))
    assert first.topic == "homeassistant/binary_sensor/womo/alive/config"
