"""The simulator in its own process, on a real terminal, with real signals and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.truma.inet.box import Box, Group, Received
from hardwired_engines.truma.lin.log import read_log
from hardwired_engines.truma.simulator.runner import RunningSimulator, launch, start

pytestmark = pytest.mark.slow

QUICK = {"slot_ms": "10", "time_scale": "10", "personality": "c4-combi4"}
REAL_SLOTS = {"slot_ms": "50"}
"""In slots as on a real bus, a machine that is busy does not make us lose what comes only once."""

CLI = """
import argparse, signal, sys
from hardwired.cli.verbs.truma import simulate
parser = argparse.ArgumentParser()
simulate.configure(parser)
sys.exit(simulate.run(parser.parse_args()))
"""


@asynccontextmanager
async def running(**query: str) -> AsyncIterator[RunningSimulator]:
    simulator = await launch({**QUICK, **query})
    try:
        yield simulator
    finally:
        await simulator.stop()


class Line:
    """A box on a real serial device, driven by hand."""

    def __init__(self, path: str, box: Box | None = None) -> None:
        self.box = box or Box(3)
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.received: list[int] = []

    def until(self, condition: Callable[[], object], limit: float = 30) -> bool:
        """Answer the bus until *condition* holds; False when the time is over."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if condition():
                return True
            if not select.select([self.fd], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return False
            if not data:
                return False
            if answer := self.box.receive(data, time.monotonic()):
                os.write(self.fd, answer)
            for event in self.box.events():
                if isinstance(event, Received):
                    self.received.append(event.buffer.message_id)
        return bool(condition())

    def close(self) -> None:
        os.close(self.fd)


def exists(path: str) -> bool:
    return Path(path).exists()


def terminal(path: str) -> str:
    return os.path.realpath(path)


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    return False


async def gone(pid: int, limit: float = 60) -> bool:
    end = time.monotonic() + limit
    while alive(pid) and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return not alive(pid)


async def test_the_bus_master_is_as_real_time_as_the_responder() -> None:
    """Issue 12, number 19: its own jitter was counted as ours."""
    code = (
        "from hardwired_engines.truma.node.responder import hurry\n"
        "import os; print(hurry(), os.sched_getscheduler(0), os.nice(0))"
    )
    told = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", code])
    granted, policy, niceness = told.split()
    async with running() as simulator:
        pid = simulator.process.pid
        assert os.sched_getscheduler(pid) == int(policy)
        if granted == b"nice":
            assert os.getpriority(os.PRIO_PROCESS, pid) <= int(niceness)


async def test_a_box_on_the_terminal_is_told_everything() -> None:
    async with running(**REAL_SLOTS, events="on") as simulator:
        line = Line(simulator.port)
        wanted = {0x0B, 0x33, 0x3D, 0x17, 0x15}

        def told() -> bool:
            return wanted <= set(line.received) and line.box.counts.answered > 25

        for _ in range(4):
            if await asyncio.to_thread(line.until, told, 8):
                break
            line.box.refresh(time.monotonic())  # a frame that was torn apart is not sent again
        assert told()
        figures = (await simulator.order("measurements"))["measurements"]
        assert figures["answers"] > 20
        assert figures["wrong_checksum"] == figures["wrong_length"] == 0
        assert 0 < figures["first_ms"]["min"] < 3.75
        line.close()
        told = []
        while not simulator.events.empty():
            told.append(simulator.events.get_nowait()["event"])
        assert "connected" in told
        assert "download" in told


async def test_start_gives_a_port_and_the_way_to_stop() -> None:
    port, stop = await start(QUICK)
    assert terminal(port).startswith("/dev/pts/")
    await stop()
    assert not exists(port)
    assert not exists(os.path.dirname(port))  # noqa: PTH120


async def test_orders_change_the_panel_and_wrong_ones_are_refused() -> None:
    async with running() as simulator:
        await simulator.order("room 21 high")
        truth = (await simulator.order('{"do": "truth"}'))["truth"]
        assert truth["heater"]["target_temp_room"] == 2940
        with pytest.raises(ValueError, match="does not offer"):
            await simulator.order("room 50")
        answers = await asyncio.gather(*(simulator.order("truth") for _ in range(5)))
        assert len(answers) == 5


async def test_an_upload_on_the_terminal() -> None:
    async with running(**REAL_SLOTS, standby="off") as simulator:
        line = Line(simulator.port)
        assert await asyncio.to_thread(line.until, lambda: 0x33 in line.received)
        fields = {"target_temp_room": 2920, "heating_mode": 1}
        for number in range(1, 5):  # the acknowledge that was torn apart is not sent again
            line.box.command(number, Group.HEATER, fields, time.monotonic())
            if await asyncio.to_thread(line.until, lambda: 0x0D in line.received, 10):
                break
        assert 0x0D in line.received
        truth = (await simulator.order("truth"))["truth"]
        assert truth["heater"]["target_temp_room"] == 2920
        line.close()


async def test_nothing_old_waits_for_who_opens_the_port() -> None:
    async with running() as simulator:
        await asyncio.sleep(0.5)
        opened = time.monotonic()
        fd = os.open(simulator.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        await asyncio.sleep(0.03)
        first = os.read(fd, 4096) if select.select([fd], [], [], 0.3)[0] else b""
        assert len(first) < 100 + 1200 * (time.monotonic() - opened), "a frame in each slot"
        os.close(fd)
        # and again after somebody has left
        await asyncio.sleep(0.3)
        line = Line(simulator.port)
        assert await asyncio.to_thread(line.until, lambda: line.received)
        line.close()


async def test_a_reader_that_sleeps_does_not_hold_up_the_bus() -> None:
    async with running(standby="off") as simulator:
        fd = os.open(simulator.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        async with asyncio.timeout(60):
            while (await simulator.order("measurements"))["measurements"]["polls"] <= 5:
                await asyncio.sleep(0.1)
        os.close(fd)


async def test_unplugging_ends_the_terminal_and_brings_another() -> None:
    async with running() as simulator:
        line = Line(simulator.port)
        assert await asyncio.to_thread(line.until, lambda: line.received)
        before = terminal(simulator.port)
        await simulator.order("fault unplug=2")
        assert not await asyncio.to_thread(line.until, lambda: False, 60)
        assert not exists(simulator.port)
        line.close()
        async with asyncio.timeout(60):
            while not exists(simulator.port):
                await asyncio.sleep(0.02)
        again = Line(simulator.port)
        assert await asyncio.to_thread(again.until, lambda: again.received)
        assert before.startswith("/dev/pts/")
        again.close()


async def test_the_registration_is_remembered(tmp_path: Path) -> None:
    memory = {"memory": str(tmp_path / "panel.json")}
    async with running(**REAL_SLOTS, **memory, registered="off") as simulator:
        assert not (await simulator.order("truth"))["truth"]["registered"]
        line = Line(simulator.port)
        await simulator.order("fault nad=6")
        await simulator.order("pr_set")
        assert await asyncio.to_thread(line.until, lambda: line.received)
        line.close()
    async with running(**memory, registered="off") as simulator:
        truth = (await simulator.order("truth"))["truth"]
        assert truth["registered"]
        assert truth["box_nad"] == 6


async def test_the_log_file_is_a_recording(tmp_path: Path) -> None:
    log = tmp_path / "bus.log"
    async with running(log=str(log)) as simulator:
        line = Line(simulator.port)
        await asyncio.to_thread(line.until, lambda: 0x33 in line.received)
        line.close()
    frames = list(read_log(log.read_text(encoding="ascii").splitlines()))
    assert len(frames) > 100
    assert any(frame.pid == 0xD8 and frame.data is not None for frame in frames)


async def test_the_control_socket_takes_orders(tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    async with running(control=path) as simulator:

        def talk() -> list[dict[str, object]]:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(3)
                client.connect(path)
                client.sendall(b"room 20\ntruth\nnonsense\n")
                stream = client.makefile()
                return [json.loads(stream.readline()) for _ in range(3)]

        first, second, third = await asyncio.to_thread(talk)
        assert first == {"ok": True}
        assert second["truth"]["heater"]["target_temp_room"] == 2930
        assert third["ok"] is False
        await simulator.order("truth")
    assert not exists(path)


async def test_the_process_ends_with_its_parent() -> None:
    script = (
        "import asyncio, json, os\n"
        "from hardwired_engines.truma.simulator.runner import launch\n"
        "async def main():\n"
        f"    simulator = await launch({QUICK!r})\n"
        "    print(simulator.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert alive(child)
    parent.kill()
    await parent.wait()
    assert await gone(child)


async def test_a_killed_simulator_answers_orders_with_an_error() -> None:
    async with running() as simulator:
        simulator.process.kill()
        await simulator.process.wait()
        with pytest.raises((ValueError, ConnectionError)):
            await simulator.order("truth")


@pytest.mark.parametrize(
    "query",
    [
        {"personality": "bosch"},
        {"faults": "nothing"},
        {"slot_ms": "1"},
        {"port": "/dev/there-is-no-such-port"},
        {"log": "/there/is/no/such/folder/bus.log"},
    ],
)
async def test_a_wrong_query_is_a_link_error(query: dict[str, str]) -> None:
    with pytest.raises(LinkError) as raised:
        await launch(query)
    assert raised.value.reason is Reason.BAD_ADDRESS


async def test_an_existing_port_is_used() -> None:
    """One end of a pair of terminals as the 'serial port'; we are at the other end."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    path = os.ttyname(slave)
    async with running(port=path) as simulator:
        assert simulator.port == path
        heard = bytearray()
        async with asyncio.timeout(60):
            while heard.count(b"\x00\x55") < 20:
                with contextlib.suppress(BlockingIOError):
                    heard += os.read(master, 4096)
                await asyncio.sleep(0.01)
    os.close(master)
    os.close(slave)


def test_the_command_line_plays_until_interrupted(tmp_path: Path) -> None:
    link, log = tmp_path / "panel", tmp_path / "bus.log"
    arguments = ["--pty", str(link), "--slot-ms", "10", "--time-scale", "10", "--log", str(log)]
    process = subprocess.Popen(
        [sys.executable, "-c", CLI, *arguments, "--fault", "flip_bit=0.001", "--seed", "4"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready == {"event": "ready", "port": str(link)}
    line = Line(str(link))
    assert line.until(lambda: line.received)
    line.close()
    process.stdin.write("room 22\ntruth\n")
    process.stdin.flush()
    answers = []
    while len(answers) < 2:
        record = json.loads(process.stdout.readline())
        if "ok" in record:
            answers.append(record)
    assert answers[1]["truth"]["heater"]["target_temp_room"] == 2950
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not link.is_symlink()
    assert len(list(read_log(log.read_text(encoding="ascii").splitlines()))) > 20
