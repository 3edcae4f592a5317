"""An export that is offered before it is made: what the GX makes of it (spec H.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hardwired_engines.engine import Command, InvalidCommand
from hardwired_engines.victron_gx.config import ConfigError
from hardwired_engines.victron_gx.engine import TRIAL, Tried
from hardwired_engines.victron_gx.home import EntityState

from .simulated import FRIDGE, PANEL, World, galley

TOLD = {**FRIDGE, "client_id": "ha_fridge"}
STATE = EntityState("sensor.fridge", "4.0", {"unit_of_measurement": "°C"})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    galley(found)
    async with found.running():
        await found.until(lambda: found.value("galley", "registered"))
        yield found


async def try_out(world: World, told: Any = TOLD, within: float = 60.0) -> Tried | None:
    asked = asyncio.ensure_future(world.engine.try_out(told, [STATE]))
    await world.until(asked.done, within)
    return await asked


def on_gx(world: World) -> bool:
    return "ha_fridge" in world.gx.driver.devices


async def test_what_is_kept_never_leaves_the_gx(world: World) -> None:
    found = await try_out(world)
    assert found is not None
    assert set(found.services) == {"t"}
    kind, number = found.services["t"]
    assert (kind, found.message) == ("temperature", "")
    await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 4.0)
    assert set(world.snapshot.devices) == {"helper", "galley"}  # it is nobody's device yet
    assert set(world.engine.exports) == {"galley"}
    before = world.gx.driver.devices["ha_fridge"]
    world.engine.set_exports({"galley": PANEL}, frozenset())  # as after any change elsewhere
    world.engine.set_exports({"galley": PANEL, "fridge": TOLD}, frozenset())
    await world.until(lambda: world.value("fridge", "registered"))
    world.engine.withdraw("ha_fridge")  # the dialog is closed; it is an export by now
    assert world.value("fridge", "t_instance") == number
    world.house.set("sensor.fridge", "5.0", unit_of_measurement="°C")
    await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 5.0)
    assert world.gx.driver.devices["ha_fridge"] is before
    await world.later(TRIAL + 10)
    assert world.value("fridge", "registered")
    assert world.gx.driver.devices["ha_fridge"] is before
    world.engine.set_exports({"galley": PANEL}, frozenset())
    await world.until(lambda: not on_gx(world))


async def test_what_is_not_kept_leaves_the_gx(world: World) -> None:
    await try_out(world)
    assert on_gx(world)
    with pytest.raises(InvalidCommand):
        options = {"client_id": "ha_fridge", "status": '{"services": {"t": "tank"}}'}
        await world.engine.execute(Command("helper", name="register", options=options))
    world.engine.withdraw("ha_fridge")
    await world.until(lambda: not on_gx(world))
    await try_out(world)
    await world.later(TRIAL - 10)
    assert on_gx(world)
    await world.until(lambda: not on_gx(world))
    assert world.value("galley", "registered")


async def test_another_export_takes_the_place_of_what_was_tried(world: World) -> None:
    await try_out(world)
    other = {**TOLD, "kind": 4}
    world.engine.set_exports({"galley": PANEL, "fridge": other}, frozenset())
    await world.until(lambda: world.value("fridge", "registered"))
    await world.later(5)
    told = world.gx.driver.devices["ha_fridge"].status["options"]["t"]
    assert told["defaults"]["TemperatureType"] == 4


async def test_what_the_driver_does_not_take_is_said(world: World) -> None:
    world.gx.driver.errors = {"t": "name in use by device x"}
    found = await try_out(world)
    assert found is not None
    assert found.message == "t: name in use by device x"
    world.engine.withdraw("ha_fridge")
    await world.until(lambda: not on_gx(world))
    world.gx.driver.types = ("switch",)
    world.gx.driver.announce()
    await world.later(2)
    assert await try_out(world) == Tried({}, "unknown types: temperature")
    assert not on_gx(world)
    with pytest.raises(ConfigError):
        await world.engine.try_out({"template": "no such"}, [])


async def test_nobody_answers(world: World) -> None:
    world.gx.driver.silent = True
    assert await try_out(world) is None
    world.gx.driver.stop()
    await world.later(1)
    assert await try_out(world, within=0.5) is None
