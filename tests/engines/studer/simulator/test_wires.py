"""The simulated Xcom on real wires: terminal, TCP both ways, UDP, the Moxa's search."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.clock import SystemClock
from hardwired_engines.factory import Surroundings
from hardwired_engines.link import ListenOpener, Parity, SerialSettings, Stream, make_opener
from hardwired_engines.studer import FACTORY, moxa
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom.frame import Frame, read_info, read_parameter
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator.runners import (
    Moxa,
    MoxaSearch,
    answering_searches,
    on_tcp,
    on_terminal,
    on_udp,
)
from hardwired_engines.studer.simulator.world import World, make
from tests.ports import free_port
from tests.vector_files import load

from ..simulated import START

pytestmark = pytest.mark.slow

RIGHT = SerialSettings(38400, parity=Parity.EVEN)
CLOCK = read_parameter(501, 5002)


def make_world(**query: Any) -> World:
    texts = {"start": START, "latency_ms": "1", "hiccup_ms": "0"}
    return make({**texts, **{name: str(value) for name, value in query.items()}}).world


async def until(condition: Callable[[], Any], limit: float = 60.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ask(stream: Stream, request: Any = CLOCK, limit: float = 60.0) -> Frame:
    await stream.write(request.encode())
    parser = Parser()
    async with asyncio.timeout(limit):
        while True:
            if frames := parser.receive_data(await stream.read()):
                return frames[0]


# ------------------------------------------------------------------------ the terminal


async def test_on_a_terminal(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    world = make_world()
    async with running(on_terminal(world, link)):
        await until(link.is_symlink)
        stream = await make_opener(str(link), RIGHT).open()
        assert (await ask(stream)).source == 501
        assert (await ask(stream, read_info(104, 3000))).source == 104
        await stream.close()
    assert not link.is_symlink()


async def test_the_speed_of_a_real_line(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    world = make_world(latency_ms=0)
    async with running(on_terminal(world, link)):
        await until(link.is_symlink)
        stream = await make_opener(str(link), RIGHT).open()
        await ask(stream)
        began = time.monotonic()
        for _ in range(30):
            await ask(stream, read_info(101, 3000))
        seconds = time.monotonic() - began
        await stream.close()
    assert seconds >= 30 * 56 * 11 / 38400 * 0.98, "no faster than the line allows"


async def test_a_strict_line_hears_only_its_own_speed(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    world = make_world(baud=115200)
    async with running(on_terminal(world, link, strict=True)):
        await until(link.is_symlink)
        stream = await make_opener(str(link), RIGHT).open()
        with pytest.raises(TimeoutError):
            await ask(stream, limit=0.5)
        await stream.close()
        assert world.journal.of("unheard")
        stream = await make_opener(str(link), SerialSettings(115200, parity=Parity.EVEN)).open()
        assert (await ask(stream)).source == 501
        await stream.close()


async def test_the_settings_are_found_out(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    world = make_world(baud=115200, xtenders=2, variotracks=0, variostrings=0)
    async with running(on_terminal(world, link, strict=True)):
        await until(link.is_symlink)
        async with asyncio.timeout(60):
            found = await FACTORY.probe(
                StuderSettings(str(link), answer_timeout=0.5), Surroundings()
            )
    assert found.settings == {"serial": "115200 8E1"}
    assert {device.serial_number for device in found.devices if device.kind != "xcom"} == {
        d.fid for d in world.devices
    }


async def test_a_terminal_is_unplugged_and_comes_back(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    world = make_world()
    async with running(on_terminal(world, link)):
        await until(link.is_symlink)
        stream = await make_opener(str(link), RIGHT).open()
        await ask(stream)
        world.inject("cut", SystemClock().monotonic(), **{"for": 0.5})
        world.advance(SystemClock().monotonic())
        with contextlib.suppress(Exception):
            await stream.write(CLOCK.encode())
        await until(lambda: not link.is_symlink())
        await stream.close()
        await until(link.is_symlink)
        stream = await make_opener(str(link), RIGHT).open()
        assert (await ask(stream)).source == 501
        await stream.close()


# ------------------------------------------------------------------------ TCP


async def test_as_a_server_all_hosts_hear_all() -> None:
    world = make_world(lan=1)
    async with on_tcp(world) as port:
        one = await make_opener(f"socket://127.0.0.1:{port}").open()
        two = await make_opener(f"socket://127.0.0.1:{port}").open()
        await until(lambda: len(world.ports) == 2)
        heard = asyncio.ensure_future(two.read())
        assert (await ask(one)).source == 501
        async with asyncio.timeout(60):
            assert Parser().receive_data(await heard)[0].source == 501
        await one.close()
        await until(lambda: len(world.ports) == 1)
        assert (await ask(two, read_info(102, 3000))).source == 102
        await two.close()


async def test_a_moxa_dials_again_and_again() -> None:
    world = make_world(lan=1)
    opener = ListenOpener("127.0.0.1", 0)
    opening = asyncio.ensure_future(opener.open())
    await until(lambda: opener.port)
    assert opener.port is not None
    dialler = Moxa(world, "127.0.0.1", opener.port, redial=0.1)
    async with running(dialler.run()):
        stream = await opening
        assert (await ask(stream)).source == 501
        await stream.close()
        stream = await opener.open()
        assert (await ask(stream)).source == 501
        assert dialler.dialled == 2
        # Half-open: nothing comes on the old one; a new one does.
        world.inject("half_open", SystemClock().monotonic())
        world.advance(SystemClock().monotonic())
        with pytest.raises(Exception, match=r".*"):
            await ask(stream, limit=0.5)
        stream = await opener.open()
        assert (await ask(stream)).source == 501
        # A second one while the first is well.
        world.inject("second", SystemClock().monotonic())
        world.advance(SystemClock().monotonic())
        stream = await opener.open()
        assert (await ask(stream)).source == 501
        assert dialler.dialled == 4
    await opener.close()


async def test_a_moxa_waits_for_somebody_to_listen() -> None:
    world = make_world(lan=1)
    port = free_port()
    async with running(Moxa(world, "127.0.0.1", port, redial=0.05).run()):
        await asyncio.sleep(0.2)
        opener = ListenOpener("127.0.0.1", port)
        async with asyncio.timeout(60):
            stream = await opener.open()
            assert (await ask(stream)).source == 501
        await stream.close()
        await opener.close()


async def test_by_datagrams() -> None:
    ours, theirs = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    world = make_world(lan=1)
    async with running(on_udp(world, "127.0.0.1", ours, theirs)):
        await until(lambda: world.ports)
        stream = await make_opener(f"udp://127.0.0.1:{theirs}?local_port={ours}").open()
        assert (await ask(stream)).source == 501
        await stream.close()


# ------------------------------------------------------------------------ the engine


async def wait_for(engine: StuderEngine, count: int, limit: float = 40.0) -> None:
    def ready() -> bool:
        states = engine.snapshot.devices.values()
        shown = [s for s in states if s.available and s.values.get("battery_voltage") is not None]
        return engine.snapshot.connected and len(shown) >= count

    await until(ready, limit)


PLANT = {"xtenders": 2, "phases": 1, "variotracks": 1, "variostrings": 0, "lan": 1}


async def test_the_engine_waits_for_a_moxa() -> None:
    world = make_world(**PLANT)
    port = free_port()
    settings = StuderSettings(f"listen://127.0.0.1:{port}", answer_timeout=0.5)
    engine = StuderEngine(settings)
    dialler = Moxa(world, "127.0.0.1", port, redial=0.1)
    async with running(engine.run(lambda _: None), dialler.run()):
        await wait_for(engine, 4)
        assert not world.journal.of("written")
        clock = SystemClock()
        # The Moxa dials a second time: the newest connection wins, and nothing is lost.
        world.inject("second", clock.monotonic())
        world.advance(clock.monotonic())
        await until(lambda: dialler.dialled >= 2)
        await until(lambda: len(world.ports) == 1)
        await wait_for(engine, 4)
        # Half-open: nobody says that the connection is dead.
        dialled = dialler.dialled
        world.inject("half_open", clock.monotonic())
        world.advance(clock.monotonic())
        await until(lambda: dialler.dialled > dialled)
        requests = world.journal.counts["request"]
        await until(lambda: world.journal.counts["request"] > requests + 5)
        await wait_for(engine, 4)


async def test_the_engine_on_a_terminal_that_is_unplugged(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    world = make_world(**{**PLANT, "lan": 0, "baud": 115200})
    settings = StuderSettings(
        str(link), serial=SerialSettings(115200, parity=Parity.EVEN), answer_timeout=0.5
    )
    engine = StuderEngine(settings)
    async with running(on_terminal(world, link)):
        await until(link.is_symlink)
        async with running(engine.run(lambda _: None)):
            await wait_for(engine, 4)
            world.inject("cut", SystemClock().monotonic(), **{"for": 0.3})
            await until(lambda: not engine.snapshot.connected)
            engine.wake()
            await wait_for(engine, 4)


# ------------------------------------------------------------------------ the search


@pytest.mark.vectors
def test_the_search_is_answered_as_a_real_moxa_does() -> None:
    exchanges = load("studer", "moxa.json")["exchanges"]
    mac = bytes.fromhex(exchanges[0]["mac"].replace(":", ""))
    answering = MoxaSearch(mac, exchanges[0]["ip"])
    for exchange in exchanges:
        answer = answering.answer(bytes.fromhex(exchange["request"]))
        assert answer is not None
        expected = bytes.fromhex(exchange["response"])
        assert len(answer) == len(expected)
        assert answer[:20] == expected[:20]
        match exchange["step"]:
            case "search":
                assert answer == expected
            case "name":
                assert moxa.decode_name(answer) == exchange["name"]
            case "network":
                network = moxa.decode_network(answer)
                assert network is not None
                assert (network.ip, network.mask) == (exchange["ip"], exchange["mask"])
            case step:
                raise AssertionError(f"unknown step {step}")
    assert answering.answer(b"") is None
    assert answering.answer(b"\x10" * 20) is None


async def test_the_search_over_a_socket() -> None:
    port = free_port(socket.SOCK_DGRAM)
    transport = await answering_searches(
        "127.0.0.1", bytes.fromhex("0090e8123456"), "127.0.0.1", port
    )
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Seeker(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            heard.set_result(data)

    seeker, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Seeker, remote_addr=("127.0.0.1", port)
    )
    seeker.sendto(moxa.SEARCH)
    async with asyncio.timeout(60):
        found = moxa.decode_search(await heard)
    assert found is not None
    assert (found.mac, found.ip) == ("00:90:e8:12:34:56", "127.0.0.1")
    seeker.close()
    transport.close()
