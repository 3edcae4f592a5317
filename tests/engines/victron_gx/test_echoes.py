"""What an export has sent comes back from the GX; on a slow way late, and among wishes."""

from __future__ import annotations

import json
from typing import Any

from hardwired_engines.victron_gx.config import read_export
from hardwired_engines.victron_gx.exporter import Exporter, Memory, StartCall
from hardwired_engines.victron_gx.home import EntityState, Home
from hardwired_engines.victron_gx.protocol import Helper, Message, Setting

PORTAL = "c0ffee12ab34"
STATE = "SwitchableOutput/switch_pump/State"
REPLY = {
    "portalId": PORTAL,
    "deviceInstance": {"ctl": 1},
    "topicPath": {"ctl": {"W": f"W/{PORTAL}/switch/1"}},
    "extensions": 1,
}


class Pump:
    """A panel with one switch."""

    def __init__(self) -> None:
        config = {"template": "panel", "name": "Van", "entities": ["switch.pump"]}
        self.exporter = Exporter("key", read_export(config), "1", Memory())
        self.pump("on", 0)
        self.exporter.start(0)
        self.exporter.present(PORTAL, Helper(features=frozenset({"notify", "options"})), 0)
        self.said(0)

    def pump(self, state: str, now: float) -> None:
        states = {"switch.pump": EntityState("switch.pump", state)}
        self.exporter.home(Home(states), now)

    def replied(self, now: float) -> None:
        self.exporter.replied(json.dumps(REPLY).encode(), now)

    def set(self, value: int, now: float) -> list[str]:
        """Tell that the GX has set the switch; return the services that are called."""
        self.exporter.set(Setting("ctl", STATE, value), now)
        return self.called(now)

    def called(self, now: float) -> list[str]:
        """Return the services that are called; each ends at once, without an error."""
        found = []
        for action in self._taken():
            if isinstance(action, StartCall):
                found.append(action.call.service)
                self.exporter.called(action.number, done=True, now=now)
        return found

    def said(self, now: float) -> list[Any]:
        """Return what is sent of the switch's state."""
        self.exporter.tick(now)
        told = [json.loads(one.payload) for one in self._taken() if isinstance(one, Message)]
        return [one["values"][STATE] for one in told if STATE in one.get("values", {})]

    def _taken(self) -> list[Any]:
        actions, self.exporter.actions = self.exporter.actions, []
        return actions


def test_an_echo_that_comes_after_the_next_value_was_sent_is_no_wish() -> None:
    pump = Pump()
    pump.replied(0.1)
    assert pump.said(0.1) == [1]
    pump.pump("off", 1.5)
    assert pump.said(1.5) == [0]
    pump.exporter.set(Setting("ctl", STATE, 1), 2.5)  # sent first; the pump is off by now
    assert pump.said(2.5) == [0]  # the GX is told so, in case that somebody touched it
    assert pump.set(0, 2.9) == []


def test_an_echo_that_comes_after_a_wish_is_none() -> None:
    pump = Pump()
    pump.replied(0.1)
    pump.said(0.1)
    assert pump.set(0, 10) == ["switch.turn_off"]
    pump.pump("off", 10.5)
    assert pump.said(10.5) == [0]
    assert pump.set(1, 10.6) == ["switch.turn_on"]  # was touched before that arrived
    assert pump.set(0, 10.8) == []
    pump.pump("on", 11)
    assert pump.said(12) == [1]


def test_a_driver_that_is_registered_with_twice_calls_nothing() -> None:
    pump = Pump()
    pump.replied(0.1)
    assert pump.said(0.1) == [1]
    pump.exporter.ask(0.11)
    pump.replied(0.15)
    assert pump.set(1, 0.3) == []


def test_whoever_switches_to_and_fro_is_followed() -> None:
    pump = Pump()
    pump.replied(0.1)
    pump.said(0.1)
    assert pump.set(1, 0.2) == []
    services = ["switch.turn_off", "switch.turn_on"]
    for touch in range(8):
        now, on = 10 + 0.7 * touch, touch % 2
        assert pump.set(on, now) == [services[on]]
        pump.pump("on" if on else "off", now + 0.1)
        pump.said(now + 0.1)
