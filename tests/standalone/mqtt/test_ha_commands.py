"""What real Home Assistants publish for an action is one command or request (spec c.6, c.9)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from hardwired.bridge.sink import Moment, Outcome, Publication, Request, Wish
from hardwired.bridge.wishes import WINDOW, WishQueue
from hardwired.mqtt.native import NativeDialect
from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Command, Device, DeviceState, Snapshot
from hardwired_engines.factory import factory_of
from tests.standalone.mqtt.fakes import (
    WALL,
    FakeFactory,
    FakeHub,
    FakeLink,
    MemoryStore,
    connected,
    opened,
)
from tests.standalone.mqtt.worlds import state_of
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors

VALUES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("fan.turn_on", "{}"): {"boost": True},
    ("fan.turn_on", '{"preset_mode": "auto"}'): {"boost": False},
    ("climate.set_temperature", '{"temperature": 21}'): {"target_temp_room": 21.0},
    ("climate.set_fan_mode", '{"fan_mode": "high"}'): {"heating_mode": "high"},
    ("water_heater.set_operation_mode", '{"operation_mode": "eco"}'): {"water_mode": "eco"},
    ("number.set_value", '{"value": 22.5}'): {"wish_temperature": 22.5},
    ("select.select_option", '{"option": "high"}'): {"mode": "high"},
    ("text.set_value", '{"value": "Grüße"}'): {"label": "Grüße"},
}
"""The command of some actions; the others must make one, or need none."""


def device(name: str, family: str | None = None) -> DeviceState:
    """Return a device of the vectors; of a *family*, with the fields that it really has."""
    (case,) = [one for one in load("bridge", "discovery.json")["cases"] if one["name"] == name]
    if family is None:
        return state_of(case["device"], case["fields"], case["values"])
    told = Device(**case["device"])
    fields = factory_of(family).catalogues[told.kind]
    values = {key: value for key, value in case["values"].items() if key in fields}
    return DeviceState(told, values, fields=fields)


class World:
    """The devices of the vectors behind one native dialect, and queues that lead to nothing."""

    def __init__(self) -> None:
        states = {
            "van": device("truma_heater", "truma"),
            "ventilation": device("inventum_fan", "inventum"),
            "garden": device("everything"),
        }
        families = {"van": "truma", "ventilation": "inventum"}
        links = [
            FakeLink(
                name,
                snapshot=connected(state),
                factory=factory_of(families[name]) if name in families else FakeFactory(),
            )
            for name, state in states.items()
        ]
        plant = FakeLink("plant", snapshot=Snapshot(), factory=FakeFactory(requests=["fast"]))
        self.hub = FakeHub(*links, plant)
        self.states = {state.device.id: state for state in states.values()}
        self.links = {link.name: link for link in links}
        self.dialect = NativeDialect("mqtt", {}, self.hub, MemoryStore())
        self.said = opened(
            self.dialect,
            {name: view.snapshot for name, view in self.hub.links.items()},
            Moment(0.0, WALL),
        )
        self.commands: list[Command] = []
        self.answers: list[str | None] = []

    async def execute(self, command: Command) -> Mapping[str, Any]:
        self.commands.append(command)
        return {}

    def answered(self, sink: str, wish: Wish, outcome: Outcome) -> None:
        self.answers.append(outcome.key)


@pytest.fixture(scope="module")
def command_topics() -> set[str]:
    found: set[str] = set()
    for one in World().said:
        if isinstance(one, Publication) and one.topic.endswith("/config") and one.payload:
            for component in json.loads(one.payload)["components"].values():
                found |= {text for key, text in component.items() if key.endswith("command_topic")}
    return found


@pytest.mark.parametrize("call", cases("bridge", "ha_commands.json", "calls"))
async def test_an_action_is_one_command(call: dict[str, Any], command_topics: set[str]) -> None:
    world, clock = World(), ManualClock()
    actions = []
    for topic, payload, _qos, retained in call["messages"]:
        assert topic in command_topics
        actions += world.dialect.receive(topic, payload.encode(), retained, Moment(0.0, WALL))
    if "bridge/request" in call["messages"][0][0]:
        # A Request or a Wish of a family's verb; a refusal would be a Publication.
        assert [isinstance(one, (Request, Wish)) for one in actions] == [True]
        return
    wishes = [one for one in actions if isinstance(one, Wish)]
    assert wishes == actions, actions
    view = world.links[wishes[0].link]
    queue = WishQueue(
        clock, world.execute, world.states.get, view.factory.composites, world.answered
    )
    task = asyncio.create_task(queue.run())
    for wish in wishes:
        queue.add("mqtt", wish)
    await clock.advance(WINDOW + 0.01)
    task.cancel()
    # Inventum takes no speed between: auto and boost are all that can be set (its h.2).
    slow = [one for one in call["messages"] if one[0].endswith("/speed/set") and one[1] in "12"]
    assert world.answers == ["speed_not_supported" if slow else None] * len(wishes)
    assert len(world.commands) <= 1
    expected = VALUES.get((call["call"], json.dumps(call["data"], ensure_ascii=False)))
    if expected is not None:
        (command,) = world.commands
        assert dict(command.values).items() >= expected.items()
