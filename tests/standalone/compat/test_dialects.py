"""The old programs' dialects: contract by contract, what comes out for what goes in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from typing import Any, ClassVar

import pytest

from hardwired.bridge.sink import (
    Action,
    Dialect,
    Moment,
    Outcome,
    Publication,
    Request,
    Verb,
    Wish,
)
from hardwired.compat.dialects import make_dialect
from hardwired_engines.engine import Device, DeviceState, Reading, Snapshot, Unit
from hardwired_engines.fields import Value
from hardwired_engines.studer.catalogue import CATALOGUES as STUDER
from hardwired_engines.sunsynk.catalogue import CATALOGUES as SUNSYNK
from hardwired_engines.truma.catalogue import CATALOGUES as TRUMA
from hardwired_engines.truma.inet.buffers import STATUS_LAYOUTS, MessageId
from hardwired_engines.truma.inet.rules import HeaterKind
from hardwired_engines.truma.installation import HEATERS
from tests.standalone.mqtt.fakes import WALL, FakeHub, FakeLink, connected, lost

SERIAL = "1235687108"


def at(seconds: float) -> Moment:
    return Moment(1000 + seconds, WALL + timedelta(seconds=seconds))


def texts(actions: Iterable[Action]) -> dict[str, str]:
    return {one.topic: one.payload for one in actions if isinstance(one, Publication)}


def wishes(actions: Iterable[Action]) -> list[Wish]:
    return [one for one in actions if isinstance(one, Wish)]


def dialect_of(link: FakeLink, name: str, **settings: Any) -> Any:
    return make_dialect({"dialect": name, **settings}, link, FakeHub(link), "mqtt")


def follow(dialect: Dialect, until: float) -> list[tuple[float, Action]]:
    """Call a dialect whenever it is due; return what it says, with the second."""
    found: list[tuple[float, Action]] = []
    while (due := dialect.due) is not None and due <= 1000 + until:
        now = max(due - 1000, found[-1][0] if found else 0.0)
        found += [(now, action) for action in dialect.tick(at(now))]
        assert dialect.due is None or dialect.due > due, "it is due again at the same moment"
    return found


# ------------------------------------------------------------------------------------ sunsniff


def inverter(serial: str = SERIAL, *, available: bool = True, **values: Value) -> DeviceState:
    device = Device(serial, "inverter", "Inverter", serial_number=serial)
    return DeviceState(device, values, available=available, fields=SUNSYNK["inverter"])


def reading(serial: str = SERIAL, **values: Value) -> Reading:
    return Reading(inverter(serial).device, WALL, values)


class TestSunsniff:
    def test_it_connects_when_a_serial_is_known(self) -> None:
        link = FakeLink("roof")
        dialect = dialect_of(link, "sunsniff")
        assert not dialect.ready
        assert dialect.occurrence("roof", reading(grid_voltage=233.3), at(0))
        assert dialect.ready
        assert dialect.will.topic == f"sunsniff/{SERIAL}/availability"
        assert (dialect.will.payload, dialect.will.retain) == ("offline", True)

    def test_it_connects_when_a_serial_is_stored_letters_too(self) -> None:
        # b.3: letters and digits; what stands for the source itself is no inverter.
        link = FakeLink("roof", stored=["22AB00004z", "sunsynk_capture_live_br0"])
        dialect = dialect_of(link, "sunsniff")
        assert dialect.ready
        assert dialect.will.topic == "sunsniff/22AB00004z/availability"

    def test_a_reading_as_the_vectors_have_it(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter()))
        dialect = dialect_of(link, "sunsniff")
        said = texts(dialect.connected({"roof": link.snapshot}, at(0)))
        assert said[f"sunsniff/{SERIAL}/availability"] == "online"
        configs = [topic for topic in said if topic.endswith("/config")]
        assert len(configs) == 42
        states = dialect.occurrence("roof", reading(grid_voltage=233.3, grid_power=-72), at(1))
        root = f"homeassistant/sensor/sunsniff_{SERIAL}"
        assert texts(states) == {
            f"{root}_grid_voltage/state": "233.3",
            f"{root}_grid_power/state": "-72",
        }
        assert not any(one.retain for one in states)

    def test_what_the_dongle_had_buffered_does_not_stand_over_newer_values(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter()))
        dialect = dialect_of(link, "sunsniff")
        dialect.connected({"roof": link.snapshot}, at(0))
        assert dialect.occurrence("roof", reading(battery_soc=60), at(1))
        old = replace(reading(battery_soc=40), live=False)
        assert dialect.occurrence("roof", old, at(2)) == []

    def test_a_broker_or_home_assistant_that_restarted_is_told_the_last_values(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter()))
        dialect = dialect_of(link, "sunsniff")
        dialect.connected({"roof": link.snapshot}, at(0))
        dialect.occurrence("roof", reading(battery_soc=60), at(1))
        topic = f"homeassistant/sensor/sunsniff_{SERIAL}_battery_soc/state"
        dialect.disconnected(at(2))
        assert texts(dialect.connected({"roof": link.snapshot}, at(3)))[topic] == "60"
        dialect.receive("homeassistant/status", b"online", False, at(10))
        said = [action for _, action in follow(dialect, 60)]
        assert texts(said)[topic] == "60"
        assert said[-1].topic == topic, "behind the announcement of its entity"
        link.snapshot = connected(inverter(available=False))
        assert topic not in texts(dialect.connected({"roof": link.snapshot}, at(3)))

    def test_with_two_inverters_the_will_is_the_bridges(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter(), inverter("2")))
        dialect = dialect_of(link, "sunsniff")
        assert dialect.will.topic == "sunsniff/bridge/hardwired/state"
        said = texts(dialect.connected({"roof": link.snapshot}, at(0)))
        config = json.loads(said[f"homeassistant/sensor/sunsniff_{SERIAL}_grid_voltage/config"])
        assert [one["topic"] for one in config["availability"]] == [
            "sunsniff/bridge/hardwired/state",
            f"sunsniff/{SERIAL}/availability",
        ]
        assert config["availability_mode"] == "all"

    def test_a_second_inverter_changes_the_will(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter()))
        dialect = dialect_of(link, "sunsniff")
        before = dialect.will
        dialect.connected({"roof": link.snapshot}, at(0))
        dialect.occurrence("roof", reading("2", grid_power=1), at(1))
        assert dialect.will != before

    def test_availability_follows_the_device(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter()))
        dialect = dialect_of(link, "sunsniff")
        dialect.connected({"roof": link.snapshot}, at(0))
        link.snapshot = connected(inverter(available=False))
        said = dialect.snapshot("roof", None, link.snapshot, at(1))
        assert texts(said) == {f"sunsniff/{SERIAL}/availability": "offline"}

    def test_a_birth_repeats_the_announcements(self) -> None:
        link = FakeLink("roof", snapshot=connected(inverter()))
        dialect = dialect_of(link, "sunsniff")
        dialect.connected({"roof": link.snapshot}, at(0))
        for _ in range(3):
            dialect.receive("homeassistant/status", b"online", False, at(1))
        said = follow(dialect, 60)
        assert len(said) == 42


# ------------------------------------------------------------------------------------ inetbox


def truma(**panel: Value) -> Snapshot:
    states = [
        DeviceState(Device("panel", "panel", "Panel"), panel, fields=TRUMA["panel"]),
        DeviceState(Device("heater", "heater", "Heater"), {}, fields=TRUMA["heater"]),
    ]
    return connected(*states)


HEATER = {
    "target_temp_room": 2930,
    "heating_mode": 1,
    "el_power_level_a": 0,
    "target_temp_water": 0,
    "el_power_level_b": 0,
    "energy_mix_a": 1,
    "energy_mix_b": 1,
    "current_temp_water": 2930,
    "current_temp_room": 2931,
    "operating_status": 4,
    "error_code": 0,
    "error_class": 0,
    "unknown_19": 0,
}


def unit(name: str, values: Mapping[str, int], raw: bytes = b"") -> Unit:
    return Unit(Device("panel", "panel", "Panel"), name, values, WALL, raw)


class TestInetbox:
    def setup_method(self) -> None:
        self.link = FakeLink("van", family="truma", snapshot=truma(command_counter=7))
        self.dialect = dialect_of(self.link, "inetbox.py")

    def connect(self) -> dict[str, str]:
        return texts(self.dialect.connected({"van": self.link.snapshot}, at(0)))

    def test_will_and_first_words(self) -> None:
        will = self.dialect.will
        assert (will.topic, will.payload, will.retain) == ("service/truma/online", "0", True)
        said = self.connect()
        assert said["service/truma/online"] == "1"
        assert said["service/truma/update_status"] == "idle"
        assert said["service/truma/cp_plus_status"] == "online"
        assert "homeassistant/device/truma_Truma-Device/config" in said

    def test_a_buffer_is_published_on_change_and_repeated_after_two_minutes(self) -> None:
        self.connect()
        said = texts(self.dialect.occurrence("van", unit("heater_status", HEATER), at(1)))
        assert said["service/truma/control_status/current_temp_room"] == "20.1"
        assert said["service/truma/control_status/mode"] == "heat"
        again = self.dialect.occurrence("van", unit("heater_status", HEATER), at(2))
        assert again == []
        topic = "service/truma/control_status/current_temp_room"
        told = [
            second
            for second, one in follow(self.dialect, 400)
            if isinstance(one, Publication) and one.topic == topic
        ]
        assert len(told) == 3
        assert all(
            120 <= second - before <= 151 for before, second in zip([1, *told], told, strict=False)
        )

    def test_life_signs(self) -> None:
        self.connect()
        said = [
            (one.topic.removeprefix("service/truma/"), second)
            for second, one in follow(self.dialect, 400)
            if isinstance(one, Publication)
        ]
        assert [second for topic, second in said if topic == "online"] == [180, 360]
        assert len([1 for topic, _ in said if topic == "update_status"]) == 6
        assert len([1 for topic, _ in said if topic == "cp_plus_status"]) == 6

    def test_the_display(self) -> None:
        self.connect()
        raw = bytes.fromhex("a03cba8b00e0f7ff")
        said = texts(self.dialect.occurrence("van", unit("signal_20", {}, raw), at(1)))
        assert all(topic.startswith("service/truma/display_status/") for topic in said)

    def test_messages_of_one_moment_are_one_command(self) -> None:
        self.connect()
        self.dialect.occurrence("van", unit("heater_status", HEATER), at(1))
        for topic, payload in (("target_temp_room", b"22"), ("target_temp_water", b"40")):
            said = self.dialect.receive(f"service/truma/set/{topic}", payload, False, at(2))
            assert wishes(said) == []
        said = [action for _, action in follow(self.dialect, 3.5)]
        [wish] = wishes(said)
        assert wish.alone
        assert dict(wish.command.values) == {
            "target_temp_room": 22.0,
            "heating_mode": "eco",
            "water_mode": "eco",
        }

    def sent(self, second: float, **messages: str) -> Wish:
        for key, payload in messages.items():
            self.dialect.receive(f"service/truma/set/{key}", payload.encode(), False, at(second))
        [wish] = wishes(action for _, action in follow(self.dialect, second + 1.5))
        return wish

    OFF: ClassVar = {**HEATER, "target_temp_room": 0, "heating_mode": 0}

    @pytest.mark.parametrize("answered", [True, False])
    def test_what_is_on_its_way_counts(self, answered: bool) -> None:
        """22 degrees, a moment later the mode: it brought 5 degrees along, as if all was off."""
        self.connect()
        self.dialect.occurrence("van", unit("heater_status", self.OFF), at(1))
        first = self.sent(2, target_temp_room="22", energy_mix="electricity")
        if answered:
            self.dialect.answered(first, Outcome(), at(4))
        wish = self.sent(5, heating_mode="boost", el_power_level="1800")
        assert dict(wish.command.values) == {
            "target_temp_room": 22.0, "heating_mode": "high",
            "energy_mix": "electricity", "el_power_level": "1800",
        }  # fmt: skip

    def test_what_was_refused_or_has_been_shown_does_not(self) -> None:
        self.connect()
        self.dialect.occurrence("van", unit("heater_status", self.OFF), at(1))
        refused = self.sent(2, target_temp_room="22")
        self.dialect.answered(refused, Outcome(key="failed", text="no"), at(4))
        taken = self.sent(5, target_temp_room="23")
        self.dialect.answered(taken, Outcome(), at(7))
        self.dialect.occurrence("van", unit("heater_status", self.OFF), at(8))
        wish = self.sent(9, heating_mode="boost")
        assert dict(wish.command.values) == {"target_temp_room": 5.0, "heating_mode": "high"}

    def test_the_clock_goes_on_from_what_was_set(self) -> None:
        self.connect()
        shown = STATUS_LAYOUTS[MessageId.CLOCK].read(bytes((9, 9, 9, 1, 1, 0, 0, 1, 0, 0))) or {}
        self.dialect.occurrence("van", unit("clock_status", shown), at(1))
        self.sent(2, wall_time="07:30:00")
        assert self.sent(5, wall_time_minutes="45").command.options["time"] == time(7, 45)

    def test_the_usual_mode_is_the_heaters_own(self) -> None:
        self.connect()
        self.dialect.occurrence("van", unit("heater_status", self.OFF), at(1))
        [panel, heater] = self.link.snapshot.devices.values()
        vario = replace(heater, fields=HEATERS[HeaterKind.VARIO])
        before, self.link.snapshot = self.link.snapshot, connected(panel, vario)
        self.dialect.snapshot("van", before, self.link.snapshot, at(1))
        wish = self.sent(2, target_temp_room="20")
        assert dict(wish.command.values) == {"target_temp_room": 20.0, "heating_mode": "auto"}

    def test_off_is_a_mode(self) -> None:
        self.connect()
        self.dialect.occurrence("van", unit("heater_status", HEATER), at(1))
        self.dialect.receive("service/truma/set/mode", b"off", False, at(2))
        [wish] = wishes(action for _, action in follow(self.dialect, 3.5))
        assert dict(wish.command.values) == {"heating_mode": "off"}

    def test_refusals_are_told_on_error(self) -> None:
        self.connect()
        self.dialect.occurrence("van", unit("heater_status", HEATER), at(1))
        self.dialect.receive("service/truma/set/energy_mix", b"diesel", False, at(2))
        self.dialect.receive("service/truma/set/target_temp_water", b"40", False, at(2))
        said = [action for _, action in follow(self.dialect, 3.5)]
        assert "energy_mix" in texts(said)["service/truma/error"]
        [wish] = wishes(said)
        outcome = Outcome(key="refused_by_device", text="the panel said no")
        said = self.dialect.answered(wish, outcome, at(5))
        assert texts(said)["service/truma/error"] == "the panel said no"

    def test_a_retained_command_is_ignored(self) -> None:
        self.connect()
        assert self.dialect.receive("service/truma/set/mode", b"heat", True, at(1)) == []
        assert not wishes(action for _, action in follow(self.dialect, 10))

    def test_update_time_sets_the_clock(self) -> None:
        self.connect()
        [wish] = self.dialect.receive("service/truma/update_time", b"1", False, at(1))
        assert wish.command.name == "sync_clock"

    def test_read_only_writes_nothing(self) -> None:
        self.link.read_only = True
        assert not [topic for topic, _ in self.dialect.subscriptions if "set" in topic]
        said = self.dialect.receive("service/truma/set/mode", b"heat", False, at(1))
        assert "read_only" in texts(said)["service/truma/error"]


class TestInetbox2Mqtt:
    def setup_method(self) -> None:
        self.link = FakeLink("van", family="truma", snapshot=truma())
        self.dialect = dialect_of(self.link, "inetbox2mqtt", topic="camper")
        self.dialect.connected({"van": self.link.snapshot}, at(0))

    def value(self, name: str, until: float) -> list[str]:
        topic = f"service/camper/control_status/{name}"
        return [
            one.payload
            for _, one in follow(self.dialect, until)
            if isinstance(one, Publication) and one.topic == topic
        ]

    def test_will(self) -> None:
        will = self.dialect.will
        assert will.topic == "service/camper/control_status/alive"
        assert (will.payload, will.retain, will.qos) == ("OFF", True, 1)

    def test_values_every_ten_seconds_if_changed(self) -> None:
        self.dialect.occurrence("van", unit("heater_status", HEATER), at(1))
        assert self.value("current_temp_room", 200) == ["20.1"]

    def test_alive_every_minute(self) -> None:
        assert self.value("alive", 185) == ["ON"] * 3

    def test_alive_is_whether_the_panel_talks_to_us(self) -> None:
        topic = "service/camper/control_status/alive"
        there = self.link.snapshot
        for snapshot, told in ((lost(there), "OFF"), (there, "ON")):
            before, self.link.snapshot = self.link.snapshot, snapshot
            said = self.dialect.snapshot("van", before, snapshot, at(1))
            assert texts(said)[topic] == told
            assert topic not in texts(self.dialect.snapshot("van", snapshot, snapshot, at(2)))
            assert set(self.value("alive", 130)) == {told}
        self.link.snapshot = lost(there)
        assert texts(self.dialect.connected({"van": self.link.snapshot}, at(3)))[topic] == "OFF"

    def test_a_setting_is_reflected_and_taken_back_when_refused(self) -> None:
        self.dialect.occurrence("van", unit("heater_status", HEATER), at(1))
        self.value("target_temp_room", 11)
        self.dialect.receive("service/camper/set/target_temp_room", b"25", False, at(12))
        said = [action for _, action in follow(self.dialect, 13.5)]
        assert texts(said)["service/camper/control_status/target_temp_room"] == "25.0"
        [wish] = wishes(said)
        said = self.dialect.answered(wish, Outcome(key="failed", text="no"), at(14))
        assert texts(said)["service/camper/control_status/target_temp_room"] == "20.0"
        assert texts(said)["service/camper/error"] == "no"

    def test_a_reflection_that_the_panel_never_shows_ends(self) -> None:
        self.dialect.occurrence("van", unit("heater_status", HEATER), at(1))
        self.value("target_temp_room", 11)
        self.dialect.receive("service/camper/set/target_temp_room", b"25", False, at(12))
        assert self.value("target_temp_room", 60) == ["25.0", "20.0"]

    def test_reboot_restarts_the_link_and_the_rest_is_explained(self) -> None:
        [request] = self.dialect.receive("service/camper/set/reboot", b"1", False, at(1))
        assert isinstance(request, Request)
        assert (request.verb, request.link) == (Verb.RESTART, "van")
        said = self.dialect.receive("service/camper/set/ota_update", b"1", False, at(1))
        assert "ota_update" in texts(said)["service/camper/error"]


# ------------------------------------------------------------------------------------ xtender


def xtender(address: int = 101, **values: Value) -> DeviceState:
    device = Device(f"FID{address}", "xt", "Xtender 1", address=str(address))
    return DeviceState(device, values, fields=STUDER["xt"])


class TestXtender:
    def setup_method(self) -> None:
        state = xtender(battery_voltage=52.4, inverter_allowed=True)
        self.link = FakeLink("plant", family="studer", snapshot=connected(state))
        self.dialect = dialect_of(self.link, "xtender_mqtt")

    def connect(self) -> dict[str, str]:
        return texts(self.dialect.connected({"plant": self.link.snapshot}, at(0)))

    def test_first_words(self) -> None:
        will = self.dialect.will
        assert (will.topic, will.payload, will.retain) == ("xtender/bridge/state", "offline", True)
        said = self.connect()
        assert said["xtender/101/availability"] == "online"
        assert said["xtender/101/values/batteryVoltage"] == "52.4"
        assert list(said)[-1] == "xtender/bridge/state"
        config = json.loads(said["homeassistant/sensor/101_batteryVoltage_3000/config"])
        assert config["default_entity_id"] == "sensor.101_batteryvoltage_3000"
        assert config["unique_id"] == config["object_id"] == "101_batteryVoltage_3000"

    def test_what_is_published_is_asked_for(self) -> None:
        self.connect()
        asked = {key: every for _, key, every in self.link.wanted}
        assert asked["battery_voltage"] == 5

    def test_values_are_said_again_every_five_seconds(self) -> None:
        self.connect()
        said = [
            second
            for second, one in follow(self.dialect, 21)
            if isinstance(one, Publication) and one.topic == "xtender/101/values/batteryVoltage"
        ]
        assert said == [5, 10, 15, 20]

    def test_who_is_not_there_says_nothing(self) -> None:
        self.connect()
        self.link.snapshot = Snapshot({}, connected=True, reason=None)
        said = self.dialect.snapshot("plant", None, self.link.snapshot, at(1))
        assert texts(said) == {"xtender/101/availability": "offline"}
        assert not [one for _, one in follow(self.dialect, 21)]

    def test_a_command_and_its_result(self) -> None:
        self.connect()
        topic = "xtender/101/parameters/allowInverter/set"
        dialect = dialect_of(self.link, "xtender_mqtt", parameters=["allowInverter"])
        dialect.connected({"plant": self.link.snapshot}, at(0))
        [wish] = dialect.receive(topic, b"0", False, at(1))
        assert wish.command.device == "FID101"
        assert wish.command.options["id"] == 1124
        assert "persistent" not in wish.command.options
        outcome = Outcome(state=xtender(battery_voltage=52.4, inverter_allowed=False))
        said = texts(dialect.answered(wish, outcome, at(2)))
        assert said["xtender/101/dbg/last_cmd_result"] == "Ok"
        assert said["xtender/101/parameters/allowInverter"] == "0"

    @pytest.mark.parametrize("payload", [b"perhaps", b"\xff", b""])
    def test_nonsense_is_an_error(self, payload: bytes) -> None:
        dialect = dialect_of(self.link, "xtender_mqtt", parameters=["allowInverter"])
        said = dialect.receive("xtender/101/parameters/allowInverter/set", payload, False, at(1))
        assert texts(said) == {"xtender/101/dbg/last_cmd_result": "Error"}

    def test_flash_needs_the_links_word(self) -> None:
        topic = "xtender/101/parameters/allowInverter/set"
        told = {"parameters": ["allowInverter"], "write_property": "flash"}
        said = dialect_of(self.link, "xtender_mqtt", **told).receive(topic, b"0", False, at(1))
        assert texts(said) == {"xtender/101/dbg/last_cmd_result": "Error"}
        self.link.settings = {"flash_writes": True}
        dialect = dialect_of(self.link, "xtender_mqtt", **told)
        [wish] = dialect.receive(topic, b"0", False, at(1))
        assert wish.command.options["persistent"] is True
