"""The engine on real wires: pseudo-terminals and sockets, real time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.clock import Clock, SystemClock
from hardwired_engines.engine import Command, InvalidCommand, LinkError, Reason, Snapshot
from hardwired_engines.factory import ProbeResult, Surroundings
from hardwired_engines.link import AsyncioStream
from hardwired_engines.simulating import connecting_out, on_pty, on_tcp_port, serve
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer import FACTORY
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator.runners import Moxa
from hardwired_engines.studer.simulator.settings import settings_from
from hardwired_engines.studer.simulator.world import World
from tests.ports import free_port

from .double import plant

pytestmark = pytest.mark.slow


async def until(condition: Callable[[], bool], limit: float = 60.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def background(coroutine: Any) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


@asynccontextmanager
async def engine_on(
    url: str,
    storage: MemoryStorage | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[StuderEngine, list[Snapshot]]]:
    engine = StuderEngine(
        StuderSettings.from_mapping({"link": url, "answer_timeout": 0.5, **settings}),
        clock,
        storage=storage,
    )
    snapshots: list[Snapshot] = []
    async with background(engine.run(snapshots.append)):
        yield engine, snapshots


def waits_for_peer(snapshots: list[Snapshot]) -> bool:
    """Whether a gateway can connect now."""
    return bool(snapshots) and snapshots[-1].reason is Reason.WAITING_FOR_PEER


def value(snapshots: list[Snapshot], key: str = "output_current") -> Any:
    return snapshots[-1].value("12340065", key) if snapshots else None


async def test_a_serial_port(tmp_path: Path) -> None:
    port = tmp_path / "xcom"
    storage = MemoryStorage()
    async with background(on_pty(lambda: plant(2, latency=0.001), port)):
        await until(port.exists)
        async with engine_on(str(port), storage) as (engine, snapshots):
            await until(lambda: value(snapshots) == 4.0)
            assert str(engine.serial_settings) == "38400 8E1"
            assert storage.data["serial"] == "38400 8E1"
        assert not [task for task in asyncio.all_tasks() if "Line" in repr(task)]


class HostClock(SystemClock):
    """The real clock, of which a test says what the system knows."""

    known: bool | None = False

    def synchronised(self) -> bool | None:
        return self.known


async def test_a_clock_that_no_server_has_set_is_not_written(tmp_path: Path) -> None:
    """Issue 13, number 8: a time of the owner's own is the owner's word."""
    port, clock, double = tmp_path / "xcom", HostClock(), plant(1, latency=0.001)
    async with background(on_pty(lambda: double, port)):
        await until(port.exists)
        async with engine_on(str(port), clock=clock) as (engine, snapshots):
            await until(lambda: bool(snapshots) and snapshots[-1].connected)
            gateway = next(name for name in snapshots[-1].devices if name.startswith("xcom_"))
            with pytest.raises(InvalidCommand) as caught:
                await engine.execute(Command(gateway, name="sync_clock", options={"force": True}))
            assert caught.value.key == "clock_not_synchronised"
            assert double.writes() == []
            own = datetime(2026, 6, 14, 18, tzinfo=UTC)
            await engine.execute(Command(gateway, {"date": own}))
            assert len(double.writes()) == 1
            clock.known = None
            await engine.execute(Command(gateway, name="sync_clock"))
            assert len(double.writes()) == 2


async def test_serial_settings_are_found_out(tmp_path: Path) -> None:
    """An Xcom that was raised to 115200 stays silent at 38400."""
    port = tmp_path / "xcom"
    double = plant(1, latency=0.001)

    def right_speed() -> bool:
        with contextlib.suppress(OSError), open(port, "rb", buffering=0) as terminal:  # noqa: PTH123
            return termios.tcgetattr(terminal.fileno())[4] == termios.B115200
        return False

    double.rules.append(lambda _request: NotImplemented if right_speed() else None)
    async with background(on_pty(lambda: double, port)):
        await until(port.exists)
        storage = MemoryStorage()
        async with engine_on(str(port), storage) as (engine, snapshots):
            await until(lambda: value(snapshots) == 4.0, 30)
            assert str(engine.serial_settings) == "115200 8E1"
        # The next start begins with what worked.
        double.log.clear()
        async with engine_on(str(port), storage) as (engine, snapshots):
            await until(lambda: value(snapshots) == 4.0, 30)
            assert engine.statistics.timeouts == 0


async def test_a_port_that_another_holds(tmp_path: Path) -> None:
    port = tmp_path / "xcom"
    async with background(on_pty(lambda: plant(1, latency=0.001), port)):
        await until(port.exists)
        async with engine_on(str(port)) as (_, first):
            await until(lambda: bool(first) and first[-1].connected)
            async with engine_on(str(port)) as (_, second):
                await until(lambda: bool(second) and second[-1].reason is Reason.BUSY)


async def test_a_missing_port() -> None:
    async with engine_on("/dev/does-not-exist") as (_, snapshots):
        await until(lambda: bool(snapshots) and snapshots[-1].reason is Reason.NOT_FOUND)


async def test_the_xcom_lan_connects_to_us() -> None:
    port = free_port()
    async with engine_on(f"listen://127.0.0.1:{port}") as (engine, snapshots):
        await until(lambda: bool(snapshots) and snapshots[-1].reason is Reason.WAITING_FOR_PEER)
        double = plant(2, latency=0.001)
        async with background(connecting_out(lambda: double, "127.0.0.1", port, 0.05)):
            await until(lambda: value(snapshots) == 4.0)
            # It hangs up, and comes back.
            double.hung_up = True
            double.later(0, b"x")
            await until(lambda: not snapshots[-1].connected)
            double.hung_up = False
            engine.wake()
            await until(lambda: snapshots[-1].connected)
            await until(lambda: value(snapshots) == 4.0)
    # The port is free again.
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_the_newest_connection_wins() -> None:
    port = free_port()
    first, second = plant(1, latency=0.001), plant(1, latency=0.001)
    second.units[101].values[3022] = 7.0
    async with engine_on(f"listen://127.0.0.1:{port}", shared_line=False) as (engine, snapshots):
        await until(lambda: waits_for_peer(snapshots))
        async with background(connecting_out(lambda: first, "127.0.0.1", port, 60)):
            await until(lambda: value(snapshots) == 4.0)

            async def join() -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await serve(second, AsyncioStream(reader, writer), SystemClock())

            async with background(join()):
                await until(lambda: not snapshots[-1].connected)
                engine.wake()
                await until(lambda: value(snapshots) == 7.0)


async def test_only_the_right_peer_is_let_in() -> None:
    port = free_port()
    async with engine_on(f"listen://127.0.0.1:{port}?peer=192.0.2.7") as (_, snapshots):
        await until(lambda: waits_for_peer(snapshots))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        assert waits_for_peer(snapshots)


async def test_who_is_told_that_we_wait_can_connect() -> None:
    port = free_port()
    engine = StuderEngine(StuderSettings.from_mapping({"link": f"listen://127.0.0.1:{port}"}))
    connected: list[bool] = []

    def connect_when_told(snapshot: Snapshot) -> None:
        if waits_for_peer([snapshot]):
            with socket.socket() as moxa:
                connected.append(moxa.connect_ex(("127.0.0.1", port)) == 0)

    async with background(engine.run(connect_when_told)):
        await until(lambda: bool(connected))
    assert all(connected)


async def test_a_listening_port_that_is_taken_is_named() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        async with engine_on(f"listen://127.0.0.1:{port}") as (_, snapshots):
            await until(lambda: bool(snapshots) and snapshots[-1].reason is Reason.BUSY)
            assert str(port) in str(snapshots[-1].detail)


async def test_a_moxa_that_is_a_server() -> None:
    async with (
        on_tcp_port(lambda: plant(2, latency=0.001)) as port,
        engine_on(f"tcp://127.0.0.1:{port}") as (_, snapshots),
    ):
        await until(lambda: value(snapshots) == 4.0)


async def test_a_moxa_by_datagrams() -> None:
    ours, theirs = free_port(), free_port()
    double = plant(1)

    class Moxa(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            double.receive(data, 0.0)
            while answer := double.transmit(1e9):
                # Split: one datagram is not one frame.
                transport.sendto(answer[:7], ("127.0.0.1", ours))
                transport.sendto(answer[7:], ("127.0.0.1", ours))

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Moxa, local_addr=("127.0.0.1", theirs)
    )
    try:
        async with engine_on(f"udp://127.0.0.1:{theirs}?local_port={ours}") as (_, snapshots):
            await until(lambda: value(snapshots) == 4.0)
    finally:
        transport.close()


async def test_a_refused_connection() -> None:
    async with engine_on(f"tcp://127.0.0.1:{free_port()}") as (_, snapshots):
        await until(lambda: bool(snapshots) and snapshots[-1].reason is Reason.REFUSED)


async def test_a_probe_finds_everything_and_leaves_the_port_free(tmp_path: Path) -> None:
    port = tmp_path / "xcom"
    steps: list[ProbeResult] = []
    async with background(on_pty(lambda: plant(3, latency=0.001), port)):
        await until(port.exists)
        settings = StuderSettings(str(port), answer_timeout=0.5)
        for _ in range(2):
            found = await FACTORY.probe(settings, Surroundings(), on_progress=steps.append)
            assert [device.name for device in found.devices] == [
                "Xcom", "Xtender 1 L1", "Xtender 2 L2", "Xtender 3 L3",
            ]  # fmt: skip
            assert found.unique_id == "12340065"
            assert found.settings == {"serial": "38400 8E1"}
            assert found.devices[2].address == "102"
            assert found.counters["latency_ms"] < 100
    asked = [step.counters["asked"] for step in steps[:41]]
    assert asked == sorted(asked)
    assert steps[-1].fraction == 1.0
    assert steps[-1].counters["found"] == 3


async def test_a_probe_tells_why_it_failed(tmp_path: Path) -> None:
    port = tmp_path / "xcom"
    double = plant(1, latency=0.001)
    double.rules.append(lambda _request: None)
    async with background(on_pty(lambda: double, port)):
        await until(port.exists)
        with pytest.raises(LinkError) as error:
            await FACTORY.probe(StuderSettings(str(port), answer_timeout=0.5), Surroundings())
        assert error.value.reason is Reason.SILENT
        double.rules[0] = lambda _request: b"\x99\x12\xfe"
        with pytest.raises(LinkError) as error:
            await FACTORY.probe(StuderSettings(str(port), answer_timeout=0.5), Surroundings())
        assert error.value.reason is Reason.NOISE


async def test_an_unplugged_adapter_comes_back(tmp_path: Path) -> None:
    port = tmp_path / "xcom"
    double = plant(1, latency=0.001)
    async with background(on_pty(lambda: double, port)):
        await until(port.exists)
        async with engine_on(str(port)) as (engine, snapshots):
            await until(lambda: value(snapshots) == 4.0)
            double.hung_up = True
            double.later(0, b"x")
            await until(lambda: not snapshots[-1].connected)
            double.hung_up = False
            await until(port.exists)
            await until(lambda: engine.wake() is None and snapshots[-1].connected, 30)
            await until(lambda: value(snapshots) == 4.0)


# ------------------------------------------------------------------------------ issue 13, number 4


@asynccontextmanager
async def moxa_linked(**settings: Any) -> AsyncIterator[tuple[Any, Any, int, Any]]:
    """Yield an engine that listens, its snapshots, the port, and the Moxa that is connected."""
    port = free_port()
    world = World(settings_from({"xtenders": "1", "latency_ms": "1", "baud": "0", "lan": "1"}))
    dialler = Moxa(world, "127.0.0.1", port, redial=0.1)
    async with (
        engine_on(f"listen://127.0.0.1:{port}", **settings) as (engine, snapshots),
        background(dialler.run()),
    ):
        await until(lambda: bool(snapshots) and snapshots[-1].connected)
        yield engine, snapshots, port, dialler


async def closed_by_us(reader: asyncio.StreamReader) -> None:
    """Wait until the other end has closed; what it says meanwhile is ignored."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass


@pytest.mark.parametrize("manner", ["closed_at_once", "silent", "talks_nonsense", "echoes"])
async def test_a_stray_connection_does_not_end_the_link(manner: str) -> None:
    async with moxa_linked() as (engine, snapshots, port, dialler):
        dialled, shown = dialler.dialled, len(snapshots)
        heard = engine.statistics.frames_in
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        match manner:
            case "closed_at_once":
                writer.close()
            case "silent":
                await closed_by_us(reader)
            case "talks_nonsense":
                writer.write(b"GET / HTTP/1.1\r\n\r\n" * 100)
                await closed_by_us(reader)
            case _:
                with contextlib.suppress(ConnectionError):
                    while data := await reader.read(4096):
                        writer.write(data)
        writer.close()
        await until(lambda: engine.diagnostics()["connections_refused"] == 1)
        await until(lambda: engine.statistics.frames_in > heard + 5)
        assert all(snapshot.connected for snapshot in snapshots[shown:])
        assert (engine.statistics.reconnects, dialler.dialled) == (0, dialled)


async def test_a_flood_of_connections_is_limited_and_counted() -> None:
    async with moxa_linked() as (engine, snapshots, port, dialler):
        dialled = dialler.dialled
        calls = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        async with asyncio.timeout(20):
            await asyncio.gather(*(closed_by_us(reader) for reader, _ in calls))
        assert engine.diagnostics()["connections_refused"] == 60
        assert snapshots[-1].connected
        assert (engine.statistics.reconnects, dialler.dialled) == (0, dialled)
        for _, writer in calls:
            writer.close()


async def test_a_gateway_that_comes_anew_takes_the_place_of_its_dead_connection() -> None:
    async with moxa_linked() as (engine, snapshots, port, dialler):
        world = dialler._world
        world.inject("half_open", SystemClock().monotonic())
        world.advance(SystemClock().monotonic())
        await until(lambda: dialler.dialled >= 2, 30)
        heard = engine.statistics.frames_in
        await until(
            lambda: snapshots[-1].connected and engine.statistics.frames_in > heard + 20, 30
        )
        assert port
