"""Service manager, watchdog, HTTP, log, state folder (spec a.5, f.1-f.5)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired.bridge import state as state_module
from hardwired.bridge.state import State, state_folder
from hardwired.masking import Mask
from hardwired.ops.http import HttpServer, Pages
from hardwired.ops.logs import Formatter, Logs, Repeats, chosen_format, logger_name
from hardwired.ops.metrics import Metric, render
from hardwired.ops.notify import Notifier
from hardwired.ops.watchdog import Register, Watchdog
from hardwired_engines.clock import ManualClock
from hardwired_engines.storage import DurableStorage
from tests.standalone.command import until

# -------------------------------------------------------------------------------------- notify


@pytest.mark.parametrize("abstract", [False, True])
def test_notifications(tmp_path: Path, abstract: bool) -> None:
    name = f"@hardwired-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}" if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000000"})
        notifier.ready()
        notifier.status("1 of 1 links")
        notifier.status("1 of 1 links")
        notifier.reloading()
        notifier.alive()
        notifier.stopping()
        told = [manager.recv(1000).decode() for _ in range(5)]
    assert told[0] == "READY=1"
    assert told[1] == "STATUS=1 of 1 links"
    assert told[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert told[3:] == ["WATCHDOG=1", "STOPPING=1"]
    assert notifier.interval == 60


def test_without_a_manager_silently_nothing(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none")}, {"WATCHDOG_USEC": "x"}):
        notifier = Notifier(environ)
        notifier.ready()
        assert notifier.interval is None
    assert Notifier({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).interval is None


# ------------------------------------------------------------------------------------ watchdog


class Patient:
    def __init__(self) -> None:
        self.due: float | None = 10.0
        self.restarts = 0

    @property
    def sign_due(self) -> float | None:
        return self.due

    def stack(self) -> str:
        return "engine.py:1 run; "

    def restart(self) -> None:
        self.restarts += 1


class Fed(Notifier):
    def __init__(self) -> None:
        super().__init__({})
        self.count = 0

    def alive(self) -> None:
        self.count += 1


async def test_a_link_that_hangs_is_restarted_then_the_manager_ends_us() -> None:
    clock, patient, fed, register = ManualClock(), Patient(), Fed(), Register()
    watchdog = Watchdog(clock, register, lambda: {"link van": patient}, fed)
    task = asyncio.create_task(watchdog.run())
    await clock.advance(39)
    assert (fed.count, patient.restarts) == (3, 0)
    await clock.advance(6)  # overdue by more than 30 s
    assert (fed.count, patient.restarts) == (4, 1)
    await clock.advance(60)
    before = fed.count
    await clock.advance(60)
    assert fed.count == before  # starved
    patient.due = 10_000.0
    await clock.advance(15)
    assert fed.count == before + 1
    task.cancel()


async def test_a_sink_that_does_not_report_starves_the_watchdog() -> None:
    clock, fed, register = ManualClock(), Fed(), Register()
    watchdog = Watchdog(clock, register, dict, fed)
    register.report("sink home", 5.0)
    assert watchdog.check()
    await clock.advance(40)
    assert not watchdog.check()
    register.report("sink home", None)
    assert watchdog.check()


# ---------------------------------------------------------------------------------------- http


@contextlib.asynccontextmanager
async def serving(token: str | None = None) -> AsyncIterator[int]:
    pages = Pages(lambda: (False, '{"state": "error"}'), lambda: "a 1\n")
    server = HttpServer("127.0.0.1", 0, pages, token)
    task = asyncio.create_task(server.run())
    while server.port is None:
        await asyncio.sleep(0.01)
    try:
        yield server.port
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"503", b'{"state": "error"}'),
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200", b"a 1\n"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b"200", b"/health\n/metrics\n"),
        (b"GET /metrics?x HTTP/1.1\r\n\r\n", b"404", b"not found\n"),
        (b"GET /../etc HTTP/1.1\r\n\r\n", b"404", b"not found\n"),
        (b"POST /health HTTP/1.1\r\n\r\n", b"405", b"GET or HEAD\n"),
        (b"nonsense\r\n\r\n", b"400", b"bad request\n"),
        (b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 2000 + b"\r\n", b"431", b"too large\n"),
    ],
)
async def test_http(request_: bytes, status: bytes, body: bytes) -> None:
    async with serving() as port:
        answer = await ask(port, request_)
        head, _, found = answer.partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == status
        assert found == body
        assert b"Content-Length: " in head
        assert b"Server:" not in head


async def test_http_token() -> None:
    async with serving("hunter22") as port:
        for given_, status in ((b"", b"401"), (b"Bearer no", b"401"), (b"Bearer hunter22", b"200")):
            header = b"Authorization: " + given_ + b"\r\n" if given_ else b""
            answer = await ask(port, b"GET /metrics HTTP/1.1\r\n" + header + b"\r\n")
            assert answer.split(b" ")[1] == status


async def test_http_too_many_connections() -> None:
    async with serving() as port:
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        await asyncio.sleep(0.1)
        answer = await ask(port, b"GET / HTTP/1.1\r\n\r\n")
        assert answer.split(b" ")[1] == b"503"
        for _, writer in waiting:
            writer.close()


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_http_takes_anything(request_: bytes) -> None:
    async def run() -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request_)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
                assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
            writer.close()

    asyncio.run(run())


# ------------------------------------------------------------------------------------- metrics


def test_metrics_text() -> None:
    text = render(
        [
            Metric("hardwired_link_up", 1, {"link": 'a"b\\c\nd', "family": "truma"}),
            Metric("process_cpu_seconds_total", 1.25, {}),
            Metric("hardwired_link_up", 0, {"link": "x", "family": "truma"}),
            Metric("hardwired_value", float("nan"), {}),
        ]
    )
    assert text == (
        "# HELP hardwired_link_up Whether the link is connected.\n"
        "# TYPE hardwired_link_up gauge\n"
        'hardwired_link_up{link="a\\"b\\\\c\\nd",family="truma"} 1\n'
        'hardwired_link_up{link="x",family="truma"} 0\n'
        "# HELP process_cpu_seconds_total Processor time.\n"
        "# TYPE process_cpu_seconds_total counter\n"
        "process_cpu_seconds_total 1.25\n"
        "# HELP hardwired_value A value of a device.\n"
        "# TYPE hardwired_value gauge\n"
        "hardwired_value NaN\n"
    )
    many = render(Metric("hardwired_value", 1, {"key": str(number)}) for number in range(30_000))
    assert many.count("\n") == 20_000


# ----------------------------------------------------------------------------------------- log


def record(text: str, level: int = logging.WARNING, name: str = "hardwired.x") -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, (), None)


def test_formats() -> None:
    mask = Mask(["hunter22"])
    people = Formatter("people", mask).format(record("van: hunter22 is out"))
    assert people.endswith(" warning van: *** is out")
    journal = Formatter("journal", mask).format(record("two\nlines", logging.ERROR))
    assert journal == "<3>two | lines"
    formatter = Formatter("json", mask)
    formatter.names = frozenset({"home"})
    told = json.loads(formatter.format(record("home: hunter22", name="hardwired.mqtt.sink")))
    assert told["text"] == "home: ***"
    assert (told["level"], told["sink"]) == ("warning", "home")
    try:
        raise ValueError("hunter22")
    except ValueError:
        failed = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    assert "hunter22" not in formatter.format(failed)
    assert "ValueError: ***" in json.loads(formatter.format(failed))["error"]


def test_the_journal_is_recognised(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        stat = os.fstat(stream.fileno())
        here = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        assert chosen_format("auto", stream, here) == "journal"
        assert chosen_format("auto", stream, {"JOURNAL_STREAM": "1:2"}) == "people"
        assert chosen_format("json", stream, here) == "json"
    assert chosen_format("auto", io.StringIO(), {}) == "people"


def test_a_repeated_complaint_is_told_once_an_hour() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    told = []
    for minute in range(125):
        now = minute * 60.0
        one = record("out of order")
        if repeats.filter(one):
            told.append(one.getMessage())
    assert told == [
        "out of order",
        "out of order (and 59 times before)",
        "out of order (and 59 times before)",
    ]
    assert repeats.filter(record("other"))
    assert all(repeats.filter(record("info", logging.INFO)) for _ in range(3))


def test_levels_of_modules() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    told = {"level": "warning", "format": "people", "levels": {"truma": "debug"}}
    try:
        logs = Logs(told, Mask(), stream)
        logs.begin()
        logging.getLogger("hardwired_engines.truma.engine").debug("shown")
        logging.getLogger("hardwired.mqtt.sink").info("hidden")
        logs.set("debug", "mqtt")
        logging.getLogger("hardwired.mqtt.sink").info("now shown")
        logs.apply(told)
        logging.getLogger("hardwired.mqtt.sink").info("hidden again")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("hardwired_engines.truma").setLevel(logging.NOTSET)
    assert [line.split(" ", 3)[3] for line in stream.getvalue().splitlines()] == [
        "shown",
        "now shown",
    ]
    assert logger_name("serialx.posix") == "serialx.posix"


# --------------------------------------------------------------------------------------- state


def test_where_the_state_lies() -> None:
    assert state_folder("/x") == Path("/x")
    assert state_folder(None, {"STATE_DIRECTORY": "/var/lib/hw:/y"}) == Path("/var/lib/hw")
    assert state_folder(None, {"XDG_STATE_HOME": "/s"}) == Path("/s/hardwired")
    assert state_folder(None, {}) == Path("~/.local/state/hardwired").expanduser()


async def test_a_state_file_is_written_whole_and_private(tmp_path: Path) -> None:
    state = State.open(tmp_path / "s")
    file = state.file("link-van")
    for number in range(100):
        file.save({"n": number})
    state.flush()
    path = tmp_path / "s" / "link-van.json"
    assert json.loads(path.read_text()) == {"version": 1, "data": {"n": 99}}
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert State.open(tmp_path / "s").file("link-van").load() == {"n": 99}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"version": 1}',
        b"\xff",
        b"[" * 10_000,
        b'{"version":"1","data":{}}',
    ],
)
def test_an_unusable_state_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    file = State.open(tmp_path).file("x")
    assert file.load() == {}
    assert (tmp_path / "x.json.damaged").read_bytes() == content


def test_a_state_file_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    content = '{"version": 2, "data": {"a": 1}}'
    (tmp_path / "x.json").write_text(content)
    file = State.open(tmp_path).file("x")
    file.save({"b": 2})
    file.flush()
    assert (tmp_path / "x.json").read_text() == content


def test_a_folder_that_cant_be_written_is_memory(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "file").write_text("")
    state = State.open(tmp_path / "file" / "s")
    assert state.folder is None
    assert "nothing is remembered" in caplog.text
    assert state.instance("hardwired") == State(None).instance("hardwired")


async def test_what_a_disk_did_not_take_is_written_when_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = State.open(tmp_path)
    in_the_way = tmp_path / "x.json.new"
    in_the_way.mkdir()
    file = state.file("x")
    file.save({"a": 1})
    await file.async_flush()
    assert "x.json can't be written" in caplog.text
    in_the_way.rmdir()
    state.flush()
    assert State.open(tmp_path).file("x").load() == {"a": 1}


async def test_a_disk_that_takes_nothing_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "RETRY_EVERY", 0.01)
    caplog.set_level(logging.DEBUG)

    def told() -> list[int]:
        return [one.levelno for one in caplog.records if "can't be written" in one.message]

    in_the_way = tmp_path / "x.json.new"
    in_the_way.mkdir()
    State.open(tmp_path).file("x").save({"a": 1})
    await until(lambda: len(told()) >= 3)
    in_the_way.rmdir()
    await until((tmp_path / "x.json").exists)
    assert State.open(tmp_path).file("x").load() == {"a": 1}
    assert told().count(logging.WARNING) == 1


async def test_what_was_flushed_is_on_the_disk(tmp_path: Path) -> None:
    file = State.open(tmp_path).file("link-unit")
    for number in range(3):
        file.save({"n": number})
        await file.async_flush()
        assert State.open(tmp_path).file("link-unit").load() == {"n": number}
    assert isinstance(file, DurableStorage)
    await State(None).file("link-unit").async_flush()
