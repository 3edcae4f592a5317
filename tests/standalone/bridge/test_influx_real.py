"""The pipeline against InfluxDB 1 and VictoriaMetrics with vmauth, and killed at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardwired.bridge.sink import SinkState
from hardwired.config.reader import read_config
from hardwired.config.secrets import Environment, resolve
from hardwired.influx.answers import Class
from hardwired.influx.http import HttpSender
from hardwired.influx.pipeline import Pipeline, Plan
from hardwired.influx.target import target_of
from hardwired.influx.worker import ThreadWorker
from hardwired_engines.clock import SystemClock
from hardwired_engines.storage import MemoryStorage
from tests.standalone.bridge import killed_sink
from tests.standalone.bridge.servers import Influx, Victoria, Vmauth, needs, stand_in
from tests.standalone.mqtt.certificates import Authority

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("HARDWIRED_KILLS", "20"))
NOW = 1_795_896_000_000_000_000


def settings(port: int, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "influxdb", "version": 1, "url": f"http://127.0.0.1:{port}"}
    told |= more
    if told["version"] == 1:
        told.setdefault("database", "db")
    rows = "".join(
        f"{key} = {value!r}\n".replace("True", "true").replace("False", "false")
        for key, value in told.items()
    )
    text = f'[devices.x]\nfamily = "truma"\nlink = "sim://"\n[sinks.s]\n{rows}'
    config = resolve(read_config(text.encode()), Environment({}))
    assert config.ok, config.errors
    found: dict[str, Any] = config.value["sinks"]["s"]
    return found


def sender(port: int, **more: Any) -> HttpSender:
    return HttpSender(target_of(settings(port, **more)))


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(post: HttpSender, path: Path | None, **plan: Any) -> AsyncIterator[Pipeline]:
    pipeline = Pipeline(
        "s",
        Plan(path=path, **{"flush": 0.05, **plan}),
        post,
        SystemClock(),
        store=MemoryStorage(),
        spool_worker=ThreadWorker("spool"),
        send_worker=ThreadWorker("send"),
        jitter=lambda: 0.2,
    )
    task = asyncio.create_task(pipeline.run())
    try:
        yield pipeline
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(20):
            await pipeline.stop()


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    made = Influx(tmp_path_factory.mktemp("influx"), body=20_000)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def database(influx: Influx) -> Influx:
    influx.query("DROP DATABASE db")
    influx.query("CREATE DATABASE db")
    return influx


def test_the_answers_of_influxdb_1(database: Influx) -> None:
    post = sender(database.port)
    assert post.post([]).cls is Class.STORED
    assert post.alive() is None
    assert post.post([f"m v=1 {NOW}"]).cls is Class.STORED
    many = [f"m,n={number} v=1 {NOW + number}" for number in range(300)]
    assert post.post(many).cls is Class.STORED  # over 1 KiB: compressed
    assert database.count("v") == 301
    partial = post.post([f"m v=1 {NOW + 1}", "m v="])
    assert (partial.cls, partial.refused) == (Class.PARTIAL, 1)
    assert post.post(["m v", "m w"]).cls is Class.REFUSED
    conflict = post.post([f'm v="x" {NOW + 2}', f"m v=2 {NOW + 3}"])
    assert (conflict.cls, conflict.refused) == (Class.PARTIAL, 1)
    assert sender(database.port, database="nope").post([]).cls is Class.CONFIGURATION
    lost = sender(database.port, retention_policy="nope").post([f"m v=1 {NOW}"])
    assert (lost.cls, lost.why) == (Class.CONFIGURATION, "retention policy not found: nope")
    plain = sender(database.port, gzip=False)
    assert plain.post([f"m v={'1' * 100} {NOW}"] * 300).cls is Class.TOO_BIG
    wrong = sender(database.port, version=2, org="o", bucket="b", token="t")
    assert wrong.post([]).why == "this is not InfluxDB, or of another version"
    database.query('CREATE RETENTION POLICY "short" ON "db" DURATION 1h REPLICATION 1 DEFAULT')
    old = post.post(["m v=1 1000000000", f"m v=2 {time.time_ns()}"])
    assert (old.cls, old.refused) == (Class.TOO_OLD, 1)


def test_the_login_of_influxdb_1(tmp_path: Path) -> None:
    server = Influx(tmp_path / "auth", auth=True)
    server.start()
    try:
        server.query("CREATE USER admin WITH PASSWORD 'admin pw' WITH ALL PRIVILEGES")
        login = {"u": "admin", "p": "admin pw"}
        server.query("CREATE DATABASE db", **login)
        server.query("CREATE USER reader WITH PASSWORD 'r'", **login)
        good = sender(server.port, username="admin", password="admin pw")
        assert good.post([]).cls is Class.STORED
        bad = sender(server.port, username="admin", password="no").post([])
        assert (bad.cls, bad.why) == (Class.CONFIGURATION, "authorization failed")
        assert sender(server.port).post([]).cls is Class.CONFIGURATION
        reader = sender(server.port, username="reader", password="r").post([f"m v=1 {NOW}"])
        assert reader.cls is Class.CONFIGURATION
    finally:
        server.kill()


async def test_a_database_that_goes_and_comes_back(database: Influx, tmp_path: Path) -> None:
    post = sender(database.port)
    async with running(post, tmp_path / "s.db") as pipeline:
        pipeline.offer(f"m v=1 {NOW}")
        await until(lambda: pipeline.empty)
        database.query("DROP DATABASE db")
        for number in range(50):
            pipeline.offer(f"m v={number} {NOW + number}")
        await until(lambda: pipeline.state is SinkState.CONFIG_ERROR)
        assert "config_error" in pipeline.notices
        database.query("CREATE DATABASE db")
        pipeline.wake()
        await until(lambda: pipeline.empty)
        assert pipeline.state is SinkState.OK
        assert not pipeline.notices
    assert database.count("v") == 50


async def test_a_type_that_differs_is_set_aside_and_the_rest_goes_on(
    database: Influx, tmp_path: Path
) -> None:
    post = sender(database.port)
    assert post.post([f"a v=1 {NOW}"]).cls is Class.STORED
    async with running(post, tmp_path / "s.db", batch=5) as pipeline:
        pipeline.offer(f"b v=0 {NOW}")
        await until(lambda: pipeline.empty)
        for number in range(5):
            pipeline.offer(f'a v="text" {NOW + number}')
        for number in range(5):
            pipeline.offer(f"b v={number} {NOW + number}")
        await until(lambda: pipeline.empty)
        counters = pipeline.spool_state.counters
        assert (counters.delivered, counters.set_aside) == (6, 5)
        assert "points_set_aside" in pipeline.notices
    assert database.count("v", "b") == 5


@pytest.mark.slow
async def test_restarts_while_writing(tmp_path: Path) -> None:
    server = Influx(tmp_path / "influx")
    server.start()
    server.query("CREATE DATABASE db")
    post = sender(server.port, timeout=2)
    offered = 0
    async with running(post, tmp_path / "s.db", rate=100_000) as pipeline:

        async def write() -> None:
            nonlocal offered
            while True:
                pipeline.offer(killed_sink.line(offered))
                offered += 1
                await asyncio.sleep(0.002)

        writing = asyncio.create_task(write())
        for _ in range(8):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.start)
        writing.cancel()
        pipeline.wake()
        await until(lambda: pipeline.empty)
        counters = pipeline.spool_state.counters
        assert counters.accepted == counters.delivered == offered
    found = {int(row["v"]) for row in server.rows()}
    server.kill()
    assert found == set(range(offered))


async def test_a_frozen_server_delays_nothing_that_is_accepted(
    database: Influx, tmp_path: Path
) -> None:
    post = sender(database.port, timeout=2)
    async with running(post, tmp_path / "s.db") as pipeline:
        pipeline.offer(f"m v=0 {NOW}")
        await until(lambda: pipeline.empty)
        database.freeze()
        try:
            for number in range(1, 200):
                pipeline.offer(f"m v={number} {NOW + number}")
                await asyncio.sleep(0.002)
            await until(lambda: pipeline.spool_state.counters.accepted == 200, 10)
            await until(lambda: pipeline.state is SinkState.OUTAGE)
            assert pipeline.why in {"timeout", "connection closed early"}
        finally:
            database.thaw()
        pipeline.wake()
        await until(lambda: pipeline.empty)
    assert database.count("v") == 200


@pytest.mark.slow
async def test_victoria_metrics_behind_vmauth(tmp_path: Path) -> None:
    victoria = Victoria(tmp_path / "vm")
    victoria.start()
    guard = Vmauth(tmp_path / "auth", victoria.port, "tok-123")
    guard.start()
    try:
        more = {"version": 2, "org": "o", "bucket": "b"}
        wrong = sender(guard.port, token="bad-token", **more).post([])
        assert wrong.cls is Class.CONFIGURATION
        assert "cannot find the provided auth token" in wrong.why
        post = sender(guard.port, token="tok-123", timeout=3, **more)
        async with running(post, tmp_path / "s.db") as pipeline:
            for number in range(100):
                pipeline.offer(f"m,n=a v={number} {time.time_ns()}")
            await until(lambda: pipeline.empty)
            await asyncio.to_thread(victoria.stop)
            for number in range(100):
                pipeline.offer(f"m,n=b v={number} {time.time_ns()}")
            await until(lambda: pipeline.state is SinkState.OUTAGE)
            await asyncio.to_thread(victoria.start)
            pipeline.wake()
            await until(lambda: pipeline.empty)
        # It shows what it has taken only some seconds later, in a series per value of n.
        await until(lambda: {one["metric"]["n"] for one in victoria.series("m_v")} == {"a", "b"})
    finally:
        guard.kill()
        victoria.kill()


# -------------------------------------------------------------------------------- a stand-in


async def test_version_3_with_a_partial_write(tmp_path: Path) -> None:
    def rule(lines: list[str]) -> tuple[int, str, dict[str, str]]:
        bad = [number for number, line in enumerate(lines, 1) if "bad" in line]
        if not bad:
            return 204, "", {}
        rows = ",".join(f'{{"line_number":{one},"error_message":"no"}}' for one in bad)
        return 400, f'{{"error":"partial write of line protocol occurred","data":[{rows}]}}', {}

    with stand_in() as server:
        server.rule = rule
        post = sender(server.port, version=3, database="solar", token="apiv3_x")
        async with running(post, tmp_path / "s.db") as pipeline:
            for text in ("a v=1 1", "bad v=1 1", "a v=2 2"):
                pipeline.offer(text)

            def counts() -> tuple[int, int, int]:
                counters = pipeline.spool_state.counters
                return counters.delivered, counters.dropped, counters.refused

            await until(lambda: counts() == (2, 1, 1))
        path, headers = server.requests[-1]
        assert path == "/api/v3/write_lp?db=solar&precision=nanosecond"
        assert headers["Authorization"] == "Bearer apiv3_x"


async def test_a_server_that_is_busy_says_for_how_long(tmp_path: Path) -> None:
    with stand_in() as server:
        answers = [(429, "", {"Retry-After": "1"})]
        server.rule = lambda lines: answers.pop() if answers and lines else (204, "", {})
        post = sender(server.port, version=2, org="o", bucket="b", token="t")
        async with running(post, tmp_path / "s.db") as pipeline:
            pipeline.offer("a v=1 1")
            await until(lambda: pipeline.state is SinkState.OUTAGE)
            began = time.monotonic()
            await until(lambda: pipeline.empty)
            assert time.monotonic() - began > 0.7
        assert server.lines == ["a v=1 1"]


def test_a_kept_connection_that_the_server_has_closed() -> None:
    with stand_in() as server:
        server.rule = lambda _lines: (204, "", {"Connection": "close"})
        post = sender(server.port, version=2, org="o", bucket="b", token="t")
        for _ in range(5):
            assert post.post(["a v=1"]).cls is Class.STORED
        assert len(server.lines) == 5


def test_certificates(tmp_path: Path) -> None:
    needs("openssl")
    own = Authority.make(tmp_path / "ca")
    own.issue("server")
    own.issue("elsewhere", "elsewhere.example.org")
    own.issue("expired", expired=True)
    more = {"version": 2, "org": "o", "bucket": "b", "token": "t", "timeout": 5}

    def ask_over_tls(name: str, **told: Any) -> Any:
        with stand_in((own.path(f"{name}.pem"), own.path(f"{name}.key"))) as server:
            url = f"https://127.0.0.1:{server.port}"
            answer = sender(server.port, url=url, **more, **told).post([f"a v=1 {NOW}"])
            assert (answer.cls is Class.STORED) == (server.lines == [f"a v=1 {NOW}"])
            return answer

    trusted = {"ca_file": own.file}
    assert ask_over_tls("server", **trusted).cls is Class.STORED
    assert ask_over_tls("server").why == "TLS certificate invalid"
    assert ask_over_tls("server").cls is Class.CONFIGURATION
    assert ask_over_tls("expired", **trusted).cls is Class.CONFIGURATION
    assert ask_over_tls("elsewhere", **trusted).cls is Class.CONFIGURATION
    assert ask_over_tls("elsewhere", verify="certificate", **trusted).cls is Class.STORED
    assert ask_over_tls("expired", verify="none").cls is Class.STORED


# ------------------------------------------------------------------------------------ killed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_any_moment_nothing_accepted_is_lost(tmp_path: Path) -> None:
    """kill -9 while it flushes, sends, back-fills; the server comes and goes (spec i.1, 4)."""
    chance = random.Random(4711)
    server = Influx(tmp_path / "influx")
    server.start()
    server.query("CREATE DATABASE db")
    spool, accepted, first = tmp_path / "s.db", set[int](), 0
    try:
        for life in range(KILLS):
            if life % 8 == 3:
                server.kill()
            elif life % 8 == 6:
                server.start()
            last = _one_life(spool, server.port, first, chance.uniform(0.15, 0.9))
            accepted |= set(range(first, last + 1))
            first += 1_000_000
        if KILLS % 8 in {4, 5, 6}:
            server.start()
        delivered = threading.Event()
        asyncio.run(_deliver_all(spool, server.port, delivered))
        assert delivered.is_set()
        found = {int(row["v"]): row for row in server.rows()}
    finally:
        server.kill()
    assert accepted
    assert accepted <= found.keys()
    assert all(str(number % 7) == row["n"] for number, row in found.items())


def _one_life(spool: Path, port: int, first: int, seconds: float) -> int:
    process = subprocess.Popen(
        [sys.executable, killed_sink.__file__, str(spool), str(port), str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    last = int(process.stdout.readline() or b"-1")  # it lives
    time.sleep(seconds)
    process.kill()
    told, error = process.communicate()
    assert not error, error.decode()
    lines = [one for one in told.decode().split("\n")[:-1] if one]
    return int(lines[-1]) if lines else last


async def _deliver_all(spool: Path, port: int, delivered: threading.Event) -> None:
    async with running(sender(port), spool, rate=1_000_000) as pipeline:
        await until(lambda: pipeline.empty, 120)
        delivered.set()
