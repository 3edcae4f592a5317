"""The engine on real terminals and sockets, with a simulated inverter at the other end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.clock import Clock, SystemClock
from hardwired_engines.engine import Command, InvalidCommand, NotConfirmed, Reason
from hardwired_engines.factory import Surroundings
from hardwired_engines.simulating import on_pty, on_tcp_port
from hardwired_engines.sunsynk import FACTORY
from hardwired_engines.sunsynk.engine import SunsynkEngine
from hardwired_engines.sunsynk.simulator.modbus import ModbusFaults, ModbusSimulator, ModbusWorld

SERIAL = "2200000001"
NOON = datetime(2026, 6, 14, 12)  # noqa: DTZ001 - the inverter's wall clock


def a_world(**faults: Any) -> ModbusWorld:
    return ModbusWorld(lambda: NOON, faults=ModbusFaults(**faults))


@asynccontextmanager
async def asking(
    link: str, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[SunsynkEngine]:
    """Run an engine on a link."""
    surroundings = Surroundings() if clock is None else Surroundings(clock=clock)
    values = {"source": "modbus", "link": link, "interval": 1, "timeout": 0.4, **settings}
    engine: SunsynkEngine = FACTORY.make(FACTORY.read(values), surroundings)
    task = asyncio.ensure_future(engine.run(lambda _: None))
    try:
        yield engine
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait in real time."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def on_terminal(world: ModbusWorld, link: Path) -> AsyncIterator[None]:
    """Serve an inverter on a terminal."""
    line = asyncio.ensure_future(on_pty(lambda: ModbusSimulator(world), link))
    try:
        await until(link.exists)
        yield
    finally:
        line.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await line


async def test_a_terminal_on_which_answers_are_lost(tmp_path: Path) -> None:
    """The port is closed and opened again after each time-out, and the setting arrives."""
    world, link = a_world(drop=0.1), tmp_path / "line"
    async with on_terminal(world, link), asking(str(link), write_enabled=True) as engine:
        await until(lambda: engine.snapshot.connected and engine.statistics.timeouts)
        world.faults = ModbusFaults()
        await engine.execute(Command(SERIAL, {"inverter_program_soc_1": 60}))
        assert world.inverters[1].settings[268] == 60
        assert engine.snapshot.value(SERIAL, "inverter_program_soc_1") == 60


class UnsetClock(SystemClock):
    """The real clock, which no time server has set."""

    def synchronised(self) -> bool:
        return False


async def test_a_clock_that_no_server_has_set_is_not_written(tmp_path: Path) -> None:
    """Issue 13, number 8: a time of the owner's own is the owner's word."""
    world, link = a_world(), tmp_path / "line"
    settings = {"write_enabled": True, "time_zone": "UTC"}
    async with on_terminal(world, link), asking(str(link), UnsetClock(), **settings) as engine:
        await until(lambda: engine.snapshot.connected)
        with pytest.raises(InvalidCommand) as caught:
            await engine.execute(Command(SERIAL, name="set_clock"))
        assert caught.value.key == "clock_not_synchronised"
        assert world.inverters[1].written == []
        wanted = datetime(2026, 6, 14, 18, tzinfo=UTC)
        await engine.execute(Command(SERIAL, name="set_clock", options={"time": wanted}))
        assert abs(world.inverters[1].clock_offset - timedelta(hours=6)) < timedelta(minutes=5)


async def test_an_adapter_that_is_pulled_and_plugged_in_again(tmp_path: Path) -> None:
    world, link = a_world(), tmp_path / "line"
    async with asking(str(link)) as engine:
        await until(lambda: engine.snapshot.reason is Reason.NOT_FOUND)
        async with on_terminal(world, link):
            engine.wake()
            await until(lambda: engine.snapshot.connected)
        await until(lambda: not engine.snapshot.connected)
        assert not engine.snapshot.devices[SERIAL].available
        async with on_terminal(world, link):
            await until(lambda: engine.wake() or engine.snapshot.connected)
            assert engine.snapshot.devices[SERIAL].available


async def test_a_setting_under_way_when_the_line_is_closed_is_not_confirmed(
    tmp_path: Path,
) -> None:
    world, link = a_world(), tmp_path / "line"
    async with on_terminal(world, link):
        async with asking(str(link), write_enabled=True, timeout=30) as engine:
            await until(lambda: engine.snapshot.connected)
            sent = engine.statistics.frames_out
            world.faults = ModbusFaults(drop=1)
            wish = asyncio.ensure_future(
                engine.execute(Command(SERIAL, {"inverter_program_soc_1": 60}))
            )
            await until(lambda: engine.statistics.frames_out > sent)
        with pytest.raises(NotConfirmed):
            await wish


async def test_a_gateway_that_restarts_and_one_that_passes_raw_frames_on() -> None:
    world = a_world()
    async with on_tcp_port(lambda: ModbusSimulator(world, tcp=True)) as port:
        async with asking(f"socket://127.0.0.1:{port}") as engine:
            await until(lambda: engine.snapshot.connected)
            assert engine.counters()["framing"] == "tcp"
    async with on_tcp_port(lambda: ModbusSimulator(world)) as port:
        async with asking(f"socket://127.0.0.1:{port}", timeout=0.3) as engine:
            await until(lambda: engine.wake() or engine.snapshot.connected)
            assert engine.counters()["framing"] == "rtu"


async def test_nobody_listens() -> None:
    async with asking("socket://127.0.0.1:1") as engine:
        await until(lambda: engine.snapshot.reason is Reason.REFUSED)
