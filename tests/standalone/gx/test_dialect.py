"""The registration protocol, step by step (spec g.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from hardwired.bridge.sink import Action, Moment, Outcome, Publication, Wish
from hardwired.gx.dialect import ClientDialect, GxDialect
from hardwired_engines.engine import Device, DeviceState, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.studer.catalogue import CATALOGUES as STUDER
from tests.standalone.mqtt.fakes import WALL, FakeHub, FakeLink, connected
from tests.vector_files import load

CLIENT = "hw_hardwired_plant_0A1B"
LIMIT = "maximum_current_of_ac_source_input_limit"


def at(seconds: float) -> Moment:
    return Moment(1000 + seconds, WALL + timedelta(seconds=seconds))


def said(actions: Iterable[Action]) -> list[tuple[str, Any]]:
    return [
        (one.topic, json.loads(one.payload) if one.payload else None)
        for one in actions
        if isinstance(one, Publication)
    ]


def xt(**values: Value | None) -> DeviceState:
    return DeviceState(Device("0A1B", "xt", "Xtender 1"), values, fields=STUDER["xt"])


def full() -> bytes:
    told = load("bridge", "venus.json")["drivers"]["full"]
    return json.dumps({**told, "started": "now"}).encode()


REPLY = json.dumps(
    {
        "portalId": "abc",
        "deviceInstance": {"control": 7},
        "topicPath": {"control": {"N": "N/abc/switch/7", "W": "W/abc/switch/7"}},
    }
).encode()


class TestWithStatus:
    def setup_method(self) -> None:
        state = xt(inverter_allowed=True, charger_allowed=False)
        self.link = FakeLink("plant", family="studer", snapshot=connected(state))
        self.dialect = GxDialect("gx", {}, FakeHub(self.link))
        self.dialect.connected({"plant": self.link.snapshot}, at(0))

    def register(self) -> list[tuple[str, Any]]:
        return said(self.dialect.receive("dbus-mqtt-devices/status", full(), True, at(1)))

    def reply(self) -> list[tuple[str, Any]]:
        return said(self.dialect.receive(f"device/{CLIENT}/DBus", REPLY, False, at(2)))

    @pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
    def test_a_number_that_is_none_is_no_word_of_the_driver(self, number: str) -> None:
        """Found by damaged bytes: anybody may publish on these topics."""
        self.register()
        for leaf in ("DBus", "Error", "Set"):
            told = f'{{"error": "x", "decimals": {number}}}'.encode()
            assert not said(self.dialect.receive(f"device/{CLIENT}/{leaf}", told, False, at(2)))
        assert self.reply()

    @pytest.mark.parametrize(
        ("portal", "instance", "place"),
        [
            ("a/+", 7, None),
            ("", 7, None),
            ("a\u0001", 7, None),
            ("abc", "\u0667", None),
            ("abc", 7, "W/abc/switch/#"),
            ("abc", 7, "W/abc/switch/7/../8"),
            ("abc", 7, "device/other/Proxy"),
            ("abc", 7, "W/a\u0001c/switch/7"),
        ],
    )
    def test_a_reply_with_a_place_that_is_none_is_no_registration(
        self, portal: str, instance: object, place: str | None
    ) -> None:
        """A broker ends the connection over such a topic."""
        self.register()
        told: dict[str, Any] = {"portalId": portal, "deviceInstance": {"control": instance}}
        if place is not None:
            told["topicPath"] = {"control": {"W": place}}
        reply = json.dumps(told).encode()
        assert said(self.dialect.receive(f"device/{CLIENT}/DBus", reply, False, at(2))) == []
        assert self.reply()

    def test_what_was_still_on_its_way_when_the_connection_ended_is_for_nobody(self) -> None:
        self.register()
        self.dialect.disconnected(at(1))
        assert self.reply() == []
        assert self.register() == []

    def test_it_registers_when_the_driver_has_said_what_it_knows(self) -> None:
        [(topic, told)] = self.register()
        assert topic == f"device/{CLIENT}/Status"
        assert told["services"] == {"control": "switch"}
        assert told["notify"] is True
        assert self.dialect.apart == frozenset()

    def test_after_the_reply_everything_is_sent(self) -> None:
        self.register()
        assert self.reply() == [
            (
                f"device/{CLIENT}/Proxy",
                {
                    "topicPath": "W/abc/switch/7",
                    "values": {
                        "SwitchableOutput/inverter/State": 1,
                        "SwitchableOutput/inverter/Status": 9,
                        "SwitchableOutput/charger/State": 0,
                        "SwitchableOutput/charger/Status": 0,
                    },
                },
            )
        ]

    def test_a_change_goes_out_within_a_second_and_alone(self) -> None:
        self.register()
        self.reply()
        self.link.snapshot = connected(xt(inverter_allowed=True, charger_allowed=True))
        assert said(self.dialect.snapshot("plant", None, self.link.snapshot, at(2.2))) == []
        assert self.dialect.due is not None
        assert self.dialect.due <= 1003
        [(_, told)] = said(self.dialect.tick(at(3)))
        assert told["values"] == {
            "SwitchableOutput/charger/State": 1,
            "SwitchableOutput/charger/Status": 9,
        }

    def test_everything_again_every_half_minute(self) -> None:
        self.register()
        self.reply()
        [(_, told)] = said(self.dialect.tick(at(33)))
        assert len(told["values"]) == 4

    def test_a_set_is_a_wish_and_a_refusal_writes_the_old_value_back(self) -> None:
        self.register()
        self.reply()
        told = {"service": "control", "path": "SwitchableOutput/inverter/State", "value": 0}
        [wish] = self.dialect.receive(
            f"device/{CLIENT}/Set", json.dumps(told).encode(), False, at(10)
        )
        assert isinstance(wish, Wish)
        assert dict(wish.command.values) == {"inverter_allowed": False}
        outcome = Outcome(key="refused_by_device", text="no")
        [(_, back)] = said(self.dialect.answered(wish, outcome, at(11)))
        assert back["values"] == {"SwitchableOutput/inverter/State": 1}

    def heard(self, state: int, seconds: float) -> list[Action]:
        told = {"service": "control", "path": "SwitchableOutput/charger/State", "value": state}
        topic = f"device/{CLIENT}/Set"
        return list(self.dialect.receive(topic, json.dumps(told).encode(), False, at(seconds)))

    def test_what_comes_back_after_the_next_value_was_sent_is_no_wish(self) -> None:
        self.register()
        self.reply()
        for allowed, seconds in ((True, 3), (False, 4.5)):
            self.link.snapshot = connected(xt(inverter_allowed=True, charger_allowed=allowed))
            self.dialect.snapshot("plant", None, self.link.snapshot, at(seconds))
            self.dialect.tick(at(seconds + 1))
        [(_, told)] = said(self.heard(1, 6))
        assert told["values"] == {"SwitchableOutput/charger/State": 0}
        assert self.heard(0, 6.2) == []
        assert [one for one in self.heard(1, 20) if isinstance(one, Wish)]

    def test_what_comes_back_after_it_has_registered_again_is_no_wish(self) -> None:
        self.link.snapshot = connected(xt(inverter_allowed=True, charger_allowed=True))
        self.dialect.snapshot("plant", None, self.link.snapshot, at(0.5))
        self.register()
        self.reply()
        assert said(self.dialect.receive("device_discovery", b"", False, at(2.1)))
        assert self.heard(1, 2.2) == []

    def test_nonsense_is_refused_at_once(self) -> None:
        self.register()
        self.reply()
        told = {"service": "control", "path": "SwitchableOutput/inverter/State", "value": "on"}
        [(_, back)] = said(
            self.dialect.receive(f"device/{CLIENT}/Set", json.dumps(told).encode(), False, at(10))
        )
        assert back["values"] == {"SwitchableOutput/inverter/State": 1}

    def test_read_only_refuses(self) -> None:
        self.link.read_only = True
        self.register()
        self.reply()
        told = {"service": "control", "path": "SwitchableOutput/inverter/State", "value": 0}
        found = self.dialect.receive(
            f"device/{CLIENT}/Set", json.dumps(told).encode(), False, at(10)
        )
        assert not [one for one in found if isinstance(one, Wish)]

    def test_a_device_that_has_gone_is_unknown_and_after_ten_minutes_taken_back(self) -> None:
        self.register()
        self.reply()
        gone = Snapshot({}, connected=False, reason=None)
        self.dialect.snapshot("plant", None, gone, at(20))
        [(_, told)] = said(self.dialect.tick(at(21)))
        assert told["values"]["SwitchableOutput/inverter/Status"] == 32
        found = said(self.dialect.tick(at(20 + 601)))
        assert (f"device/{CLIENT}/Status", {"clientId": CLIENT, "connected": 0}) in found

    def test_a_device_that_went_while_the_gx_was_away_leaves_nothing_to_do(self) -> None:
        self.register()
        self.reply()
        self.dialect.disconnected(at(10))
        gone = Snapshot({}, connected=False, reason=None)
        self.dialect.snapshot("plant", None, gone, at(20))
        self.dialect.connected({"plant": gone}, at(700))
        self.dialect.receive("dbus-mqtt-devices/status", full(), True, at(701))
        self.dialect.tick(at(702))
        assert self.dialect.due is None

    def test_a_new_start_of_the_driver_means_registering_again(self) -> None:
        self.register()
        told = load("bridge", "venus.json")["drivers"]["full"]
        payload = json.dumps({**told, "started": "later"}).encode()
        found = said(self.dialect.receive("dbus-mqtt-devices/status", payload, False, at(60)))
        assert [topic for topic, _ in found] == [f"device/{CLIENT}/Status"]

    def test_no_reply_is_told(self) -> None:
        self.register()
        self.dialect.tick(at(32))
        assert self.dialect.silent

    def test_last_words(self) -> None:
        self.register()
        assert said(self.dialect.stopping(at(9))) == [
            (f"device/{CLIENT}/Status", {"clientId": CLIENT, "connected": 0})
        ]


class TestReference:
    def setup_method(self) -> None:
        device = Device("2211", "inverter", "Inverter")
        from hardwired_engines.sunsynk.catalogue import CATALOGUES

        values: dict[str, Value | None] = {"inverter_temperature_dc": 41.26}
        state = DeviceState(device, values, fields=CATALOGUES["inverter"])
        self.link = FakeLink("roof", family="sunsynk", snapshot=connected(state))
        self.hub = FakeHub(self.link)
        self.client = "hw_hardwired_roof_2211"

    def test_without_a_status_each_device_has_its_own_connection(self) -> None:
        dialect = GxDialect("gx", {}, self.hub)
        dialect.connected({"roof": self.link.snapshot}, at(0))
        assert dialect.apart == frozenset()
        assert dialect.tick(at(3)) == []
        assert dialect.apart == {("roof", "2211")}

    def test_one_device_with_the_reference(self) -> None:
        dialect = ClientDialect("gx", {}, self.hub, "roof", "2211")
        assert dialect.will is not None
        assert json.loads(dialect.will.payload) == {"clientId": self.client, "connected": 0}
        [(topic, told)] = said(dialect.connected({"roof": self.link.snapshot}, at(0)))
        assert topic == f"device/{self.client}/Status"
        assert told == {
            "clientId": self.client,
            "connected": 1,
            "version": "1.0.0",
            "services": {"t_dc": "temperature"},
        }
        # A driver before 0.8: instances as texts, no topics.
        reply = json.dumps({"portalId": "abc", "deviceInstance": {"t_dc": "3"}}).encode()
        found = said(dialect.receive(f"device/{self.client}/DBus", reply, False, at(1)))
        assert ("W/abc/temperature/3/Temperature", {"value": 41.3}) in found
        assert ("R/abc/temperature/3/CustomName", None) in found
        name = json.dumps({"value": "My Temperature Sensor"}).encode()
        found = said(dialect.receive("N/abc/temperature/3/CustomName", name, False, at(2)))
        assert found == [("W/abc/temperature/3/CustomName", {"value": "Inverter DC"})]

    def test_asked_to_register_it_waits_for_what_the_driver_says_of_itself(self) -> None:
        main = GxDialect("gx", {}, self.hub)
        main.connected({"roof": self.link.snapshot}, at(0))
        main.tick(at(3))
        dialect = ClientDialect("gx", {}, self.hub, "roof", "2211", main=main)
        assert len(dialect.connected({"roof": self.link.snapshot}, at(4))) == 1
        for asked, comes in ((10, False), (20, True)):
            assert dialect.receive("device_discovery", b"", False, at(asked)) == []
            assert dialect.due == at(asked + 1).monotonic
            if comes:
                assert main.receive("dbus-mqtt-devices/status", full(), False, at(asked + 0.1))
            found = said(dialect.tick(at(asked + 1)))
            assert bool(found) is not comes
        assert dialect.receive("device_discovery", b"", True, at(30)) == []
        assert dialect.due is None

    def test_what_another_connection_has_registered_is_not_taken_back(self) -> None:
        """A driver that starts late, or again, is taken for the reference until it speaks."""
        main = GxDialect("gx", {}, self.hub)
        main.connected({"roof": self.link.snapshot}, at(0))
        main.tick(at(3))
        dialect = ClientDialect("gx", {}, self.hub, "roof", "2211", main=main)
        dialect.connected({"roof": self.link.snapshot}, at(4))
        farewell = [(f"device/{self.client}/Status", {"clientId": self.client, "connected": 0})]
        other = ClientDialect("gx", {}, self.hub, "roof", "2211", main=main)
        other.connected({"roof": self.link.snapshot}, at(4))
        assert said(other.stopping(at(5))) == farewell
        assert main.receive("dbus-mqtt-devices/status", full(), False, at(6))
        reply = json.dumps({"portalId": "abc", "deviceInstance": {"t_dc": 3}}).encode()
        assert dialect.receive(f"device/{self.client}/DBus", reply, False, at(6)) == []
        assert dialect.stopping(at(7)) == []
        [(topic, told)] = said(main.again(at(8)))
        assert (topic, told["connected"]) == (f"device/{self.client}/Status", 1)

    def test_the_owners_name_is_kept(self) -> None:
        dialect = ClientDialect("gx", {}, self.hub, "roof", "2211")
        dialect.connected({"roof": self.link.snapshot}, at(0))
        reply = json.dumps({"portalId": "abc", "deviceInstance": {"t_dc": 3}}).encode()
        dialect.receive(f"device/{self.client}/DBus", reply, False, at(1))
        name = json.dumps({"value": "Shed"}).encode()
        assert dialect.receive("N/abc/temperature/3/CustomName", name, False, at(2)) == []


def test_a_link_that_speaks_to_no_sink_is_not_on_the_gx() -> None:
    state = xt(inverter_allowed=True)
    link = FakeLink("plant", family="studer", snapshot=connected(state), settings={"sinks": []})
    dialect = GxDialect("gx", {}, FakeHub(link))
    dialect.connected({}, at(0))
    assert dialect.links == frozenset()
    assert dialect.snapshot("plant", None, link.snapshot, at(1)) == []


def test_links_that_differ_in_a_sign_that_ids_lack_are_two_clients() -> None:
    links = [
        FakeLink(name, family="studer", snapshot=connected(xt(inverter_allowed=True)))
        for name in ("plant-1", "plant_1")
    ]
    dialect = GxDialect("gx", {}, FakeHub(*links))
    dialect.connected({one.name: one.snapshot for one in links}, at(0))
    found = said(dialect.receive("dbus-mqtt-devices/status", full(), True, at(1)))
    clients = [told["clientId"] for _, told in found]
    assert clients[0] == "hw_hardwired_plant_1_0A1B"
    assert clients[1].startswith("hw_hardwired_plant_1_0A1B_")


def test_a_long_name_is_cut_to_what_the_driver_takes() -> None:
    device = Device("0A1B", "xt", "x" * 100)
    state = DeviceState(device, {"inverter_allowed": True}, fields=STUDER["xt"])
    link = FakeLink("plant", family="studer", snapshot=connected(state))
    dialect = GxDialect("gx", {}, FakeHub(link))
    dialect.connected({"plant": link.snapshot}, at(0))
    [(_, told)] = said(dialect.receive("dbus-mqtt-devices/status", full(), True, at(1)))
    assert all(len(one["name"]) == 64 for one in told["options"].values())


def test_a_device_that_is_removed_leaves_the_gx() -> None:
    link = FakeLink("plant", family="studer", snapshot=connected(xt(inverter_allowed=True)))
    dialect = GxDialect("gx", {}, FakeHub(link))
    dialect.connected({"plant": link.snapshot}, at(0))
    dialect.receive("dbus-mqtt-devices/status", full(), True, at(1))
    assert said(dialect.forget("plant", "0A1B")) == [
        (f"device/{CLIENT}/Status", {"clientId": CLIENT, "connected": 0})
    ]
    assert dialect.forget("plant", "0A1B") == []


def test_what_the_gx_may_act_on_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    state = xt(inverter_allowed=True, output_active_power=1.5)
    link = FakeLink("plant", family="studer", snapshot=connected(state))
    for profile, told in (("safe", 0), ("energy", 1)):
        dialect = GxDialect("gx", {"profile": profile}, FakeHub(link))
        for seconds in (0, 100):
            dialect.connected({"plant": link.snapshot}, at(seconds))
            dialect.receive("dbus-mqtt-devices/status", full(), True, at(seconds + 1))
        assert caplog.text.count("registers acload: the GX's power balance") == told
