"""CONFIG.toml: every good file with all defaults, every bad one with all its errors (spec b)."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.bridge.settings import family_complaints
from hardwired.config import tables
from hardwired.config.lines import key_lines
from hardwired.config.reader import Complaint, read_config
from hardwired.config.schema import json_schema
from hardwired.config.secrets import Environment, Secret, resolve, secrets_of
from tests.standalone.bridge.schema_check import accepts
from tests.vector_files import cases, load

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
UNIT = '[devices.air]\nfamily = "inventum"\nlink = "/dev/ttyACM0"\n'
VAN = '[devices.van]\nfamily = "truma"\nlink = "/dev/x"\n'
HOME = '[sinks.home]\ntype = "mqtt"\nhost = "h"\nusername = "u"\n'


@pytest.fixture(autouse=True)
def families_of_the_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """One family more changes no vector: the reader knows those that are in them."""
    devices = load("bridge", "config.schema.json")["properties"]["devices"]
    (named,) = devices["patternProperties"].values()
    known = {one["properties"]["family"]["const"] for one in named["oneOf"]}
    assert known <= set(tables.family_names())
    monkeypatch.setattr(tables, "family_names", lambda: tuple(sorted(known)))
    tables.dialects.cache_clear()


def told(complaints: tuple[Complaint, ...]) -> list[dict[str, Any]]:
    return [{"line": one.line, "key": one.key, "text": one.text} for one in complaints]


def without_parsers_words(complaints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    begin = "this is not TOML: "
    return [{**one, "text": begin} if one["text"].startswith(begin) else one for one in complaints]


@pytest.mark.vectors
@pytest.mark.parametrize(
    "case", [*cases("bridge", "config.json", "good"), *cases("bridge", "config.json", "bad")]
)
def test_every_file_is_read_as_the_vectors_say(case: dict[str, Any]) -> None:
    found = read_config(case["toml"].encode())
    expect = case["expect"]
    assert without_parsers_words(told(found.errors)) == without_parsers_words(expect["errors"])
    assert told(found.warnings) == expect["warnings"]
    assert found.ok == expect["ok"]
    if "value" in expect:
        assert found.value == expect["value"]


@pytest.mark.vectors
def test_the_schema_is_the_one_of_the_vectors() -> None:
    ours = json.loads(json.dumps(json_schema()))
    assert without_added(ours) == load("bridge", "config.schema.json")


def without_added(schema: Any) -> Any:
    """Return a schema without the keys, and the ways to tell a value, that came later."""
    added = {
        key.name
        for name in tables.family_names()
        for key in tables.family(name).table.keys
        if key.added
    }
    match schema:
        case dict():
            return {
                key: first_way(one) if key in WIDENED else without_added(one)
                for key, one in schema.items()
                if key not in added
            }
        case list():
            return [without_added(one) for one in schema]
        case _:
            return schema


WIDENED = frozenset({"boost_duration"})
"""Keys that take a text such as "20m", too."""


def first_way(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema["oneOf"][0], "default": schema["default"]}


def test_an_added_key_stands_in_the_settings_only_when_it_is_told() -> None:
    roof = '[devices.i]\nfamily = "sunsynk"\nsource = "relay"\nserver = "h:1"\ntime_zone = "UTC"\n'
    assert "peers" not in read_config(roof.encode()).value["devices"]["i"]
    told = read_config(f'{roof}peers = ["192.168.1.5"]\n'.encode())
    assert told.ok
    assert told.value["devices"]["i"]["peers"] == ["192.168.1.5"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "config.json", "good"))
def test_the_schema_accepts_every_good_file(case: dict[str, Any]) -> None:
    assert accepts(json_schema(), tomllib.loads(case["toml"].removeprefix(BOM)))


@pytest.mark.vectors
def test_the_schema_finds_the_errors_of_form() -> None:
    schema, missed = json_schema(), []
    for case in load("bridge", "config.json")["bad"]:
        try:
            value = tomllib.loads(case["toml"])
        except (ValueError, RecursionError):
            continue
        if accepts(schema, value):
            missed.append(case["name"])
    assert len(missed) <= 23, missed


def test_an_error_says_where_it_stands() -> None:
    (error,) = read_config(b'[bridge]\nid = "X"\n' + VAN.encode()).errors
    assert error.told("boat.toml").startswith("boat.toml:2: bridge.id takes small letters")


@pytest.mark.parametrize("told, minutes", [("30", 30), ('"30m"', 30), ('"2h"', 120), ('"60s"', 1)])
def test_a_boost_is_told_in_minutes_or_as_any_time(told: str, minutes: int) -> None:
    config = read_config(f"{UNIT}boost_duration = {told}\n".encode())
    assert config.ok, config.errors
    assert config.value["devices"]["air"]["boost_duration"] == minutes
    assert config.usual == 2


@pytest.mark.parametrize("told", ["0", "1441", '"90s"', '"2d"', '"soon"', "true", "1.5"])
def test_a_boost_that_can_not_be(told: str) -> None:
    assert not read_config(f"{UNIT}boost_duration = {told}\n".encode()).ok


def test_the_codes_that_everybody_knows_are_no_secrets_of_the_file() -> None:
    config = read_config(f'{UNIT}login_code = "90210"\n'.encode())
    assert (len(config.secrets), config.usual) == (2, 1)


def test_the_values_of_two_files_are_not_shared() -> None:
    one, other = (read_config(VAN.encode()).value for _ in range(2))
    one["devices"]["van"]["include"].append("x")
    assert other["devices"]["van"]["include"] == []


@pytest.mark.parametrize(
    ("content", "key", "line"),
    [
        ('a = """\n[b]\nc = 1\n"""\nd = 1\n', "d", 5),
        ("a = [\n  1, # ]\n  2,\n]\nb = 1\n", "b", 5),
        ("a = 'x # y'\nb = 1 # c = 2\n", "b", 2),
        ('[devices."van"]\nx = 1\n', "devices.van.x", 2),
        ("[[a.b]]\nx=1\n[[a.b]]\nx=2\n[a.b.c]\ny=1\n", "a.b[2].c.y", 6),
        ("[[a.b]]\n[[a.b]]\nx=2\n", "a.b[2].x", 3),
        ("a = '''\n'''\n[t]\nk = '\"'\nz = 3\n", "t.z", 5),
    ],
)
def test_lines_of_keys(content: str, key: str, line: int) -> None:
    tomllib.loads(content)
    assert key_lines(content)[key] == line


@given(st.text(max_size=300))
def test_no_content_makes_the_reader_fall(content: str) -> None:
    found = read_config(content.encode("utf-8", "surrogatepass"))
    assert found.errors
    key_lines(content)


_SCALARS = st.one_of(
    st.text(max_size=6), st.integers(), st.floats(), st.booleans(), st.lists(st.integers())
)


@given(
    st.dictionaries(
        st.sampled_from(["bridge", "log", "http", "devices", "sinks", "x"]),
        st.one_of(
            _SCALARS,
            st.dictionaries(
                st.sampled_from(["van", "id", "levels", "listen", "A"]),
                st.one_of(
                    _SCALARS,
                    st.dictionaries(
                        st.sampled_from(
                            ["family", "type", "link", "legacy", "sinks", "adopt", "password"]
                        ),
                        st.one_of(_SCALARS, st.sampled_from(["truma", "mqtt", "sunsynk"])),
                    ),
                ),
            ),
        ),
    )
)
def test_no_value_makes_the_reader_fall(value: dict[str, Any]) -> None:
    from hardwired.config.reader import _Reader

    for error in _Reader(value, {}).read().errors:
        assert error.text.isprintable()


def test_numbers_of_thousands_of_digits_are_an_error() -> None:
    digits = "9" * 5000
    (error,) = read_config(f"a = {digits}".encode()).errors
    assert error.text.startswith("this is not TOML")


def test_too_large_and_not_utf8() -> None:
    assert told(read_config(b"#" * (2**20 + 1)).errors)[0]["text"] == (
        "the file is larger than 1 MiB"
    )
    assert told(read_config(b"\xff").errors)[0]["text"] == "this is not UTF-8"


# ------------------------------------------------------------------------------------ secrets


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def resolved(password: str, environ: dict[str, str] | None = None) -> Any:
    text = f"{VAN}{HOME}password = {password}\n"
    config = read_config(text.encode())
    assert config.ok, config.errors
    return resolve(config, Environment({} if environ is None else environ))


def test_a_secret_shows_itself_nowhere() -> None:
    found = resolved('"hunter22"').value["sinks"]["home"]["password"]
    assert isinstance(found, Secret)
    assert f"{found} {found!r} {[found]}" == "*** *** [***]"
    assert found.reveal() == "hunter22"
    assert [one.reveal() for one in secrets_of(resolved('"x"').value)] == ["x"]


def test_a_secret_of_a_file(tmp_path: Path) -> None:
    path = secret_file(tmp_path, b"hunter22\n")
    found = resolved(f'{{ file = "{path}" }}')
    assert found.value["sinks"]["home"]["password"].reveal() == "hunter22"
    assert not found.warnings
    path.chmod(0o644)
    assert "others may read" in resolved(f'{{ file = "{path}" }}').warnings[0].text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "which is empty"),
        (b"\n", "which is empty"),
        (b"a\nb\n", "holds a control character"),
        (b"x" * 4097, "larger than 4096 bytes"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes, text: str) -> None:
    (error,) = resolved(f'{{ file = "{secret_file(tmp_path, content)}" }}').errors
    assert error.key == "sinks.home.password"
    assert error.line == 8
    assert text in error.text


def test_a_missing_secret_names_the_place(tmp_path: Path) -> None:
    (error,) = resolved(f'{{ file = "{tmp_path}/none" }}').errors
    assert f"{tmp_path}/none" in error.text
    (error,) = resolved('{ env = "HW_X" }').errors
    assert "HW_X" in error.text
    (error,) = resolved('{ credential = "x" }').errors
    assert "CREDENTIALS_DIRECTORY" in error.text


def test_the_environments_secrets_are_taken_out_and_kept() -> None:
    environ = {"HW_X": "hunter22"}
    config = read_config(f'{VAN}{HOME}password = {{ env = "HW_X" }}\n'.encode())
    environment = Environment(environ)
    for _ in range(2):  # at start, and at a reload
        found = resolve(config, environment)
        assert found.value["sinks"]["home"]["password"].reveal() == "hunter22"
    assert environ == {}


def test_credentials_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "mqtt").write_text("hunter22")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = resolved('{ credential = "mqtt" }', environ)
    assert found.value["sinks"]["home"]["password"].reveal() == "hunter22"
    (error,) = resolved('{ credential = "../mqtt" }', environ).errors
    assert "not a path" in error.text


def test_a_default_that_is_a_code_is_a_secret_too() -> None:
    config = read_config(b'[devices.fan]\nfamily = "inventum"\nlink = "/dev/x"\n')
    assert isinstance(
        resolve(config, Environment({})).value["devices"]["fan"]["login_code"], Secret
    )


def examples() -> list[str]:
    page = Path(__file__).resolve().parents[3] / "docs" / "bridge.md"
    return re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def test_the_examples_of_the_page_are_good() -> None:
    assert len(examples()) == 2
    for content in examples():
        found = read_config(content.encode())
        assert found.ok, found.errors
        assert not found.warnings


def test_a_secret_that_is_not_looked_up_yet_is_no_mistake_of_the_family() -> None:
    text = (
        '[devices.fan]\nfamily = "inventum"\nlink = "/dev/x"\nlogin_code = { credential = "x" }\n'
    )
    value = read_config(text.encode()).value
    assert family_complaints(value) == []
    told = read_config(text.replace('{ credential = "x" }', '"abc"').encode()).value
    ((key, reason),) = family_complaints(told)
    assert key == "devices.fan.login_code"
    assert "abc" not in reason


def test_what_only_the_family_knows_is_told_with_its_key() -> None:
    text = '[devices.p]\nfamily = "studer"\nlink = "/dev/x"\ndatapoints = ["nonsense"]\n'
    ((key, reason),) = family_complaints(read_config(text.encode()).value)
    assert (key, reason) == ("devices.p.datapoints", "there is no datapoint 'nonsense'")


@pytest.mark.parametrize("kinds", [("mqtt", "mqtt"), ("mqtt", "venus"), ("venus", "venus")])
@pytest.mark.parametrize(("port", "sound"), [(1883, False), (1884, True)])
def test_two_sinks_of_one_broker_have_two_client_ids(
    kinds: tuple[str, str], port: int, sound: bool
) -> None:
    first, second = (
        f'[sinks.{name}]\ntype = "{kind}"\nhost = "h"\nport = {at}\nclient_id = "me"\n'
        for name, kind, at in zip("ab", kinds, (1883, port), strict=True)
    )
    second += 'prefix = "other"\n' if kinds[1] == "mqtt" else ""
    errors = read_config((first + second).encode()).errors
    told = [f"{one.key} {one.text}" for one in errors if one.key != "devices"]
    wanted = "sinks.b.client_id is the same on the same broker as that of sinks.a"
    assert told == ([] if sound else [wanted])


def test_one_dialect_twice_for_one_device_would_use_the_same_topics() -> None:
    text = (
        '[devices.i]\nfamily = "sunsynk"\nsource = "sim"\ntime_zone = "UTC"\n'
        + '[[devices.i.legacy]]\ndialect = "sunsniff"\n' * 2
        + '[sinks.home]\ntype = "mqtt"\nhost = "h"\n'
    )
    [error] = read_config(text.encode()).errors
    assert error.text == "would use the same topics as devices.i.legacy[1]"
