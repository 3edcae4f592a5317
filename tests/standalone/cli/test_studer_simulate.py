"""``hardwired simulate studer``, run as a user runs it."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hardwired.cli import verbs
from hardwired.cli.verbs.studer.simulate import configure, query_of
from hardwired_engines.engine import LinkError
from hardwired_engines.link import ListenOpener, Parity, SerialSettings, Stream, make_opener
from hardwired_engines.studer import moxa
from hardwired_engines.studer.scom.frame import Frame, read_info, read_parameter
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.simulator.settings import settings_from
from tests.ports import free_port

pytestmark = pytest.mark.slow

START = ("--start", "2026-06-15T10:00", "--latency-ms", "1")


class Simulator:
    """The running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.records: list[dict[str, Any]] = []

    async def until(self, limit: float = 60, **wanted: Any) -> dict[str, Any]:
        """Return the next record that holds all this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(limit):
            while line := await self.process.stdout.readline():
                record = json.loads(line)
                self.records.append(record)
                if wanted.items() <= record.items():
                    return record
        raise AssertionError(f"it ended without {wanted}: {self.records}")

    async def order(self, **order: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()


async def started(*arguments: str) -> asyncio.subprocess.Process:
    """Start the command with nobody on standard input."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hardwired", "simulate", "studer", *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def assert_refused(*arguments: str, code: int = 2) -> None:
    """The command ends by itself and says in plain words what is wrong."""
    process = await started(*arguments)
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode == code
    assert told.decode().startswith("hardwired: ")
    assert "Traceback" not in told.decode()


@asynccontextmanager
async def simulating(*arguments: str) -> AsyncIterator[Simulator]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hardwired", "simulate", "studer", *START, *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    simulator = Simulator(process)
    try:
        yield simulator
        process.send_signal(signal.SIGINT)
        last = await simulator.until(event="stopped")
        assert last["counts"]
        assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ask(stream: Stream, request: Any, limit: float = 60) -> Frame:
    await stream.write(request.encode())
    parser = Parser()
    async with asyncio.timeout(limit):
        while True:
            for frame in parser.receive_data(await stream.read()):
                # Every host hears what the others are answered.
                if frame.source == request.destination:
                    return frame


async def test_a_terminal_and_a_port_at_once_and_orders_on_stdin(tmp_path: Path) -> None:
    link = tmp_path / "xcom"
    async with simulating("--pty", str(link), "--listen", "0", "--verbose") as simulator:
        devices = (await simulator.until(event="devices"))["devices"]
        ready = await simulator.until(event="ready")
        assert (await simulator.until(event="ready"))["connect_to"] == str(link)
        assert [device["address"] for device in devices] == [*range(101, 107), 301, 302, 701, 601]
        over_tcp = await make_opener(ready["connect_to"]).open()
        assert (await ask(over_tcp, read_info(103, 3000))).source == 103
        await simulator.until(event="answer", address=103)
        over_serial = await make_opener(str(link), SerialSettings(38400, parity=Parity.EVEN)).open()
        assert (await ask(over_serial, read_parameter(501, 5002))).source == 501
        await simulator.order(fault="drop", address=103, silent=0, timeout=0, away=-1)
        await simulator.until(event="dropped", address=103)
        body = (await ask(over_tcp, read_info(103, 3000))).body()
        assert body is not None
        assert body.error_code == 2
        await simulator.order(fault="gremlins")
        assert "gremlins" in (await simulator.until(event="refused"))["why"]
        await simulator.order(clear="all")
        await simulator.until(event="cleared")
        assert simulator.process.stdin is not None
        simulator.process.stdin.write(b"what?\n")
        await simulator.until(event="refused")
        await over_tcp.close()
        await over_serial.close()


async def test_it_dials_as_a_moxa_does() -> None:
    opener = ListenOpener("127.0.0.1", 0)
    opening = asyncio.ensure_future(opener.open())
    while opener.port is None:
        await asyncio.sleep(0.01)
    where = f"127.0.0.1:{opener.port}"
    async with simulating("--connect", where, "--lan", "--xtenders", "2") as simulator:
        assert (await simulator.until(event="ready"))["dialling"] == where
        stream = await opening
        assert (await ask(stream, read_info(102, 3000))).source == 102
        await simulator.order(fault="second")
        with pytest.raises(LinkError):  # the newcomer takes its place
            while True:
                await stream.read()
        newest = await opener.open()
        assert (await ask(newest, read_info(101, 3000))).source == 101
    await opener.close()


async def test_it_speaks_by_datagrams_and_answers_the_search() -> None:
    ours, theirs = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    options = ("--udp", f"127.0.0.1:{ours}", "--udp-local", str(theirs), "--lan")
    async with simulating(*options) as simulator:
        await simulator.until(event="connected")
        stream = await make_opener(f"udp://127.0.0.1:{theirs}?local_port={ours}").open()
        assert (await ask(stream, read_info(101, 3000))).source == 101
        await stream.close()


async def test_faults_from_the_start(tmp_path: Path) -> None:
    link = str(tmp_path / "xcom")
    faults = ("--fault", "message:number=16:address=104", "--fault", "lose:n=1")
    async with simulating("--pty", link, *faults) as simulator:
        await simulator.until(event="message", number=16, source=104)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--fault", "gremlins"), ("--xtenders", "12"), ("--listen", "here:there"),
        ("--start", "noon"), ("--grid", "perhaps"), ("--moxa-search", "::1"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    await assert_refused(*arguments)


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        await assert_refused(*START, "--listen", str(taken.getsockname()[1]), code=1)


async def test_a_datagram_port_that_is_taken_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = str(taken.getsockname()[1])
        await assert_refused(*START, "--udp", "127.0.0.1:4001", "--udp-local", port, code=1)


async def test_without_anybody_on_stdin(tmp_path: Path) -> None:
    process = await started(*START, "--pty", str(tmp_path / "xcom"))
    simulator = Simulator(process)
    await simulator.until(event="ready")
    assert (tmp_path / "xcom").is_symlink()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in told
    assert not (tmp_path / "xcom").is_symlink()


def test_the_module_is_no_family_of_its_own() -> None:
    assert "_studer_simulate" not in verbs.family_names()
    assert "simulate" in verbs.verbs("studer")


def test_the_search_is_the_moxa_s() -> None:
    assert moxa.is_search(moxa.SEARCH)


@pytest.mark.parametrize(
    "where, strips",
    [
        ([], False),
        (["--pty", "x"], False),
        (["--listen", "0"], True),
        (["--connect", "x"], True),
        (["--udp", "x:1"], True),
        (["--pty", "x", "--listen", "0"], False),
    ],
)
def test_only_a_moxa_strips_line_ends(where: list[str], strips: bool) -> None:
    """Wired straight to a computer, an Xcom in LAN mode puts 0D 0A behind its answers (a.3)."""
    parser = argparse.ArgumentParser()
    configure(parser)
    settings = settings_from(query_of(parser.parse_args(["--lan", *where])))
    assert (settings.crlf, settings.strip) == (True, strips)
