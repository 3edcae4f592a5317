"""Topics and set messages of inetbox.py and inetbox2mqtt: what the recordings do not show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.compat.inetbox.mqtt import (
    Born,
    Enabled,
    InetboxFace,
    Restart,
    SetClock,
    SetMessage,
    Unsupported,
    decode_payload,
)
from hardwired.compat.inetbox.set_messages import Batch, SetMessages
from hardwired.compat.inetbox.texts import Dialect, Language, Texts, UpdateStatus
from hardwired_engines.texts import TEXTS
from hardwired_engines.truma.inet.buffers import STATUS_LAYOUTS, Group, MessageId, settings_payload
from hardwired_engines.truma.inet.rules import MODES_OF, HeaterKind

PY = InetboxFace()
MQTT = InetboxFace(Texts(Dialect.INETBOX2MQTT))
OFF = {
    "target_temp_room": 0,
    "heating_mode": 0,
    "el_power_level_a": 0,
    "target_temp_water": 0,
    "el_power_level_b": 0,
    "energy_mix_a": 1,
    "energy_mix_b": 1,
}
ON = {**OFF, "target_temp_room": 2930, "heating_mode": 1}
HEATER = {
    **ON,
    "current_temp_water": 3280,
    "current_temp_room": 2920,
    "operating_status": 5,
    "error_code": 0,
    "error_class": 0,
    "unknown_19": 0,
}


def told(messages: Any) -> dict[str, str]:
    return {message.topic.removeprefix("service/truma/"): message.payload for message in messages}


def commit(
    *messages: tuple[str, str],
    texts: Texts | None = None,
    baselines: dict[Group, dict[str, int]] | None = None,
    **options: Any,
) -> Batch:
    collected = SetMessages(texts or Texts(), **options)
    for key, payload in messages:
        collected.add(key, payload, 0)
    return collected.commit({Group.HEATER: OFF} if baselines is None else baselines)


# ---------------------------------------------------------------------------- published


def test_timer_is_published() -> None:
    fields = {
        **OFF,
        "target_temp_room": 2930,
        "target_temp_water": 3330,
        "active": 1,
        "start_minutes": 5,
        "start_hours": 6,
        "stop_minutes": 0,
        "stop_hours": 22,
    }
    wanted = {
        "control_status/timer_target_temp_room": "20",
        "control_status/timer_target_temp_water": "60",
        "control_status/timer_active": "1",
        "control_status/timer_start_minutes": "5",
        "control_status/timer_start_hours": "6",
        "control_status/timer_stop_minutes": "0",
        "control_status/timer_stop_hours": "22",
    }
    assert told(PY.buffer(MessageId.TIMER, fields)) == wanted
    assert told(MQTT.buffer(MessageId.TIMER, fields)) == {
        **wanted,
        "control_status/timer_target_temp_room": "20.0",
        "control_status/timer_target_temp_water": "60.0",
    }


def test_impossible_temperatures_are_not_published() -> None:
    fields = {**HEATER, "current_temp_room": 65535, "current_temp_water": 1}
    found = told(PY.buffer(MessageId.HEATER, fields))
    assert "control_status/current_temp_room" not in found
    assert "control_status/current_temp_water" not in found
    assert found["control_status/target_temp_room"] == "20"
    fields = {**HEATER, "current_temp_room": 0x0AAA, "current_temp_water": 0xAAAA}
    found = told(PY.buffer(MessageId.HEATER, fields))
    assert found["control_status/current_temp_room"] == "0"


def test_room_of_a_fahrenheit_panel() -> None:
    found = told(PY.buffer(MessageId.HEATER, {**HEATER, "target_temp_room": 2941}))
    assert (found["control_status/target_temp_room"], found["control_status/mode"]) == (
        "21.1",
        "heat",
    )


def test_air_conditioner_is_inetbox2mqtts() -> None:
    fields = {"mode": 5, "vent": 0x73, "target_temp": 2950, "current_temp": 0}
    assert told(MQTT.buffer(MessageId.AC_MANUAL, fields)) == {
        "control_status/aircon_operating_mode": "cool",
        "control_status/aircon_vent_mode": "high",
        "control_status/target_temp_aircon": "22.0",
    }
    assert PY.buffer(MessageId.AC_MANUAL, fields) == []
    assert PY.buffer(MessageId.CONFIG, {}) == []


def test_life_signs() -> None:
    assert told([PY.online(online=True)]) == {"online": "1"}
    will = MQTT.online(online=False)
    assert (will.topic, will.payload, will.retain, will.qos) == (
        "service/truma/control_status/alive",
        "OFF",
        True,
        1,
    )
    assert told(MQTT.release("1.2.3")) == {"control_status/release": "1.2.3"}
    assert PY.release("1.2.3") == []
    assert told(MQTT.counter(5)) == {"control_status/command_counter": "5"}
    german = InetboxFace(Texts(language=Language.DE), data_topic="womo/")
    (message,) = german.update_status(UpdateStatus.WAITING_COMMIT)
    assert (message.topic, message.payload) == ("womo/update_status", "Warte auf Versand")
    assert german.cp_plus_status(online=False)[0].payload == "warte..."
    assert (MQTT.update_status(UpdateStatus.IDLE), MQTT.cp_plus_status(online=True)) == ([], [])
    assert PY.error("no").topic == "service/truma/error"


@given(st.sampled_from(sorted(STATUS_LAYOUTS)), st.binary(min_size=30, max_size=30), st.data())
def test_any_buffer_is_published(message_id: int, payload: bytes, data: st.DataObject) -> None:
    fields = STATUS_LAYOUTS[message_id].read(payload)
    assert fields is not None
    face = data.draw(st.sampled_from([PY, MQTT, InetboxFace(Texts(language=Language.DE))]))
    for message in face.buffer(message_id, fields):
        assert message.topic.startswith("service/truma/control_status/")
        assert message.payload


@given(st.integers(0, 63), st.binary(max_size=10))
def test_any_frame_is_published_or_not(identifier: int, data: bytes) -> None:
    for message in PY.signal(identifier, data):
        assert message.topic.startswith("service/truma/display_status/")
        assert message.payload
    assert MQTT.signal(identifier, data) == []


# ---------------------------------------------------------------------------- received


def test_messages_for_us() -> None:
    assert PY.subscriptions() == (
        "service/truma/set/#",
        "service/truma/update_time",
        "service/truma/enabled",
    )
    assert PY.receive("service/truma/set/mode", "heat") == SetMessage("mode", "heat")
    assert PY.receive("service/truma/update_time", "PRESS") == SetClock()
    assert PY.receive("service/truma/enabled", "1") == Enabled(True)
    assert PY.receive("service/truma/enabled", "on") == Enabled(False)
    assert PY.receive("service/truma/online", "1") is None
    assert PY.receive("other/set/mode", "heat") is None
    assert PY.receive("service/truma/set/reboot", "1") == SetMessage("reboot", "1")


def test_messages_for_inetbox2mqtt() -> None:
    assert MQTT.subscriptions() == ("service/truma/set/#", "homeassistant/status")
    assert MQTT.receive("service/truma/set/reboot", "1") == Restart()
    assert MQTT.receive("service/truma/set/reboot", "0") is None
    assert isinstance(MQTT.receive("service/truma/set/ota_update", "1"), Unsupported)
    assert isinstance(MQTT.receive("service/truma/set/os_run", "1"), Unsupported)
    assert isinstance(MQTT.receive("service/truma/set/duo_ctrl_i", "ON"), Unsupported)
    assert MQTT.receive("homeassistant/status", "online") == Born()
    assert MQTT.receive("homeassistant/status", "offline") is None
    assert MQTT.receive("service/truma/update_time", "1") is None


@given(st.text(max_size=30) | st.text(max_size=9).map("service/truma/".__add__), st.binary())
def test_any_message_is_something_or_nothing(topic: str, payload: bytes) -> None:
    text = decode_payload(payload)
    for face in (PY, MQTT):
        face.receive(topic, text)


# ---------------------------------------------------------------------------- set messages


def test_messages_are_collected_until_none_comes() -> None:
    collected = SetMessages(Texts(), wait=1)
    assert not collected.due(100)
    collected.add("target_temp_water", "40", 10)
    collected.add("target_temp_water", "60", 10.9)
    assert collected.waiting
    assert not collected.due(11.5)
    assert collected.due(11.9)
    assert collected.commit({Group.HEATER: OFF}).wishes == {
        Group.HEATER: {"target_temp_water": 3330}
    }
    assert not collected.waiting


def test_collecting_is_bounded() -> None:
    collected = SetMessages(Texts())
    for number in range(1000):
        collected.add(f"key{number}", "x", 0)
    collected.add("key1", "y", 0)
    assert len(collected.commit({}).errors) == 100


def test_later_messages_build_on_earlier_ones() -> None:
    on = {Group.HEATER: ON}
    batch = commit(("target_temp_room", "4"), ("heating_mode", "boost"), baselines=on)
    assert batch.wishes[Group.HEATER] == {"target_temp_room": 2780, "heating_mode": 10}
    batch = commit(("heating_mode", "off"), ("target_temp_room", "21"), baselines=on)
    assert batch.wishes[Group.HEATER] == {"heating_mode": 1, "target_temp_room": 2940}
    batch = commit(("mode", "heat"), ("target_temp_room", "22"))
    assert batch.wishes[Group.HEATER] == {"heating_mode": 1, "target_temp_room": 2950}


@pytest.mark.parametrize(
    "asked, wished",
    [
        ("heating_mode off, target_temp_room 21, heating_mode off", (0, 0)),
        ("mode off, target_temp_room 21, mode off", (0, 0)),
        ("target_temp_room 20, mode off, target_temp_room 22", (2950, 1)),
        ("heating_mode boost, target_temp_room 0, target_temp_room 21", (2940, 1)),
        ("target_temp_room 0, mode heat, target_temp_room 0", (0, 0)),
    ],
)
def test_messages_count_in_their_order(asked: str, wished: tuple[int, int]) -> None:
    pairs = [one.split(" ") for one in asked.split(", ")]
    batch = commit(*[(key, payload) for key, payload in pairs], baselines={Group.HEATER: ON})
    found = batch.wishes[Group.HEATER]
    assert (found["target_temp_room"], found["heating_mode"]) == wished


def test_of_two_messages_the_later_counts_even_when_refused() -> None:
    batch = commit(("energy_mix", "diesel"), ("energy_mix", "gas"))
    assert (batch.updates, batch.errors) == ({"energy_mix": 1}, ())
    batch = commit(("energy_mix", "gas"), ("energy_mix", "diesel"))
    assert (batch.updates, batch.wishes, len(batch.errors)) == ({}, {}, 1)


def test_of_very_many_messages_the_last_counts() -> None:
    collected = SetMessages(Texts())
    for number in range(1000):
        collected.add("target_temp_room", str(number % 30), 0)
        collected.add("heating_mode", "boost", 0)
    collected.add("mode", "off", 0)
    collected.add("target_temp_room", "21", 0)
    collected.add("heating_mode", "off", 0)
    wish = collected.commit({Group.HEATER: ON}).wishes[Group.HEATER]
    assert (wish["target_temp_room"], wish["heating_mode"]) == (0, 0)


@pytest.mark.parametrize("code", [2740, 2770, 2779])
def test_less_than_five_degrees_is_off(code: int) -> None:
    fields = {**HEATER, "target_temp_room": code}
    assert told(PY.buffer(MessageId.HEATER, fields))["control_status/mode"] == "off"
    batch = commit(("heating_mode", "boost"), baselines={Group.HEATER: fields}, default_target=18)
    assert batch.updates == {"heating_mode": 10, "target_temp_room": 2910}
    batch = commit(("mode", "heat"), baselines={Group.HEATER: fields}, default_target=18)
    assert batch.updates["target_temp_room"] == 2910


def test_the_time_of_day_may_be_short() -> None:
    assert commit(("wall_time", "7:8:09")).updates == {
        "wall_time_hours": 7, "wall_time_minutes": 8, "wall_time_seconds": 9,
    }  # fmt: skip


@pytest.mark.parametrize("language, word", [("none", "0"), ("en", "off"), ("de", "aus")])
@pytest.mark.parametrize("code", [0, 0x0AAA, 0xAAAA])
def test_water_without_a_set_point_is_off(language: str, word: str, code: int) -> None:
    face = InetboxFace(Texts(language=Language(language)))
    fields = {**HEATER, "target_temp_water": code}
    assert told(face.buffer(MessageId.HEATER, fields))["control_status/target_temp_water"] == word
    if code < 1 << 12:
        data = bytes((0, (code & 15) << 4, code >> 4)) + bytes(5)
        shown = told(face.signal(0x20, data))
        assert shown["display_status/target_temp_water"] == word


def test_a_target_that_is_no_temperature_is_none() -> None:
    collected = SetMessages(Texts())
    collected.see({"target_temp_room": 2950})
    collected.see({"target_temp_room": 0x0AAA})
    collected.add("mode", "heat", 0)
    assert collected.commit({Group.HEATER: OFF}).updates["target_temp_room"] == 2950


def test_too_warm_is_refused_and_the_rest_still_goes() -> None:
    batch = commit(("target_temp_room", "31"), ("target_temp_water", "60"))
    assert batch.wishes == {Group.HEATER: {"target_temp_water": 3330}}
    assert batch.updates == {"target_temp_water": 3330}
    assert len(batch.errors) == 1


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    "messages",
    [
        [("target_temp_room", "31")],
        [("timer_target_temp_room", "31")],
        [("target_temp_room", "warm")],
        [("target_temp_water", "70")],
        [("heating_mode", "frost")],
        [("energy_mix", "none")],
        [("timer_start_hours", "24")],
        [("target_temp_aircon", "31")],
        [("aircon_operating_mode", "cool"), ("aircon_vent_mode", "auto")],
        [("nonsense", "1")],
    ],
)
def test_an_error_is_a_text(dialect: Dialect, messages: list[tuple[str, str]]) -> None:
    batch = commit(*messages, texts=Texts(dialect))
    assert batch.errors
    assert not any(error in TEXTS or " " not in error for error in batch.errors)


def test_what_this_heater_lacks_is_refused_and_forgotten() -> None:
    batch = commit(("heating_mode", "eco"), ("target_temp_water", "60"), heater=HeaterKind.VARIO)
    assert batch.wishes == {Group.HEATER: {"target_temp_water": 3330}}
    assert batch.updates == {"target_temp_water": 3330}
    assert len(batch.errors) == 1


def test_a_heater_without_the_default_mode_gets_its_own() -> None:
    batch = commit(("target_temp_room", "20"), heater=HeaterKind.VARIO)
    assert batch.wishes[Group.HEATER] == {"target_temp_room": 2930, "heating_mode": 3}


@pytest.mark.parametrize(
    "asked, pair",
    [
        ([("energy_mix", "electricity")], (2, 900)),
        ([("energy_mix", "mix")], (3, 900)),
        ([("el_power_level", "1800")], (3, 1800)),
        ([("el_power_level", "0")], (1, 0)),
        ([("energy_mix", "gas"), ("el_power_level", "900")], (1, 0)),
    ],
)
def test_energy_and_power_agree(asked: list[tuple[str, str]], pair: tuple[int, int]) -> None:
    wish = commit(*asked).wishes[Group.HEATER]
    assert (wish["energy_mix"], wish["el_power_level"]) == pair


def test_clock_and_timer() -> None:
    batch = commit(
        ("wall_time_hours", "23"),
        ("clock_source", "manual"),
        ("timer_active", "0"),
        ("timer_start_hours", "6"),
        ("timer_target_temp_room", "20.9"),
        ("timer_target_temp_water", "40"),
    )
    assert batch.errors == ()
    assert batch.wishes[Group.CLOCK] == {"hours": 23, "clock_source": 1}
    assert batch.wishes[Group.TIMER] == {
        "target_temp_room": 2930,
        "heating_mode": 1,
        "target_temp_water": 3130,
        "active": 0,
        "start_hours": 6,
    }


@pytest.mark.parametrize(
    "key, payload",
    [
        ("wall_time_hours", "24"),
        ("wall_time", "24:00:00"),
        ("wall_time", "7:8"),
        ("wall_time", "07:60:00"),
        ("wall_time", "07:00:60"),
        ("wall_time", "-7:00:00"),
        ("wall_time_minutes", "60"),
        ("timer_active", "2"),
        ("timer_active", "yes"),
        ("timer_start_hours", "-1"),
        ("wall_time", "٠٧:٠٨:٠٩"),
        ("_command_counter", "5"),
        ("operating_status", "1"),
        ("aircon_operating_mode", "cool"),
        ("energy_mix", "none"),
        ("target_temp_room", "nan"),
        ("target_temp_room", "1e1"),
        ("target_temp_room", "9" * 400),
        ("x" * 10000, ""),
    ],
)
def test_refused_messages(key: str, payload: str) -> None:
    batch = commit((key, payload))
    assert len(batch.errors) == 1
    assert 0 < len(batch.errors[0]) < 300
    assert batch.wishes == {}


def test_air_conditioner_of_inetbox2mqtt() -> None:
    texts = Texts(Dialect.INETBOX2MQTT)
    aircon = {"mode": 0, "vent": 0x72, "on": 1, "target_temp": 0}
    baselines = {Group.HEATER: OFF, Group.AC_MANUAL: aircon}
    batch = commit(
        ("aircon_operating_mode", "cool"),
        ("aircon_vent_mode", "high"),
        ("target_temp_aircon", "20"),
        texts=texts,
        baselines=baselines,
    )
    assert batch.wishes == {Group.AC_MANUAL: {"mode": 5, "vent": 0x73, "target_temp": 2930}}
    assert told(MQTT.reflected(batch.updates)) == {
        "control_status/aircon_operating_mode": "cool",
        "control_status/aircon_vent_mode": "high",
        "control_status/target_temp_aircon": "20.0",
    }
    assert PY.reflected(batch.updates) == []
    batch = commit(
        ("aircon_operating_mode", "cool"),
        ("target_temp_aircon", "40"),
        texts=texts,
        baselines=baselines,
    )
    assert (len(batch.errors), batch.wishes, batch.updates) == (1, {}, {})
    for key in ("mode", "wall_time", "clock_mode"):
        assert len(commit((key, "heat"), texts=texts).errors) == 1
    assert commit(("heating_mode", "high"), texts=texts).wishes[Group.HEATER]["heating_mode"] == 10


KEYS = st.sampled_from(
    ["target_temp_room", "heating_mode", "mode", "target_temp_water", "energy_mix",
     "el_power_level", "wall_time", "clock_mode", "timer_active", "timer_target_temp_room",
     "aircon_operating_mode", "aircon_vent_mode", "target_temp_aircon", "x"]
)  # fmt: skip
PAYLOADS = st.text(max_size=8) | st.sampled_from(
    ["0", "5", "20", "30", "31", "-1", "eco", "boost", "high", "off", "heat", "40", "60", "200",
     "gas", "none", "electricity", "mix", "900", "1800", "1", "12:00:00", "cool", "auto", "low"]
)  # fmt: skip
CODES = st.integers(0, 0xFFFF)
BASELINES = st.fixed_dictionaries(
    {
        **dict.fromkeys(OFF, st.integers(0, 255)),
        "target_temp_room": st.sampled_from([0, 0x0AAA, 2780, 2930, 3030]) | CODES,
        "heating_mode": st.sampled_from([0, 1, 2, 3, 10, 11]) | CODES,
        "el_power_level_a": st.sampled_from([0, 900, 1800]) | CODES,
        "target_temp_water": CODES,
    }
)


@given(
    st.sampled_from(Dialect),
    st.sampled_from(HeaterKind),
    st.lists(st.tuples(KEYS, PAYLOADS), max_size=8),
    BASELINES,
)
def test_hostile_messages_never_make_an_impossible_state(
    dialect: Dialect,
    heater: HeaterKind,
    messages: list[tuple[str, str]],
    baseline: dict[str, int],
) -> None:
    batch = commit(
        *messages,
        texts=Texts(dialect),
        baselines={Group.HEATER: baseline},
        heater=heater,
    )
    wish = batch.wishes.get(Group.HEATER)
    if not wish:
        return
    payload = settings_payload(
        Group.HEATER,
        STATUS_LAYOUTS[MessageId.HEATER].write({**HEATER, **baseline}),
        wish,
    )
    if {"target_temp_room", "heating_mode"} & set(wish):
        target = int.from_bytes(payload[0:2], "little")
        mode = int.from_bytes(payload[2:4], "little")
        assert (target == 0) is (mode == 0)
        assert mode == 0 or mode in MODES_OF[heater]
        assert target == 0 or "target_temp_room" not in batch.updates or 2780 <= target <= 3030
    if {"energy_mix", "el_power_level"} & set(wish):
        power = int.from_bytes(payload[4:6], "little")
        assert (payload[10], power) in {(1, 0), (2, 900), (2, 1800), (3, 900), (3, 1800)}
        assert payload[10] == payload[11]
        assert payload[4:6] == payload[8:10]
