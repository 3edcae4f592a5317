"""What has no vectors: collected signals, silence, limits, kept files, the old driver's files."""

from __future__ import annotations

import ast
import asyncio
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mqtt_devices import migration, options, payload, rules, services_yml, status, tables
from mqtt_devices.changes import Changes, is_urgent
from mqtt_devices.config import Config, parse_config, read_config
from mqtt_devices.energy import Energy, usable_total
from mqtt_devices.limits import MOST_KEYS, Buckets, Seldom
from mqtt_devices.main import _parser, override
from mqtt_devices.mqtt import packets
from mqtt_devices.mqtt.client import Client
from mqtt_devices.mqtt.session import Session
from mqtt_devices.products import is_real_product
from mqtt_devices.settings import NoSettings, Settings
from mqtt_devices.stale import StaleGuard
from mqtt_devices.state import State
from mqtt_devices.values import Value, fits_topic

ROOT = Path(__file__).parents[2]
TABLES = tables.load()
TO_3 = {"min": 0, "max": 3}


class Clock:
    """Timers that run when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Any]] = []

    def later(self, seconds: float, function: Callable[[], None]) -> Any:
        class Handle:
            cancelled = False

            def cancel(self) -> None:
                self.cancelled = True

        handle = Handle()
        self.timers.append((self.now + seconds, (handle, function)))
        return handle

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((it for it in self.timers if it[0] <= end), key=lambda it: it[0]):
            self.now, (handle, function) = due[0]
            self.timers.remove(due[0])
            if not handle.cancelled:
                function()
        self.now = end


class Collected:
    """A service's values and what was signalled of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.values: dict[str, Value] = {"/A": 0, "/B": 0}
        self.signals: list[dict[str, Value]] = []
        self.changes = Changes(self.clock.later, self.values.get, self.emit)

    def emit(self, paths: list[str]) -> None:
        self.signals.append({path: self.values[path] for path in paths})

    def write(self, path: str, value: Value, urgent: bool = False) -> None:
        before = self.values[path]
        self.values[path] = value
        self.changes.add({path: before}, [path] if urgent else [])


def test_the_first_change_goes_at_once_and_later_ones_wait() -> None:
    seen = Collected()
    seen.write("/A", 1)
    assert seen.signals == [{"/A": 1}]
    for value in (2, 3, 4):
        seen.write("/A", value)
        seen.write("/B", value)
    assert len(seen.signals) == 1
    seen.clock.advance(0.9)
    assert len(seen.signals) == 1
    seen.clock.advance(0.2)
    assert seen.signals[1:] == [{"/A": 4, "/B": 4}]


def test_a_row_that_is_back_at_what_was_signalled_is_left_out() -> None:
    seen = Collected()
    seen.write("/A", 1)
    seen.write("/A", 2)
    seen.write("/B", 5)
    seen.write("/A", 1)
    seen.clock.advance(1.1)
    assert seen.signals == [{"/A": 1}, {"/B": 5}]


def test_what_somebody_set_does_not_wait() -> None:
    seen = Collected()
    seen.write("/A", 1)
    seen.write("/A", 2)
    seen.write("/B", 7, urgent=True)
    seen.write("/A", 3, urgent=True)
    assert seen.signals == [{"/A": 1}, {"/B": 7}, {"/A": 3}]
    seen.clock.advance(5)
    assert len(seen.signals) == 3


def test_jitter_costs_at_most_one_signal_a_second() -> None:
    seen = Collected()
    chance = random.Random(1)
    for _ in range(10_000):
        seen.write(chance.choice(("/A", "/B")), chance.randrange(10**6))
        seen.clock.advance(0.001)
    seen.clock.advance(2)
    assert len(seen.signals) <= 12
    last = {path: value for signal in seen.signals for path, value in signal.items()}
    assert last == seen.values


def test_after_a_quiet_second_the_next_change_goes_at_once() -> None:
    seen = Collected()
    seen.write("/A", 1)
    seen.clock.advance(1.5)
    seen.write("/A", 2)
    assert seen.signals == [{"/A": 1}, {"/A": 2}]


@pytest.mark.parametrize(
    "kind, path, before, after, urgent",
    [
        ("tank", "/Level", 1, 2, False),
        ("tank", "/Level", None, 2, True),
        ("tank", "/Level", 2, None, True),
        ("tank", "/CustomName", "a", "b", True),
        ("grid", "/Ac/L1/Power", 1, 2, True),
        ("grid", "/Ac/L1/Voltage", 1, 2, False),
        ("acload", "/Ac/L1/Power", 1, 2, False),
        ("ev", "/TargetSoc", 1, 2, True),
        ("ev", "/Soc", 1, 2, False),
        ("vebus", "/Mode", 4, 3, True),
        ("solarcharger", "/Mode", 1, 4, True),
        ("solarcharger", "/MppOperationMode", 1, 2, False),
        ("dcdc", "/Mode", 1, 4, True),
        ("gps", "/Position/Latitude", 1, 2, False),
    ],
)
def test_which_changes_can_wait(
    kind: str, path: str, before: Value, after: Value, urgent: bool
) -> None:
    row = {it.path: it for it in TABLES.types[kind].rows}[path]
    assert is_urgent(kind, row, before, after) is urgent


# ------------------------------------------------------------------------------- silence


def test_a_meter_that_wrote_every_second_is_stale_after_a_minute() -> None:
    guard = StaleGuard()
    for now in range(20):
        guard.written(now)
    assert not guard.is_stale(19 + 60)
    assert guard.is_stale(19 + 66)
    assert not guard.is_stale(19 + 67)  # told once
    guard.written(200)
    assert not guard.is_stale(230)
    assert guard.is_stale(300)


def test_ten_times_the_usual_gap_counts() -> None:
    guard = StaleGuard()
    for now in range(0, 200, 20):
        guard.written(now)
    assert not guard.is_stale(180 + 200)
    assert guard.is_stale(180 + 206)


@pytest.mark.parametrize("gap", [30, 60, 3600])
def test_a_device_that_writes_seldom_is_never_stale(gap: int) -> None:
    guard = StaleGuard()
    for number in range(20):
        guard.written(number * gap)
    assert not guard.is_stale(10**9)


@pytest.mark.parametrize(("gap", "guarded"), [(0.2, True), (1, True), (10, True), (120, False)])
def test_many_paths_in_one_report_are_one_report(gap: float, guarded: bool) -> None:
    """A battery with ten paths every two minutes is not one that writes all the time."""
    guard = StaleGuard()
    for number in range(40):
        for path in range(10):
            assert number == 1 or not guard.is_stale(number * gap)
            guard.written(number * gap + path * 0.001)
    assert (guard.due() is not None) is guarded


def test_a_device_that_repeats_everything_each_minute_is_never_stale() -> None:
    """Home Assistant does; between the changes that it sends at once, a minute may pass."""
    guard = StaleGuard()
    now = 0.0
    for _ in range(30):
        now += 1
        guard.written(now)
    for _ in range(20):
        for late in range(7):
            assert not guard.is_stale(now + 54.2 + late)
        now += 60.2
        for path in range(5):
            guard.written(now + path * 0.001)


def test_a_burst_that_is_all_there_is_counts_as_often() -> None:
    guard = StaleGuard()
    for number in range(10):
        guard.written(number * 0.01)
    assert guard.is_stale(70)


# -------------------------------------------------------------------------------- limits


def test_a_client_has_its_own_bucket() -> None:
    buckets = Buckets(10, 10)
    assert [buckets.allow("a", 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert buckets.allow("b", 0.0)
    assert buckets.allow("a", 0.2)
    assert not buckets.allow("a", 0.2) or not buckets.allow("a", 0.2)


def test_limits_forget() -> None:
    buckets, seldom = Buckets(1, 1), Seldom()
    for number in range(10 * MOST_KEYS):
        buckets.allow(str(number), 0.0)
        seldom(str(number), 0.0)
    assert len(buckets._left) <= MOST_KEYS
    assert len(seldom._last) <= MOST_KEYS


# --------------------------------------------------------------------------------- energy


def test_a_counter_that_the_device_makes_invalid_is_kept() -> None:
    plan = options.plan(TABLES.types["acload"], {"energy": True}, TABLES)
    assert plan.max_gap == 300
    counting = Energy(plan.energy_sources, plan.max_gap, {"/Ac/Energy/Forward": 12.5})
    assert counting.write("/Ac/Energy/Forward", None, 1.0) == {}
    assert counting.kept()["/Ac/Energy/Forward"] == 12.5
    counting.write("/Ac/Power", 3600, 2.0)
    assert "/Ac/Energy/Forward" not in counting.tick(102.0)


@pytest.mark.parametrize("kept", [None, "5", -1, float("nan"), float("inf"), True, [1], 1e308])
def test_kept_counters_that_are_none(kept: Any) -> None:
    plan = options.plan(TABLES.types["pvinverter"], {"energy": True}, TABLES)
    assert plan.max_gap is not None
    counting = Energy(plan.energy_sources, plan.max_gap, {"/Ac/Energy/Forward": kept})
    found = counting.published()["/Ac/Energy/Forward"]
    assert found == (1e308 if kept == 1e308 else 0.0)


# ---------------------------------------------------------------------------------- files


def test_state_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = State(path)
    state.energy["mqtt_a_b"] = {"/Ac/Energy/Forward": 1.25}
    state.save()
    assert State(path).energy == {"mqtt_a_b": {"/Ac/Energy/Forward": 1.25}}
    assert [it.name for it in tmp_path.iterdir()] == ["state.json"]


def test_an_older_state_never_replaces_a_newer_one(tmp_path: Path) -> None:
    """What is written aside may be late: then it must not undo what was written since."""
    state = State(tmp_path / "state.json")
    state.save()  # nothing kept
    state.energy["a"] = {"/A": 1.0}
    late = state._news()
    assert late is not None
    number = state._asked
    del state.energy["a"]
    state.save()  # the same text as the first one, but newer than the late one
    state._write(late, number)
    assert State(tmp_path / "state.json").energy == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"energy": 3}', '{"energy": {"a": 1}}', "\0", "[" * 100000]
)
def test_a_damaged_state_ends_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    state = State(path)
    assert state.energy == {}
    state.energy["x"] = {"/A": 1.0}
    state.save()
    assert State(path).energy == {"x": {"/A": 1.0}}


def test_state_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    state = State(tmp_path / "no/such/folder/state.json")
    state.energy["x"] = {"/A": 1.0}
    state.save()


def test_config_members() -> None:
    config, problems = parse_config(
        {
            "mqtt": {"host": "gx.lan", "ca": "/data/ca.pem", "password": ""},
            "proxy_scope": "registered",
            "max_services": 8,
            "restore": True,
        }
    )
    assert problems == []
    assert (config.mqtt.host, config.mqtt.port) == ("gx.lan", 8883)
    assert (config.proxy_scope, config.max_services, config.restore) == ("registered", 8, True)


@pytest.mark.parametrize(
    "message, words",
    [
        ([], "not an object"),
        ({"colour": 1}, "colour is unknown"),
        ({"restore": "yes"}, "restore has"),
        ({"mqtt": 5}, "mqtt is not"),
        ({"mqtt": {"port": 0}}, "mqtt.port has"),
        ({"mqtt": {"Host": "x"}}, "mqtt.Host is unknown"),
        ({"energy_save": 59}, "energy_save has"),
        ({"proxy_scope": "all"}, "proxy_scope has"),
    ],
)
def test_config_says_what_is_wrong(message: Any, words: str) -> None:
    config, problems = parse_config(message)
    assert config == Config()
    assert len(problems) == 1
    assert words in problems[0]


def test_a_broken_config_file_leaves_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert read_config(path) == (Config(), [])
    path.write_text("{")
    config, problems = read_config(path)
    assert config == Config()
    assert "can't be read" in problems[0]


def test_the_command_line_wins_and_takes_the_old_words() -> None:
    words = [
        "-d",
        "-q",
        "gx",
        "-u",
        "anna",
        "-P",
        "x",
        "-c",
        "/ca.pem",
        "-b",
        "unix:path=/run/x",
        "-i",
    ]
    config = override(Config(), _parser().parse_args(words))
    broker = config.mqtt
    assert (broker.host, broker.port, broker.user, broker.ca) == ("gx", 8883, "anna", "/ca.pem")
    assert (config.dbus, config.log_level) == ("unix:path=/run/x", "debug")


# ---------------------------------------------------------------------------------- types


def test_every_type_has_what_the_gx_needs() -> None:
    assert not [name for name, kind in TABLES.types.items() if kind.lacks]


@pytest.mark.parametrize("lacking", ["battery", "solarcharger", "inverter", "grid", "charger"])
def test_a_type_without_its_least_rows_is_refused_with_the_reason(
    tmp_path: Path, lacking: str
) -> None:
    path = tmp_path / "types.json"
    rows = [
        {"path": "/ProductId", "kind": "integer", "default": 65535},
        {"path": "/CustomName", "kind": "text", "default": "x", "stored": True},
    ]
    path.write_text(json.dumps({"types": {lacking: {"paths": rows}}}))
    found = tables.load(path)
    assert any("lacks" in it for it in found.warnings)
    judged = status.judge({"clientId": "a", "connected": 1, "services": {"s": lacking}}, found)
    assert isinstance(judged, status.Rejected)
    assert judged.reason.startswith(f"type {lacking} lacks /")


@pytest.mark.parametrize(
    "types",
    [
        [],
        {"Bad Name": {"paths": []}},
        {"x": {"paths": [{"path": "Level", "kind": "number"}]}},
        {"x": {"paths": [{"path": "/Level", "kind": "colour"}]}},
        {"x": {"paths": [{"path": "/Serial", "kind": "text"}]}},
        {"x": {"paths": [{"path": "/A", "kind": "number", "default": "text"}]}},
        {"x": {"paths": [{"path": "/A", "kind": "number", "stored": True}]}},
        {"x": {"paths": [{"path": "/A", "kind": "number", "text_format": "{:q}"}]}},
        {"x": {"paths": [{"path": "/SwitchableOutput/1/State", "kind": "int"}]}},
        {"x": {"paths": [{"path": "/A", "kind": "number", "default": 9, "stored": True, **TO_3}]}},
        {"x": 5},
    ],
)
def test_a_types_file_that_is_wrong_is_refused(tmp_path: Path, types: Any) -> None:
    path = tmp_path / "types.json"
    path.write_text(json.dumps({"types": types}))
    with pytest.raises(tables.BadTable):
        tables.load(path)


@pytest.mark.parametrize(
    "topic",
    ["a\nb", "a\0", "\x7f", "\ud800", "\ufdd0", "\ufffe", "a/+", "#", "a/" * 300, "$share/x"],
)
def test_topics_that_a_broker_may_end_the_connection_for(topic: str) -> None:
    assert not fits_topic(topic)
    judged = status.judge(
        {"clientId": "a", "connected": 1, "services": {}, "lwt_topic": topic}, TABLES
    )
    assert isinstance(judged, status.Registration)
    assert judged.lwt_topic is None
    assert judged.lwt_error


def test_numbers_of_real_products() -> None:
    assert is_real_product("solarcharger", 0xA10A)
    assert not is_real_product("solarcharger", 65535)
    assert not is_real_product("tank", 0xB004)


# -------------------------------------------------------------------- the old driver's files

YML = """
# a comment
tank:
  CustomName:
    default: "My Tank Sensor"
    persist: true
  Level:
    description: "0 to 100%"
  Salinity:
    description: >
      parts of
      a thousand
    format: "{} g/kg"
hottub:
  Jets:
    setting: true
    default: 1
    min: 0
    max: 3
  Roles:
    default: ["a", "b"]
"""


async def test_a_setting_that_is_refused_is_not_written_either() -> None:
    # There is none: a write would fail, and the device would wait for it for ever.
    made = options.plan(TABLES.types["tank"], None, TABLES)

    class Refusing(Settings):
        def __init__(self) -> None:
            pass

        async def add(self, asked: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
            refused = {"/FluidType": -7, "/Capacity": -8}
            answers: list[Mapping[str, Any]] = []
            for one in asked:
                path = "/" + one["path"].value.split("/", 4)[4]
                error = refused.get(path, 0)
                answers.append({"error": error, "value": -1 if error else one["default"].value})
            return answers

        async def set(self, path: str, value: Value) -> bool:
            raise NoSettings(path)

    rows = {**made.rows, "/FluidType": made.rows["/FluidType"]._replace(default=99)}
    kept = await Refusing().keep("mqtt_a_t", made._replace(rows=rows))
    assert kept.values == {"/CustomName": "My Tank Sensor", "/FluidType": 99, "/Capacity": 0.1}
    assert kept.instance == 1


def test_services_yml_becomes_a_types_file(tmp_path: Path) -> None:
    found = services_yml.added_types(services_yml.read(YML))
    assert sorted(found) == ["hottub", "tank"]
    path = tmp_path / "types.json"
    path.write_text(json.dumps({"types": found}))
    loaded = tables.load(path).types
    rows = {row.path: row for row in loaded["tank"].rows}
    assert rows["/Salinity"].text_format == "{} g/kg"
    assert rows["/FluidType"].stored
    jets = {row.path: row for row in loaded["hottub"].rows}["/Jets"]
    assert (jets.stored, jets.low, jets.high, jets.default) == (True, 0, 3, 1)
    assert loaded["hottub"].lacks is None


@pytest.mark.parametrize(
    "text",
    [
        "tank\n",
        "a:\n\tb: 1\n",
        "a:\n  b:\n    c: [1\n",
        "a:\n  b:\n    c: 'x\n",
        "a:\n b:\n  c:\n   d:\n",
        "a:\n  b: {c: 1}\n",
        "a:\n  b: 5\n",
        "a:\n  <<: *x\n",
        "a:\n  b:\n    c: {d: 1}\n",
        "a:\n  b:\n    c: &x 1\n",
        "a:\n  b:\n    c: *x\n",
        "a:\n  b:\n    c: !!str 5\n",
        "a:\n  b:\n    c: .inf\n",
        "a:\n  b:\n    c: 'x' y\n",
        "a:\n  b:\n    c: [x] y\n",
        "a:\n  b:\n    c: x: y\n",
        *(
            f"a:\n  b:\n    c: {value}\n"
            for value in (
                "20:00",
                "-1:30:00",
                "1:2.5",
                "2026-11-29",
                "2026-1-9 7:05:00",
                "0x_",
                "=",
                "-",
                "?",
                r'"\q"',
                r'"\x4"',
                r'"\u12"',
                r'"\U00110000"',
                "[20:00]",
                "[::1]",
                "[?]",
                "[#]",
                "[a #b]",
            )
        ),
    ],
)
def test_services_yml_that_is_none(text: str) -> None:
    with pytest.raises(services_yml.BadYaml):
        services_yml.read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True),
        ("Off", False),
        ("NO", False),
        ("y", "y"),
        ("# none", None),
        ("Null", None),
        ("a#b # c", "a#b"),
        ("010", 8),
        ("0b11", 3),
        ("-0x1F", -31),
        ("1_000", 1000),
        ("1_0.5", 10.5),
        (".5", 0.5),
        ("1.5e+3", 1500.0),
        ("1e3", "1e3"),
        ("nan", "nan"),
        ("Infinity", "Infinity"),
        ("'it''s' # c", "it's"),
        (r'"{} \u00B0C"', "{} °C"),
        (r'"a \"b\" \x41\t"', 'a "b" A\t'),
        (r'"\a\b\v\f\e\N\L\P\ \/"', "\a\b\v\f\x1b\x85\u2028\u2029 /"),
        ("1-2:3", "1-2:3"),
        ("'20:00'", "20:00"),
        ("[\"a, b\", 'c]d', 1, 2.5, on] # c", ["a, b", "c]d", 1, 2.5, True]),
        ("[ ]", []),
    ],
)
def test_services_yml_has_the_values_of_the_old_drivers_parser(text: str, value: Any) -> None:
    found = services_yml.read(f"tank:\n  P:\n    default: {text}\n")["tank"]["P"]["default"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("kept", [10**400, -1, True, "5", None, float("inf"), float("nan")])
def test_a_kept_counter_that_is_no_number_counts_as_none(kept: Any) -> None:
    assert usable_total(kept) == 0.0


def test_services_yml_of_two_paths_of_one_name_takes_the_last() -> None:
    text = "tank:\n  P:\n    default: 1\n    max: 3\n  P:\n    default: 2\n"
    assert services_yml.read(text) == {"tank": {"P": {"default": 2}}}


def test_taking_over_writes_a_config(tmp_path: Path) -> None:
    old = tmp_path / "data/drivers/dbus-mqtt-devices-0.8.0"
    old.mkdir(parents=True)
    (old / "VERSION").write_text("v0.8.0\n")
    (old / "services.yml").write_text(YML)
    run = tmp_path / "run"
    run.write_text(
        "#!/bin/sh\nexec python3 -u /data/drivers/dbus-mqtt-devices-0.8.0/dbus_mqtt_devices.py "
        "-q 10.0.0.7 -P $SECRET\n"
    )
    config = tmp_path / "config.json"
    words = ["--run", str(run), "--config", str(config), "--root", str(tmp_path)]
    assert migration.command(words) == 0
    found, problems = read_config(config)
    assert problems == []
    assert (found.mqtt.host, found.mqtt.password) == ("10.0.0.7", None)
    assert found.legacy_device_instance
    assert found.types_file == str(tmp_path / "types.json")
    config.write_text("{}")
    assert migration.command(words) == 0
    assert config.read_text() == "{}"  # the owner's own file stays


# ----------------------------------------------------------------------------------- MQTT


def test_a_message_that_is_too_large_is_skipped() -> None:
    decoder = packets.Decoder(1000)
    large = packets.publish(packets.Publish("a/b", b"x" * 100_000, qos=1, packet_id=7))
    small = packets.publish(packets.Publish("a/c", b"y"))
    found: list[Any] = []
    data = large + small + large + small
    for start in range(0, len(data), 777):
        found += decoder.receive_data(data[start : start + 777])
        assert len(decoder._buffer) < 2000
    assert [(it.topic, it.payload, it.packet_id) for it in found] == [
        ("a/b", None, 7),
        ("a/c", b"y", 0),
    ] * 2


def test_a_message_of_qos_2_is_handed_over_once() -> None:
    session = Session()
    message = packets.Publish("t", b"1", 2, False, False, 9)
    first, answer = session.received(message)
    assert first == [message]
    again, _ = session.received(message._replace(duplicate=True))
    assert again == []
    assert answer == packets.ack(packets.PUBREC, 9)
    released = session.received(packets.Ack(packets.PUBREL, 9))
    assert released == ([], packets.ack(packets.PUBCOMP, 9))
    assert session.received(message)[0] == [message]


class Pipe(asyncio.Transport):
    """The end of a connection that nobody listens at."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


async def test_garbage_from_a_broker_ends_the_connection_at_most() -> None:
    """Random bytes, and packets with wrong bytes: no exception, no memory, no endless loop."""
    chance = random.Random(8)
    whole = [
        packets.publish(packets.Publish("device/a/Status", b"{}", 1, packet_id=3)),
        packets.ack(packets.PUBREC, 9),
        bytes((packets.SUBACK << 4, 3, 0, 1, 1)),
        bytes((packets.CONNACK << 4, 2, 0, 0)),
        bytes((packets.PINGRESP << 4, 0)),
    ]
    ended = 0
    for _ in range(3000):
        client = Client(lambda message: None, 1000)
        client.connection_made(Pipe())
        if chance.random() < 0.4:
            data = chance.randbytes(chance.choice((1, 10, 3000)))
        else:
            spoilt = bytearray(b"".join(chance.choices(whole, k=6)))
            for _ in range(chance.randrange(5)):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
            data = bytes(spoilt)
        for start in range(0, len(data), 700):
            client.data_received(data[start : start + 700])
        assert len(client._decoder._buffer) < 80_000
        ended += client.ended.done()
        client.connection_lost(None)
        with pytest.raises(ConnectionError):
            await client.subscribe([("x", 1)])
    assert 500 < ended < 3000


def test_packet_numbers_come_back() -> None:
    session = Session()
    for _ in range(200_000):
        session.done(session.new_id())


def test_source_is_python_3_8() -> None:
    files = [*(ROOT / "standalone/venus/mqtt_devices").rglob("*.py")]
    files += [*(ROOT / "standalone/venus/bundle").rglob("*.py")]
    assert len(files) > 30
    for path in files:
        ast.parse(path.read_text(), str(path), feature_version=(3, 8))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-P pa#ss -q h # comment", {"mqtt": {"host": "h", "password": "pa#ss"}}),
        ("-q 10.0.0.1; sleep 1", {"mqtt": {"host": "10.0.0.1"}}),
        ("-q 10.0.0.1|multilog t", {"mqtt": {"host": "10.0.0.1"}}),
        ("-q 10.0.0.1 -q $HOST", {}),
        ("-q 10.0.0.1 2>&1 -u 'it'\\''s'", {"mqtt": {"host": "10.0.0.1", "user": "it's"}}),
        ('-P "a \\"b\\" \\x" -u \'#1\'', {"mqtt": {"user": "#1", "password": 'a "b" \\x'}}),
    ],
)
def test_an_old_start_line_is_read_as_the_shell_reads_it(
    line: str, expected: dict[str, Any]
) -> None:
    run = f"#!/bin/sh\nHOME=/x exec /data/drivers/x/dbus_mqtt_devices.py {line}\n"
    assert migration.convert_arguments(run).config == expected


def test_a_password_that_is_left_out_is_not_shown() -> None:
    found = migration.convert_arguments("dbus_mqtt_devices.py -P 'se$cret'")
    assert found.config == {}
    assert "se$cret" not in "".join(found.notices)


def test_the_old_folder_may_stand_in_a_variable() -> None:
    run = "BASE={}\nexec 2>&1\nHOME=$BASE exec $BASE/dbus_mqtt_devices.py\n"
    folder = "/data/drivers/dbus-mqtt-devices-0.9.0"
    assert migration.old_folder(run.format(folder)) == folder
    assert migration.old_folder(run.format(f'"{folder}"').replace("$BASE/", "${BASE}/")) == folder


@pytest.mark.parametrize(
    ("attribute", "news"),
    [
        ("min: 0\n    max: 2", False),
        ("min: 0\n    max: 6", True),
        ("min: 0\n    max: 2\n    format: '{} K'", True),
    ],
)
def test_changed_limits_and_formats_are_the_owners(attribute: str, news: bool) -> None:
    text = f"temperature:\n  TemperatureType:\n    persist: true\n    default: 2\n    {attribute}\n"
    assert bool(services_yml.added_types(services_yml.read(text))) is news


@pytest.mark.parametrize("depth", [20, 21])
def test_how_deep_a_payload_may_be(depth: int) -> None:
    for inner in ("", "1"):
        data = ("[" * depth + inner + "]" * depth).encode()
        if depth <= 20:
            payload.parse(data)
        else:
            with pytest.raises(payload.BadPayload):
                payload.parse(data)


def test_a_name_may_hold_what_stands_for_the_id_in_the_table() -> None:
    made = options.plan(
        TABLES.types["switch"], {"outputs": [{"id": "a", "name": "<n>", "group": "x<n>"}]}, TABLES
    )
    assert made.rows["/SwitchableOutput/a/Name"].default == "<n>"
    assert made.rows["/SwitchableOutput/a/Settings/Group"].default == "x<n>"


def test_an_empty_dictionary_is_an_empty_array() -> None:
    rows = {row.path: row for row in TABLES.types["tank"].rows}
    assert rules.judge(rows["/Level"], {}, lambda _: None) == rules.Verdict(rules.ACCEPTED)
    assert rules.judge(rows["/CustomName"], {}, lambda _: None).code == rules.REFUSED
