"""``hardwired simulate gx`` as a stranger types it, and the faults that it can play."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import socket
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gx import drawing, faults, screen
from gx.__main__ import broker_of, configure, run
from gx.relay import Line, Relay, Splitter, packet_id
from mqtt_devices.mqtt import packets
from mqtt_devices.mqtt.client import Broker, Client, Unreachable

from .conftest import Gx
from .observer import PATIENCE, Observer, until

HARDWIRED = (sys.executable, "-m", "hardwired.cli.main", "simulate", "gx")


class Program:
    """A run of the program: lines that it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, pattern: str) -> re.Match[str]:
        """Read lines until one fits; returns the match."""
        assert self.process.stdout is not None
        while True:
            line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
            if not line:
                pytest.fail("it ended: " + "\n".join(self.lines))
            self.lines.append(line.decode().rstrip())
            if found := re.search(pattern, self.lines[-1]):
                return found

    def order(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")


@asynccontextmanager
async def playing(*words: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *HARDWIRED,
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the program says that must not run."""
    parser = argparse.ArgumentParser(prog="gx")
    configure(parser)
    try:
        code = run(parser.parse_args(words))
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code in (1, 2)
    return capsys.readouterr().err


def children_in(folder: str) -> list[str]:
    """Return the command lines of processes that have to do with a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in words:
            found.append(words)
    return found


# ------------------------------------------------------------------------------ a stranger


async def test_display_and_devices_speak_a_language(tmp_path: Path) -> None:
    picture = tmp_path / "screen.svg"
    words = ("--language", "fr", "--picture", str(picture), "--device", "panel")
    async with playing("--every", "0", *words) as program:
        await program.until("drawn: ")
    texts = {it.text for it in ET.parse(picture).getroot().iter() if it.text}
    assert {"Appareils", "Panneau (1)", "Éclairage", "Chauffage", "Énergie", "Gaz"} <= texts
    assert "Arrêt  40.0 %" in texts
    assert not {"Devices", "Light", "Heating", "Off"} & texts


@pytest.mark.slow
async def test_a_stranger_s_afternoon(tmp_path: Path) -> None:
    """Look, set something, spoil something, draw it, end it; nothing stays behind."""
    picture = tmp_path / "screen.svg"
    async with playing("--every", "0", "--picture", str(picture), "--device", "panel") as program:
        folder = (await program.until(r"unix:path=(\S+)/bus"))[1]
        assert children_in(folder)
        await program.until(r"Heating +20\.0 °C")
        await program.until("drawn: ")
        texts = [it.text for it in ET.parse(picture).getroot().iter() if it.text]
        assert {"Devices", "Panel (1)", "Salon", "Heating", "Off 40.0 %"} <= set(texts) | {
            re.sub(" +", " ", it) for it in texts
        }
        program.order("set sim_panel_ctl SwitchableOutput/target/Dimming 25")
        await program.until("Dimming: taken")
        program.order("set sim_panel_ctl SwitchableOutput/target/Dimming 99")
        await program.until("Dimming: refused: out of range")
        program.order("add relays")
        for order, answer in (
            ("nonsense", "no order"),
            ("fault nonsense", "no fault 'nonsense'"),
            ("set nobody A 1", "no service mqtt_nobody"),
            ("add submarine", "no device 'submarine'"),
            ("remove submarine", "no device 'submarine'"),
            ("picture x.bmp", "a .svg or a .png"),
            ("help", "fault NAME"),
        ):
            program.order(order)
            await program.until(re.escape(answer))
        for fault in ("malformed", "odd-values", "utf-16", "huge", "settings-away:0.2"):
            program.order(f"fault {fault}")
            await program.until("^over: ")
        program.order("fault reboot:0.2")
        await program.until("^over: everything")

        async def is_back() -> bool:
            program.order("show")
            await program.until("^Devices|nothing is shown")
            program.order("set sim_panel_ctl SwitchableOutput/light/State 1")
            found = await program.until(r"light/State: taken|not done: ")
            return "taken" in found[0]

        await until(is_back)
        program.process.send_signal(signal.SIGINT)
        await program.process.communicate()
        assert program.process.returncode == 0
    assert not await asyncio.to_thread(Path(folder).exists)
    assert not children_in(folder)


@pytest.mark.slow
async def test_a_broker_that_runs_already(gx: Gx) -> None:
    async with gx(driver=False) as seen:
        port = seen.rig.broker.port
        async with playing("--every", "0", "--broker", f"127.0.0.1:{port}") as program:
            await program.until(r"\(yours; ")
            assert await seen.message("device/sim_panel/DBus")
            await program.until("Fridge")
            program.order("fault broker-away")
            await program.until("not this program's")
        gone = await seen.wait(lambda: seen.on("device/sim_boat/Status"))
        assert gone
        assert seen.rig.broker.runs


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GX_PROGRAMS", str(tmp_path))
    text = refused(capsys, "--once")
    assert "dbus-daemon is not installed" in text
    assert "apt-get install dbus" in text
    (tmp_path / "dbus-daemon").symlink_to("/bin/true")
    text = refused(capsys, "--once")
    assert "mosquitto is not installed" in text
    assert "--broker" in text
    (tmp_path / "mosquitto").symlink_to("/bin/true")
    assert "dbus-daemon does not start" in refused(capsys, "--once")
    assert "a .png needs Chromium" in refused(capsys, "--picture", str(tmp_path / "x.png"))


@pytest.mark.parametrize(
    "words, said",
    [
        (["--picture", "screen.bmp"], "a .svg or a .png"),
        (["--picture", "/no/such/folder/x.svg"], "no such folder"),
        (["--listen", "x"], "'x' is no port"),
        (["--broker", ":1883"], "a broker has a host"),
        (["--device", "submarine"], "submarine"),
        (["--fault", "flood"], "there is no fault 'flood'"),
        (["--fault", "reboot:soon"], "'soon' are no seconds"),
    ],
)
def test_words_that_mean_nothing(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *words)


def test_a_port_that_somebody_has(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "in use" in refused(capsys, "--listen", str(port))


def test_a_broker_with_a_login() -> None:
    assert broker_of("anna:p@ss@gx.lan:8883") == Broker("gx.lan", 8883, "anna", "p@ss")
    assert broker_of("[::1]:1884") == Broker("::1", 1884)
    assert broker_of("gx.lan") == Broker("gx.lan")


# --------------------------------------------------------------------------------- drawing


def test_what_devices_say_cannot_break_a_drawing() -> None:
    hostile = "<script>&\"'\n\x00" + "x" * 500
    control = screen.Control(hostile, True, 2, True, 5.0, hostile, hostile)
    drawn = drawing.draw(
        screen.Screen(
            [screen.Entry(hostile, "tank", [("Level", hostile)])],
            {hostile: [control._replace(kind=kind) for kind in range(-1, 15)]},
        )
    )
    root = ET.fromstring(drawn)
    assert len(list(root.iter())) > 40
    assert "<script" not in drawn


@pytest.mark.slow
async def test_picture_of_an_output_with_a_warning(gx: Gx) -> None:
    async with gx() as seen:
        output = {"id": "p", "name": "Pump", "group": "Water", "status": 2, "state": 1}
        await seen.register(
            {
                "clientId": "a",
                "connected": 1,
                "services": {"s": "switch"},
                "options": {"s": {"name": "Panel", "outputs": [output, {"id": "h", "show": 0}]}},
            }
        )
        assert seen.bus is not None
        text = screen.picture(await screen.services(seen.bus))
        assert text.splitlines() == [
            "Devices",
            "  Panel (1)                    ",
            "",
            "[ Water ]",
            "  Panel | Pump                 on ! status 0x02",
        ]


def test_an_empty_screen_is_drawn() -> None:
    assert ET.fromstring(drawing.draw(screen.Screen([], {}))).get("width")


# ------------------------------------------------------------------------- the spoilt line


def test_packets_are_told_apart() -> None:
    sent = [
        packets.publish(packets.Publish("a/b", b"x" * size, qos, packet_id=7 if qos else 0))
        for size in (0, 1, 200, 70_000)
        for qos in (0, 1)
    ]
    data = b"".join(sent)
    for step in (1, 3, 4096):
        splitter = Splitter()
        parts = [data[at : at + step] for at in range(0, len(data), step)]
        assert [it for part in parts for it in splitter.receive_data(part)] == sent
    assert [packet_id(it) for it in sent] == [None, 7] * 4


@asynccontextmanager
async def relayed(seen: Observer, line: Line) -> AsyncIterator[tuple[Relay, Broker]]:
    relay = Relay("127.0.0.1", seen.rig.broker.port)
    port = await relay.listen("127.0.0.1", 0)
    relay.line = line
    try:
        yield relay, Broker(port=port)
    finally:
        await relay.close()


async def test_a_line_with_faults(gx: Gx) -> None:
    async with gx(driver=False) as seen:
        got: list[packets.Publish] = []
        async with relayed(seen, Line(refuse=True)) as (relay, broker):
            with pytest.raises(Unreachable, match="not authorised"):
                await Client.connect(broker, "c", got.append)
            relay.line = Line(slow_login=0.3, twice=True)
            loop = asyncio.get_running_loop()
            begin = loop.time()
            client = await Client.connect(broker, "c", got.append)
            assert loop.time() - begin >= 0.3
            await client.subscribe([("x/y", 1)])
            for number in range(5):
                seen.publish("x/y", str(number), qos=1)
            await until(lambda: _enough(got, 10))
            assert [it.payload for it in got] == [str(n // 2).encode() for n in range(10)]
            assert [it.duplicate for it in got] == [False, True] * 5
            got.clear()
            relay.line = Line(latency=0.3)
            begin = loop.time()
            for number in range(20):
                seen.publish("x/y", str(number))
            await until(lambda: _enough(got, 20))
            assert loop.time() - begin >= 0.3
            assert [int(it.payload or b"") for it in got] == list(range(20))
            assert relay.drop() == 1
            await asyncio.wait_for(client.ended, PATIENCE)


async def _enough(got: list[packets.Publish], count: int) -> bool:
    return len(got) >= count


FEW = {"services": {"t": "temperature", "s": "switch"}}


@pytest.mark.slow
async def test_the_driver_behind_a_spoilt_line(gx: Gx) -> None:
    """Messages that come twice, a late answer to the login and cut connections cost nothing."""
    async with gx(driver=False, fresh=True) as seen:
        async with relayed(seen, Line(twice=True, slow_login=0.5, latency=0.05)) as (relay, broker):
            at = seen.rig.driver.command.index("--mqtt-port")
            seen.rig.driver.command[at + 1] = str(broker.port)
            seen.rig.driver.start()
            await seen.fence()
            seen.publish("device/a/Status", {"clientId": "a", "connected": 1, **FEW}, qos=1)
            await seen.message("device/a/DBus")
            name = "com.victronenergy.temperature.mqtt_a_t"
            assert await seen.set(name, "/Temperature", {"t": "d", "v": 4.5}) == 0
            relay.drop()
            await seen.fence()
            relay.line = Line()
            again = await seen.register({"clientId": "a", "connected": 1, **FEW})
            assert again["deviceInstance"] == {"t": 1, "s": 1}
            assert await seen.value(name, "/Temperature") == {"t": "d", "v": 4.5}
            assert f"-{name}" not in seen.names


# ----------------------------------------------------------------------------- the faults


# What no other test has; script/bench venus-storm plays all of them.
SHORT = ("settings-away-meanwhile", "broker-away-meanwhile", "other-serial", "retained-garbage")


@pytest.mark.slow
async def test_a_device_is_back_after_a_fault(gx: Gx) -> None:
    """One after the other on one GX: the device has its number and its name still."""
    async with gx(driver=False, fresh=True) as seen:
        async with relayed(seen, Line()) as (relay, broker):
            at = seen.rig.driver.command.index("--mqtt-port")
            seen.rig.driver.command[at + 1] = str(broker.port)
            seen.rig.driver.start()
            await seen.fence()
            await seen.register({"clientId": "a", "connected": 1, **FEW})
            name = "com.victronenergy.temperature.mqtt_a_t"
            assert await seen.set(name, "/CustomName", {"t": "s", "v": "Bow"}) == 0
            keeper = asyncio.ensure_future(seen.rig.supervise())
            try:
                for fault in SHORT:
                    await _play(seen, relay, fault, name)
            finally:
                keeper.cancel()


async def _play(seen: Observer, relay: Relay, fault: str, name: str) -> None:
    played, _ = faults.read(fault)
    scene = faults.Scene(seen.rig, relay, Broker(port=seen.rig.broker.port))
    await played.play(scene, 0.2)
    if "dbus" in fault:
        await _again(seen.join_bus)
    if "broker" in fault:
        await seen.join_broker()
    await seen.fence()
    reply = await seen.register({"clientId": "a", "connected": 1, **FEW})
    assert reply["deviceInstance"] == {"t": 1, "s": 1}, fault

    async def named() -> None:  # the service may go once more before it stays
        assert (await seen.value(name, "/CustomName"))["v"] == "Bow", fault

    await _again(named)
    seen.clear()


async def _again(work: Callable[[], Awaitable[None]]) -> None:
    async def done() -> bool:
        try:
            await work()
        except Exception:  # noqa: BLE001 - it is not there yet
            return False
        return True

    await until(done)
