"""Files of the old programs (spec d.3): each result is read by our own reader."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.main import main
from hardwired.compat.importing import Refused, as_toml, import_file
from hardwired.config.reader import read_config
from tests.vector_files import cases

INI = "[inventum]\nreset = 30\n[mqtt]\nserver = h\nusername = u\npassword = hunter22\n"


def without_parsers_words(text: str) -> str:
    return text.partition("this is not YAML")[1] or text


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "import.json"))
def test_import(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(Refused) as refused:
            import_file(case["program"], case["source"].encode())
        assert without_parsers_words(str(refused.value)) == without_parsers_words(case["error"])
        return
    found = import_file(case["program"], case["source"].encode())
    assert found.config == case["config"]
    assert [one.as_dict() for one in found.said] == case["said"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "import.json"))
def test_each_result_is_a_config_of_ours(case: dict[str, Any]) -> None:
    if "error" in case:
        pytest.skip("refused")
    found = import_file(case["program"], case["source"].encode())
    text = as_toml(found.config, found.said)
    assert tomllib.loads(text) == {key: value for key, value in found.config.items() if value}
    config = read_config(text.encode())
    assert config.ok, config.errors


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "import.json"))
def test_the_program_is_recognised(case: dict[str, Any]) -> None:
    if "error" in case or not case["source"]:
        pytest.skip("nothing to recognise")
    assert import_file("auto", case["source"].encode()).config == case["config"]


XTENDER_LINES = (
    "mqtt_setup: {mqtt_username: , mqtt_client_id: , mqtt_broker: b, mqtt_password: , mqtt_port: ,"
    " mqtt_root_prefix: }",
    "device_manager_config: {scom: {interface: /dev/ttyUSB0}}",
)


@pytest.mark.parametrize(
    ("program", "content"),
    [
        ("inetbox.py", '"broker":\n  host: h\n'),
        ("inetbox.py", "---\n# mine\n'services': {truma: {}}\nbroker: {host: h}\n"),
        ("inetbox.py", '{"log_level": "INFO", "broker": {"host": "h"}}'),
        ("inetbox.py", "  broker:\n    host: h\n"),
        ("xtender_mqtt", "\n".join(XTENDER_LINES).replace("mqtt_setup", "'mqtt_setup'")),
        ("xtender_mqtt", "".join(f"  {line}\n" for line in XTENDER_LINES)),
        ("inventumusb", "  [inventum]\nreset = 30\n"),
        ("inventumusb", "; mine\n[mqtt] ; the broker\nport = 1884\nserver = h\n"),
    ],
)
def test_a_file_is_recognised_however_it_is_written(program: str, content: str) -> None:
    assert import_file("auto", content.encode()) == import_file(program, content.encode())
    [error] = read_config(content.encode()).errors
    assert error.text.startswith(f"this is the file of {program}; ")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[pcap]\ndevice = eth0\n[[mqtt]]\nurl = 1\n", "this is not TOML"),
        ("mqtt_setup: [\n", "this is not YAML"),
        ("x:\n  services: {}\n", "this is the file of none of sunsniff"),
        ("", "this is the file of none of sunsniff"),
    ],
)
def test_a_file_with_a_mistake_is_recognised_by_what_is_right(content: str, text: str) -> None:
    with pytest.raises(Refused, match=text):
        import_file("auto", content.encode())


@pytest.mark.parametrize(
    ("program", "content", "text"),
    [
        (
            "sunsniff",
            '[modbus]\ndevice = "h:99999"\ninterval = 1\n',
            r"^devices\.inverter\.link ",
        ),
        ("inventumusb", "[inventum]\ndevice = socket://h\n", r"^devices\.ventilation\.link "),
        (
            "inventumusb",
            "[inventum]\nlogin_code = abc\n",
            r"^devices\.ventilation\.login_code login_code is made of digits$",
        ),
    ],
)
def test_what_the_family_would_refuse_is_refused(program: str, content: str, text: str) -> None:
    with pytest.raises(Refused, match=text):
        import_file(program, content.encode())


TEXTS = st.sampled_from(['a b"c', "x\\y", "ü€", "a,b=c#d", "0", "", "p@ss:w/rd", "a" * 300])
HOSTS = st.sampled_from(["h", "[::1]", "h:1", "h:8883"])


def toml(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """Return rows of a table; each may be missing. Texts in JSON are texts in TOML."""
    rows = st.fixed_dictionaries({}, optional=members)
    return rows.map(lambda told: "".join(f"{key} = {json.dumps(told[key])}\n" for key in told))


def of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


MODBUS = toml(
    baud=of(1, 300, 115200),
    modbus_id=of(1, 247),
    timeout=of(0.01, 3, 500),
    retries=of(0, 100),
    max_block=of(1, 125),
).map(lambda rows: f'[modbus]\ndevice = "h:502"\ninterval = 100000\n{rows}')
PCAP = toml(file=st.booleans(), filter=of("", "port 51100"), snaplen=of(64, 262144)).map(
    lambda rows: f'[pcap]\ndevice = "br0"\ntimezone = "UTC"\n{rows}'
)
INFLUX = st.one_of(
    toml(org=TEXTS, bucket=TEXTS, token=TEXTS, spool=of("/s", "/t"), spool_max_mb=of(1, 10**6)),
    toml(database=TEXTS, retention_policy=TEXTS, username=TEXTS, password=TEXTS).map(
        "version = 1\n{}".format
    ),
    toml(database=TEXTS, token=TEXTS, buffer_points=of(1, 10**8)).map("version = 3\n{}".format),
).map("[[influxdb2]]\n{}".format)
MQTT = st.tuples(
    of("mqtt", "mqtts"),
    HOSTS,
    toml(
        username=TEXTS,
        password=TEXTS,
        client_id=of("me", "a b", "x" * 65, "ü"),
        keepalive=of(1, 65535),
        ca_file=of("/ca"),
        fields=of("all"),
        availability=st.booleans(),
    ),
).map(lambda told: f'[[mqtt]]\nurl = "{told[0]}://{told[1]}"\n{told[2]}')
SUNSNIFF = st.tuples(
    st.one_of(MODBUS, PCAP), st.lists(INFLUX, max_size=2), st.lists(MQTT, max_size=3)
).map(lambda told: "".join((told[0], *told[1], *told[2])))


def optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


INETBOX = st.fixed_dictionaries(
    {
        "broker": optional(port=of(1, 65535), keepalive=of(1, 60)).map(
            lambda one: {"host": "h", **one}
        )
    },
    optional={
        "auth": optional(username=TEXTS, password=TEXTS),
        "tls": optional(
            ca_certs=of("/a"),
            certfile=of("/c"),
            keyfile=of("/k"),
            cert_reqs=of("CERT_NONE", "CERT_OPTIONAL"),
            ciphers=of("ALL"),
        ),
        "log_level": of("DEBUG", "FATAL"),
        "services": st.fixed_dictionaries(
            {
                "truma": optional(
                    serial_device=of("/dev/serial0", "socket://h:1"),
                    language=of("none", "en", "de"),
                    default_target_temp_room=of(5, 20.5, "30"),
                    default_heating_mode=of("eco", "boost"),
                    updates_buffer_time=of(0, 3600),
                    set_time=of(True, 0),
                    timezone_override=of("Europe/Berlin"),
                    data_topic=of("a", "a b/"),
                    extended_texts=st.booleans(),
                )
            }
        ),
    },
).map(json.dumps)
"""JSON is YAML."""


@given(
    st.one_of(
        SUNSNIFF.map(lambda content: ("sunsniff", content)),
        INETBOX.map(lambda content: ("inetbox.py", content)),
    )
)
def test_what_is_imported_is_a_config_of_ours(file: tuple[str, str]) -> None:
    program, content = file
    try:
        found = import_file(program, content.encode())
    except Refused:
        return
    config = read_config(as_toml(found.config, found.said).encode())
    assert config.ok, config.errors


def test_a_server_without_login_is_carried_over() -> None:
    content = (
        '[pcap]\ndevice = "br0"\ntimezone = "UTC"\n'
        '[[influxdb2]]\norg = ""\nbucket = "b"\ntoken = ""\n'
    )
    found = import_file("sunsniff", content.encode())
    sink = found.config["sinks"]["influxdb"]
    assert (sink["org"], sink["token"]) == ("-", "-")
    assert "influxdb2[1].token is empty: '-' stands for it" in [one.told for one in found.said]


def test_a_file_of_authorities_makes_no_plain_connection_one_of_tls() -> None:
    content = (
        '[pcap]\ndevice = "br0"\ntimezone = "UTC"\n'
        '[[mqtt]]\nurl = "mqtt://h"\nca_file = "/ca"\n[[mqtt]]\nurl = "mqtts://h"\n'
    )
    found = import_file("sunsniff", content.encode())
    sinks = read_config(as_toml(found.config, found.said).encode()).value["sinks"]
    assert [(one["tls"], one["port"]) for one in sinks.values()] == [(False, 1883), (True, 8883)]
    assert "mqtt[1].ca_file is not used with mqtt://" in [one.told for one in found.said]


@pytest.mark.parametrize(
    ("tls", "files", "said"),
    [
        ("certfile: /c, keyfile: /k", ("/c", "/k"), ""),
        ("certfile: /c", ("/c", "/c"), ""),
        ("keyfile: /k", (None, None), "tls.keyfile is not used without certfile"),
    ],
)
def test_one_file_may_hold_certificate_and_key(
    tls: str, files: tuple[str | None, str | None], said: str
) -> None:
    content = f"broker: {{host: h}}\ntls: {{{tls}}}\nservices: {{truma: {{}}}}\n"
    found = import_file("inetbox.py", content.encode())
    sink = found.config["sinks"]["mqtt"]
    assert (sink.get("cert_file"), sink.get("key_file")) == files
    assert [one.told for one in found.said if one.level == "warning"] == ([said] if said else [])


def test_only_a_file_in_yaml_needs_a_reader_of_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("hardwired.compat.")]:
        if name != import_file.__module__:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert import_file("auto", INI.encode()).config
    for program in ("auto", "inetbox.py"):
        with pytest.raises(Refused, match="needs PyYAML: pip install"):
            import_file(program, b"services:\n  truma:\n")


@given(st.binary(max_size=300), st.sampled_from(["sunsniff", "xtender_mqtt", "inetbox.py"]))
def test_no_content_makes_it_fall(content: bytes, program: str) -> None:
    with pytest.raises(Refused):
        import_file(program, content)


@given(st.text(max_size=300))
def test_no_ini_makes_it_fall(content: str) -> None:
    try:
        import_file("inventumusb", content.encode("utf-8", "replace"))
    except Refused:
        return


def test_the_command_writes_a_file_and_secrets(tmp_path: Path, capsys: Any) -> None:
    old, new = tmp_path / "old.conf", tmp_path / "CONFIG.toml"
    old.write_text(INI)
    arguments = ["import", "auto", str(old), "-o", str(new), "--secrets", str(tmp_path / "s")]
    assert main(arguments) == 0
    assert "stop and disable inventum.service" in capsys.readouterr().err
    assert new.stat().st_mode & 0o777 == 0o600
    assert "hunter22" not in new.read_text()
    assert new.read_text().startswith("#:schema ./config.schema.json\n")
    secret = tmp_path / "s" / "mqtt.password"
    assert secret.read_text() == "hunter22\n"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert read_config(new.read_bytes()).ok
    assert main(arguments) == 1
    assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize(
    ("content", "expect"),
    [
        ("broker:\n  host: b\ntls:\n  certfile: /both.pem\n", {"key_file": "/both.pem"}),
        ("broker:\n  host: b\nha_discovery_prefix: $SYS\n", "discovery_prefix takes a topic that"),
        ("[mqtt]\nclientid = m\u00fc\n", {"client_id": None}),
        ('[pcap]\ndevice="e"\ntimezone="UTC"\n' + '[[mqtt]]\nurl="mqtt://b"\n' * 2, {}),
    ],
)
def test_what_is_imported_can_be_used(content: str, expect: dict[str, Any] | str) -> None:
    """What the old program took and ours does not: carried over, left out and said, refused."""
    if isinstance(expect, str):
        with pytest.raises(Refused, match=re.escape(expect)):
            import_file("auto", content.encode())
        return
    found = import_file("auto", content.encode())
    assert read_config(as_toml(found.config, found.said).encode()).ok
    sink = found.config["sinks"]["mqtt"]
    assert {key: sink.get(key) for key in expect} == expect
