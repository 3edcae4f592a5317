"""``hardwired run`` and ``check`` as a process: a real family from its simulator, real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardwired.cli.commands import run as run_command
from hardwired.config.secrets import Environment
from tests.ports import free_port
from tests.standalone.bridge.servers import Influx, ask, stand_in

VAN = '[devices.van]\nfamily = "truma"\nlink = "sim://"\ntime_zone = "Europe/Berlin"\n'
SECONDS = 60.0
PLANTED = "planted-secret-471"


def hardwired(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hardwired", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        **more,
    )


class Running:
    """A bridge that runs; what it says is in ``log``."""

    def __init__(self, config: Path, folder: Path, **environ: str) -> None:
        self.log = folder / "log"
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.settimeout(SECONDS)
        notify = folder / "notify"
        notify.unlink(missing_ok=True)
        self._manager.bind(str(notify))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hardwired", "run", str(config)],
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": str(notify),
                    "WATCHDOG_USEC": "4000000",
                    **environ,
                },
            )

    def told(self, word: str) -> str:
        """Wait for a notification that begins with *word*."""
        while not (found := self._manager.recv(1000).decode()).startswith(word):
            pass
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._manager.close()

    @property
    def text(self) -> str:
        return self.log.read_text()


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):  # the page is moving
            if found := condition():
                return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def start(config: Path, **environ: str) -> Running:
        made.append(Running(config, tmp_path, **environ))
        return made[-1]

    yield start
    for one in made:
        one.close()


def config_in(folder: Path, *parts: str) -> Path:
    path = folder / "CONFIG.toml"
    path.write_text(f'[bridge]\nstate_dir = "{folder}/state"\n' + "".join(parts))
    return path


def influx_sink(port: int, **more: Any) -> str:
    told = {"type": "influxdb", "version": 1, "url": f"http://127.0.0.1:{port}", "database": "db"}
    told |= {"sample": 1, "flush": 0, **more}
    return "[sinks.base]\n" + "".join(f"{key} = {json.dumps(one)}\n" for key, one in told.items())


@pytest.mark.slow
def test_from_a_simulated_van_into_influxdb(run: Any, tmp_path: Path) -> None:
    server = Influx(tmp_path / "influx")
    server.start()
    http = free_port()
    try:
        server.query("CREATE DATABASE db")
        sink = influx_sink(server.port)
        page = f'[http]\nlisten = "127.0.0.1:{http}"\nvalues = true\n'
        config = config_in(tmp_path, VAN, sink, page)
        bridge = run(config)
        bridge.told("READY=1")
        heater = ("van", "heater")
        until(lambda: heater in {(row["link"], row["device"]) for row in server.rows("truma")})
        link = until(
            lambda: (
                (told := json.loads(ask(http, "GET", "/health")[1])["links"]["van"])["connected"]
                and told
            )
        )
        assert link["reason"] is None
        assert ask(http, "GET", "/health")[0] == 200
        assert b"hardwired_value{" in ask(http, "GET", "/metrics")[1]
        bridge.told("WATCHDOG=1")
        config.write_text(config.read_text().replace("values = true", "values = false"))
        bridge.signal(signal.SIGHUP)
        bridge.told("RELOADING=1")
        bridge.told("READY=1")
        until(lambda: b"hardwired_value{" not in ask(http, "GET", "/metrics")[1])
        config.write_text("nonsense")
        bridge.signal(signal.SIGHUP)
        until(lambda: "everything goes on as before" in bridge.text)
        bridge.signal(signal.SIGUSR1)
        until(lambda: "van: connected since" in bridge.text)
        assert bridge.end() == 0
        bridge.told("STOPPING=1")
        assert "Traceback" not in bridge.text
        state = json.loads((tmp_path / "state" / "bridge.json").read_text())
        assert {one["id"] for one in state["data"]["devices"]["van"]} >= {"heater"}
    finally:
        server.kill()


async def test_reloads_come_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two at once would start twice what one of them has just stopped."""
    value = {"log": {"level": "info", "format": "auto", "levels": {}}}
    config = SimpleNamespace(value=value)
    monkeypatch.setattr(run_command, "load_config", lambda *_: config)
    under_way, begun, ended = 0, 0, asyncio.Event()
    go_on = asyncio.Event()

    class FakeBridge:
        async def reload(self, _value: Any) -> None:
            nonlocal under_way, begun
            under_way, begun = under_way + 1, begun + 1
            assert under_way == 1
            await go_on.wait()
            under_way -= 1
            if begun == 1:
                raise RuntimeError("the first one fails")

        def log_state(self) -> None:
            """Nothing to say."""

        def end(self) -> None:
            ended.set()

    options = SimpleNamespace(config=tmp_path, log_level=None, log_format=None)
    loop = asyncio.get_running_loop()
    run_command.handle_signals(options, FakeBridge(), Environment({}))  # type: ignore[arg-type]
    try:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(SECONDS):
                while not begun:
                    await asyncio.sleep(0.01)
        go_on.set()
        async with asyncio.timeout(SECONDS):
            while begun < 2 or under_way:
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            await ended.wait()
        assert begun == 2
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            loop.remove_signal_handler(number)


def test_no_secret_leaves(run: Any, tmp_path: Path) -> None:
    with stand_in() as server:
        server.rule = lambda _lines: (401, f'"{PLANTED}" is no token', {})
        http = free_port()
        config = config_in(
            tmp_path,
            VAN,
            "[log]\nlevel = 'debug'\n",
            f'[http]\nlisten = "127.0.0.1:{http}"\n',
            f'[sinks.base]\ntype = "influxdb"\nurl = "http://127.0.0.1:{server.port}"\n'
            'org = "o"\nbucket = "b"\ntoken = { env = "PLANTED" }\n',
        )
        bridge = run(config, PLANTED=PLANTED)
        bridge.told("READY=1")
        until(lambda: ask(http, "GET", "/health")[0] == 503)
        pages = ask(http, "GET", "/health")[1] + ask(http, "GET", "/metrics")[1]
        assert bridge.end() == 0
    assert server.requests[0][1]["Authorization"] == f"Token {PLANTED}"
    told = bridge.text + pages.decode()
    assert "*** is no token" in told or '\\"***\\" is no token' in told
    assert PLANTED not in told
    assert all(
        PLANTED.encode() not in path.read_bytes()
        for path in (tmp_path / "state").rglob("*")
        if path.is_file()
    )


def test_a_second_bridge_on_the_state_folder_ends_with_78(run: Any, tmp_path: Path) -> None:
    config = config_in(tmp_path, VAN)
    first = run(config)
    first.told("READY=1")
    second = hardwired("run", str(config))
    assert second.returncode == 78
    assert f"process {first.process.pid}" in second.stderr
    assert first.end() == 0


@pytest.mark.slow
def test_stopped_within_the_time_while_a_server_hangs(run: Any, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)  # takes connections and says nothing
        port = silent.getsockname()[1]
        config = config_in(tmp_path, VAN, influx_sink(port))
        bridge = run(config)
        bridge.told("READY=1")
        time.sleep(1)
        began = time.monotonic()
        assert bridge.end() == 0
        assert time.monotonic() - began < 60  # stop_timeout is 10 s, the machine may be busy


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[devices.van]\nfamily = 'truma'\nlnik = 'x'\n", ":3: devices.van.lnik is not known"),
        ("nonsense", ":1: this is not TOML"),
        (f"{VAN}[sinks.x]\ntype='mqtt'\nhost='h'\npassword={{env='NO_SUCH'}}\n", "NO_SUCH"),
        ("mqtt_setup:\n  a: 1\n", "this is the file of xtender_mqtt"),
    ],
)
def test_an_unusable_config_ends_with_78(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "CONFIG.toml"
    path.write_text(content)
    for verb in ("run", "check"):
        found = hardwired(verb, str(path))
        assert found.returncode == 78, found
        assert text in found.stderr + found.stdout
        assert "Traceback" not in found.stderr


def test_wrong_arguments_and_missing_files(tmp_path: Path) -> None:
    assert hardwired("run").returncode == 2
    assert hardwired("run", str(tmp_path / "none")).returncode == 78
    assert hardwired("run", str(tmp_path), "--duration", "soon").returncode == 2


@pytest.mark.slow
def test_check_tells_each_step(tmp_path: Path) -> None:
    with stand_in() as server:
        sink = (
            f'[sinks.base]\ntype = "influxdb"\nurl = "http://127.0.0.1:{server.port}"\n'
            'org = "o"\nbucket = "b"\ntoken = "t"\n'
        )
        config = config_in(tmp_path, VAN, sink)
        found = hardwired("check", str(config), "--seconds", "20", "--json")
        steps = [json.loads(line) for line in found.stdout.splitlines()]
        assert [(one["step"], one["ok"]) for one in steps] == [
            ("file", True),
            ("secrets", True),
            ("devices.van", True),
            ("sinks.base", True),
        ], found
        assert found.returncode == 0
        server.rule = lambda _lines: (401, '{"message":"unauthorized access"}', {})
        found = hardwired("check", str(config), "--seconds", "20")
        assert found.returncode == 3
        assert "FAILED sinks.base: unauthorized access" in found.stdout


def test_version_schema_and_help() -> None:
    told = json.loads(hardwired("version", "--json").stdout)
    assert {"version", "python", "libraries", "families", "home_assistant"} <= told.keys()
    assert json.loads(hardwired("check", "--schema").stdout)["title"] == "Hardwired: CONFIG.toml"
    for verb in ("run", "check", "import", "ports", "search", "spool", "version"):
        text = hardwired(verb, "--help").stdout
        assert "examples:" in text
        assert text.count("\n  hardwired ") == 2


def test_ports_and_search() -> None:
    found = hardwired("ports", "--json")
    assert found.returncode == 0
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert {"lo"} <= {row.get("interface") for row in rows}
    found = hardwired("search", "inventum", "--json")
    assert found.returncode in {0, 3}
    assert "nothing was found" in found.stderr or found.stdout
    assert hardwired("search", "nonsense").returncode == 2


def test_the_spool_verbs(run: Any, tmp_path: Path) -> None:
    config = config_in(tmp_path, VAN, influx_sink(free_port()))
    bridge = run(config)
    bridge.told("READY=1")

    def listed() -> Any:
        told = hardwired("spool", "list", str(config), "base", "--json").stdout
        found = json.loads(told) if told else {}
        return found if found.get("waiting") else None

    state = until(listed)
    assert state["delivered"] == 0
    assert bridge.end() == 0
    lines = hardwired("spool", "export", str(config), "base").stdout.splitlines()
    assert lines
    assert all(line.startswith("truma") for line in lines)
    refused = hardwired("spool", "drop", str(config), "base", "--waiting", input="no\n")
    assert refused.returncode == 1
    done = hardwired("spool", "drop", str(config), "base", "--waiting", "--yes")
    assert f"{len(lines)} points were thrown away" in done.stderr
    assert hardwired("spool", "list", str(config), "nope").returncode == 2


ROOT = Path(__file__).resolve().parents[3]
CAPTURE = ROOT / "tests" / "vectors" / "sunsynk" / "captures" / "backlog.pcap"


@pytest.mark.parametrize("form", ["native", "sunsniff"])
def test_a_capture_file_ends_the_bridge_when_all_is_delivered(tmp_path: Path, form: str) -> None:
    roof = (
        f'[devices.roof]\nfamily = "sunsynk"\nsource = "file"\npath = "{CAPTURE}"\n'
        'time_zone = "UTC"\n'
    )
    with stand_in() as server:
        config = config_in(tmp_path, roof, influx_sink(server.port, format=form))
        found = hardwired("run", str(config))
    assert found.returncode == 0, found.stderr
    assert server.lines
    begin = "sunsynk,device=" if form == "native" else "inverter,group="
    assert all(line.startswith(begin) for line in server.lines)
