"""Wishes: window, rates, order, one answer each (spec c.6), in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from hardwired.bridge.sink import Outcome, Wish
from hardwired.bridge.wishes import WishQueue
from hardwired_engines.clock import ManualClock
from hardwired_engines.composite import Component, Composite, Part
from hardwired_engines.engine import Command, DeviceState, InvalidCommand, Refused
from tests.standalone.bridge.fake_family import FIELDS, HEATER


class Room(Composite):
    component = Component.CLIMATE
    key = "room"
    name = "Room"

    def exists(self, state: DeviceState) -> bool:
        return True

    def about(self, state: DeviceState) -> Any:
        return None

    def read(self, state: DeviceState) -> Mapping[Part, Any]:
        return {}

    def write(self, wishes: Sequence[Any], state: DeviceState) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for part, text in wishes:
            if text == "nonsense":
                raise InvalidCommand("room takes no nonsense")
            if part is Part.TARGET:
                found["target"] = float(text)
            if part is Part.POWER and state.values.get("mode") == "off":
                found["mode"] = "eco"
        return found


class World:
    def __init__(self, *, supersedes: bool = False) -> None:
        self.clock = ManualClock()
        self.commands: list[tuple[float, dict[str, Any]]] = []
        self.answers: list[tuple[str, str | None]] = []
        self.allow = asyncio.Event()
        self.allow.set()
        self.error: Exception | None = None
        self.coming: dict[str, Any] = {}
        self.state = DeviceState(HEATER, {}, fields=FIELDS)
        self.queue = WishQueue(
            self.clock,
            self.execute,
            self.state_of,
            lambda _kind: (Room(),),
            self.answer,
            supersedes=supersedes,
            expected=lambda state: state.with_values(**self.coming),
        )
        self.task = asyncio.create_task(self.queue.run())

    def state_of(self, device: str) -> DeviceState | None:
        return self.state if device == "heater" else None

    async def execute(self, command: Command) -> Mapping[str, Any]:
        self.commands.append((round(self.clock.monotonic(), 3), dict(command.values)))
        await self.allow.wait()
        if self.error is not None:
            raise self.error
        return {}

    def answer(self, sink: str, wish: Wish, outcome: Outcome) -> None:
        self.answers.append((wish.ticket, outcome.key))

    def wish(
        self, ticket: str, *, alone: bool = False, device: str = "heater", **values: Any
    ) -> None:
        wish = Wish(link="van", command=Command(device, values), alone=alone, ticket=ticket)
        self.queue.add("home", wish)

    def part(self, ticket: str, part: Part, text: str) -> None:
        command = Command("heater")
        wish = Wish(
            link="van", command=command, composite="room", parts=((part, text),), ticket=ticket
        )
        self.queue.add("home", wish)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    made.task.cancel()


async def test_one_window_is_one_command_and_the_later_value_counts(world: World) -> None:
    world.wish("a", target=20.0)
    await world.clock.advance(0.1)
    world.wish("b", mode="eco")
    world.wish("c", target=21.0)
    await world.clock.advance(0.1)
    assert world.commands == []
    await world.clock.advance(0.1)
    assert world.commands == [(0.25, {"mode": "eco", "target": 21.0})]
    assert world.answers == [("a", None), ("b", None), ("c", None)]


async def test_a_signal_waits_for_nobody(world: World) -> None:
    world.wish("a", alone=True, refresh=True)
    await world.clock.advance(0)
    assert world.commands == [(0.0, {"refresh": True})]


async def test_composites_and_fields_travel_together(world: World) -> None:
    world.part("a", Part.TARGET, "22")
    world.wish("b", mode="eco")
    await world.clock.advance(1)
    assert world.commands == [(0.25, {"mode": "eco", "target": 22.0})]


async def test_a_composite_builds_on_what_is_on_its_way(world: World) -> None:
    world.state = world.state.with_values(mode="eco")
    world.part("a", Part.POWER, "ON")
    await world.clock.advance(1)
    world.coming = {"mode": "off"}
    world.part("b", Part.POWER, "ON")
    await world.clock.advance(1)
    assert [values for _, values in world.commands] == [{"mode": "eco"}]
    assert world.answers == [("a", None), ("b", None)]


async def test_a_composite_builds_on_a_field_that_was_set_before_it(world: World) -> None:
    """Off and on in one window: what is on already asks for nothing, and off was what came."""
    world.state = world.state.with_values(mode="eco")
    world.wish("off", mode="off")
    world.part("on", Part.POWER, "ON")
    await world.clock.advance(1)
    assert [values for _, values in world.commands] == [{"mode": "eco"}]
    assert world.answers == [("off", None), ("on", None)]


async def test_of_a_field_and_a_composite_that_writes_it_the_later_counts(world: World) -> None:
    world.part("first", Part.TARGET, "21")
    world.wish("later", target=5)
    await world.clock.advance(1)
    world.wish("first", target=5)
    world.part("later", Part.TARGET, "21")
    world.part("last", Part.TARGET, "22")
    await world.clock.advance(1)
    assert [values for _, values in world.commands] == [{"target": 5}, {"target": 22.0}]
    assert len(world.answers) == 5


async def test_a_wrong_composite_is_answered_and_left_out(world: World) -> None:
    world.part("a", Part.MODE, "nonsense")
    world.wish("b", mode="eco")
    await world.clock.advance(1)
    assert world.commands == [(0.25, {"mode": "eco"})]
    assert world.answers == [("a", "invalid_command"), ("b", None)]


async def test_a_fulfilled_composite_sends_nothing(world: World) -> None:
    world.part("a", Part.MODE, "heat")
    await world.clock.advance(1)
    assert world.commands == []
    assert world.answers == [("a", None)]


async def test_a_newer_wish_reaches_an_engine_that_supersedes() -> None:
    """Auto after a boost that no row has confirmed yet (spec inventum g.3)."""
    world = World(supersedes=True)
    world.allow.clear()
    world.wish("on", boost=True)
    await world.clock.advance(0.3)
    world.wish("off", boost=False)
    await world.clock.advance(1.1)
    assert world.commands == [(0.25, {"boost": True}), (1.25, {"boost": False})]
    assert world.answers == []
    world.allow.set()
    await world.clock.advance(0)
    assert world.answers == [("on", None), ("off", None)]
    world.task.cancel()


async def test_no_more_than_eight_are_under_way() -> None:
    world = World(supersedes=True)
    world.allow.clear()
    for number in range(12):
        world.wish(str(number), device=f"d{number}", target=20.0)
    await world.clock.advance(1)
    assert len(world.commands) == 8
    world.allow.set()
    await world.clock.advance(1)
    assert len(world.answers) == 12
    world.task.cancel()


async def test_one_command_per_device_and_second(world: World) -> None:
    world.wish("a", target=20.0)
    await world.clock.advance(0.3)
    world.wish("b", target=21.0)
    await world.clock.advance(0.5)
    world.wish("c", target=22.0)
    await world.clock.advance(2)
    assert world.commands == [(0.25, {"target": 20.0}), (1.25, {"target": 22.0})]
    assert world.answers == [("a", None), ("b", None), ("c", None)]


async def test_one_at_a_time_in_order(world: World) -> None:
    world.allow.clear()
    world.wish("a", target=20.0)
    world.wish("b", device="aircon", target=25.0)
    await world.clock.advance(5)
    assert len(world.commands) == 1
    world.allow.set()
    await world.clock.advance(0.1)
    assert [values for _, values in world.commands] == [{"target": 20.0}, {"target": 25.0}]


async def test_who_waits_too_long_is_told_busy(world: World) -> None:
    world.allow.clear()
    world.wish("a", target=20.0)
    await world.clock.advance(1)
    world.wish("b", target=21.0)
    await world.clock.advance(31)
    assert world.answers == [("b", "busy")]
    world.allow.set()
    await world.clock.advance(1)
    assert world.answers == [("b", "busy"), ("a", None)]


async def test_rates(world: World) -> None:
    for number in range(60):
        world.wish(str(number), device=f"d{number}", target=20.0)
    await world.clock.advance(1)
    assert [key for _, key in world.answers].count("rate_limited") == 50
    assert len(world.commands) == 10
    await world.clock.advance(2)
    world.wish("later", device="x", target=20.0)
    await world.clock.advance(1)
    assert world.answers[-1] == ("later", None)


@pytest.mark.parametrize(
    ("error", "key"), [(Refused("no"), "refused_by_device"), (RuntimeError("x"), "failed")]
)
async def test_errors_are_answers(world: World, error: Exception, key: str) -> None:
    world.error = error
    world.wish("a", target=20.0)
    world.wish("b", mode="eco")
    await world.clock.advance(1)
    assert world.answers == [("a", key), ("b", key)]


async def test_closed(world: World) -> None:
    world.wish("a", target=20.0)
    world.queue.close()
    world.wish("b", target=20.0)
    await world.clock.advance(1)
    assert world.answers == [("a", "busy"), ("b", "busy")]
    assert world.commands == []
