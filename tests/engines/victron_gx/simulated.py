"""An engine on a simulated GX, in time that is turned by hand."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Message, Snapshot
from hardwired_engines.factory import Surroundings
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.victron_gx import FACTORY
from hardwired_engines.victron_gx.engine import VictronGxEngine
from hardwired_engines.victron_gx.home import EntityState
from hardwired_engines.victron_gx.simulator.gx import PORTAL, SimulatedGx, forget, simulated

_numbers = itertools.count()

PANEL = {
    "template": "panel",
    "name": "Galley",
    "entities": ["switch.pump", "light.cabin", "sensor.load"],
}
FRIDGE = {"template": "sensor", "name": "Fridge", "temperature": "sensor.fridge", "kind": 1}


class House:
    """Home Assistant as the engine sees it: entities that follow what is called."""

    def __init__(self, engine: VictronGxEngine) -> None:
        self.engine = engine
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.follows = True
        self.fails: Exception | None = None
        self.gate: asyncio.Event | None = None
        engine.host = self

    def set(self, entity_id: str, state: str, **attributes: Any) -> None:
        self.engine.update([EntityState(entity_id, state, attributes)])

    async def call(self, service: str, data: Mapping[str, Any]) -> None:
        self.calls.append((service, data))
        if self.gate is not None:
            await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        if self.follows and service.endswith((".turn_on", ".turn_off")):
            self.set(str(data["entity_id"]), "on" if service.endswith("on") else "off")


class World:
    """Everything of one test."""

    def __init__(
        self,
        exports: Mapping[str, Any] | None = None,
        *,
        storage: MemoryStorage | None = None,
        gx: str = "",
        portal: str | None = PORTAL,
    ) -> None:
        self.name = f"test{next(_numbers)}"
        self.clock = ManualClock()
        self.gx: SimulatedGx = simulated(f"sim://{self.name}?{gx}")
        self.storage = storage or MemoryStorage()
        values = {
            "link": f"sim://{self.name}",
            "exports": {"galley": PANEL} if exports is None else exports,
            "version": "0.1.0",
        }
        if portal is not None:
            values["portal"] = portal
        surroundings = Surroundings(clock=self.clock, storage=self.storage)
        engine = FACTORY.make(FACTORY.read(values), surroundings)
        assert isinstance(engine, VictronGxEngine)
        self.engine = engine
        self.house = House(engine)
        self.told: list[Message] = []

    @property
    def snapshot(self) -> Snapshot:
        return self.engine.snapshot

    def value(self, device: str, key: str) -> Any:
        return self.snapshot.value(device, key)

    def notices(self) -> set[str]:
        return {notice.key for notice in self.snapshot.notices}

    def on_gx(self, path: str, service: str = "ctl", client: str = "ha_galley") -> Any:
        device = self.gx.driver.devices.get(client)
        return None if device is None else device.values.get((service, path))

    async def until(self, condition: Callable[[], Any], within: float = 60.0) -> Any:
        """Turn the clock until a condition holds; its time is what counts, not the machine's."""
        for _ in range(int(within / 0.25)):
            # What travels through a socket takes turns of the loop, not time.
            for _ in range(20):
                if found := condition():
                    return found
                await self.clock.advance(0)
            await self.clock.advance(0.25)
        raise AssertionError(f"not within {within} s: {self.snapshot}")

    async def later(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            await self.clock.advance(0.25)
            await self.clock.advance(0)
        for _ in range(20):
            await self.clock.advance(0)

    @contextlib.asynccontextmanager
    async def running(self, *, started: bool = True) -> AsyncIterator[World]:
        def occur(occurrence: Any) -> None:
            self.told.append(occurrence)

        if started:
            self.engine.started()
        task = asyncio.ensure_future(self.engine.run(lambda _snapshot: None, occur))
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            forget(self.name)


def galley(world: World) -> None:
    """Give the panel's entities their states."""
    world.house.set("switch.pump", "off", friendly_name="Water pump")
    world.house.set("light.cabin", "off", supported_color_modes=["brightness"], brightness=None)
    world.house.set("sensor.load", "12.5", unit_of_measurement="A")
