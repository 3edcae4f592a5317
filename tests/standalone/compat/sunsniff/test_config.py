"""The TOML file of sunsniff: what the vectors do not show."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from hardwired.compat.settings import ConfigError
from hardwired.compat.sunsniff.config import (
    CaptureSource,
    FieldSet,
    ModbusSource,
    SunsniffConfig,
    parse,
)
from hardwired.compat.sunsniff.importer import convert

PCAP = '[pcap]\ndevice="br0"\ntimezone="Africa/Johannesburg"\n'
MODBUS = '[modbus]\ndevice="/dev/ttyUSB0"\ninterval=20\n'


def modbus(extra: str) -> ModbusSource:
    source = parse(MODBUS + extra).source
    assert isinstance(source, ModbusSource)
    return source


def test_defaults_are_those_of_the_old_program() -> None:
    config = parse(PCAP + '[[influxdb2]]\norg="o"\nbucket="b"\ntoken="t"\n[[mqtt]]\nurl="mqtt://h"')
    assert config.source == CaptureSource("br0", "Africa/Johannesburg")
    target = config.influx[0].target
    assert (target.version, target.host) == (2, "http://localhost:8086")
    assert (config.mqtt[0].host, config.mqtt[0].port, config.mqtt[0].tls) == ("h", 1883, False)
    assert config.mqtt[0].fields is FieldSet.COMPATIBLE
    assert config.warnings == ()


def test_no_sink_is_accepted_with_a_warning() -> None:
    (warning,) = parse(PCAP).warnings
    assert "nowhere" in warning


def test_empty_filter_is_no_filter() -> None:
    config = parse('[pcap]\ndevice="br0"\ntimezone="UTC"\nfilter=" "\n[[mqtt]]\nurl="mqtt://h"')
    assert isinstance(config.source, CaptureSource)
    assert config.source.filter is None
    assert "pcap.filter" in config.warnings[0]


@pytest.mark.parametrize(
    "url, expected",
    [
        ("mqtt://h", ("h", 1883, False)),
        ("mqtts://h", ("h", 8883, True)),
        ("mqtts://h:1884/", ("h", 1884, True)),
        ("mqtt://[fe80::1]:1883", ("fe80::1", 1883, False)),
    ],
)
def test_broker_urls(url: str, expected: tuple[str, int, bool]) -> None:
    sink = parse(f'{PCAP}[[mqtt]]\nurl="{url}"').mqtt[0]
    assert (sink.host, sink.port, sink.tls) == expected


@pytest.mark.parametrize(
    "url",
    ["h:1883", "tcp://h", "mqtt://", "mqtt://h:0", "mqtt://h:99999", "mqtt://h:x", "mqtt://h/a",
     "mqtt://u:p@h", "mqtt://h?x=1", "mqtt://h h", "http://h", "mqtt:h", "", "mqtt://[::1"],
)  # fmt: skip
def test_bad_broker_urls(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\[1\]\.url"):
        parse(f'{PCAP}[[mqtt]]\nurl="{url}"')


@pytest.mark.parametrize(
    "device, url",
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
        ("COM3", "COM3"),
        ("192.168.0.9:502", "socket://192.168.0.9:502"),
        ("gateway.lan:502", "socket://gateway.lan:502"),
        ("[fe80::1]:502", "socket://[fe80::1]:502"),
        ("rfc2217://gateway:4000", "rfc2217://gateway:4000"),
        ("/dev/serial/by-id/usb-1a86:7523", "/dev/serial/by-id/usb-1a86:7523"),
    ],
)
def test_modbus_devices(device: str, url: str) -> None:
    imported = convert(f'[modbus]\ndevice="{device}"\ninterval=5').config
    assert imported["devices"]["inverter"]["link"] == url


def test_short_interval_is_raised() -> None:
    config = parse('[modbus]\ndevice="/d"\ninterval=0.2\n[[mqtt]]\nurl="mqtt://h"')
    assert isinstance(config.source, ModbusSource)
    assert config.source.interval == 1
    assert "interval" in config.warnings[0]


def test_new_keys_of_modbus() -> None:
    source = modbus("modbus_id=247\ntimeout=1.5\nretries=0\nwrite_enabled=true\nmax_block=8")
    assert (source.modbus_id, source.timeout, source.retries) == (247, 1.5, 0)
    assert (source.write_enabled, source.max_block) == (True, 8)


@pytest.mark.parametrize(
    "extra",
    ["modbus_id=0", "modbus_id=248", "modbus_id=true", "timeout=0", "retries=-1", "baud=0",
     "max_block=126", "write_enabled=1", "interval=nan", "interval=inf", "interval=1e300",
     "retires=3", "interval=" + "9" * 5000],
)  # fmt: skip
def test_bad_modbus(extra: str) -> None:
    base = MODBUS.replace("interval=20\n", "") if extra.startswith("interval") else MODBUS
    with pytest.raises(ConfigError):
        parse(base + extra)


@pytest.mark.parametrize(
    "keys, version",
    [
        ('database="d"\nversion=1', 1),
        ('database="d"\nversion=1\nusername="u"\npassword="p"\nretention_policy="r"', 1),
        ('database="d"\ntoken="t"\nversion=3', 3),
        ('database="d"\ntoken=""\nversion=3', 3),
        ('org="o"\nbucket="b"\ntoken="t"\nspool="/var/x"\nspool_max_mb=1\nbuffer_points=5', 2),
    ],
)
def test_versions_of_influx(keys: str, version: int) -> None:
    config = parse(f"{PCAP}[[influxdb2]]\n{keys}")
    assert config.influx[0].target.version == version
    assert config.warnings == ()


@pytest.mark.parametrize(
    "keys",
    ["version=4", "version=1", 'version=3\ndatabase="d"', 'version="2"', 'org="o"\nbucket="b"',
     'database="d"\nversion=1\nhost="localhost"', 'database="d"\nversion=1\nhost="http://u:p@h"',
     'database="d"\nversion=1\nfields="some"', 'database="d"\nversion=1\nspool_max_mb=0'],
)  # fmt: skip
def test_bad_influx(keys: str) -> None:
    with pytest.raises(ConfigError, match=r"influxdb2\[1\]"):
        parse(f"{PCAP}[[influxdb2]]\n{keys}")


def test_keys_of_another_version_are_told() -> None:
    config = parse(f'{PCAP}[[influxdb2]]\nversion=1\ndatabase="d"\norg="o"')
    assert config.influx[0].target.org is None
    assert "influxdb2[1].org" in config.warnings[0]


def test_typing_error_is_pointed_at() -> None:
    with pytest.raises(ConfigError, match=r"pcap\.timezon is not known; is timezone meant"):
        parse(PCAP + 'timezon="UTC"')


@pytest.mark.parametrize("zone", ["UTC+2", "", "SAST", "Africa", "../etc", "right/UTC", "a\\u0000"])
def test_bad_zones(zone: str) -> None:
    with pytest.raises(ConfigError, match=r"pcap\.timezone"):
        parse(f'[pcap]\ndevice="br0"\ntimezone="{zone}"')


def test_secrets_stay_out_of_errors_and_reprs() -> None:
    config = parse(
        f'{PCAP}[[influxdb2]]\norg="o"\nbucket="b"\ntoken="geheim"\n'
        '[[mqtt]]\nurl="mqtt://h"\nusername="u"\npassword="geheim"'
    )
    assert "geheim" not in repr(config)
    with pytest.raises(ConfigError) as caught:
        parse(f'{PCAP}[[mqtt]]\nurl="mqtt://h"\npassword=4711')
    assert "4711" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_configuration_or_a_clear_error(content: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(content), SunsniffConfig)


TOML_VALUES = st.sampled_from(
    ["1", "-1", "0", "true", '""', '"x"', "[]", "{}", "[{}]", "1.5", "nan", "inf", "1979-05-27",
     "[1]", '"mqtt://h"', '"http://h"', "65536", '"UTC"', '"compatible"', "[" * 400 + "]" * 400]
)  # fmt: skip
KEYS = st.sampled_from(
    ["device", "timezone", "file", "filter", "interval", "baud", "url", "org", "bucket", "token",
     "host", "version", "fields", "keepalive", "database", "snaplen", "zz"]
)  # fmt: skip
SECTIONS = st.sampled_from(["[pcap]", "[modbus]", "[[mqtt]]", "[[influxdb2]]", "[mqtt]", "[a.b]"])


@given(st.lists(st.tuples(SECTIONS, st.dictionaries(KEYS, TOML_VALUES, max_size=5)), max_size=4))
def test_broken_files_are_refused_never_a_crash(parts: list[tuple[str, dict[str, str]]]) -> None:
    content = "\n".join(
        "\n".join([section, *(f"{key}={value}" for key, value in values.items())])
        for section, values in parts
    )
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(content), SunsniffConfig)


@pytest.mark.parametrize("file", [True, False])
@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("host 1.2.3.4 and port 51100", None),
        ("src host dongle.lan", None),
        ("port 99999", "illegal port number"),
        ("tcp[13] & 2 != 0", "not supported without libpcap"),
        ("(tcp", "parenthesis"),
    ],
)
def test_a_bad_filter_is_an_error_at_the_start(
    expression: str, told: str | None, file: bool
) -> None:
    content = (
        f'[pcap]\ndevice = "x"\ntimezone = "UTC"\nfile = {str(file).lower()}\n'
        f'filter = "{expression}"\n'
    )
    if told is None:
        assert parse(content).source.filter == expression
    else:
        with pytest.raises(ConfigError, match=rf"pcap\.filter: .*{told}"):
            parse(content)
