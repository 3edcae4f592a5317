"""An engine on a simulated unit, in virtual time, and somebody who asks things of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Command
from hardwired_engines.factory import Surroundings
from hardwired_engines.inventum import FACTORY
from hardwired_engines.inventum.engine import InventumEngine
from hardwired_engines.inventum.simulator.device import SimulatedEcolution
from hardwired_engines.storage import MemoryStorage

DEVICE = "ecolution"


class Owner:
    """An engine with its unit, and somebody who asks things of it."""

    def __init__(self, query: str, clock: ManualClock, storage: MemoryStorage, **more: Any) -> None:
        self.clock = clock
        self.storage = storage
        settings = FACTORY.read({"link": f"sim://?odds=1&seed=3&{query}", **more})
        surroundings = Surroundings(clock=clock, storage=storage)
        engine = FACTORY.make(settings, surroundings)
        assert isinstance(engine, InventumEngine)
        self.engine = engine
        self.occurrences: list[Any] = []

    @property
    def unit(self) -> SimulatedEcolution:
        device = self.engine._simulation._device
        assert isinstance(device, SimulatedEcolution)
        return device

    def value(self, key: str) -> Any:
        return self.engine.snapshot.value(DEVICE, key)

    async def until(self, true: Callable[[], Any], limit: float = 600.0) -> float:
        """Let the time pass until it is true; returns how long that took."""
        started = self.clock.monotonic()
        while not true():
            assert self.clock.monotonic() - started < limit, self.engine.dialogue.state_name
            await self.clock.advance(0.1)
        return self.clock.monotonic() - started

    async def logging(self) -> None:
        await self.until(lambda: self.engine.snapshot.connected)

    def wish(self, minutes: int | None = None, **values: Any) -> asyncio.Task[Any]:
        options = {} if minutes is None else {"minutes": minutes}
        return asyncio.ensure_future(
            self.engine.execute(Command(DEVICE, values=values, options=options))
        )

    async def done(self, wish: asyncio.Task[Any], limit: float = 600.0) -> float:
        passed = await self.until(wish.done, limit)
        wish.result()
        return passed


@asynccontextmanager
async def owner(
    query: str = "interval=1",
    clock: ManualClock | None = None,
    storage: MemoryStorage | None = None,
    unit: SimulatedEcolution | None = None,
    **more: Any,
) -> AsyncIterator[Owner]:
    clock = clock or ManualClock()
    one = Owner(query, clock, storage or MemoryStorage(), **more)
    if unit is not None:
        from hardwired_engines.inventum.simulator.runner import Simulation

        one.engine._simulation = Simulation(clock)
        one.engine._simulation._device = unit
    task = asyncio.ensure_future(one.engine.run(lambda _: None, one.occurrences.append))
    try:
        await clock.advance(0.1)
        yield one
    finally:
        task.cancel()
        while not task.done():
            await clock.advance(0.5)
        with contextlib.suppress(asyncio.CancelledError):
            await task
